"""Level 1, bare tensors: the forward pass is a function, autograd finds the gradients, and one's own line takes the step."""

import math

import torch
import torch.nn.functional as F

__all__ = ["random_weight", "sgd_step", "three_layer_convnet", "two_layer_fc", "zero_weight"]


def two_layer_fc(x, params):
    """affine - relu - affine.

    Parameters
    ----------
    x : (N, ...), flattened to (N, D)
    params : [w1 (D, H), w2 (H, C)]; as in the course, without biases

    Returns
    -------
    scores : (N, C)
    """
    w1, w2 = params
    return (x.flatten(1) @ w1).clamp(min=0) @ w2


def three_layer_convnet(x, params):
    """conv 5x5 - relu - conv 3x3 - relu - affine; the padding keeps the size of the image.

    Parameters
    ----------
    x : (N, 3, H, W)
    params : [conv_w1 (F1, 3, 5, 5), conv_b1 (F1,), conv_w2 (F2, F1, 3, 3), conv_b2 (F2,), fc_w (F2 * H * W, C), fc_b (C,)]

    Returns
    -------
    scores : (N, C)
    """
    conv_w1, conv_b1, conv_w2, conv_b2, fc_w, fc_b = params
    hidden = F.conv2d(x, conv_w1, conv_b1, padding=2).relu()
    hidden = F.conv2d(hidden, conv_w2, conv_b2, padding=1).relu()
    return hidden.flatten(1) @ fc_w + fc_b


def random_weight(shape, generator=None, dtype=torch.float32):
    """A weight that is learned, drawn from N(0, 2 / fan_in) (He et al. 2015, eq. 10).

    Parameters
    ----------
    shape : (D, M) of an affine layer, whose fan-in is D; or (F, C, KH, KW) of a convolution
    generator : torch.Generator that it is drawn from (default: PyTorch's own)
    dtype : of the weight
    """
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    weight = torch.randn(shape, generator=generator, dtype=dtype) * math.sqrt(2 / fan_in)
    return weight.requires_grad_()


def zero_weight(shape, dtype=torch.float32):
    """A weight that is learned, and begins at 0: a bias."""
    return torch.zeros(shape, dtype=dtype, requires_grad=True)


def sgd_step(network, params, x, y, learning_rate):
    """One update of all parameters, in place: w - learning_rate * dw, dw of the mean cross-entropy. Returns the loss before it.

    Parameters
    ----------
    network : (x, params) -> scores
    params : tensors that are learned
    x, y : a batch and its labels (N,)
    """
    loss = F.cross_entropy(network(x, params), y)
    gradients = torch.autograd.grad(loss, params)
    with torch.no_grad():  # the update is no part of the network
        for w, dw in zip(params, gradients, strict=True):
            w -= learning_rate * dw
    return loss.item()
