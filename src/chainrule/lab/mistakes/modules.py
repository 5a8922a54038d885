"""Mistakes in level 2 of PyTorch, classes; those in what a network computes are level 3's, too."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from chainrule.lab.mistake import Mistake
from chainrule.lab.mistakes.tensors import channels_last, without

__all__ = ["MISTAKES", "convnet_mistakes", "two_layer_mistakes"]

he = nn.init.kaiming_normal_


class Chain(nn.Module):
    """Affine or convolutional layers, with some steps put in: `active` after each but the last, `flatten` before affine ones."""

    def __init__(self, layers, *, active=(torch.relu, torch.relu), flatten=lambda x: x.flatten(1), after=without, before=without):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.active, self.flatten, self.after, self.before = active, flatten, after, before

    def forward(self, x):
        x = self.before(x)
        for layer, active in zip(self.layers, [*self.active[: len(self.layers) - 1], without], strict=True):
            x = active(layer(self.flatten(x) if isinstance(layer, nn.Linear) else x))
        return self.after(x)


def begun(layers, weights=he, biases=nn.init.zeros_):
    for layer in layers:
        weights(layer.weight)
        if layer.bias is not None:
            biases(layer.bias)
    return layers


def two_layer(*, bias=(False, False), weights=he, sizes=lambda D, H, C: ((D, H), (H, C)), learning=True, hidden=False, **steps):
    """`TwoLayerFC` with some of its steps put in."""

    def make(input_size, hidden_size, num_classes):
        shapes = sizes(input_size, hidden_size, num_classes)
        network = Chain(begun([nn.Linear(*shape, bias=b) for shape, b in zip(shapes, bias, strict=False)], weights), **steps)
        if hidden:
            layers = list(network.layers)
            del network.layers
            network.layers = layers
        return network.requires_grad_(learning)

    return make


SCORES = (  # what a network with affine layers at its end may do to its scores
    (
        "missing-term",
        "the scores go through relu, too; scores may be negative: the last layer has no activation",
        ("What can a network not say whose scores are all at least 0?", "Leave the last layer's result as it is."),
        {"after": torch.relu},
    ),
    (
        "scale",
        "softmax is applied to the scores; the loss does that, and wants the scores as they are",
        ("What does F.cross_entropy expect?", "The affine layer is the last one."),
        {"after": partial(torch.softmax, dim=1)},
    ),
    (
        "scale",
        "log_softmax is applied to the scores; the loss does that, and wants the scores as they are",
        ("What does F.cross_entropy expect?", "The affine layer is the last one."),
        {"after": partial(torch.log_softmax, dim=1)},
    ),
    (
        "missing-term",
        "the scores carry no gradient: they were detached (detach, .data, torch.no_grad or NumPy), so no parameter can learn",
        ("What does scores.requires_grad say?", "Compute with tensors alone, without detach, .data and no_grad."),
        {"after": torch.detach},
    ),
    (
        "axis",
        "images are flattened with their channels last; they have to be flattened in the order of their axes, (C, H, W)",
        ("In which order do the numbers of an image meet the affine layer?", "flatten(1) without a permute before it."),
        {"flatten": channels_last},
    ),
)


def two_layer_mistakes(init, forward):
    """The mistakes of a two-layer network, by the function that builds it and the one that computes scores."""
    structural = (
        (
            "missing-term",
            "both layers have biases; this network asks for none",
            ("How many numbers should the network learn?", "nn.Linear(..., bias=False)"),
            {"bias": (True, True)},
        ),
        (
            "missing-term",
            "the second layer has a bias; this network asks for none",
            ("How many numbers should the network learn?", "nn.Linear(..., bias=False), in both layers"),
            {"bias": (False, True)},
        ),
        (
            "missing-term",
            "the first layer has a bias; this network asks for none",
            ("How many numbers should the network learn?", "nn.Linear(..., bias=False), in both layers"),
            {"bias": (True, False)},
        ),
        (
            "missing-term",
            "there is one layer, from the input to the classes; asked for are two, with hidden_size between them",
            ("Where does hidden_size come in?", "nn.Linear(input_size, hidden_size) and nn.Linear(hidden_size, num_classes)"),
            {"sizes": lambda D, H, C: ((D, C),)},
        ),
        (
            "missing-term",
            "there are three layers; asked for are two, affine - relu - affine",
            ("How many affine maps are there in affine - relu - affine?", "The second layer ends in num_classes."),
            {"sizes": lambda D, H, C: ((D, H), (H, H), (H, C)), "bias": (False, False, False)},
        ),
        (
            "state",
            "the network has no parameters: layers in a plain list or dictionary are not found by model.parameters()",
            ("What does list(model.parameters()) give?", "self.fc1 = nn.Linear(...), or an nn.ModuleList"),
            {"hidden": True},
        ),
        (
            "state",
            "the parameters do not require gradients, so they will not learn",
            ("What does requires_grad of a parameter say?", "Leave it as nn.Linear makes it."),
            {"learning": False},
        ),
        *_beginnings(2),
        (
            "missing-term",
            "both layers are as PyTorch makes them; asked for are no biases, and weights drawn from N(0, 2 / fan_in)",
            ("What does nn.Linear make besides the weights, and how does it draw them?", "nn.Linear(..., bias=False), kaiming_normal_"),
            {"bias": (True, True), "weights": without},
        ),
    )
    computed = (
        *SCORES,
        (
            "missing-term",
            "there is no relu between the two affine layers, which makes them one affine layer",
            ("What is the composition of two linear maps?", "affine - relu - affine"),
            {"active": (without,)},
        ),
        (
            "axis",
            "relu is applied to the input instead of the first layer's result: the order is affine - relu - affine",
            ("What goes into relu, and what comes out of the first layer?", "Apply the first layer, then relu."),
            {"before": torch.relu, "active": (without,)},
        ),
        (
            "missing-term",
            "relu is applied to the input as well; it stands between the two layers alone",
            ("What happens to negative pixels of a normalized image?", "Only the first layer's result goes through relu."),
            {"before": torch.relu},
        ),
        (
            "missing-term",
            "the activation is a sigmoid; the network asks for relu, max(0, x)",
            ("Which function is 0 for all negative numbers?", "nn.ReLU or F.relu"),
            {"active": (torch.sigmoid,)},
        ),
        (
            "missing-term",
            "the activation is tanh; the network asks for relu, max(0, x)",
            ("Which function is 0 for all negative numbers?", "nn.ReLU or F.relu"),
            {"active": (torch.tanh,)},
        ),
        (
            "missing-term",
            "the activation lets a hundredth of negative numbers pass, as a leaky relu; the network asks for relu, max(0, x)",
            ("What is the activation of -1?", "relu, not leaky_relu"),
            {"active": (F.leaky_relu,)},
        ),
        (
            "shape",
            "x is not flattened: an image (C, H, W) has to become one row of numbers before it meets an affine layer",
            ("What is the shape of a batch of images, and which one does nn.Linear need?", "flatten(1) keeps the axis of the batch."),
            {"flatten": without},
        ),
        (
            "missing-term",
            "the first layer gets no gradient: its result was detached (detach, .data, torch.no_grad or torch.tensor(...))",
            ("On which way does the gradient of the scores come to the first layer?", "Give the second layer what relu gave, as it is."),
            {"active": (lambda hidden: hidden.relu().detach(),)},
        ),
    )
    for function, entries in ((init, structural), (forward, computed)):
        for kind, sentence, hints, steps in entries:
            yield Mistake(function, kind, sentence, hints, two_layer(**steps))


def _beginnings(layers):
    """Mistakes in how the weights begin."""
    kaiming = "nn.init.kaiming_normal_(layer.weight)"
    return (
        (
            "wrong-statistic",
            "the weights are as PyTorch makes them; asked for are draws from N(0, 2 / fan_in)",
            ("Which variance do PyTorch's own weights have? See its documentation of nn.Linear.", kaiming),
            {"weights": without},
        ),
        (
            "wrong-statistic",
            "the weights are drawn evenly from an interval (kaiming_uniform_); asked for is a normal distribution",
            ("Which of PyTorch's initializers draw from a normal distribution?", kaiming),
            {"weights": partial(nn.init.kaiming_uniform_, nonlinearity="relu")},
        ),
        (
            "wrong-statistic",
            "the variance of the weights is 2 / fan_out; asked for is 2 / fan_in, which kaiming_normal_ takes by itself",
            ("How many numbers does one output sum up?", kaiming),
            {"weights": partial(he, mode="fan_out", nonlinearity="relu")},
        ),
        (
            "wrong-statistic",
            "the variance of the weights is 1 / fan_in; half of the values do not survive relu, so it takes 2 / fan_in",
            ("What does relu do to the variance of its input?", kaiming),
            {"weights": partial(he, nonlinearity="linear")},
        ),
        (
            "wrong-statistic",
            "the weights have Glorot's variance (xavier_normal_), 2 / (fan_in + fan_out); He's is 2 / fan_in",
            ("Which of the two papers is about relu?", kaiming),
            {"weights": nn.init.xavier_normal_},
        ),
        (
            "missing-term",
            "the weights have standard deviation 1, whatever the fan-in is; it has to be sqrt(2 / fan_in)",
            ("How large is a sum of many products with such weights?", kaiming),
            {"weights": nn.init.normal_},
        ),
        (
            "scale",
            "the weights have standard deviation 0.01, whatever the fan-in is; it has to be sqrt(2 / fan_in)",
            ("How large are the scores after some layers of such weights?", kaiming),
            {"weights": partial(nn.init.normal_, std=0.01)},
        ),
        (
            "missing-term",
            "all weights begin at 0, so all hidden values are the same and stay so",
            ("What is the gradient of w1 while w2 is 0?", kaiming),
            {"weights": nn.init.zeros_},
        ),
        (
            "missing-term",
            "only the first layer's weights are drawn from N(0, 2 / fan_in); the others are as PyTorch makes them",
            ("Which weights does the network have?", f"{kaiming}, for each layer"),
            {"weights": _FirstOf(layers)},
        ),
    )


class _FirstOf:
    """kaiming_normal_ for each first of so many weights."""

    def __init__(self, layers):
        self.layers, self.calls = layers, 0

    def __call__(self, weight):
        if self.calls % self.layers == 0:
            he(weight)
        self.calls += 1


def convnet(*, kernels=(5, 3), pads=(2, 1), bias=(True, True, True), weights=he, biases=nn.init.zeros_, swapped=False, area=None, **steps):
    """`ThreeLayerConvNet` with some of its steps put in; `area` is the number of pixels that the affine layer sees, of a side."""

    def make(in_channel, channel_1, channel_2, num_classes, side=32):
        if swapped:
            channel_1, channel_2 = channel_2, channel_1
        layers = [
            nn.Conv2d(in_channel, channel_1, kernels[0], padding=pads[0], bias=bias[0]),
            nn.Conv2d(channel_1, channel_2, kernels[1], padding=pads[1], bias=bias[1]),
            nn.Linear(channel_2 * (area(side) if area else side * side), num_classes, bias=bias[2]),
        ]
        return Chain(begun(layers, weights, biases), **steps)

    return make


def convnet_mistakes(init, forward):
    """The mistakes of a convolutional network, by the function that builds it and the one that computes scores."""
    structural = (
        (
            "missing-term",
            "the convolutions have no biases",
            ("How many numbers does a convolution with F filters learn besides its weights?", "Leave bias=False out."),
            {"bias": (False, False, True)},
        ),
        (
            "missing-term",
            "the affine layer has no bias",
            ("How many numbers should the network learn?", "Leave bias=False out."),
            {"bias": (True, True, False)},
        ),
        (
            "missing-term",
            "no layer has a bias; in this network all have",
            ("How many numbers should the network learn?", "Leave bias=False out."),
            {"bias": (False, False, False)},
        ),
        (
            "shape",
            "the convolutions have no padding, so that the affine layer sees (side - 6)**2 pixels; the padding has to keep the size",
            ("How many pixels does a kernel of 5 lose at each side?", "padding=2 for 5 x 5, padding=1 for 3 x 3"),
            {"area": lambda side: max(side - 6, 1) ** 2, "pads": (0, 0)},
        ),
        (
            "shape",
            "the convolutions have no padding, so that the affine layer gets too few pixels; the padding has to keep the size",
            ("How many pixels does a kernel of 5 lose at each side?", "padding=2 for 5 x 5, padding=1 for 3 x 3"),
            {"pads": (0, 0)},
        ),
        (
            "shape",
            "the first convolution has no padding, so that the affine layer gets too few pixels; the padding has to keep the size",
            ("How many pixels does a kernel of 5 lose at each side?", "padding=2 for 5 x 5"),
            {"pads": (0, 1)},
        ),
        (
            "shape",
            "the second convolution has no padding, so that the affine layer gets too few pixels; the padding has to keep the size",
            ("How many pixels does a kernel of 3 lose at each side?", "padding=1 for 3 x 3"),
            {"pads": (2, 0)},
        ),
        (
            "off-by-one",
            "both paddings are 1; a kernel of 5 x 5 loses 2 pixels at each side",
            ("How many pixels does a kernel of 5 lose at each side?", "padding=2 for 5 x 5, padding=1 for 3 x 3"),
            {"pads": (1, 1)},
        ),
        (
            "off-by-one",
            "both paddings are 2; a kernel of 3 x 3 loses 1 pixel at each side",
            ("How many pixels does a kernel of 3 lose at each side?", "padding=2 for 5 x 5, padding=1 for 3 x 3"),
            {"pads": (2, 2)},
        ),
        (
            "off-by-one",
            "the paddings are swapped: a 5 x 5 convolution keeps the size with padding 2, a 3 x 3 one with padding 1",
            ("How many pixels does a kernel of 5 lose at each side?", "The padding is (kernel size - 1) / 2."),
            {"pads": (1, 2)},
        ),
        (
            "off-by-one",
            "all of the padding is in the first convolution (3 and 0); each keeps the size of its input: 2 for 5 x 5, 1 for 3 x 3",
            ("How many pixels does a kernel of 5 lose at each side?", "The padding is (kernel size - 1) / 2."),
            {"pads": (3, 0)},
        ),
        (
            "shape",
            "the affine layer expects images of half the side, as after a pool; this network has none",
            ("What is the size of the image after both convolutions?", "channel_2 * side * side"),
            {"area": lambda side: (side // 2) ** 2},
        ),
        (
            "shape",
            "the affine layer is made for images of 32 x 32, whatever `side` says",
            ("Where does the argument side come in?", "channel_2 * side * side"),
            {"area": lambda side: 32 * 32},
        ),
        (
            "transpose",
            "the kernels are swapped: the first convolution is 5 x 5, the second 3 x 3",
            ("In which order does the docstring name them?", "nn.Conv2d(in_channel, channel_1, 5, padding=2) comes first."),
            {"kernels": (3, 5), "pads": (1, 2)},
        ),
        (
            "shape",
            "both convolutions are 3 x 3; the first is 5 x 5",
            ("Which kernel sizes does the docstring name?", "nn.Conv2d(in_channel, channel_1, 5, padding=2)"),
            {"kernels": (3, 3), "pads": (1, 1)},
        ),
        (
            "shape",
            "both convolutions are 5 x 5; the second is 3 x 3",
            ("Which kernel sizes does the docstring name?", "nn.Conv2d(channel_1, channel_2, 3, padding=1)"),
            {"kernels": (5, 5), "pads": (2, 2)},
        ),
        (
            "transpose",
            "the numbers of filters are swapped: the first convolution has channel_1 of them, the second channel_2",
            ("Into what does the first convolution turn in_channel?", "in_channel -> channel_1 -> channel_2"),
            {"swapped": True},
        ),
        (
            "missing-term",
            "weights are drawn from N(0, 2 / fan_in), but biases are as PyTorch makes them; they begin at 0",
            ("What are the biases right after the network is made?", "nn.init.zeros_(layer.bias)"),
            {"biases": without},
        ),
        *_beginnings(3),
        (
            "wrong-statistic",
            "neither weights nor biases are initialised: they are as PyTorch makes them",
            ("Which variance do PyTorch's own weights have?", "nn.init.kaiming_normal_(layer.weight), nn.init.zeros_(layer.bias)"),
            {"weights": without, "biases": without},
        ),
    )
    computed = (
        *SCORES,
        (
            "missing-term",
            "there is no relu after the first convolution",
            ("Which function stands between two convolutions?", "conv - relu - conv - relu - affine"),
            {"active": (without, torch.relu)},
        ),
        (
            "missing-term",
            "there is no relu after the second convolution",
            ("Which function stands between a convolution and the affine layer?", "conv - relu - conv - relu - affine"),
            {"active": (torch.relu, without)},
        ),
        (
            "missing-term",
            "there is no relu at all: three affine maps in a row are one affine map",
            ("What is the composition of linear maps?", "conv - relu - conv - relu - affine"),
            {"active": (without, without)},
        ),
        (
            "missing-term",
            "the image goes through relu before the first convolution; it stands after each convolution alone",
            ("What happens to negative pixels of a normalized image?", "conv - relu - conv - relu - affine"),
            {"before": torch.relu},
        ),
        (
            "missing-term",
            "the convolutions get no gradient: their result was detached (detach, .data, torch.no_grad or torch.tensor(...))",
            ("On which way does the gradient of the scores come to the convolutions?", "Give the affine layer what relu gave, as it is."),
            {"flatten": lambda hidden: hidden.flatten(1).detach()},
        ),
    )
    for function, entries in ((init, structural), (forward, computed)):
        for kind, sentence, hints, steps in entries:
            yield Mistake(function, kind, sentence, hints, convnet(**steps))


def step(*, criterion=F.cross_entropy, order=("zero", "backward", "update"), after=False):
    """`train_step` with some of its steps put in."""

    def train_step(model, optimizer, x, y):
        loss = criterion(model(x), y)
        do = {"zero": optimizer.zero_grad, "backward": loss.backward, "update": optimizer.step}
        for name in order:
            do[name]()
        return (criterion(model(x), y) if after else loss).item()

    return train_step


def by_hand(model, optimizer, x, y):
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= optimizer.param_groups[0]["lr"] * parameter.grad
    return loss.item()


def twice(model, optimizer, x, y):
    loss = step()(model, optimizer, x, y)
    step()(model, optimizer, x, y)
    return loss


STEP = tuple(
    Mistake("train_step", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "state",
            "the gradients of earlier steps are never set to zero, so every step goes along the sum of all gradients so far",
            ("What does backward() do to a gradient that is there already?", "optimizer.zero_grad() before loss.backward()"),
            step(order=("backward", "update")),
        ),
        (
            "state",
            "no parameter changes: either optimizer.step() is missing, or the gradients are set to zero between backward and step",
            ("What is in the gradients when the optimizer takes its step?", "zero_grad, then backward, then step"),
            step(order=("backward", "zero", "update")),
        ),
        (
            "off-by-one",
            "each step takes the gradients of the batch before: optimizer.step() comes before backward",
            ("What is in the gradients when the optimizer takes its step?", "zero_grad, then backward, then step"),
            step(order=("update", "zero", "backward")),
        ),
        (
            "off-by-one",
            "the loss that is returned is the one after the update; asked for is the one before it",
            (
                "On which parameters do the gradient and the loss belong together?",
                "return loss.item() of the loss that backward was called on",
            ),
            step(after=True),
        ),
        (
            "scale",
            "the loss is the sum over the batch; it has to be the mean, as F.cross_entropy gives it without further arguments",
            ("Should the step be twice as large for a batch twice as large?", 'Leave reduction="sum" out.'),
            step(criterion=partial(F.cross_entropy, reduction="sum")),
        ),
        (
            "scale",
            "the loss is divided by N once more; F.cross_entropy gives the mean",
            ("What does F.cross_entropy divide by?", "loss = F.cross_entropy(model(x), y)"),
            step(criterion=lambda scores, y: F.cross_entropy(scores, y) / len(y)),
        ),
        (
            "numerics",
            "softmax is applied before F.cross_entropy, which applies it itself: it wants the scores",
            ("What does F.cross_entropy expect?", "F.cross_entropy(model(x), y)"),
            step(criterion=lambda scores, y: F.cross_entropy(scores.softmax(dim=1), y)),
        ),
        (
            "missing-term",
            "the loss is F.nll_loss of the bare scores; it wants log-probabilities: F.cross_entropy takes the scores",
            ("Can the loss be negative?", "F.cross_entropy(model(x), y)"),
            step(criterion=F.nll_loss),
        ),
        (
            "sign",
            "the step goes along the gradient, where the loss grows: the loss has the wrong sign before backward",
            ("What does an optimizer do with the loss it is given?", "loss.backward(), without a minus"),
            lambda model, optimizer, x, y: -step(criterion=lambda scores, y: -F.cross_entropy(scores, y))(model, optimizer, x, y),
        ),
        (
            "state",
            "the parameters are updated by hand with the learning rate; the optimizer has a rule of its own, and parameters of its own",
            ("What does SGD with momentum do that this step does not?", "optimizer.step()"),
            by_hand,
        ),
        (
            "state",
            "two updates are made in one call",
            ("How often is optimizer.step() called?", "One forward pass, one backward pass, one step."),
            twice,
        ),
    )
)

MISTAKES = (
    *two_layer_mistakes("TwoLayerFC.__init__", "TwoLayerFC.forward"),
    *convnet_mistakes("ThreeLayerConvNet.__init__", "ThreeLayerConvNet.forward"),
    *STEP,
)
