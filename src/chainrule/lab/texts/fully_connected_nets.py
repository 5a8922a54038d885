# %% [markdown]
# # Fully connected networks
#
# Layers that know nothing of each other can be put together to networks of any depth. In this lab you put two of them into one,
# write a network whose depth is an argument, and look at what depth does to the gradients.
#
# You write, in `fully_connected.py`, `affine_relu_forward`, `affine_relu_backward` and `FullyConnectedNet`, of the layers in
# `layers.py`. (Begin with those, if they are not written yet: `check()` lists what is missing.)
# %%
# %load_ext autoreload
# %autoreload 2
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np

from chainrule.data import load
from chainrule.lab.notebook import check
from chainrule.verification import numerical_gradient

DATA = "digits"  # or "cifar10" (under a minute), once `chainrule data get cifar10` has fetched it

dataset = load(DATA, limit=None if DATA == "digits" else 5000)
X_train, y_train = dataset.normalize(dataset.train.images, np.float64), dataset.train.labels
X_val, y_val = dataset.normalize(dataset.val.images, np.float64), dataset.val.labels
D, C = X_train[0].size, len(dataset.classes)
print(f"{len(X_train)} images of shape {X_train.shape[1:]}: D = {D}, C = {C}")
# %% [markdown]
# ## Sandwich layers
# Affine and ReLU come together so often that they deserve one name. Forward, `affine_relu_forward` calls the one, then the other,
# and keeps both caches. Backward, the order is turned round: for $f(x) = g(h(x))$ the chain rule begins with the derivative of g.
#
# Write both with `from layers import affine_forward, ...` at the top of `fully_connected.py`.
# %%
check("affine_relu_forward", "affine_relu_backward")
# %% [markdown]
# ## A network of any depth
# With L layers and `hidden_dims` of length L - 1:
#
# $$\{\text{affine} - \text{relu}\} \times (L - 1) - \text{affine} - \text{softmax}, \qquad
# L_\text{total} = L_\text{softmax} + \tfrac 1 2 \lambda \sum_{l=1}^{L} \sum W_l^2 .$$
#
# The factor 1/2 is there for the gradient, which is then $\lambda W_l$. (The two-layer network of the first lab has none.) The
# parameters are `W1`, `b1` to `WL`, `bL`. Forward is a loop that keeps a list of caches, backward a loop that takes them from its
# end.
#
# Normalization and dropout, which the signature speaks of, are for later labs.
# %%
check("FullyConnectedNet")
# %%
from fully_connected import FullyConnectedNet

rng = np.random.default_rng(0)
X_small, y_small = rng.standard_normal((3, 15)), np.array([0, 4, 2])
for reg in (0.0, 3.14):
    np.random.seed(0)
    net = FullyConnectedNet([8, 6], input_dim=15, num_classes=5, reg=reg, weight_scale=0.3, dtype=np.float64)
    loss, grads = net.loss(X_small, y_small)
    print(f"reg {reg}: loss {loss:.4f}")
    for name in sorted(grads):
        measured = numerical_gradient(lambda _, net=net: net.loss(X_small, y_small)[0], net.params[name])
        error = np.abs(grads[name] - measured).max() / np.abs(grads[name] + measured).max()
        print(f"    {name}: relative error {error:.1e}")
# %% [markdown]
# Relative errors of 1e-6 and less are rounding and the curvature of the loss. Now and then a unit lies so close to 0 that the
# measurement steps over the kink of ReLU: one number is off then, in another seed another one.
#
# **Question 1.** Do all of the hidden units get a gradient? Count the columns of `grads["W1"]` that are 0 everywhere, without
# `reg`, and explain them.
# %% [markdown] tags=["answer"]
# `np.sum(~net.loss(X_small, y_small)[1]["W1"].any(axis=0))` with reg = 0. Such units are negative for all three samples: their
# ReLU passes no gradient. With three samples that happens often; over a whole data set a unit for which it is so is dead.
# %% [markdown]
# ## Overfitting 50 images
# A network that is right can learn a few images by heart: its training accuracy reaches 100 %. One that cannot has a mistake, or
# a wrong learning rate. It takes a few seconds, and finds more mistakes than a day of training on everything.
# %%


def train(net, X, y, learning_rate, steps, batch_size, seed=0):
    """Plain stochastic gradient descent; the loss of every step."""
    rng = np.random.default_rng(seed)
    losses = []
    for _ in range(steps):
        batch = rng.choice(len(X), batch_size)
        loss, grads = net.loss(X[batch], y[batch])
        losses.append(loss)
        for name in grads:
            net.params[name] -= learning_rate * grads[name]
    return losses


def accuracy(net, X, y):
    return np.mean(net.loss(X).argmax(axis=1) == y)


X_few, y_few = X_train[:50], y_train[:50]
figure, axes = plt.subplots(1, 2, figsize=(10, 3))
settings = {"three layers": ([100, 100], 0.5 / np.sqrt(D), 0.1), "five layers": ([100] * 4, 0.12, 0.05)}
for axis, (title, (hidden_dims, weight_scale, learning_rate)) in zip(axes, settings.items(), strict=True):
    np.random.seed(0)
    net = FullyConnectedNet(hidden_dims, D, C, weight_scale=weight_scale, dtype=np.float64)
    losses = train(net, X_few, y_few, learning_rate, steps=400, batch_size=25)
    axis.plot(losses)
    right = accuracy(net, X_few, y_few)
    axis.set(title=f"{title}: {right:.0%} of 50 images right", xlabel="step", ylabel="loss")
plt.show()
# %% [markdown]
# Both should end with 100 %, and a loss near 0. Of images that they have not seen they know little:
# %%
print(f"the five layers on the validation images: {accuracy(net, X_val, y_val):.1%}")
# %% [markdown]
# **Question 2.** Change `weight_scale` of both networks, by factors of 10 in both directions. Which of the two is more particular
# about it, and why?
# %% [markdown] tags=["answer"]
# The deeper one. Each layer multiplies the size of the signal by about weight_scale * sqrt(width / 2), and so does each step back
# with the gradient; the factor comes in to the power of the depth. A factor of 10 in weight_scale is 10**2 after three layers'
# hidden part, and 10**4 after five: the scores are nearly constant and the gradients vanish, or both explode.
# %% [markdown]
# ## Vanishing and exploding gradients
# Ten hidden layers, and four scales of the weights. The picture shows the size of the hidden values on their way forward, and of
# the gradients of the weights, layer by layer. Before you run it: which scale would you choose?
# %%
depth, width = 10, 100
scales = {
    "0.01": 0.01,
    r"$\sqrt{1 / \mathrm{width}}$": np.sqrt(1 / width),
    r"$\sqrt{2 / \mathrm{width}}$": np.sqrt(2 / width),
    "0.3": 0.3,
}
X_batch, y_batch = X_train[:100], y_train[:100]
layers = np.arange(1, depth + 2)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5))
for title, scale in scales.items():
    np.random.seed(0)
    net = FullyConnectedNet([width] * depth, D, C, weight_scale=scale, dtype=np.float64)
    hidden, sizes = X_batch.reshape(len(X_batch), -1), []
    for layer in layers[:-1]:
        hidden = np.maximum(hidden @ net.params[f"W{layer}"] + net.params[f"b{layer}"], 0)
        sizes.append(hidden.std())
    _, grads = net.loss(X_batch, y_batch)
    left.semilogy(layers[:-1], sizes, marker="o", label=title)
    right.semilogy(layers, [grads[f"W{layer}"].std() for layer in layers], marker="o")
left.set(xlabel="layer", ylabel="deviation of the hidden values")
left.legend(title="weight_scale")
right.set(xlabel="layer", ylabel="deviation of the weights' gradient")
plt.show()
# %% [markdown]
# With weights of deviation $\sigma$, a ReLU layer with n inputs multiplies the mean square of its values by $n \sigma^2 / 2$: the
# sum over n terms gives $n \sigma^2$, and ReLU keeps half. With $\sigma = \sqrt{2 / n}$ (He et al. 2015) it stays the same at any
# depth. With 0.01 the values die out on the way forward, and the gradients with them; with 0.3 they grow to thousands.
#
# **Question 3.** In the right picture all curves are nearly flat: the gradient has the same size in the first layer as in the
# last hidden one, though it shrinks on its way back in the same way as the values do on theirs forward. Why?
# %% [markdown] tags=["answer"]
# The gradient of a layer's weights is the product of the values that come in and of the gradient of what goes out. With a factor
# f for each layer, the values have the size $f^{l-1}$ in layer l, and the gradient $f^{L-l}$: the product is $f^{L-1}$ in all of
# them. It vanishes, or explodes, with the depth of the network, not with the place in it.
# %% [markdown]
# Does it matter for learning?
# %%
plt.figure(figsize=(7, 3.5))
for title, scale in list(scales.items())[:3]:
    np.random.seed(0)
    net = FullyConnectedNet([width] * depth, D, C, weight_scale=scale, dtype=np.float64)
    losses = train(net, X_train, y_train, learning_rate=0.02, steps=300, batch_size=50)
    plt.plot(losses, label=f"{title}: {accuracy(net, X_val, y_val):.0%} of the validation images", linewidth=0.9)
plt.xlabel("step")
plt.ylabel("loss")
plt.legend(title="weight_scale", loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
# %% [markdown]
# With 0.01 the loss stays at log(C): there is no gradient to follow. The other two learn; $\sqrt{1 / n}$ has to get over smaller
# gradients first.
#
# **Question 4.** And with 0.3? Try it, with smaller learning rates, too. What does the loss look like at the first step, and why?
# %% [markdown] tags=["answer"]
# The scores are in the thousands from the start, so that the softmax puts all probability on one class, a wrong one more often
# than not: the loss is some 6000 instead of log(C), and the gradients are as large. A step with 0.02 throws the weights so far
# that the numbers overflow. With a rate of 2e-4 the loss falls from there, and the network learns, but in 300 steps less well
# than from a good start.
# %% [markdown]
# ## All of the data
# Three layers, a little `reg`, all training images.
# %%
np.random.seed(0)
net = FullyConnectedNet([100, 100], D, C, reg=1e-3, weight_scale=np.sqrt(2 / D), dtype=np.float64)
losses = train(net, X_train, y_train, learning_rate=0.1, steps=800, batch_size=50)
print(f"training {accuracy(net, X_train, y_train):.1%}, validation {accuracy(net, X_val, y_val):.1%}")
# %% [markdown]
# ## Questions
# **Question 5.** Put a sigmoid in place of ReLU in ten layers: its slope is 1/4 at most. By which factor does the gradient shrink
# on its way through the ten activations alone, at least?
# %% [markdown] tags=["answer"]
# By $(1/4)^{10}$, about 1e-6: the first layers learn a million times more slowly than the last one, unless the weights are so
# large that they make up for it, and then the sigmoids saturate and their slopes are smaller still. That is why deep networks use
# ReLU, or normalize between the layers.
# %% [markdown]
# **Question 6.** You try to overfit 50 images, and the loss stays at log(C), all steps long. Name three possible reasons, and how
# you would tell them apart.
# %% [markdown] tags=["answer"]
# The weights are so small, for this depth, that there are no gradients: look at their size, layer by layer, as above. The
# learning rate is too small: the loss falls, but in the fifth digit; multiply it by 10 until it does more. A backward pass is
# wrong: the numerical gradient of a small network tells. Images and labels do not belong together, for they were drawn on their
# own: the gradients are right, and the loss of a single sample, repeated, does fall.
# %% [markdown]
# **Question 7.** Where, in `FullyConnectedNet.loss`, would a batch normalization go, and what else would have to be kept for it?
# %% [markdown] tags=["answer"]
# Between the affine layer and ReLU of every hidden layer. It has parameters of its own, gamma and beta for each, its cache, and
# running averages that are kept from call to call and used when there are no labels. Dropout would follow ReLU.
# %%
check()
