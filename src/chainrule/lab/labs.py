"""The nine labs, one of them in PyTorch or in TensorFlow: what each asks for, and in which files it is written."""

from dataclasses import dataclass
from pathlib import Path

import chainrule

__all__ = ["FILES", "LABS", "NAMES", "Exercise", "File", "Lab", "find_lab", "source_path"]


@dataclass(frozen=True)
class Exercise:
    """A function or class of the library that a learner writes.

    Attributes
    ----------
    name : what it is called, in the library and in the workspace
    source : the module of the library that has it
    topic : name of the modules in `lab.probes` and `lab.mistakes` that know it
    asks : what of its docstring is asked for, if not all of it; "" for all
    leaves_out : methods of a class that are not asked for
    may_change : arguments that it may modify
    """

    name: str
    source: str
    topic: str
    asks: str = ""
    leaves_out: tuple[str, ...] = ()
    may_change: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """A file of a workspace.

    Attributes
    ----------
    name : "layers.py"
    title : its first line
    exercises : what is written there, in this order
    needs : packages besides NumPy that it may import
    """

    name: str
    title: str
    exercises: tuple[Exercise, ...]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lab:
    """A notebook, and the files that belong to it.

    Attributes
    ----------
    name : "fully-connected-nets"; its notebook is `notebooks/fully_connected_nets.py`
    title : of the notebook
    asks : what one writes, in half a line
    files : that its functions are written in; labs share files
    """

    name: str
    title: str
    asks: str
    files: tuple[File, ...]

    @property
    def notebook(self) -> str:
        """Stem of its notebook's file."""
        return self.name.replace("-", "_")

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        return tuple(exercise for file in self.files for exercise in file.exercises)


def _exercises(source: str, *names: str, topic: str = "", **about) -> tuple[Exercise, ...]:
    return tuple(Exercise(name, source, topic or source.rpartition(".")[2], **about) for name in names)


LAYERS = File(
    "layers.py",
    "Layers: each a forward pass that keeps what its backward pass needs. And losses, which give their gradient along.",
    (
        *_exercises("chainrule.functional.affine", "affine_forward", "affine_backward"),
        *_exercises(
            "chainrule.functional.activations",
            "relu_forward",
            "relu_backward",
            "sigmoid_forward",
            "sigmoid_backward",
            "tanh_forward",
            "tanh_backward",
        ),
        Exercise("softmax_loss", "chainrule.functional.losses", "losses", asks="label_smoothing is not asked for: it stays 0"),
        Exercise("svm_loss", "chainrule.functional.losses", "losses", asks="margin is not asked for: it stays 1"),
    ),
)
TWO_LAYER_NET = File(
    "two_layer_net.py",
    "A two-layer network of basic matrix operations: scores, loss and gradients, training, prediction.",
    _exercises("chainrule.compat.hlcv.two_layernet", "TwoLayerNet"),
)
FULLY_CONNECTED = File(
    "fully_connected.py",
    "Two layers in one, and fully connected networks of any depth.",
    (
        *_exercises("chainrule.functional.composites", "affine_relu_forward", "affine_relu_backward"),
        Exercise(
            "FullyConnectedNet",
            "chainrule.compat.cs231n.classifiers.fc_net",
            "fc_net",
            asks="normalization and dropout are for later: build them in when you have written them",
            leaves_out=("save", "load"),
        ),
    ),
)
OPTIM = File(
    "optim.py",
    "Update rules: one step of gradient descent on one array.",
    _exercises(
        "chainrule.functional.update_rules",
        "sgd",
        "sgd_momentum",
        "rmsprop",
        "adam",
        asks="the config that is given back has settings and state, so that the next step can go on with it",
        may_change=("w",),
    ),
)
NORMALIZATION = File(
    "normalization.py",
    "Batch normalization, with both backward passes, and layer normalization.",
    (
        *_exercises("chainrule.functional.batchnorm", "batchnorm_forward", "batchnorm_backward", "batchnorm_backward_alt"),
        *_exercises("chainrule.functional.layernorm", "layernorm_forward", "layernorm_backward"),
    ),
)
DROPOUT = File(
    "dropout.py",
    "Inverted dropout, in both modes.",
    (
        Exercise(
            "dropout_forward",
            "chainrule.functional.dropout",
            "dropout",
            asks='any random generator will do, if the same "seed" gives the same mask; "rng" may be left out',
        ),
        Exercise("dropout_backward", "chainrule.functional.dropout", "dropout"),
    ),
)
CONVOLUTION = File(
    "convolution.py",
    "Convolution and max pooling with plain loops, a faster convolution, and normalization of images.",
    (
        *_exercises(
            "chainrule.functional.convolution",
            "conv_forward_naive",
            "conv_backward_naive",
            asks='of conv_param only "stride" and "pad", each one number for both axes, and b is never None',
        ),
        *_exercises(
            "chainrule.functional.im2col",
            "conv_forward_im2col",
            "conv_backward_im2col",
            topic="convolution",
            asks="a fast one of your own: im2col is one way to make it, and what is checked are its results; b is never None",
        ),
        *_exercises(
            "chainrule.functional.pooling",
            "max_pool_forward_naive",
            "max_pool_backward_naive",
            asks='of pool_param only "pool_height", "pool_width" and "stride", one number for both axes',
        ),
        *_exercises("chainrule.functional.spatial_batchnorm", "spatial_batchnorm_forward", "spatial_batchnorm_backward"),
        *_exercises("chainrule.functional.spatial_groupnorm", "spatial_groupnorm_forward", "spatial_groupnorm_backward"),
    ),
)
THREE_LAYER_CONVNET = File(
    "three_layer_convnet.py",
    "A convolutional network of three layers.",
    _exercises("chainrule.compat.cs231n.classifiers.plain_cnn", "ThreeLayerConvNet", topic="three_layer_convnet"),
)
TENSORS = File(
    "level1_tensors.py",
    "PyTorch, level 1: bare tensors and autograd.",
    _exercises("chainrule.pytorch.levels.tensors", "two_layer_fc", "three_layer_convnet", "random_weight", "zero_weight", "sgd_step"),
    ("torch",),
)
MODULES = File(
    "level2_modules.py",
    "PyTorch, level 2: classes that own their parameters.",
    _exercises("chainrule.pytorch.levels.modules", "TwoLayerFC", "ThreeLayerConvNet", "train_step"),
    ("torch",),
)
SEQUENTIAL = File(
    "level3_sequential.py",
    "PyTorch, level 3: a list of layers.",
    _exercises("chainrule.pytorch.levels.sequential", "two_layer_fc", "three_layer_convnet"),
    ("torch",),
)
TF_TENSORS = File(
    "tf_level1_tensors.py",
    "TensorFlow, level 1: bare tensors and a tape.",
    _exercises(
        "chainrule.tensorflow.levels.tensors",
        "two_layer_fc",
        "three_layer_convnet",
        "random_weight",
        "zero_weight",
        "sgd_step",
        topic="tf_tensors",
    ),
    ("tensorflow",),
)
TF_MODULES = File(
    "tf_level2_modules.py",
    "TensorFlow, level 2: classes of Keras, which own their parameters.",
    _exercises("chainrule.tensorflow.levels.modules", "TwoLayerFC", "ThreeLayerConvNet", "train_step", topic="tf_modules"),
    ("tensorflow",),
)
TF_SEQUENTIAL = File(
    "tf_level3_sequential.py",
    "TensorFlow, level 3: a list of layers.",
    _exercises("chainrule.tensorflow.levels.sequential", "two_layer_fc", "three_layer_convnet", topic="tf_sequential"),
    ("tensorflow",),
)
RESIDUAL_BLOCKS = File(
    "residual_blocks.py",
    "Residual and bottleneck blocks in PyTorch.",
    _exercises("chainrule.compat.cs236781.cnn", "ResidualBlock", "ResidualBottleneckBlock", topic="residual_blocks"),
    ("torch",),
)
LOOKING_INSIDE = File(
    "looking_inside.py",
    "Saliency, fooling images and class visualization: gradients of the image.",
    _exercises(
        "chainrule.compat.cs231n.net_visualization_pytorch",
        "compute_saliency_maps",
        "make_fooling_image",
        "class_visualization_update_step",
    ),
    ("torch",),
)

LABS = (
    Lab(
        "backpropagation",
        "Backpropagation",
        "affine, relu, sigmoid, tanh, softmax and SVM losses, forward and backward; a two-layer network",
        (TWO_LAYER_NET, LAYERS),
    ),
    Lab(
        "fully-connected-nets",
        "Fully connected networks",
        "sandwich layers, networks of any depth; overfitting, vanishing gradients",
        (LAYERS, FULLY_CONNECTED),
    ),
    Lab(
        "optimization",
        "Optimization",
        "SGD, momentum, RMSProp, Adam, the training loop; a two-layer network against a target",
        (OPTIM, TWO_LAYER_NET),
    ),
    Lab("normalization", "Normalization", "batch norm with both backward passes, layer norm", (NORMALIZATION,)),
    Lab("dropout", "Dropout", "inverted dropout, in both modes", (DROPOUT,)),
    Lab(
        "convolution",
        "Convolution",
        "convolution and pooling, naive and fast; spatial batch and group norm; a three-layer convnet",
        (CONVOLUTION, THREE_LAYER_CONVNET),
    ),
    Lab("pytorch", "PyTorch", "one network at three levels; a network of your own against a target", (TENSORS, MODULES, SEQUENTIAL)),
    Lab(
        "tensorflow",
        "TensorFlow",
        "the same three levels in TensorFlow, in place of the lab pytorch",
        (TF_TENSORS, TF_MODULES, TF_SEQUENTIAL),
    ),
    Lab("residual-networks", "Residual networks", "residual and bottleneck blocks; the architecture experiments", (RESIDUAL_BLOCKS,)),
    Lab("looking-inside", "Looking inside", "saliency maps, fooling images, class visualization", (LOOKING_INSIDE,)),
)
FILES = tuple(dict.fromkeys(file for lab in LABS for file in lab.files))
NAMES = {  # of all that can be checked, without what follows a dot
    *(lab.name for lab in LABS),
    *(file.name.removesuffix(".py") for file in FILES),
    *(exercise.name for file in FILES for exercise in file.exercises),
}


def source_path(module: str) -> Path:
    """The file of a module of the library; to ask Python for it would import PyTorch or TensorFlow with its package."""
    return Path(chainrule.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")


def find_lab(name: str) -> Lab:
    """The lab of that name.

    Raises
    ------
    ValueError
        There is none; the message names those that are spelled almost so.
    """
    import difflib

    for lab in LABS:
        if lab.name == name:
            return lab
    names = [lab.name for lab in LABS]
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    raise ValueError(f"there is no lab {name!r}; {hint}")
