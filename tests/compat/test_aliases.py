"""What a course's script sees after `chainrule.compat.install`; each script runs in a fresh process, in a folder of its own."""

import subprocess
import sys
import textwrap

import pytest

from chainrule.compat import install


@pytest.fixture
def run(tmp_path):
    """Run a script in an empty folder and return its output; the script's folder is on sys.path, as for a notebook."""

    def run_script(script):
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(script))
        done = subprocess.run([sys.executable, "-W", "error", path], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_script


def test_a_cs231n_script_runs_after_install(run):
    output = run("""
        import chainrule.compat
        chainrule.compat.install("cs231n")

        import numpy as np
        from cs231n.classifiers.fc_net import *
        from cs231n.gradient_check import eval_numerical_gradient, eval_numerical_gradient_array
        from cs231n.layer_utils import affine_relu_backward, affine_relu_forward
        from cs231n.optim import adam, rmsprop, sgd_momentum
        from cs231n.solver import Solver
        from cs231n.vis_utils import visualize_grid

        np.random.seed(231)
        x, w, b, dout = (np.random.randn(*shape) for shape in [(4, 2, 3), (6, 5), (5,), (4, 5)])
        out, cache = affine_relu_forward(x, w, b)
        dx, dw, db = affine_relu_backward(dout, cache)
        expected = eval_numerical_gradient_array(lambda w: affine_relu_forward(x, w, b)[0], w, dout)
        print("gradient error below 1e-8:", np.abs(dw - expected).max() < 1e-8)

        X, y = np.random.randn(40, 12), np.random.randint(4, size=40)
        model = FullyConnectedNet([30, 30], 12, 4, normalization="batchnorm", weight_scale=5e-2, dropout_keep_ratio=0.9, seed=1)
        data = {"X_train": X, "y_train": y, "X_val": X[:10], "y_val": y[:10]}
        solver = Solver(model, data, update_rule="adam", optim_config={"learning_rate": 1e-2}, num_epochs=30, batch_size=20, verbose=False)
        solver.train()
        print("learned:", solver.train_acc_history[-1] > 0.9, len(solver.val_acc_history))
    """)
    assert output.splitlines() == ["gradient error below 1e-8: True", "learned: True 31"]


def test_a_script_of_cs231n_s_convolutional_networks_runs_after_install(run):
    output = run("""
        import chainrule.compat
        chainrule.compat.install("cs231n")

        import numpy as np
        from cs231n.classifiers.cnn import *
        from cs231n.fast_layers import conv_backward_fast, conv_forward_fast, max_pool_backward_fast, max_pool_forward_fast
        from cs231n.im2col import col2im_indices, im2col_indices
        from cs231n.layer_utils import conv_relu_backward, conv_relu_forward, conv_relu_pool_backward, conv_relu_pool_forward
        from cs231n.layers import *
        from cs231n.fast_layers import *

        np.random.seed(231)
        x, w, b = np.random.randn(10, 3, 31, 31), np.random.randn(25, 3, 3, 3), np.random.randn(25)
        conv_param = {"stride": 2, "pad": 1}
        difference = conv_forward_fast(x, w, b, conv_param)[0] - conv_forward_naive(x, w, b, conv_param)[0]
        print(np.abs(difference).max() < 1e-12)
        print(ThreeLayerConvNet().loss(np.random.randn(2, 3, 32, 32)).shape)
    """)
    assert output == "True\n(2, 10)\n"


def test_an_hw2_script_runs_after_install(run):
    pytest.importorskip("torch")
    output = run("""
        import chainrule.compat
        chainrule.compat.install("hw2")

        import torch
        import hw2.layers as layers
        import hw2.optimizers as optimizers
        import hw2.training as training
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(42)
        dataset = TensorDataset(torch.randn(60, 3, 2, 2), torch.arange(60) % 3)
        loader = DataLoader(dataset, batch_size=10, shuffle=False)
        model = layers.MLP(12, num_classes=3, hidden_features=[40] * 2, wstd=0.3)
        optimizer = optimizers.MomentumSGD(model.params(), learn_rate=0.02, reg=1e-4)
        trainer = training.LayerTrainer(model, layers.CrossEntropyLoss(), optimizer)
        result = trainer.fit(loader, loader, num_epochs=60, print_every=0)
        print(result.num_epochs, len(result.train_loss), result.train_acc[-1] > 95)
    """)
    assert output == "60 60 True\n"


def test_a_script_of_hw2_s_convolutional_networks_runs_after_install(run):
    pytest.importorskip("torch")
    output = run("""
        import chainrule.compat
        chainrule.compat.install("hw2")

        import torch
        import hw2.cnn as cnn
        from hw2.cnn import CNN, ResidualBlock, ResidualBottleneckBlock, ResNet, YourCNN
        from hw2.experiments import cnn_experiment, load_experiment
        from hw2.training import ClassifierTrainer, FitResult

        net = cnn.ConvClassifier((3, 100, 100), 10, channels=[4] * 4, pool_every=2, hidden_dims=[100] * 2)
        print(tuple(net(torch.randint(low=0, high=256, size=(3, 100, 100), dtype=torch.float).unsqueeze(0)).shape))
        print(ResidualBlock(in_channels=3, channels=[6, 4] * 2, kernel_sizes=[3, 5] * 2, batchnorm=True, dropout=0.2).shortcut_path[0])
        print(cnn_experiment.__module__)
    """)
    assert output.splitlines() == [
        "(1, 10)",
        "Conv2d(3, 4, kernel_size=(1, 1), stride=(1, 1), bias=False)",
        "chainrule.compat.cs236781.experiments",
    ]


def test_a_two_layernet_script_runs_after_install(run):
    output = run("""
        import chainrule.compat
        chainrule.compat.install("two_layernet")

        import numpy as np
        from two_layernet import TwoLayerNet

        np.random.seed(0)
        X, y = 10 * np.random.randn(5, 4), np.array([0, 1, 2, 2, 1])
        net = TwoLayerNet(4, 10, 3, std=0.1)
        stats = net.train(X, y, X, y, learning_rate=0.1, num_iters=100)
        print(sorted(stats), stats["loss_history"][-1] < 0.2 * stats["loss_history"][0], net.predict(X).tolist())
    """)
    assert output == "['loss_history', 'train_acc_history', 'val_acc_history'] True [0, 1, 2, 2, 1]\n"


def test_every_submodule_is_the_same_object_under_both_names(run):
    output = run("""
        import chainrule.compat
        chainrule.compat.install("cs231n")
        import cs231n, cs231n.layers, cs231n.classifiers.fc_net
        import chainrule.compat.cs231n.layers, chainrule.compat.cs231n.classifiers.fc_net
        from cs231n import solver
        print(cs231n is chainrule.compat.cs231n)
        print(cs231n.layers is chainrule.compat.cs231n.layers)
        print(cs231n.classifiers.fc_net is chainrule.compat.cs231n.classifiers.fc_net)
        print(solver.Solver is chainrule.compat.cs231n.solver.Solver)
    """)
    assert output == "True\n" * 4


def test_a_second_install_changes_nothing(run):
    output = run("""
        import chainrule.compat, sys
        chainrule.compat.install("cs231n")
        before = {name: module for name, module in sys.modules.items() if name.startswith("cs231n")}, sys.modules["cs231n"].__path__[:]
        chainrule.compat.install("cs231n")
        after = {name: module for name, module in sys.modules.items() if name.startswith("cs231n")}, sys.modules["cs231n"].__path__[:]
        print(before == after)
    """)
    assert output == "True\n"


def test_what_chainrule_does_not_have_comes_from_the_courses_own_folder_and_uses_chainrule_s_modules(run, tmp_path):
    package = tmp_path / "cs231n"
    (package / "classifiers").mkdir(parents=True)
    (package / "layers.py").write_text("raise RuntimeError('the unfinished exercise was imported')\n")
    (package / "captions.py").write_text("from .layers import affine_forward\nfrom cs231n.solver import Solver\n")
    (package / "classifiers" / "linear.py").write_text("from ..layers import softmax_loss\n")
    output = run("""
        import chainrule.compat, chainrule.functional
        chainrule.compat.install("cs231n")
        from cs231n.captions import Solver, affine_forward
        from cs231n.classifiers.linear import softmax_loss
        import chainrule.compat.cs231n.solver
        print(affine_forward is chainrule.functional.affine_forward, softmax_loss is chainrule.functional.softmax_loss)
        print(Solver is chainrule.compat.cs231n.solver.Solver)
    """)
    assert output == "True True\nTrue\n"


def test_another_package_of_that_name_is_not_replaced(run, tmp_path):
    (tmp_path / "cs231n").mkdir()
    (tmp_path / "cs231n" / "__init__.py").write_text("")
    output = run("""
        import chainrule.compat, cs231n
        try:
            chainrule.compat.install("cs231n")
        except ImportError as error:
            print(error)
        print(cs231n.__file__)
    """)
    message, still_there = output.splitlines()
    assert message == (
        f'install: cs231n is already imported, from {still_there}; call chainrule.compat.install("cs231n") before the first import '
        "of cs231n (in a notebook: restart the kernel, call it first)"
    )


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no course package is called 'cs236781'; there are 'cs231n', 'hw2', 'two_layernet'"):
        install("cs236781")


def test_without_torch_hw2_says_what_to_do_and_nothing_is_installed(run):
    output = run("""
        import sys
        sys.modules["torch"] = None  # what an import of a missing package meets
        import chainrule.compat
        try:
            chainrule.compat.install("hw2")
        except ImportError as error:
            print(error, "hw2" in sys.modules)
        chainrule.compat.install("cs231n")
        chainrule.compat.install("two_layernet")
        import cs231n.solver, two_layernet
    """)
    assert output == "this needs PyTorch: pip install chainrule[torch] False\n"
