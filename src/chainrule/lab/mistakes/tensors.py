"""Mistakes in level 1 of PyTorch, functions of tensors."""

import math

import torch
import torch.nn.functional as F

from chainrule.lab.mistake import Mistake
from chainrule.pytorch.levels.tensors import random_weight, sgd_step

__all__ = ["MISTAKES"]


def two_layer(*, flatten=lambda x: x.flatten(1), active=torch.relu, after=lambda scores: scores):
    """`two_layer_fc` with one of its steps put in."""
    return lambda x, params: after(active(flatten(x) @ params[0]) @ params[1])


def channels_last(x):
    return (x.permute(0, *range(2, x.ndim), 1) if x.ndim > 2 else x).flatten(1)


def activated_before(x, params):
    return x.flatten(1).relu() @ params[0] @ params[1]


TWO_LAYER = tuple(
    Mistake("two_layer_fc", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "there is no relu between the two affine layers, which makes them one affine layer",
            ("What is x @ w1 @ w2 without anything in between?", "hidden = (x.flatten(1) @ w1).clamp(min=0)"),
            two_layer(active=lambda hidden: hidden),
        ),
        (
            "missing-term",
            "the scores go through relu, too; scores may be negative: the last layer has no activation",
            ("What can a network not say whose scores are all at least 0?", "Return hidden @ w2 as it is."),
            two_layer(after=torch.relu),
        ),
        (
            "axis",
            "relu is applied to x instead of x @ w1: the order is affine - relu - affine",
            ("What goes into relu, and what comes out of the first layer?", "(x @ w1).clamp(min=0), not x.clamp(min=0) @ w1"),
            activated_before,
        ),
        (
            "sign",
            "relu keeps the negative numbers and drops the positive ones: it is clamp(min=0), not clamp(max=0)",
            ("What is relu(3), and what is relu(-3)?", "hidden.clamp(min=0)"),
            two_layer(active=lambda hidden: hidden.clamp(max=0)),
        ),
        (
            "numerics",
            "the hidden values are cut off at 1 as well as at 0: relu has no upper limit",
            ("What is relu(3)?", "clamp(min=0) has no second number."),
            two_layer(active=lambda hidden: hidden.clamp(0, 1)),
        ),
        (
            "missing-term",
            "the activation is a sigmoid; the network asks for relu, max(0, x)",
            ("Which function is 0 for all negative numbers?", "hidden.clamp(min=0) or F.relu(hidden)"),
            two_layer(active=torch.sigmoid),
        ),
        (
            "missing-term",
            "the activation is tanh; the network asks for relu, max(0, x)",
            ("Which function is 0 for all negative numbers?", "hidden.clamp(min=0) or F.relu(hidden)"),
            two_layer(active=torch.tanh),
        ),
        (
            "missing-term",
            "the activation lets a hundredth of negative numbers pass, as a leaky relu; the network asks for relu, max(0, x)",
            ("What is the activation of -1?", "F.relu, not F.leaky_relu"),
            two_layer(active=F.leaky_relu),
        ),
        (
            "scale",
            "softmax is applied to the scores; the loss does that, and wants the scores as they are",
            ("What does F.cross_entropy expect?", "Return hidden @ w2."),
            two_layer(after=lambda scores: scores.softmax(dim=1)),
        ),
        (
            "scale",
            "log_softmax is applied to the scores; the loss does that, and wants the scores as they are",
            ("What does F.cross_entropy expect?", "Return hidden @ w2."),
            two_layer(after=lambda scores: scores.log_softmax(dim=1)),
        ),
        (
            "shape",
            "x is not flattened: an image (C, H, W) has to become one row of D numbers before it meets w1 (D, H)",
            ("What is the shape of a batch of images, and which one does x @ w1 need?", "x.flatten(1) keeps the axis of the batch."),
            two_layer(flatten=lambda x: x),
        ),
        (
            "axis",
            "images are flattened with their channels last; the rows of w1 expect the order of the axes as they are, (C, H, W)",
            ("In which order do the numbers of an image meet the rows of w1?", "x.flatten(1) without a permute before it."),
            two_layer(flatten=channels_last),
        ),
        (
            "missing-term",
            "the scores carry no gradient: they were detached (detach, .data, torch.no_grad or NumPy), so no parameter can learn",
            ("What does scores.requires_grad say?", "Compute with tensors alone, without detach, .data and no_grad."),
            two_layer(after=torch.detach),
        ),
        (
            "missing-term",
            "w1 gets no gradient: the hidden values were detached (detach, .data, torch.no_grad, torch.tensor) before the second layer",
            ("On which way does the gradient of the scores come to w1?", "hidden @ w2 with hidden as relu gave it."),
            two_layer(active=lambda hidden: hidden.relu().detach()),
        ),
    )
)


def conv_net(
    *, pads=(2, 1), active=(torch.relu, torch.relu), biases=(1, 1, 1), flatten=lambda h: h.flatten(1), after=lambda scores: scores
):
    """`three_layer_convnet` with some of its steps put in."""

    def network(x, params):
        conv_w1, conv_b1, conv_w2, conv_b2, fc_w, fc_b = params
        hidden = active[0](F.conv2d(x, conv_w1, biases[0] * conv_b1 if biases[0] else None, padding=pads[0]))
        hidden = active[1](F.conv2d(hidden, conv_w2, biases[1] * conv_b2 if biases[1] else None, padding=pads[1]))
        return after(flatten(hidden) @ fc_w + (fc_b if biases[2] else 0))

    return network


def without(value):
    return value


CONVNET = tuple(
    Mistake("three_layer_convnet", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "there is no relu after the first convolution",
            ("Which function stands between two convolutions?", "hidden = F.relu(F.conv2d(x, conv_w1, conv_b1, padding=2))"),
            conv_net(active=(without, torch.relu)),
        ),
        (
            "missing-term",
            "there is no relu after the second convolution",
            ("Which function stands between a convolution and the affine layer?", "F.relu around the second F.conv2d, too."),
            conv_net(active=(torch.relu, without)),
        ),
        (
            "missing-term",
            "there is no relu at all: three affine maps in a row are one affine map",
            ("What is the composition of linear maps?", "F.relu around both calls of F.conv2d."),
            conv_net(active=(without, without)),
        ),
        (
            "missing-term",
            "the scores go through relu, too; scores may be negative: the last layer has no activation",
            ("What can a network not say whose scores are all at least 0?", "Return the affine layer's result as it is."),
            conv_net(after=torch.relu),
        ),
        (
            "missing-term",
            "the bias of the first convolution is left out",
            ("How many tensors are in params, and how many are used?", "F.conv2d(x, conv_w1, conv_b1, padding=2)"),
            conv_net(biases=(0, 1, 1)),
        ),
        (
            "missing-term",
            "the bias of the second convolution is left out",
            ("How many tensors are in params, and how many are used?", "F.conv2d(hidden, conv_w2, conv_b2, padding=1)"),
            conv_net(biases=(1, 0, 1)),
        ),
        (
            "missing-term",
            "the bias of the affine layer is left out",
            ("How many tensors are in params, and how many are used?", "hidden.flatten(1) @ fc_w + fc_b"),
            conv_net(biases=(1, 1, 0)),
        ),
        (
            "missing-term",
            "the biases of both convolutions are left out",
            ("How many tensors are in params, and how many are used?", "F.conv2d takes the bias as its third argument."),
            conv_net(biases=(0, 0, 1)),
        ),
        (
            "missing-term",
            "no layer has its bias: every second tensor of params is one",
            ("How many tensors are in params, and how many are used?", "F.conv2d takes the bias as its third argument."),
            conv_net(biases=(0, 0, 0)),
        ),
        *(
            (
                "shape",
                f"{sentence}, so that fc_w does not fit what they give; the padding has to keep the size of the image",
                ("How many pixels does a kernel of 5 lose at each side, and one of 3?", "The padding is (kernel size - 1) / 2."),
                conv_net(pads=pads),
            )
            for sentence, pads in (
                ("the convolutions have no padding", (0, 0)),
                ("the first convolution has no padding", (0, 1)),
                ("one of the paddings is 1 too small", (1, 1)),
                ("one of the paddings is 1 too large", (2, 2)),
            )
        ),
        (
            "off-by-one",
            "the paddings are swapped: a 5 x 5 convolution keeps the size with padding 2, a 3 x 3 one with padding 1",
            ("How many pixels does a kernel of 5 lose at each side?", "The padding is (kernel size - 1) / 2."),
            conv_net(pads=(1, 2)),
        ),
        (
            "off-by-one",
            "all of the padding is in the first convolution (3 and 0); each keeps the size of its input: 2 for 5 x 5, 1 for 3 x 3",
            ("How many pixels does a kernel of 5 lose at each side?", "The padding is (kernel size - 1) / 2."),
            conv_net(pads=(3, 0)),
        ),
        (
            "axis",
            "the feature maps are flattened with their channels last; the rows of fc_w expect (F2, H, W) in this order",
            ("In which order do the numbers of an image meet the rows of fc_w?", "hidden.flatten(1) without a permute before it."),
            conv_net(flatten=channels_last),
        ),
        (
            "scale",
            "softmax is applied to the scores; the loss does that, and wants the scores as they are",
            ("What does F.cross_entropy expect?", "Return the scores."),
            conv_net(after=lambda scores: scores.softmax(dim=1)),
        ),
        (
            "scale",
            "log_softmax is applied to the scores; the loss does that, and wants the scores as they are",
            ("What does F.cross_entropy expect?", "Return the scores."),
            conv_net(after=lambda scores: scores.log_softmax(dim=1)),
        ),
        (
            "missing-term",
            "the scores carry no gradient: they were detached (detach, .data, torch.no_grad or NumPy), so no parameter can learn",
            ("What does scores.requires_grad say?", "Compute with tensors alone, without detach, .data and no_grad."),
            conv_net(after=torch.detach),
        ),
        (
            "missing-term",
            "the convolutions get no gradient: their result was detached (detach, .data, torch.no_grad or torch.tensor(...))",
            ("On which way does the gradient of the scores come to conv_w2?", "Give the affine layer what relu gave, as it is."),
            conv_net(flatten=lambda hidden: hidden.flatten(1).detach()),
        ),
    )
)


def fan_in_of(shape):
    return shape[0] if len(shape) == 2 else math.prod(shape[1:])


def weight(*, std=lambda shape: math.sqrt(2 / fan_in_of(shape)), draw=torch.randn, keep=lambda drawn: drawn.requires_grad_()):
    """`random_weight` with one of its steps put in."""
    return lambda shape, generator=None, dtype=torch.float32: keep(draw(shape, generator=generator, dtype=dtype) * std(shape))


def without_the_generator(shape, generator=None, dtype=torch.float32):
    return random_weight(shape, dtype=dtype)


def always_one_seed(shape, generator=None, dtype=torch.float32):
    return random_weight(shape, generator or torch.Generator().manual_seed(0), dtype)


def always_float32(shape, generator=None, dtype=torch.float32):
    return random_weight(shape, generator)


def no_leaf(shape, generator=None, dtype=torch.float32):
    return torch.randn(shape, generator=generator, dtype=dtype, requires_grad=True) * math.sqrt(2 / fan_in_of(shape))


def no_leaf_of_shape_alone(shape, generator=None, dtype=torch.float32):
    return torch.randn(shape, requires_grad=True) * math.sqrt(2 / fan_in_of(shape))


def no_leaf_without_the_generator(shape, generator=None, dtype=torch.float32):
    return torch.randn(shape, dtype=dtype, requires_grad=True) * math.sqrt(2 / fan_in_of(shape))


def uniform(shape, generator=None, dtype=torch.float32):
    return 2 * torch.rand(shape, generator=generator, dtype=dtype) - 1


WIDTH = ("What is fan_in of this shape, and what is a variance?", "std = sqrt(2 / fan_in), and torch.randn has std 1")

WEIGHT = tuple(
    Mistake("random_weight", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "state",
            "the weight does not require a gradient, so it will not learn",
            ("What does weight.requires_grad say?", "weight.requires_grad_() once it is scaled."),
            weight(keep=lambda drawn: drawn),
        ),
        (
            "state",
            "the weight is a result of a computation, no leaf: it requires its gradient before it is scaled, so weight.grad stays None",
            ("What does weight.is_leaf say, and what is the leaf?", "Draw, scale, and call requires_grad_() last."),
            no_leaf,
        ),
        (
            "state",
            "the weight is a result of a computation, no leaf: it requires its gradient before it is scaled, so weight.grad stays None; "
            "and generator and dtype are not used",
            (
                "What does weight.is_leaf say, and what is the leaf?",
                "Draw with generator and dtype, scale, and call requires_grad_() last.",
            ),
            no_leaf_of_shape_alone,
        ),
        (
            "state",
            "the weight is a result of a computation, no leaf: it requires its gradient before it is scaled, so weight.grad stays None; "
            "and the generator is not used",
            ("What does weight.is_leaf say, and what is the leaf?", "Draw with the generator, scale, and call requires_grad_() last."),
            no_leaf_without_the_generator,
        ),
        (
            "missing-term",
            "the numbers have standard deviation 1: the factor sqrt(2 / fan_in) is missing",
            WIDTH,
            weight(std=lambda shape: 1.0),
        ),
        (
            "scale",
            "the standard deviation is 0.01, whatever the shape is; it has to be sqrt(2 / fan_in)",
            WIDTH,
            weight(std=lambda shape: 0.01),
        ),
        (
            "scale",
            "the numbers are scaled by 2 / fan_in, their variance; the standard deviation is its root",
            WIDTH,
            weight(std=lambda shape: 2 / fan_in_of(shape)),
        ),
        (
            "missing-term",
            "the variance is 1 / fan_in; half of the values do not survive relu, so it takes 2 / fan_in",
            ("What does relu do to the variance of its input?", "Multiply torch.randn(shape) by math.sqrt(2 / fan_in)."),
            weight(std=lambda shape: math.sqrt(1 / fan_in_of(shape))),
        ),
        (
            "scale",
            "the numbers are multiplied by sqrt(fan_in / 2); they have to be divided by it",
            ("Shall weights grow or shrink with the number of inputs?", "Multiply torch.randn(shape) by math.sqrt(2 / fan_in)."),
            weight(std=lambda shape: math.sqrt(fan_in_of(shape) / 2)),
        ),
        (
            "wrong-statistic",
            "fan_in is taken from the outputs; in (D, M) it is D, and in (F, C, KH, KW) it is C * KH * KW",
            ("How many numbers does one output sum up?", "The number of inputs of one output is fan_in."),
            weight(std=lambda shape: math.sqrt(2 / (shape[1] if len(shape) == 2 else shape[0] * math.prod(shape[2:])))),
        ),
        (
            "wrong-statistic",
            "fan_in of a convolution is taken to be shape[0], its number of filters; it is C * KH * KW",
            ("How many numbers does one output of a convolution sum up?", "math.prod(shape[1:])"),
            weight(std=lambda shape: math.sqrt(2 / shape[0])),
        ),
        (
            "wrong-statistic",
            "fan_in of a convolution is taken to be C; each output sums up C * KH * KW numbers",
            ("How many numbers does one output of a convolution sum up?", "math.prod(shape[1:])"),
            weight(std=lambda shape: math.sqrt(2 / (shape[0] if len(shape) == 2 else shape[1]))),
        ),
        (
            "wrong-statistic",
            "fan_in of a convolution is taken to be KH * KW; each output sums up C * KH * KW numbers",
            ("How many channels does one output of a convolution look at?", "math.prod(shape[1:])"),
            weight(std=lambda shape: math.sqrt(2 / (shape[0] if len(shape) == 2 else math.prod(shape[2:])))),
        ),
        (
            "wrong-statistic",
            "fan_in is taken to be the number of all weights; it is the number of inputs of one output",
            ("How many numbers does one output sum up?", "D of (D, M), C * KH * KW of (F, C, KH, KW)"),
            weight(std=lambda shape: math.sqrt(2 / math.prod(shape))),
        ),
        (
            "wrong-statistic",
            "fan_in of (D, M) is taken to be M; x (N, D) @ w (D, M) sums over D",
            ("Over which axis of w does x @ w sum?", "shape[0] for two axes, math.prod(shape[1:]) for four"),
            weight(std=lambda shape: math.sqrt(2 / math.prod(shape[1:]))),
        ),
        (
            "wrong-statistic",
            "fan_in is taken to be shape[1]; in (D, M) it is D, shape[0], and in (F, C, KH, KW) it is C * KH * KW",
            ("How many numbers does one output sum up?", "shape[0] for two axes, math.prod(shape[1:]) for four"),
            weight(std=lambda shape: math.sqrt(2 / shape[1])),
        ),
        (
            "wrong-statistic",
            "the variance is 2 / (fan_in + fan_out), Glorot's; He's is 2 / fan_in",
            ("Which of the two papers is about relu?", "std = math.sqrt(2 / fan_in)"),
            weight(
                std=lambda shape: math.sqrt(2 / (fan_in_of(shape) + (shape[1] if len(shape) == 2 else shape[0] * math.prod(shape[2:]))))
            ),
        ),
        (
            "wrong-statistic",
            "torch.rand draws from [0, 1), all positive; it has to be torch.randn, a normal distribution around 0",
            ("What is the mean of the weights?", "torch.randn, with an n."),
            weight(draw=torch.rand),
        ),
        (
            "wrong-statistic",
            "the numbers are drawn evenly from an interval around 0; it has to be a normal distribution",
            ("Can a weight be larger than three standard deviations?", "torch.randn, not torch.rand or uniform_."),
            lambda shape, generator=None, dtype=torch.float32: (
                uniform(shape, generator, dtype) * math.sqrt(6 / fan_in_of(shape))
            ).requires_grad_(),
        ),
        (
            "state",
            "the generator is not used: two weights from equally seeded generators have to be the same",
            ("Where does torch.randn take its randomness from?", "torch.randn(shape, generator=generator, dtype=dtype)"),
            without_the_generator,
        ),
        (
            "state",
            "without a generator every call gives the same numbers; a seed inside the function makes all layers alike",
            (
                "What are two weights of the same shape, drawn one after the other?",
                "Pass generator on to torch.randn; None is PyTorch's own.",
            ),
            always_one_seed,
        ),
        (
            "dtype",
            "the dtype is not used: the weight is float32 whatever is asked for",
            ("Which dtype does torch.randn give by itself?", "torch.randn(shape, generator=generator, dtype=dtype)"),
            always_float32,
        ),
    )
)

ZERO = (
    Mistake(
        "zero_weight",
        "state",
        "the weight does not require a gradient, so it will not learn",
        ("What does weight.requires_grad say?", "torch.zeros(shape, dtype=dtype, requires_grad=True)"),
        lambda shape, dtype=torch.float32: torch.zeros(shape, dtype=dtype),
    ),
    Mistake(
        "zero_weight",
        "missing-term",
        "the weight begins at 1; a bias begins at 0",
        ("Which function of torch makes zeros?", "torch.zeros(shape, dtype=dtype, requires_grad=True)"),
        lambda shape, dtype=torch.float32: torch.ones(shape, dtype=dtype, requires_grad=True),
    ),
    Mistake(
        "zero_weight",
        "dtype",
        "the dtype is not used: the weight is float32 whatever is asked for",
        ("Which dtype does torch.zeros give by itself?", "torch.zeros(shape, dtype=dtype, requires_grad=True)"),
        lambda shape, dtype=torch.float32: torch.zeros(shape, requires_grad=True),
    ),
    Mistake(
        "zero_weight",
        "state",
        "the weight is a result of a computation, no leaf: weight.grad stays None",
        (
            "What does weight.is_leaf say?",
            "Nothing may be computed from it after requires_grad: torch.zeros(shape, dtype=dtype, requires_grad=True)",
        ),
        lambda shape, dtype=torch.float32: torch.ones(shape, dtype=dtype, requires_grad=True) * 0,
    ),
)


def step(*, criterion=F.cross_entropy, change=lambda w, dw, rate: w.data.sub_(rate * dw), chosen=slice(None), after=False):
    """`sgd_step` with one of its steps put in."""

    def changed(network, params, x, y, learning_rate):
        loss = criterion(network(x, params), y)
        gradients = torch.autograd.grad(loss, params)
        for w, dw in list(zip(params, gradients, strict=True))[chosen]:
            change(w, dw, learning_rate)
        return (criterion(network(x, params), y) if after else loss).item()

    return changed


def accumulating(network, params, x, y, learning_rate):
    loss = F.cross_entropy(network(x, params), y)
    loss.backward()
    with torch.no_grad():
        for w in params:
            w -= learning_rate * w.grad
    return loss.item()


def rebinding_the_list(network, params, x, y, learning_rate):
    loss = F.cross_entropy(network(x, params), y)
    gradients = torch.autograd.grad(loss, params)
    for index, dw in enumerate(gradients):
        params[index] = (params[index] - learning_rate * dw).detach().requires_grad_()
    return loss.item()


def no_longer_learning(network, params, x, y, learning_rate):
    for w in params:
        w.requires_grad_()
    loss = sgd_step(network, params, x, y, learning_rate)
    for w in params:
        w.requires_grad_(False)
    return loss


STEP = tuple(
    Mistake("sgd_step", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "sign",
            "the step goes along the gradient, where the loss grows; it has to go against it: w -= learning_rate * dw",
            ("In which direction does the loss fall?", "w -= learning_rate * dw"),
            step(change=lambda w, dw, rate: w.data.add_(rate * dw)),
        ),
        (
            "missing-term",
            "the gradient is not multiplied by the learning rate",
            ("What does a learning rate of 0 do to the parameters?", "w -= learning_rate * dw"),
            step(change=lambda w, dw, rate: w.data.sub_(dw)),
        ),
        (
            "scale",
            "the loss is the sum over the batch; it has to be the mean, as F.cross_entropy gives it without further arguments",
            ("Should the step be twice as large for a batch twice as large?", 'Leave reduction="sum" out.'),
            step(criterion=lambda scores, y: F.cross_entropy(scores, y, reduction="sum")),
        ),
        (
            "scale",
            "the gradients are divided by N once more; the mean loss has done that",
            ("What does F.cross_entropy divide by?", "w -= learning_rate * dw, with dw as autograd gives it"),
            lambda network, params, x, y, rate: step(change=lambda w, dw, rate: w.data.sub_(rate * dw / len(x)))(
                network, params, x, y, rate
            ),
        ),
        (
            "numerics",
            "softmax is applied before F.cross_entropy, which applies it itself: it wants the scores",
            ("What does F.cross_entropy expect?", "F.cross_entropy(network(x, params), y)"),
            step(criterion=lambda scores, y: F.cross_entropy(scores.softmax(dim=1), y)),
        ),
        (
            "missing-term",
            "the loss is F.nll_loss of the bare scores; it wants log-probabilities: F.cross_entropy takes the scores",
            ("Can the loss be negative?", "F.cross_entropy(network(x, params), y)"),
            step(criterion=F.nll_loss),
        ),
        (
            "state",
            "the gradients of earlier steps are still in w.grad: backward() adds to it; set it to zero after each step",
            ("What is in w.grad before the second call?", "w.grad.zero_() after the update, or torch.autograd.grad instead of backward()"),
            accumulating,
        ),
        (
            "mutation",
            "the parameters are as they were: `w = w - ...` makes a new tensor; the update is in place, and before w.grad is set to zero",
            ("Does the caller's tensor change, or a new one with the same name?", "with torch.no_grad(): w -= learning_rate * dw"),
            step(change=lambda w, dw, rate: None),
        ),
        (
            "mutation",
            "the tensors in the list are replaced by new ones; whoever else holds them sees no update: change them in place",
            ("Is params[0] the same object after the step?", "with torch.no_grad(): w -= learning_rate * dw"),
            rebinding_the_list,
        ),
        (
            "missing-term",
            "only the first parameter is updated",
            ("Where does the loop over the parameters end?", "The return stands after the loop, not in it."),
            step(chosen=slice(1)),
        ),
        (
            "missing-term",
            "only the last parameter is updated",
            ("Which lines belong into the loop over the parameters?", "for w, dw in zip(params, gradients): w -= learning_rate * dw"),
            step(chosen=slice(-1, None)),
        ),
        (
            "off-by-one",
            "the loss that is returned is the one after the update; asked for is the one before it",
            ("On which parameters do the gradient and the loss belong together?", "loss = ... once, before the update; return loss.item()"),
            step(after=True),
        ),
        (
            "state",
            "the parameters do not require a gradient any more after the step",
            ("What does w.requires_grad say after the step?", "with torch.no_grad() around the update leaves requires_grad as it is."),
            no_longer_learning,
        ),
        (
            "scale",
            "the gradient is divided by its norm; plain gradient descent takes it as it is",
            ("Should a step be as long near the minimum as far from it?", "w -= learning_rate * dw"),
            step(change=lambda w, dw, rate: w.data.sub_(rate * dw / dw.norm())),
        ),
    )
)

MISTAKES = (*TWO_LAYER, *CONVNET, *WEIGHT, *ZERO, *STEP)
