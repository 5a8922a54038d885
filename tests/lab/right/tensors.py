"""Right functions of tensors, none of them the library's."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def einsum(x, params):
    w1, w2 = params
    hidden = torch.einsum("nd,dh->nh", x.reshape(x.shape[0], -1), w1)
    return torch.einsum("nh,hc->nc", torch.where(hidden > 0, hidden, torch.zeros(())), w2)


def linear_layers(x, params):
    return F.linear(F.relu(F.linear(torch.flatten(x, start_dim=1), params[0].t())), params[1].t())


def sample_by_sample(x, params):
    return torch.stack([torch.max(sample.ravel() @ params[0], torch.tensor(0.0)) @ params[1] for sample in x])


def in_float64(x, params):
    w1, w2 = (w.double() for w in params)
    return x.double().flatten(1).mm(w1).relu_().mm(w2)


def padded_by_hand(x, params):
    conv_w1, conv_b1, conv_w2, conv_b2, fc_w, fc_b = params
    hidden = (F.conv2d(F.pad(x, (2, 2, 2, 2)), conv_w1) + conv_b1.view(1, -1, 1, 1)).clamp_min(0)
    hidden = (F.conv2d(F.pad(hidden, (1, 1, 1, 1)), conv_w2) + conv_b2[:, None, None]).clamp_min(0)
    return torch.addmm(fc_b, hidden.reshape(len(x), -1), fc_w)


def unfolded(x, params):
    """Convolutions as matrix products."""
    N, _, H, W = x.shape
    hidden = x
    for w, b, pad in ((params[0], params[1], 2), (params[2], params[3], 1)):
        columns = F.unfold(hidden, w.shape[2:], padding=pad)
        hidden = torch.relu(w.flatten(1) @ columns + b[:, None]).view(N, len(w), H, W)
    return hidden.view(N, -1) @ params[4] + params[5]


def same_padding(x, params):
    for index in (0, 2):
        x = F.relu(F.conv2d(x, params[index], params[index + 1], padding="same"), inplace=True)
    return F.linear(torch.flatten(x, 1), params[4].T, params[5])


def by_initializer(shape, generator=None, dtype=torch.float32):
    weight = torch.empty(shape, dtype=dtype)
    fan_in = shape[0] if len(shape) == 2 else weight[0].numel()
    torch.nn.init.normal_(weight, 0.0, (2.0 / fan_in) ** 0.5, generator=generator)
    weight.requires_grad = True
    return weight


def by_kaiming(shape, generator=None, dtype=torch.float32):
    mode = "fan_out" if len(shape) == 2 else "fan_in"  # PyTorch's own weights are (out, in)
    return torch.nn.Parameter(torch.nn.init.kaiming_normal_(torch.zeros(shape, dtype=dtype), mode=mode, generator=generator))


def divided(shape, generator=None, dtype=torch.float32):
    fan_in = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
    drawn = torch.normal(0.0, 1.0, tuple(shape), generator=generator, dtype=dtype)
    drawn /= math.sqrt(fan_in / 2)
    return drawn.clone().detach().requires_grad_(True)


def filled_with_zeros(shape, dtype=torch.float32):
    return torch.nn.Parameter(torch.full(shape, 0.0, dtype=dtype))


def emptied(shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype).zero_().requires_grad_()


def with_backward(network, params, x, y, learning_rate):
    loss = F.cross_entropy(network(x, params), y)
    loss.backward()
    with torch.no_grad():
        for w in params:
            w -= learning_rate * w.grad
            w.grad.zero_()
    return loss


def with_data(network, params, x, y, learning_rate):
    for w in params:
        w.grad = None
    scores = network(x, params)
    loss = (scores.logsumexp(dim=1) - scores[torch.arange(len(y)), y]).mean()
    loss.backward()
    for w in params:
        w.data = w.data - learning_rate * w.grad
    return loss.detach().item()


def with_an_optimizer(network, params, x, y, learning_rate):
    optimizer = torch.optim.SGD(params, lr=learning_rate)
    optimizer.zero_grad()
    loss = F.nll_loss(F.log_softmax(network(x, params), dim=1), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


RIGHT = [
    ("einsum", {"two_layer_fc": einsum}),
    ("layers of torch.nn.functional", {"two_layer_fc": linear_layers, "three_layer_convnet": same_padding}),
    ("sample by sample", {"two_layer_fc": sample_by_sample}),
    ("in float64, with an in-place relu", {"two_layer_fc": in_float64}),
    ("padded by hand", {"three_layer_convnet": padded_by_hand}),
    ("convolutions as matrix products", {"three_layer_convnet": unfolded}),
    ("normal_", {"random_weight": by_initializer, "zero_weight": filled_with_zeros}),
    ("kaiming_normal_", {"random_weight": by_kaiming, "zero_weight": emptied}),
    ("divided by the root", {"random_weight": divided}),
    ("backward and zero_", {"sgd_step": with_backward}),
    ("a loss of one's own", {"sgd_step": with_data}),
    ("an optimizer", {"sgd_step": with_an_optimizer}),
]
