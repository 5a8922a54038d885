"""Right classes and steps, none of them the library's."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class OwnMatrices(nn.Module):
    """nn.Parameters in the shapes of level 1."""

    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(input_size, hidden_size) * math.sqrt(2 / input_size))
        self.w2 = nn.Parameter(torch.randn(hidden_size, num_classes) * math.sqrt(2 / hidden_size))

    def forward(self, x):
        return (x.reshape(len(x), -1) @ self.w1).clamp(min=0) @ self.w2


class LastLayerFirst(nn.Module):
    """Layers made in another order than they are used, in a dictionary."""

    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.parts = nn.ModuleDict({"top": nn.Linear(hidden_size, num_classes, False), "bottom": nn.Linear(input_size, hidden_size, False)})
        self.parts.apply(lambda part: nn.init.kaiming_normal_(part.weight) if isinstance(part, nn.Linear) else None)

    def forward(self, x):
        hidden = self.parts["bottom"](torch.flatten(x, start_dim=1))
        return self.parts["top"](hidden * (hidden > 0))


class Wrapped(nn.Module):
    """A Sequential in a class."""

    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.network = nn.Sequential(
            nn.Flatten(),
            nn.Linear(input_size, hidden_size, bias=None),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_size, num_classes, bias=None),
        )
        for part in self.network:
            if isinstance(part, nn.Linear):
                part.weight.data.normal_(0, (2 / part.in_features) ** 0.5)

    def forward(self, x):
        return self.network(x)


class SamePadding(nn.Module):
    def __init__(self, in_channel, channel_1, channel_2, num_classes, side=32):
        super().__init__()
        self.head = nn.Linear(channel_2 * side**2, num_classes)
        self.convs = nn.ModuleList(
            [nn.Conv2d(in_channel, channel_1, (5, 5), padding="same"), nn.Conv2d(channel_1, channel_2, (3, 3), padding="same")]
        )
        for layer in [self.head, *self.convs]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.constant_(layer.bias, 0)

    def forward(self, x):
        for conv in self.convs:
            x = conv(x).clamp(min=0)
        return self.head(x.view(x.shape[0], -1))


class ConvolutionsAlone(nn.Module):
    """The affine layer is a convolution as large as the image, and padding is a layer."""

    def __init__(self, in_channel, channel_1, channel_2, num_classes, side=32):
        super().__init__()
        self.pad, self.pad_more = nn.ZeroPad2d(1), nn.ZeroPad2d(2)
        self.first, self.second = nn.Conv2d(in_channel, channel_1, 5), nn.Conv2d(channel_1, channel_2, 3)
        self.top = nn.Conv2d(channel_2, num_classes, side)
        for convolution in (self.first, self.second, self.top):
            nn.init.kaiming_normal_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def forward(self, x):
        hidden = torch.relu(self.first(self.pad_more(x)))
        hidden = torch.relu(self.second(self.pad(hidden)))
        return self.top(hidden)[:, :, 0, 0]


class ByHand(nn.Module):
    """Convolutions as functions, on parameters of its own; the affine matrix is (D, C)."""

    def __init__(self, in_channel, channel_1, channel_2, num_classes, side=32):
        super().__init__()
        fan_in = channel_2 * side * side
        self.w1 = nn.Parameter(torch.randn(channel_1, in_channel, 5, 5) * math.sqrt(2 / (in_channel * 25)))
        self.w2 = nn.Parameter(torch.randn(channel_2, channel_1, 3, 3) * math.sqrt(2 / (channel_1 * 9)))
        self.w3 = nn.Parameter(torch.randn(fan_in, num_classes) * math.sqrt(2 / fan_in))
        self.biases = nn.ParameterList([torch.zeros(channel_1), torch.zeros(channel_2), torch.zeros(num_classes)])

    def forward(self, x):
        hidden = F.conv2d(x, self.w1, self.biases[0], padding=2).relu()
        hidden = F.conv2d(hidden, self.w2, self.biases[1], padding=1).relu()
        return torch.addmm(self.biases[2], hidden.flatten(1), self.w3)


def a_loss_of_its_own(model, optimizer, x, y):
    model.train()
    scores = model(x)
    loss = -scores.log_softmax(dim=1).gather(1, y[:, None]).mean()
    for parameter in model.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()
    return loss


def zeroed_afterwards(model, optimizer, x, y):
    loss = nn.CrossEntropyLoss()(model(x), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return float(loss.detach())


def with_a_closure(model, optimizer, x, y):
    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    return optimizer.step(closure).item()


RIGHT = [
    ("own matrices", {"TwoLayerFC": OwnMatrices}),
    ("last layer first", {"TwoLayerFC": LastLayerFirst}),
    ("a Sequential inside", {"TwoLayerFC": Wrapped}),
    ("padding as a word, head first", {"ThreeLayerConvNet": SamePadding}),
    ("convolutions alone", {"ThreeLayerConvNet": ConvolutionsAlone}),
    ("parameters by hand", {"ThreeLayerConvNet": ByHand}),
    ("a loss of its own", {"train_step": a_loss_of_its_own}),
    ("set to zero afterwards", {"train_step": zeroed_afterwards}),
    ("with a closure", {"train_step": with_a_closure}),
]
