"""Probes of saliency maps, fooling images and class visualization; torch is imported when a probe runs."""

import numpy as np

from chainrule.lab.probes.tensors import draws, tensor
from chainrule.lab.probing import Probe, results

__all__ = ["PROBES"]


def linear(weights, biases):
    """The network whose scores are weights @ pixels + biases: each row of the weights is the gradient of a score."""
    import torch

    affine = torch.nn.Linear(*np.shape(weights)[::-1])
    with torch.no_grad():
        affine.weight.copy_(tensor(weights))
        affine.bias.copy_(tensor(biases))
    return torch.nn.Sequential(torch.nn.Flatten(), affine).eval()


def convolutional(side, classes, seed):
    """A network of a convolution and an affine layer, for images (3, side, side)."""
    import torch

    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(4 * side * side, classes)
    )
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), draws([tuple(p.shape) for p in network.parameters()], seed), strict=True):
            parameter.copy_(tensor(value / np.sqrt(max(value[0].size, 1))))
    return network.eval()


WEIGHTS = [[1.0, 0.0, -3.0, 2.0, 0.5, 1.0], [2.0, -1.0, 0.0, 4.0, -1.0, 0.0]]  # of 2 classes, for 3 channels of 1 x 2 pixels
SMALL = (lambda: linear(WEIGHTS, [0.0, 1.0])), [[[[1.0, 2.0]], [[-1.0, 0.0]], [[0.0, 1.0]]]]


def saliency(make, images, labels, calls=1):
    def observed(functions):
        import torch

        network, X, y = make(), tensor(images), torch.tensor(labels)
        found = [functions.compute_saliency_maps(X, y, network) for _ in range(calls)]
        return {**results("compute_saliency_maps", found[-1], "saliency"), "X": X}

    return observed


def fooling(make, image, target):
    def observed(functions):
        X = tensor(image)
        found = functions.make_fooling_image(X, target, make())
        return {**results("make_fooling_image", found, "X_fooling"), "X": X}

    return observed


def updates(make, image, target, l2_reg, learning_rate, count=1):
    def observed(functions):
        network, img = make(), tensor(image, learned=True)
        for _ in range(count):
            functions.class_visualization_update_step(img, network, target, l2_reg, learning_rate)
        return {"img": img}

    return observed


def images(N, side, seed):
    return draws([(N, 3, side, side)], seed)[0]


def random_linear(classes, side, seed, biases=None):
    return lambda: linear(draws([(classes, 3 * side * side)], seed)[0], np.zeros(classes) if biases is None else biases)


PROBES = {
    "compute_saliency_maps": (
        Probe("one image of 1 x 2 pixels", saliency(*SMALL, [0])),
        Probe(
            "4 images of 5 x 5, a convolutional network", saliency(lambda: convolutional(5, 6, 1), images(4, 5, 2), [2, 0, 5, 2]), {"N": 4}
        ),
        Probe("3 images of 3 x 3", saliency(random_linear(4, 3, 3), images(3, 3, 4), [3, 1, 0]), {"N": 3}),
        Probe("called twice with the same images", saliency(*SMALL, [1], calls=2), {}, "on the second call with the same images", "state"),
    ),
    "make_fooling_image": (
        Probe("one image of 1 x 2 pixels", fooling(*SMALL, 0)),
        Probe("an image of 4 x 4, a convolutional network", fooling(lambda: convolutional(4, 5, 1), 3 * images(1, 4, 3), 1)),
        Probe("a score that is far behind", fooling(random_linear(3, 3, 5, [40.0, 0.0, -30.0]), images(1, 3, 6), 2)),
        Probe(
            "a target that is predicted already",
            fooling(random_linear(3, 2, 7, [0.0, 90.0, 0.0]), images(1, 2, 8), 1),
            {},
            "for a target that is predicted already",
            "off-by-one",
        ),
        Probe(
            "a score that 100 steps do not bring to the top",
            fooling(random_linear(2, 2, 9, [5000.0, 0.0]), images(1, 2, 10), 1),
            {},
            "where 100 steps are not enough",
            "off-by-one",
        ),
    ),
    "class_visualization_update_step": (
        Probe("one image of 1 x 2 pixels, no penalty", updates(*SMALL, 0, 0.0, 2.0)),
        Probe("one image of 1 x 2 pixels, l2_reg 1", updates(*SMALL, 1, 1.0, 2.0)),
        Probe("an image of 4 x 4, a convolutional network", updates(lambda: convolutional(4, 5, 1), images(1, 4, 2), 3, 0.1, 5.0)),
        Probe(
            "3 steps, one after the other",
            updates(lambda: convolutional(3, 4, 3), images(1, 3, 4), 2, 0.05, 0.7, 3),
            {},
            "from the second step on",
            "state",
        ),
    ),
}
