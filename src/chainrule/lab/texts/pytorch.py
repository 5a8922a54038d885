# %% [markdown]
# # PyTorch
#
# So far every backward pass was written by hand. PyTorch writes them: it records what is computed with tensors, and goes back along that
# record. In this lab you write the same two networks three times,
#
# | level | you write | PyTorch does |
# | --- | --- | --- |
# | 1 tensors | the forward pass, the parameters, the update | the gradients |
# | 2 modules | the forward pass | the gradients, the list of parameters, the update |
# | 3 sequential | a list of layers | the rest |
#
# and then train a network of your own until it reaches a target. The functions belong into `level1_tensors.py`, `level2_modules.py` and
# `level3_sequential.py`.
#
# **Goals.** Know what autograd does and what it needs; know what `zero_grad`, `backward` and `step` each change; choose the level that
# a task asks for.

# %%
# %load_ext autoreload
# %autoreload 2
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from chainrule.data import batches, load
from chainrule.lab.notebook import check

DATA = "digits"  # or "cifar10" (one or two minutes), once `chainrule data get cifar10` has fetched it
data = load(DATA, limit=None if DATA == "digits" else 5000)
CHANNELS, SIDE, _ = data.train.images.shape[1:]
torch.manual_seed(0)
print(f"{data.name}: {len(data.train):,} images for training, {len(data.val):,} for validation, each {data.train.images.shape[1:]}")


# %% [markdown]
# `epoch_of(number)` gives the batches of an epoch as tensors, and `accuracy(network)` the share of validation images that a function
# `x -> scores` gets right.


# %%
def tensors_of(split, batch_size, seed=None, epoch=0):
    for images, labels in batches(data, split, batch_size, seed=seed, epoch=epoch):
        yield torch.from_numpy(images), torch.from_numpy(labels)


def epoch_of(number, batch_size=64):
    return tensors_of("train", batch_size, seed=0, epoch=number)


@torch.no_grad()  # nothing here is to be recorded
def accuracy(network, split="val"):
    right = [network(x).argmax(dim=1) == y for x, y in tensors_of(split, 500)]
    return float(torch.cat(right).float().mean())


# %% [markdown]
# ## Autograd
#
# A tensor with `requires_grad=True` is a leaf of the record: what is computed from it remembers how. For
# $$f(w) = \sum_i w_i^2$$
# the gradient is $\partial f / \partial w_i = 2 w_i$. Before you run the cell: what does the second line of the output
# show, if `backward()` is called once more on a new `f`?

# %%
w = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
(w**2).sum().backward()
print("w.grad after one backward:", w.grad)
(w**2).sum().backward()
print("w.grad after two:         ", w.grad)

# %% [markdown]
# `backward()` *adds* to the gradient. Whoever takes several steps has to set it to zero between them. That is wanted where a batch is too
# large for the memory: the gradients of its parts add up.

# %% [markdown]
# **Question 1.** Why is the update `w -= learning_rate * w.grad` written inside `with torch.no_grad():`?

# %% [markdown] tags=["answer"]
# **Answer.** The update is no part of the function whose gradient is wanted. Outside of `no_grad` it would be recorded: PyTorch refuses to
# change a leaf in place there, and `w = w - learning_rate * w.grad` would make a new tensor that is no leaf, so that the record grows with
# every step and `w.grad` of the new tensor stays `None`.

# %% [markdown]
# ## Level 1: tensors
#
# Write `two_layer_fc` and `three_layer_convnet` in `level1_tensors.py`. No backward pass is needed:
# $$\text{scores} = \max(0,\, x W_1)\, W_2$$
# `x` may be a batch of images: `x.flatten(1)` makes rows of them.

# %%
check("two_layer_fc", "three_layer_convnet")

# %% [markdown]
# Level 3 has functions of the same names, so the check tells of those, too: "not written" for now.
#
# Then the weights. A layer with $n$ inputs to each output keeps the variance of its values, behind a relu, if the weights have variance
# $2 / n$ (He et al. 2015). For an affine layer $n = D$, for a convolution $n = C \cdot K_H \cdot K_W$. A weight has to be a leaf: scale it
# first, then ask for its gradient.

# %%
check("random_weight", "zero_weight", "sgd_step")

# %% [markdown]
# Does the variance stay? Ten layers of 200 values, with weights of three widths. The middle one is yours.

# %%
from level1_tensors import random_weight

generator = torch.Generator().manual_seed(0)
x = torch.randn(500, 200, generator=generator)
for name, factor in (("half as wide", 0.5), ("random_weight", 1.0), ("twice as wide", 2.0)):
    hidden, sizes = x, []
    for _ in range(10):
        hidden = (hidden @ (factor * random_weight((200, 200), generator).detach())).clamp(min=0)
        sizes.append(float(hidden.std()))
    plt.semilogy(range(1, 11), sizes, marker="o", label=name)
plt.xlabel("layer")
plt.ylabel("standard deviation of its values")
plt.legend()
plt.show()

# %% [markdown]
# Half as wide, the values shrink by a factor of two a layer; twice as wide, they double. Only at He's width do they reach the tenth layer.
#
# Now train the convolutional network: the loop is all there is.

# %%
from level1_tensors import sgd_step, three_layer_convnet, two_layer_fc, zero_weight

generator = torch.Generator().manual_seed(1)
FILTERS = (16, 8)
params = [
    random_weight((FILTERS[0], CHANNELS, 5, 5), generator),
    zero_weight((FILTERS[0],)),
    random_weight((FILTERS[1], FILTERS[0], 3, 3), generator),
    zero_weight((FILTERS[1],)),
    random_weight((FILTERS[1] * SIDE * SIDE, 10), generator),
    zero_weight((10,)),
]
EPOCHS = 6
for epoch in range(EPOCHS):
    losses = [sgd_step(three_layer_convnet, params, x, y, 0.02) for x, y in epoch_of(epoch)]
    print(f"epoch {epoch + 1}/{EPOCHS}   loss {np.mean(losses):.3f}   validation {accuracy(lambda x: three_layer_convnet(x, params)):6.1%}")

# %% [markdown]
# ## Level 2: modules
#
# A list of six tensors is still easy to pass around; one of sixty is not. An `nn.Module` finds its parameters itself: every layer that is
# assigned to an attribute is registered, and `parameters()` lists them all. Write `TwoLayerFC`, `ThreeLayerConvNet` and `train_step`
# in `level2_modules.py`.

# %%
check("TwoLayerFC", "ThreeLayerConvNet", "train_step")

# %% [markdown]
# The three lines of `train_step`, and what each of them changes:
#
# | line | changes |
# | --- | --- |
# | `optimizer.zero_grad()` | `w.grad`, to nothing |
# | `loss.backward()` | `w.grad`, adds the gradient |
# | `optimizer.step()` | `w`, and the optimizer's own state |
#
# The next cell trains the same network with three optimizers, from the same weights.

# %%
from level2_modules import ThreeLayerConvNet, TwoLayerFC, train_step


def trained(network, optimizer, epochs):
    """The mean loss and the validation accuracy of each epoch."""
    curve = []
    for epoch in range(epochs):
        network.train()
        losses = [train_step(network, optimizer, x, y) for x, y in epoch_of(epoch)]
        network.eval()
        curve.append((np.mean(losses), accuracy(network)))
    return np.array(curve)


RULES = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.02),
    "SGD, momentum 0.9": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=2e-3),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5))
for name, rule in RULES.items():
    torch.manual_seed(2)
    network = ThreeLayerConvNet(CHANNELS, *FILTERS, 10, SIDE)
    curve = trained(network, rule(network.parameters()), EPOCHS)
    left.plot(range(1, EPOCHS + 1), curve[:, 0], marker="o", label=name)
    right.plot(range(1, EPOCHS + 1), curve[:, 1], marker="o", label=name)
left.set(xlabel="epoch", ylabel="training loss", yscale="log")
right.set(xlabel="epoch", ylabel="validation accuracy")
right.legend()
plt.show()

# %% [markdown]
# Momentum and Adam need a third of the epochs of plain SGD here.
#
# **Question 2.** What happens if the layers are kept in a plain list, `self.layers = [nn.Linear(...), ...]`? Say what `parameters()` gives,
# and what training does.

# %% [markdown] tags=["answer"]
# **Answer.** A plain list is no module, so its layers are not registered: `parameters()` does not have them, the
# optimizer never changes them (an optimizer of an empty list is refused), `state_dict()` does not save them, and
# `.to(device)` and `.train()` do not reach them. The scores are computed all the same. `nn.ModuleList` registers what
# it holds.

# %% [markdown]
# **Question 3.** Which loss has a network that gives equal scores to ten classes? The network above, untrained, has a loss between 2.6 and
# 3.3: why more than that? And why do the curves begin below it all the same?

# %% [markdown] tags=["answer"]
# **Answer.** With equal scores every class has probability 1/10, so the loss is $\ln 10 = 2.303$. He's weights are made
# to keep the variance of the values, in the last layer as well: the scores begin with a spread of about one, some of
# them in favour of wrong classes, which costs more than knowing nothing. But the first point of each curve is no initial
# loss: it is the mean over all steps of the first epoch, most of which have learned something already.

# %% [markdown]
# ## Level 3: sequential
#
# Where data go straight through, a list of layers is the whole network. Write both networks once more, in `level3_sequential.py`.

# %%
check("two_layer_fc", "three_layer_convnet")

# %% [markdown]
# The three levels are one network. The next cell gives them the same weights and looks at the scores. PyTorch's
# `nn.Linear` keeps its weight as (out, in), level 1 as (in, out).

# %%
import level3_sequential

D, HIDDEN = CHANNELS * SIDE * SIDE, 50
generator = torch.Generator().manual_seed(3)
weights = [random_weight((D, HIDDEN), generator), random_weight((HIDDEN, 10), generator)]
networks = [TwoLayerFC(D, HIDDEN, 10), level3_sequential.two_layer_fc(D, HIDDEN, 10)]
with torch.no_grad():
    for network in networks:
        for parameter, weight in zip(network.parameters(), weights, strict=True):
            parameter.copy_(weight.T if parameter.shape != weight.shape else weight)
    x, y = next(epoch_of(0))
    expected = two_layer_fc(x, weights)
    for name, network in zip(("modules", "sequential"), networks, strict=True):
        print(f"{name:<12} largest difference to level 1: {float((network(x) - expected).abs().max()):.1e}")

# %% [markdown]
# Differences of about 1e-6 are rounding: float32 sums in another order.
#
# **Question 4.** Which of these cannot be written as an `nn.Sequential` of PyTorch's layers: a shortcut around two layers; dropout; two
# networks whose scores are averaged; batch norm?

# %% [markdown] tags=["answer"]
# **Answer.** The shortcut and the average: both need a value twice, or two values at once. A list has one value that
# goes from layer to layer. (A class of one's own whose `forward` has the shortcut may again be an element of a list:
# that is how residual networks are written.) Dropout and batch norm take one value and give one.

# %% [markdown]
# ## A network of your own
#
# The target: **97.5 %** validation accuracy on the digits, or **60 %** on the 5,000 images of CIFAR-10. Below is a
# beginning that misses it. Change it until it does not: filters and kernel sizes, batch norm, pooling, depth, the
# optimizer, its learning rate and a schedule, dropout, weight decay. Change one thing at a time, and write down what it
# did. Judge by the validation images; the test images are looked at once, at the end.

# %%
TARGET = 0.975 if DATA == "digits" else 0.60
OWN_EPOCHS = 8


def own_network():
    return level3_sequential.two_layer_fc(D, 20, 10)


def own_optimizer(network):
    return torch.optim.SGD(network.parameters(), lr=0.02)


# %% tags=["answer"]
def own_network():
    def block(before, after):
        return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()

    eighth = SIDE // 8
    return nn.Sequential(
        *block(CHANNELS, 32),
        *block(32, 32),
        nn.MaxPool2d(2),
        *block(32, 64),
        nn.MaxPool2d(2),
        *block(64, 128),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128 * eighth * eighth, 10),
    )


def own_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-4)


# %%
torch.manual_seed(4)
network = own_network()
start = time.perf_counter()
curve = trained(network, own_optimizer(network), OWN_EPOCHS)
seconds, best = time.perf_counter() - start, curve[-1, 1]
print(f"{sum(p.numel() for p in network.parameters()):,} parameters, {OWN_EPOCHS} epochs in {seconds:.1f} s")
print(f"validation {best:.1%}, target {TARGET:.1%}: {'reached' if best >= TARGET else 'not reached yet'}")
plt.plot(range(1, OWN_EPOCHS + 1), curve[:, 1], marker="o")
plt.axhline(TARGET, color="grey", linestyle="--")
plt.xlabel("epoch")
plt.ylabel("validation accuracy")
plt.show()

# %% [markdown]
# When the target is reached, and not before:

# %%
if best >= TARGET:
    network.eval()
    print(f"test {accuracy(network, 'test'):.1%}")

# %% [markdown]
# **Question 5.** What did you change, in which order, and what did each change do to training loss and validation accuracy?

# %% [markdown] tags=["answer"]
# **Answer** (one of many). The beginning has 20 hidden values and stays below the target. Convolutions with pooling
# bring most of the gain: a stroke is the same stroke one pixel to the right. Batch norm makes the loss fall faster, so
# that 8 epochs are enough. Adam does not need a search for the learning rate here. Dropout and weight decay cost a
# little training loss; with 1,259 images and some 100,000 parameters they keep the validation accuracy steady from epoch
# to epoch.

# %% [markdown]
# ## The same in TensorFlow
#
# Those who prefer TensorFlow do the lab *tensorflow* in place of this one: `chainrule lab start tensorflow work/`, after
# `pip install chainrule[tensorflow]`. It has the same three levels: bare tensors (a `tf.GradientTape` records what PyTorch records by
# itself), classes of Keras, and a list of layers. `chainrule.tensorflow` carries weights between both: the same weights give the same scores.
