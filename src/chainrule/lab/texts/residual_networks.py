# %% [markdown]
# # Residual networks
#
# A deeper network can compute everything that a shallower one can: its further layers may be the identity. Still, from some depth on plain
# networks get *worse*, on the training images, too. They do not overfit; gradient descent does not find the identity. A residual block
# (He et al. 2016) has it built in:
# $$y = \max\bigl(0,\; F(x) + x\bigr)$$
# The layers $F$ learn what is to be added to $x$. With $F = 0$ the block passes $x$ on.
#
# You write `ResidualBlock` and `ResidualBottleneckBlock` in `residual_blocks.py`, and then build networks of them to see what depth,
# shortcuts, width and batch norm do.
#
# **Goals.** Know what a shortcut does forwards and backwards; count the parameters of a block; compare architectures fairly.

# %%
# %load_ext autoreload
# %autoreload 2
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from chainrule.data import batches, load
from chainrule.lab.notebook import check

DATA = "digits"  # or "cifar10" (20 minutes), once `chainrule data get cifar10` has fetched it
data = load(DATA, limit=None if DATA == "digits" else 5000)
CHANNELS, SIDE, _ = data.train.images.shape[1:]
print(f"{data.name}: {len(data.train):,} images for training, each {data.train.images.shape[1:]}")

# %% [markdown]
# ## The block
#
# Two paths, added, and a relu around the sum. The main path is a row of convolutions that keep the size of the image,
# with an activation (and batch norm, and dropout, where asked for) after each but the last. The shortcut is the
# identity. Where the block changes the number of channels, $x$ cannot be added as it is: a 1 x 1 convolution without
# bias brings it to the right number.

# %%
check("ResidualBlock")

# %% [markdown]
# The next cell sets all weights of a block to zero. Before you run it: what does the block put out?

# %%
from residual_blocks import ResidualBlock, ResidualBottleneckBlock

torch.manual_seed(0)
block = ResidualBlock(8, [16, 8], [3, 3])
with torch.no_grad():
    for parameter in block.parameters():
        parameter.zero_()
    x = torch.randn(2, 8, 6, 6)
    print("difference to relu(x):", float((block(x) - F.relu(x)).abs().max()))

# %% [markdown]
# **Question 1.** The main path ends without an activation. What could the block not do if there was a relu?

# %% [markdown] tags=["answer"]
# **Answer.** $F(x)$ would be at least 0, so a block could only add to its input. Values would grow from block to block,
# and no block could take back what one before it has put in.

# %% [markdown]
# ## The bottleneck
#
# A 3 x 3 convolution from $C$ to $C$ channels has $9 C^2$ weights. A bottleneck goes to fewer channels by a 1 x 1
# convolution, convolves there, and comes back by another one.

# %%
check("ResidualBottleneckBlock")

# %%
plain = ResidualBlock(256, [256, 256], [3, 3])
narrow = ResidualBottleneckBlock(256, [64], [3])
for name, made in (("two 3 x 3 convolutions of 256", plain), ("bottleneck 256 - 64 - 64 - 256", narrow)):
    print(f"{name:<32} {sum(p.numel() for p in made.parameters()):>9,} parameters")

# %% [markdown]
# **Question 2.** Compute both numbers by hand, biases included. How many multiplications does each block take for an
# image of 28 x 28? Which of them sees more of the image at once?

# %% [markdown] tags=["answer"]
# **Answer.** Two convolutions: $2 (9 \cdot 256^2 + 256) = 1{,}180{,}160$. Bottleneck: $256 \cdot 64 + 64 + 9 \cdot 64^2
# + 64 + 64 \cdot 256 + 256 = 70{,}016$. Every weight of a convolution is used once for each pixel: about $28^2 \cdot
# 1{,}179{,}648 = 925$ million against
# $28^2 \cdot 69{,}632 = 55$ million. The first sees 5 x 5 pixels (two 3 x 3 in a row), the bottleneck 3 x 3. And the
# first can mix neighbouring
# pixels of all 256 channels, the bottleneck those of 64 combinations of them.

# %% [markdown]
# ## Depth, with and without shortcuts
#
# The first experiment: networks of 2 to 32 convolutions, once plain, once of residual blocks with two convolutions
# each; otherwise the same, without batch norm. A plain block here is the main path of yours with a relu at its end, so
# both have the same parameters.


# %%
class PlainBlock(nn.Module):
    """A residual block without its shortcut."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))))


def plain_block(channels):
    return PlainBlock(channels)


def residual_block(channels):
    return ResidualBlock(channels, [channels, channels], [3, 3])


def normalized_block(channels):
    return ResidualBlock(channels, [channels, channels], [3, 3], batchnorm=True)


def network_of(block, depth, width=16):
    """A first convolution, depth / 2 blocks, a pool of half the image, an affine layer."""
    half = SIDE // 2
    blocks = [block(width) for _ in range(depth // 2)]
    return nn.Sequential(
        nn.Conv2d(CHANNELS, width, 3, padding=1), nn.ReLU(), *blocks, nn.AvgPool2d(half), nn.Flatten(), nn.Linear(4 * width, 10)
    )


def trained(network, epochs=5, lr=2e-3, seed=0):
    """The mean loss of each epoch, and the validation accuracy at the end."""
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    losses = []
    for epoch in range(epochs):
        network.train()
        losses.append(0.0)
        for images, labels in batches(data, "train", 64, seed=seed, epoch=epoch):
            loss = F.cross_entropy(network(torch.from_numpy(images)), torch.from_numpy(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1] += loss.item() * len(labels) / len(data.train)
    network.eval()
    with torch.no_grad():
        right = [
            network(torch.from_numpy(images)).argmax(1) == torch.from_numpy(labels)
            for images, labels in batches(data, "val", 500, seed=None)
        ]
    return losses, float(torch.cat(right).float().mean())


# %% [markdown]
# First the gradients of an untrained network, convolution by convolution. Before you run it: PyTorch draws the weights of
# a convolution with $n$ inputs to each output with variance $1 / (3n)$, while $2 / n$ would keep the size of values and
# gradients through a relu. By which factor does the gradient of a plain network shrink with every convolution it passes
# on its way back, roughly? And with the two of a block?

# %%
DEPTHS = (2, 8, 32)
KINDS = {"plain": plain_block, "residual": residual_block}
images, labels = next(batches(data, "train", 64, seed=0))
figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), sharey=True)
for axis, (name, block) in zip(axes, KINDS.items(), strict=True):
    torch.manual_seed(1)
    network = network_of(block, 32)
    F.cross_entropy(network(torch.from_numpy(images)), torch.from_numpy(labels)).backward()
    norms = [float(parameter.grad.norm()) for parameter in network.parameters() if parameter.ndim == 4]
    axis.semilogy(np.maximum(norms, 1e-20), marker=".")
    axis.set(title=f"{name}, 32 convolutions", xlabel="convolution")
    factor = (norms[31] / norms[1]) ** (1 / 15)  # norms[0] is that of the first convolution, then there are two for each of 16 blocks
    print(f"{name:<9} from one block to the one before it the gradient is divided by {factor:.2f}, on average")
axes[0].set_ylabel("norm of the gradient of its weights")
plt.show()

# %% [markdown]
# Every convolution with its relu divides the gradient by about $\sqrt{6}$, the two of a block by about 6. Without shortcuts it
# falls by many powers of ten on its way to the front: the first layers hear nothing of the loss. With them
# $$\frac{\partial L}{\partial x} = \frac{\partial L}{\partial y} + \frac{\partial L}{\partial y} \frac{\partial F}{\partial x}$$
# where the relu is open: the first term passes through every block as it is.
#
# Now train. The loss is that of the training images: whoever has the higher one here has not overfitted, it has not learned.

# %%
results = {}
for name, block in KINDS.items():
    for depth in DEPTHS:
        torch.manual_seed(2)
        results[name, depth] = trained(network_of(block, depth))
        losses, val = results[name, depth]
        print(f"{name:<9} {depth:>2} convolutions   training loss {losses[-1]:.3f}   validation {val:6.1%}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), sharey=True)
for axis, name in zip(axes, KINDS, strict=True):
    for depth in DEPTHS:
        losses, _ = results[name, depth]
        axis.plot(range(1, len(losses) + 1), losses, marker="o", label=f"{depth} convolutions")
    axis.set(title=name, xlabel="epoch")
axes[0].set_ylabel("training loss")
axes[1].legend()
plt.show()

# %% [markdown]
# You should have seen: the plain networks of 2 and 8 convolutions learn, the deepest stays at $\ln 10 = 2.303$, the loss
# of guessing. Residual networks of every depth learn, and the deepest has the lowest loss.
#
# **Question 3.** Did depth help the plain networks before it hurt them, and does it help the residual ones? Name two changes that could
# make the deepest plain one trainable without shortcuts, and say why each might help.

# %% [markdown] tags=["answer"]
# **Answer.** With these settings the plain networks with 2 and 8 convolutions learn about equally well, and the one with 32
# stays at 2.303; the gradient of its first layers is too small. The residual ones get better with depth. Better weights to
# begin with: He's variance $2/n$ keeps the size of values and gradients through relus, while PyTorch's own weights have a
# variance of $1/(3n)$, a sixth of that. And batch norm, which brings values back to variance 1 after every convolution,
# whatever the weights are. (A learning rate a hundred times larger does not help: layers near the end have gradients of
# an ordinary size.)

# %% [markdown]
# ## Width, depth, batch norm
#
# The second experiment varies two things at a time, $K$, the number of channels, and $L$, the number of convolutions,
# with your blocks and batch norm in them. Write down your guess first: which of the four is the best for its number of
# parameters?

# %%
for width in (8, 24):
    for depth in (4, 12):
        torch.manual_seed(3)
        network = network_of(normalized_block, depth, width)
        losses, val = trained(network)
        count = sum(p.numel() for p in network.parameters())
        print(f"K = {width:>2}   L = {depth:>2}   {count:>7,} parameters   training loss {losses[-1]:.3f}   validation {val:6.1%}")


# %% [markdown]
# And bottlenecks against pairs of 3 x 3 convolutions, at the same number of channels:


# %%
def bottleneck_block(channels):
    return ResidualBottleneckBlock(channels, [channels // 4], [3], batchnorm=True)


for name, block in (("two 3 x 3", normalized_block), ("bottleneck", bottleneck_block)):
    torch.manual_seed(4)
    network = network_of(block, 8, 24)
    losses, val = trained(network)
    count = sum(p.numel() for p in network.parameters())
    print(f"{name:<10}   {count:>7,} parameters   training loss {losses[-1]:.3f}   validation {val:6.1%}")

# %% [markdown]
# **Question 4.** One run with one seed is no proof. How large is the difference between two runs of the same network
# with different seeds? Change the seed in the cells above, and say which of your conclusions remain.

# %% [markdown] tags=["answer"]
# **Answer.** There are 269 validation images: one image is 0.37 %, and the standard deviation of an accuracy near 98 %
# over draws of such a set is about $\sqrt{0.98 \cdot 0.02 / 269} = 0.9\,\%$; runs with other seeds differ by up to a
# percent. Differences of that size between the four networks say nothing. What remains: plain networks of 32
# convolutions do not learn, residual ones do; wide networks have lower training losses than narrow ones after the same
# number of epochs.

# %% [markdown]
# **Question 5.** Deep residual networks with some blocks removed *after* training still work about as well; plain ones do not. Why?

# %% [markdown] tags=["answer"]
# **Answer.** Each block adds something to the values that pass by. Without one of them the others still get nearly the
# input they were trained on:
# $x + F_1(x) + F_2(\cdot) + \dots$ lacks one term. In a plain network each layer takes the whole output of the one before it; without
# that one its input is of a kind that it has never seen.

# %% [markdown]
# ## On CIFAR-10
#
# `DATA = "cifar10"` runs the same cells on 5,000 images of 32 x 32. The full experiments of the homework, with
# checkpoints and early stopping, are one command each, `python -m chainrule.compat.cs236781.experiments run-exp`, and
# whole grids `chainrule experiment`.
