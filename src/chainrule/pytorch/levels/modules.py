"""Level 2, classes: a module owns its parameters, and an optimizer updates them."""

import torch.nn.functional as F
from torch import nn

__all__ = ["ThreeLayerConvNet", "TwoLayerFC", "train_step"]


class TwoLayerFC(nn.Module):
    """affine - relu - affine, without biases; x is flattened. Weights begin as draws from N(0, 2 / fan_in)."""

    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size, bias=False)
        self.fc2 = nn.Linear(hidden_size, num_classes, bias=False)
        nn.init.kaiming_normal_(self.fc1.weight)
        nn.init.kaiming_normal_(self.fc2.weight)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class ThreeLayerConvNet(nn.Module):
    """conv 5x5 - relu - conv 3x3 - relu - affine, for images (in_channel, side, side); the padding keeps their size.

    Weights begin as draws from N(0, 2 / fan_in), biases at 0.
    """

    def __init__(self, in_channel, channel_1, channel_2, num_classes, side=32):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channel, channel_1, 5, padding=2)
        self.conv2 = nn.Conv2d(channel_1, channel_2, 3, padding=1)
        self.fc = nn.Linear(channel_2 * side * side, num_classes)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, x):
        hidden = F.relu(self.conv1(x))
        hidden = F.relu(self.conv2(hidden))
        return self.fc(hidden.flatten(1))


def train_step(model, optimizer, x, y):
    """One update of the parameters that the optimizer has, along the gradient of the mean cross-entropy. Returns the loss before it.

    Parameters
    ----------
    model : x -> scores (N, C)
    optimizer : of torch.optim
    x, y : a batch and its labels (N,)
    """
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
