"""Fully connected networks, each written once as a function of an `nn` namespace: chainrule.nn, torch's, a learner's."""

import math
from typing import Annotated, Literal

from chainrule.search import Choices, Range

__all__ = ["fully_connected", "mlp", "two_layer"]

Image = tuple[int, int, int]
Normalization = Literal["batch", "layer"]
Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu"]
WIDTHS = Choices(((100,), (200,), (400,), (800,), (200, 100), (400, 200), (800, 400), (400, 200, 100), (800, 400, 200)))


def two_layer(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    hidden_dim: Annotated[int, "width of the hidden layer", Range(25, 800, log=True)] = 100,
):
    """affine - relu - affine (CS231n assignment 2; HLCV exercise 2)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(image), hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, classes),
    )


def fully_connected(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    hidden_dims: Annotated[tuple[int, ...], "width of each hidden layer", WIDTHS] = (100,),
    normalization: Annotated[Normalization | None, "normalize before each activation", Choices((None, "batch", "layer"))] = None,
    dropout: Annotated[float, "probability to drop a hidden value", Range(0.0, 0.5)] = 0.0,
):
    """[affine - norm - relu - dropout] x L - affine, of any depth (CS231n assignment 2)."""
    if normalization not in (None, "batch", "layer"):
        raise ValueError(f'fully_connected: normalization is {normalization!r}; it must be "batch", "layer" or None')
    layers = [nn.Flatten()]
    width = math.prod(image)
    for hidden_dim in hidden_dims:
        layers.append(nn.Linear(width, hidden_dim))
        if normalization == "batch":
            layers.append(nn.BatchNorm1d(hidden_dim))
        elif normalization == "layer":
            layers.append(nn.LayerNorm(hidden_dim))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = hidden_dim
    return nn.Sequential(*layers, nn.Linear(width, classes))


def mlp(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    hidden_dims: Annotated[tuple[int, ...], "width of each hidden layer", WIDTHS] = (100, 100),
    activations: Annotated[
        tuple[Activation, ...], "activation of each hidden layer; one name serves all", Choices((("relu",), ("leaky_relu",), ("gelu",)))
    ] = ("relu",),
    dropout: Annotated[float, "probability to drop a hidden value", Range(0.0, 0.5)] = 0.0,
):
    """[affine - activation - dropout] x L - affine, with an activation of its own for each layer (CS236781 homework 2)."""
    kinds = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}
    names = activations * len(hidden_dims) if len(activations) == 1 else activations
    if len(names) != len(hidden_dims):
        raise ValueError(f"mlp: {len(names)} activations for {len(hidden_dims)} hidden layers; give one for each, or one for all")
    if unknown := set(names) - kinds.keys():
        raise ValueError(f"mlp: unknown activation {min(unknown)!r}; there are {', '.join(kinds)}")
    layers = [nn.Flatten()]
    width = math.prod(image)
    for hidden_dim, name in zip(hidden_dims, names, strict=True):
        layers += [nn.Linear(width, hidden_dim), kinds[name]()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = hidden_dim
    return nn.Sequential(*layers, nn.Linear(width, classes))
