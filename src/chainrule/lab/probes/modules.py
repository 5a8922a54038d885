"""Probes of level 2 of PyTorch, classes, whose layers may have any names and order; torch is imported when a probe runs."""

import contextlib

import numpy as np

from chainrule.lab.probes.tensors import draws, returned_loss, rounded_std, scores_and_gradients, tensor
from chainrule.lab.probing import ContractError, Probe

__all__ = [
    "PROBES",
    "beginnings",
    "built",
    "convnet_probes",
    "convnet_sizes",
    "parameters_of",
    "sides",
    "structure",
    "two_layer_probes",
    "two_layer_sizes",
]


def built(make, *arguments, **named):
    """The network that `make` makes, from a fixed seed; PyTorch's own generator goes on as if nothing had been drawn."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = make(*arguments, **named)
    if not isinstance(network, torch.nn.Module):
        raise ContractError(f"{getattr(make, '__name__', 'it')} makes a {type(network).__name__}; expected a torch.nn.Module")
    return network


def parameters_of(network):
    """How many numbers there are in each parameter, the smallest first."""
    return np.array(sorted(parameter.numel() for parameter in network.parameters()), dtype=np.int64)


def with_values(network, values):
    """Give the network's parameters these values, whatever they are called. Returns the parameters, in the order of the values.

    A parameter takes the value of its shape, or of the transposed shape, or of the same size.

    Raises
    ------
    ContractError
        The network has others.
    """
    import torch

    left, chosen = list(network.parameters()), []
    for value in values:
        fitting = [
            parameter
            for fits in (lambda p, v: p.shape == v.shape, lambda p, v: p.shape == v.T.shape, lambda p, v: p.numel() == v.size)
            for parameter in left
            if fits(parameter, value)
        ]
        if not fitting:
            break
        chosen.append(fitting[0])
        left = [parameter for parameter in left if parameter is not fitting[0]]
    if left or len(chosen) < len(values):
        have = ", ".join(str(tuple(parameter.shape)) for parameter in network.parameters()) or "no shape at all"
        expected = ", ".join(str(value.shape) for value in values)
        raise ContractError(f"the network has parameters of {have}; expected {expected}")
    with torch.no_grad():
        for parameter, value in zip(chosen, values, strict=True):
            parameter.copy_(_shaped(torch.tensor(value), parameter.shape))
    return chosen


def _shaped(value, shape):
    return value.T if value.ndim == 2 and value.shape != shape and value.T.shape == shape else value.reshape(shape)


def two_layer_sizes(D, H, C):
    """The shapes that PyTorch gives the weights of affine layers (out, in)."""
    return [(H, D), (C, H)], ("dw1", "dw2")


def convnet_sizes(channels, F1, F2, C, side):
    names = ("dconv_w1", "dconv_b1", "dconv_w2", "dconv_b2", "dfc_w", "dfc_b")
    return [(F1, channels, 5, 5), (F1,), (F2, F1, 3, 3), (F2,), (C, F2 * side * side), (C,)], names


def structure(name, *arguments):
    """The sizes of the parameters, and whether they learn."""

    def observed(functions):
        network = built(getattr(functions, name), *arguments)
        return {
            "parameter sizes": parameters_of(network),
            "all require gradients": all(parameter.requires_grad for parameter in network.parameters()),
        }

    return observed


def sides(name, *arguments, image, **named):
    """How large the images are that come out of the convolutions, as far as `forward` gets and where it calls them as modules."""

    def observed(functions):
        import torch

        network = built(getattr(functions, name), *arguments, **named).eval()
        found = []
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(lambda module, given, out: found.append(out.shape[-1]))
        with torch.no_grad(), contextlib.suppress(Exception):  # told of `forward`
            network(torch.zeros(image))
        found = [side for side in found if side > 1] or [image[-1]]  # a convolution that leaves one pixel is an affine layer
        return {"side of the image after the first convolution": found[0], "side of the image after the last one": found[-1]}

    return observed


def beginnings(name, *arguments, shapes):
    """What is sure of the weights and biases that a network begins with."""

    def observed(functions):
        network = built(getattr(functions, name), *arguments)
        sizes = sorted(int(np.prod(shape)) for shape in shapes if len(shape) > 1)
        weights = sorted((parameter for parameter in network.parameters() if parameter.ndim > 1), key=lambda weight: weight.numel())
        if [weight.numel() for weight in weights] != sizes:
            raise ContractError(f"the weights have {', '.join(str(w.numel()) for w in weights) or 'no'} numbers; expected {sizes}")
        biases = [parameter for parameter in network.parameters() if parameter.ndim == 1]
        deviations = [weight.detach().abs().max() / weight.detach().std() for weight in weights]
        found = {
            "std of the weights": np.array([rounded_std(weight) for weight in weights], np.float32),
            "weights beyond 2.5 std": np.array([bool(deviation > 2.5) for deviation in deviations]),
        }
        if len(weights) < len(shapes):  # else it should have no biases, however they begin
            found["biases begin at 0"] = not any(bool(bias.detach().any()) for bias in biases)
        return found

    return observed


def scores_of(name, arguments, shapes, names, x, seed):
    """Scores and gradients of a network with known parameters."""
    values = [value / np.float32(np.sqrt(np.prod(value.shape[1:]))) for value in draws(shapes, seed)]

    def observed(functions):
        network = built(getattr(functions, name), *arguments)
        parameters = with_values(network, values)
        scores = network(tensor(x))
        dscores = tensor(draws([(len(x), shapes[-1][0])], 9)[0])
        found = scores_and_gradients(name, scores, dscores, parameters, names)
        return found | {
            gradient: _shaped(found[gradient], value.shape)
            for gradient, value in zip(names, values, strict=True)
            if found[gradient] is not None
        }

    return observed


def two_layer_forward(name, shape, H, C, seed=0):
    D = int(np.prod(shape[1:]))
    shapes, names = two_layer_sizes(D, H, C)
    return scores_of(name, (D, H, C), shapes, names, 1 + draws([shape], seed)[0], seed + 10)


def convnet_forward(name, N, channels, F1, F2, C, side, seed=0):
    shapes, names = convnet_sizes(channels, F1, F2, C, side)
    return scores_of(name, (channels, F1, F2, C, side), shapes, names, draws([(N, channels, side, side)], seed)[0], seed + 10)


class Momentum:
    """SGD with momentum, with the methods of torch.optim's. (To make one of those imports PyTorch's compiler, which takes seconds.)"""

    def __init__(self, parameters, lr, momentum=0.0):
        self.param_groups = [{"params": list(parameters), "lr": lr, "momentum": momentum}]
        self.velocities = [0.0] * len(self.param_groups[0]["params"])

    def zero_grad(self, set_to_none=True):
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None if set_to_none or parameter.grad is None else parameter.grad.zero_()

    def step(self, closure=None):
        loss = None if closure is None else closure()
        group = self.param_groups[0]
        for index, parameter in enumerate(group["params"]):
            if parameter.grad is not None:
                self.velocities[index] = group["momentum"] * self.velocities[index] + parameter.grad.detach().clone()
                parameter.data -= group["lr"] * self.velocities[index]
        return loss


def trained(count, *, seed=0, **options):
    """Losses and parameters of some steps of a small network."""

    def observed(functions):
        import torch

        network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 5))
        parameters = with_values(network, draws([(4, 3), (4,), (5, 4), (5,)], seed))
        optimizer = Momentum(network.parameters(), **options)
        x, y = tensor(draws([(6, 3)], seed + 1)[0]), torch.tensor([0, 3, 1, 4, 2, 2])
        losses = [functions.train_step(network, optimizer, x, y) for _ in range(count)]
        return {
            **{f"loss {number}": returned_loss("train_step", loss) for number, loss in enumerate(losses, 1)},
            **{name: value.detach().clone() for name, value in zip(("w1", "b1", "w2", "b2"), parameters, strict=True)},
        }

    return observed


def a_part_is_frozen(functions):
    """The optimizer has only the last layer: the others stay."""
    import torch

    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4))
    parameters = with_values(network, draws([(2, 3), (2,), (4, 2), (4,)], 4))
    optimizer = Momentum(network[1].parameters(), lr=0.5)
    functions.train_step(network, optimizer, tensor(draws([(5, 3)], 5)[0]), torch.tensor([0, 1, 2, 3, 0]))
    return {name: value.detach().clone() for name, value in zip(("w1", "b1", "w2", "b2"), parameters, strict=True)}


def two_layer_probes(name):
    return (
        Probe("2 samples of 3 features, 4 hidden, 5 classes", two_layer_forward(name, (2, 3), 4, 5), {"N": 2, "D": 3}),
        Probe("6 samples of 5 features, 3 hidden, 2 classes", two_layer_forward(name, (6, 5), 3, 2, 1), {"N": 6, "D": 5}),
        Probe("one sample", two_layer_forward(name, (1, 4), 6, 3, 2), {"N": 1, "D": 4}, "for a single sample", "broadcasting"),
        Probe("images (3, 2, 4)", two_layer_forward(name, (2, 3, 2, 4), 5, 3, 3), {"N": 2}, "for images, which have more axes", "shape"),
    )


def convnet_probes(name):
    return (
        Probe("2 images (1, 4, 4), 2 and 3 filters, 5 classes", convnet_forward(name, 2, 1, 2, 3, 5, 4), {"N": 2}),
        Probe("3 images (3, 6, 6), 5 and 4 filters, 2 classes", convnet_forward(name, 3, 3, 5, 4, 2, 6, 1), {"N": 3}),
        Probe("one image (2, 5, 5)", convnet_forward(name, 1, 2, 3, 4, 6, 5, 2), {"N": 1}, "for a single image", "broadcasting"),
    )


PROBES = {
    "TwoLayerFC.__init__": (
        Probe("3 features, 4 hidden, 5 classes", structure("TwoLayerFC", 3, 4, 5)),
        Probe("7 features, 2 hidden, 6 classes", structure("TwoLayerFC", 7, 2, 6)),
        Probe("how the weights begin", beginnings("TwoLayerFC", 32, 128, 512, shapes=two_layer_sizes(32, 128, 512)[0])),
    ),
    "TwoLayerFC.forward": two_layer_probes("TwoLayerFC"),
    "ThreeLayerConvNet.__init__": (
        Probe("images (1, 4, 4), 2 and 3 filters, 5 classes", structure("ThreeLayerConvNet", 1, 2, 3, 5, 4)),
        Probe("images (3, 6, 6), 5 and 4 filters, 2 classes", structure("ThreeLayerConvNet", 3, 5, 4, 2, 6)),
        Probe(
            "images (3, 32, 32), the side left out",
            structure("ThreeLayerConvNet", 3, 4, 2, 7),
            {},
            "where the side of the images is left out, which makes it 32",
            "shape",
        ),
        Probe("sizes of images on the way", sides("ThreeLayerConvNet", 3, 4, 2, 7, 8, image=(1, 3, 8, 8))),
        Probe("how the weights begin", beginnings("ThreeLayerConvNet", 5, 57, 16, 32, 8, shapes=convnet_sizes(5, 57, 16, 32, 8)[0])),
    ),
    "ThreeLayerConvNet.forward": convnet_probes("ThreeLayerConvNet"),
    "train_step": (
        Probe("one step of SGD", trained(1, lr=0.5), {"N": 6}),
        Probe("3 steps of SGD with momentum", trained(3, lr=0.2, momentum=0.9, seed=2), {"N": 6}, "from the second step on", "state"),
        Probe(
            "an optimizer of the last layer alone", a_part_is_frozen, {"N": 5}, "where the optimizer has a part of the parameters", "state"
        ),
    ),
}
