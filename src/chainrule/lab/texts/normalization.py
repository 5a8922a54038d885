# %% [markdown]
# # Normalization
#
# Data are commonly shifted and scaled before they enter a network, so that every feature has mean 0 and variance 1. After the first layer
# this is lost, and it changes with every step. Batch normalization (Ioffe & Szegedy 2015) restores it inside the network, for every layer
# and every batch; layer normalization (Ba, Kiros & Hinton 2016) does so for every sample.
#
# You write both in `normalization.py`, with their backward passes, and then see what they do to a network of six layers.
#
# When you are through, you can
# - write batch norm with its running averages, and say why it has two modes,
# - derive its backward pass in two ways, step by step and in one formula,
# - say how normalization changes the choice of the initial weights and of the batch size.

# %%
# %load_ext autoreload
# %autoreload 2
import time

import matplotlib.pyplot as plt
import numpy as np
from normalization import batchnorm_backward, batchnorm_backward_alt, batchnorm_forward, layernorm_backward, layernorm_forward

from chainrule.data import load
from chainrule.functional import adam, affine_backward, affine_forward, relu_backward, relu_forward, softmax_loss
from chainrule.lab.notebook import check
from chainrule.verification import numerical_gradient_array, relative_error

DATA = "digits"  # or "cifar10" (about a minute), once `chainrule data get cifar10` has fetched it

# %% [markdown]
# ## Batch normalization, forwards
#
# A batch is a matrix $x$ of $N$ samples (rows) and $D$ features (columns). In training, each column is normalized with its own mean and
# variance over the batch,
#
# $$\mu_d = \frac{1}{N} \sum_n x_{nd}, \qquad \sigma_d^2 = \frac{1}{N} \sum_n (x_{nd} - \mu_d)^2, \qquad
# \hat{x}_{nd} = \frac{x_{nd} - \mu_d}{\sqrt{\sigma_d^2 + \epsilon}}, \qquad \text{out}_{nd} = \gamma_d \hat{x}_{nd} + \beta_d .$$
#
# $\gamma$ and $\beta$ are learned: the network may undo the normalization where that is better. In the test a sample must not depend on
# those that happen to be beside it, and there may be only one. So running averages are kept in training,
#
# $$\text{running} \leftarrow m \cdot \text{running} + (1 - m) \cdot \text{batch} \qquad \text{with the momentum } m,$$
#
# of both the mean and the variance, and take the place of $\mu$ and $\sigma^2$ in mode `'test'`.
#
# Write `batchnorm_forward` in `normalization.py`, save, and run the next cell. `check("batchnorm_forward", hints=1)` gives a hint.

# %%
check("batchnorm_forward")

# %% [markdown]
# The outputs of two random layers with ReLU, before and after. With $\gamma = 1$ and $\beta = 0$ every feature should have mean 0 and
# standard deviation 1 afterwards; with other values, mean $\beta$ and standard deviation $\gamma$.

# %%
rng = np.random.default_rng(0)
N, D1, D2, D3 = 200, 50, 60, 3
activations = np.maximum(0, rng.normal(size=(N, D1)) @ rng.normal(size=(D1, D2))) @ rng.normal(size=(D2, D3))
gamma, beta = np.array([1.0, 2.0, 3.0]), np.array([11.0, 12.0, 13.0])
plain, _ = batchnorm_forward(activations, np.ones(D3), np.zeros(D3), {"mode": "train"})
scaled, _ = batchnorm_forward(activations, gamma, beta, {"mode": "train"})

figure, axes = plt.subplots(1, 3, figsize=(13, 3))
for axis, values, title in zip(
    axes, (activations, plain, scaled), ("before", "gamma = 1, beta = 0", "gamma = 1, 2, 3, beta = 11, 12, 13"), strict=True
):
    axis.hist(values, bins=30, histtype="step", label=[f"feature {d}" for d in range(D3)])
    axis.set(title=title, yticks=[])
    print(f"{title:36} means {values.mean(axis=0).round(3)}   deviations {values.std(axis=0).round(3)}")
axes[0].legend()
plt.show()

# %% [markdown]
# Mode `'test'` with running averages of 50 batches: means near 0 and deviations near 1, but not exactly. Why not?

# %%
bn_param = {"mode": "train"}
w1, w2 = rng.normal(size=(D1, D2)), rng.normal(size=(D2, D3))
for _ in range(50):
    batchnorm_forward(np.maximum(0, rng.normal(size=(N, D1)) @ w1) @ w2, np.ones(D3), np.zeros(D3), bn_param)
bn_param["mode"] = "test"
tested, _ = batchnorm_forward(np.maximum(0, rng.normal(size=(N, D1)) @ w1) @ w2, np.ones(D3), np.zeros(D3), bn_param)
print(f"means {tested.mean(axis=0).round(3)}   deviations {tested.std(axis=0).round(3)}")

# %% [markdown]
# **Question 1.** The running averages begin with zeros. By what factor are they too small after 10 batches with momentum 0.9, and
# after 50? For which values of the momentum would a test after 100 batches go wrong?

# %% [markdown] tags=["answer"]
# **Answer 1.** After $t$ batches the zeros still have the weight $m^t$, so that the averages are too small by the factor $1 - m^t$:
# $1 - 0.9^{10} = 0.65$ after 10 batches and $1 - 0.9^{50} = 0.995$ after 50. (It is the factor that Adam corrects its means by.) With
# $m = 0.999$ only $1 - 0.999^{100} = 0.095$ is reached after 100 batches: the mean is ten times too small, and the variance, too, so that
# the outputs in mode `'test'` are about three times too large.

# %% [markdown]
# ## Batch normalization, backwards, step by step
#
# $x$ reaches the output along three ways: directly, through the mean and through the variance. Draw the graph with one node for each
# operation,
#
# $$x \to \mu, \qquad c = x - \mu, \qquad \sigma^2 = \tfrac{1}{N} \textstyle\sum c^2, \qquad s = \sqrt{\sigma^2 + \epsilon}, \qquad
# \hat{x} = c / s, \qquad \text{out} = \gamma \hat{x} + \beta,$$
#
# and go through it from the right to the left. Where two ways part on the way forwards, their gradients are added on the way back; where
# a sum is taken, its gradient goes to every element. Write `batchnorm_backward`.

# %%
check("batchnorm_backward")

# %% [markdown]
# The same by central differences, with a `dout` that is random. The columns of x_hat sum to 0 whatever x is, so that with a `dout` of ones
# the right `dx` is 0, and so is many a wrong one: a missing $1 / s$, or the way through the variance left out, would not be seen.

# %%
x, dout = rng.normal(5, 12, (4, 5)), rng.normal(size=(4, 5))
gamma, beta = rng.normal(size=5), rng.normal(size=5)
_, cache = batchnorm_forward(x, gamma, beta, {"mode": "train"})
gradients = dict(zip(("dx", "dgamma", "dbeta"), batchnorm_backward(dout, cache), strict=True))
numerical = {
    "dx": numerical_gradient_array(lambda x: batchnorm_forward(x, gamma, beta, {"mode": "train"})[0], x, dout),
    "dgamma": numerical_gradient_array(lambda gamma: batchnorm_forward(x, gamma, beta, {"mode": "train"})[0], gamma, dout),
    "dbeta": numerical_gradient_array(lambda beta: batchnorm_forward(x, gamma, beta, {"mode": "train"})[0], beta, dout),
}
for name, gradient in gradients.items():
    print(f"relative error of {name:6} {relative_error(gradient, numerical[name]):.1e}   (1e-7 or less is expected)")

# %% [markdown]
# ## The same in one formula
#
# Put the steps together on paper. With $\hat{g} = \gamma \, \partial L / \partial \text{out}$, the gradient of $\hat{x}$, nearly all
# cancels, and
#
# $$\frac{\partial L}{\partial x_n} = \frac{1}{s} \Big( \hat{g}_n - \frac{1}{N} \sum_k \hat{g}_k
# - \hat{x}_n \frac{1}{N} \sum_k \hat{g}_k \hat{x}_k \Big)$$
#
# for each feature. In words: dx has no part along the constant vector and none along $\hat{x}$, since a shift or a scaling of $x$ does not
# change the output. Write it as `batchnorm_backward_alt`, which takes the same cache.

# %%
check("batchnorm_backward_alt")

# %%
x, dout = rng.normal(5, 12, (100, 500)), rng.normal(size=(100, 500))
_, cache = batchnorm_forward(x, rng.normal(size=500), rng.normal(size=500), {"mode": "train"})


def seconds(backward, calls=30):
    """The median time of a call."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        backward(dout, cache)
        times.append(time.perf_counter() - start)
    return np.median(times)


for name, one, other in zip(("dx", "dgamma", "dbeta"), batchnorm_backward(dout, cache), batchnorm_backward_alt(dout, cache), strict=True):
    print(f"{name:6} differs by {relative_error(one, other):.1e}")
slow, fast = seconds(batchnorm_backward), seconds(batchnorm_backward_alt)
print(f"step by step {1000 * slow:.2f} ms, in one formula {1000 * fast:.2f} ms: {slow / fast:.2f} times as fast")

# %% [markdown]
# ## Layer normalization
#
# Layer norm is batch norm turned by 90 degrees: mean and variance are taken over the features of one sample,
#
# $$\mu_n = \frac{1}{D} \sum_d x_{nd}, \qquad \sigma_n^2 = \frac{1}{D} \sum_d (x_{nd} - \mu_n)^2,$$
#
# while $\gamma$ and $\beta$ still have one number for each feature. No sample sees another one, so there are no running averages and
# no modes. In the backward pass mind that $\gamma$ now differs between the elements that are averaged.

# %%
check("layernorm_forward", "layernorm_backward")

# %%
x = rng.normal(size=(4, 300)) * np.array([[1], [5], [20], [100]]) + np.array([[0], [10], [-50], [300]])
out, _ = layernorm_forward(x, 3 * np.ones(300), 5 * np.ones(300), {})
print(f"before: means {x.mean(axis=1).round(1)}, deviations {x.std(axis=1).round(1)}")
print(f"after:  means {out.mean(axis=1).round(6)}, deviations {out.std(axis=1).round(6)} (gamma = 3, beta = 5)")

# %% [markdown]
# **Question 2.** Which of these steps of preparing images is like batch norm, and which like layer norm?
# 1. Scale each image so that the pixels of its RGB channels sum up to 1.
# 2. Scale each image so that the colours of each of its rows sum up to 1.
# 3. Subtract the mean image of the data set from every image.
# 4. Set every pixel to 0 or 1, depending on a threshold.

# %% [markdown] tags=["answer"]
# **Answer 2.** Number 3 is like batch norm: a statistic of each feature over the samples is subtracted. Number 1 is like layer
# norm: every image is scaled by a statistic of its own features. Number 2 is closer to layer norm as well, in groups of features: nothing
# depends on other images. Number 4 is like neither, as no statistic is used.

# %% [markdown]
# ## A network of six layers
#
# Five hidden layers, each affine - normalization - ReLU, and an affine layer for the scores. The normalization is yours.


# %%
class Network:
    """Hidden layers of `width` units with normalization "batch", "layer" or None."""

    def __init__(self, D, C, *, normalization=None, weight_scale=None, width=60, hidden=5, seed=0):
        rng = np.random.default_rng(seed)
        sizes = [D, *[width] * hidden, C]
        self.normalization, self.hidden = normalization, hidden
        self.params, self.bn_params = {}, {}
        for layer in range(1, hidden + 2):
            before, after = sizes[layer - 1], sizes[layer]
            scale = np.sqrt(2 / before) if weight_scale is None else weight_scale
            self.params[f"w{layer}"] = rng.normal(0, scale, (before, after))
            self.params[f"b{layer}"] = np.zeros(after)
            if normalization and layer <= hidden:
                self.params[f"gamma{layer}"], self.params[f"beta{layer}"] = np.ones(after), np.zeros(after)
                self.bn_params[layer] = {}

    def forward(self, x, mode):
        """scores and what backward needs."""
        caches = []
        for layer in range(1, self.hidden + 1):
            x, affine_cache = affine_forward(x, self.params[f"w{layer}"], self.params[f"b{layer}"])
            norm_cache = None
            if self.normalization == "batch":
                self.bn_params[layer]["mode"] = mode
                x, norm_cache = batchnorm_forward(x, self.params[f"gamma{layer}"], self.params[f"beta{layer}"], self.bn_params[layer])
            elif self.normalization == "layer":
                x, norm_cache = layernorm_forward(x, self.params[f"gamma{layer}"], self.params[f"beta{layer}"], {})
            x, relu_cache = relu_forward(x)
            caches.append((affine_cache, norm_cache, relu_cache))
        last = self.hidden + 1
        scores, last_cache = affine_forward(x, self.params[f"w{last}"], self.params[f"b{last}"])
        return scores, (caches, last_cache)

    def loss(self, x, y):
        scores, (caches, last_cache) = self.forward(x, "train")
        loss, dscores = softmax_loss(scores, y)
        grads, last = {}, self.hidden + 1
        dout, grads[f"w{last}"], grads[f"b{last}"] = affine_backward(dscores, last_cache)
        for layer in range(self.hidden, 0, -1):
            affine_cache, norm_cache, relu_cache = caches[layer - 1]
            dout = relu_backward(dout, relu_cache)
            if self.normalization:
                backward = batchnorm_backward_alt if self.normalization == "batch" else layernorm_backward
                dout, grads[f"gamma{layer}"], grads[f"beta{layer}"] = backward(dout, norm_cache)
            dout, grads[f"w{layer}"], grads[f"b{layer}"] = affine_backward(dout, affine_cache)
        return loss, grads

    def accuracy(self, x, y):
        return np.mean(self.forward(x, "test")[0].argmax(axis=1) == y)


data = load(DATA, limit=500)


def prepared(split):
    return data.normalize(split.images, np.float64).reshape(len(split), -1), split.labels


(X, y), (X_val, y_val) = prepared(data.train), prepared(data.val)
print(f"{DATA}: {len(X)} images to train on, {len(X_val)} for validation, {X.shape[1]} features each")


# %%
def train(network, epochs=10, batch_size=50, learning_rate=1e-3, seed=0):
    """The loss of each step, and training and validation accuracy after each epoch."""
    configs = {name: {"learning_rate": learning_rate} for name in network.params}
    rng, losses, accuracies = np.random.default_rng(seed), [], []
    for _ in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X) - batch_size + 1, batch_size):
            batch = order[start : start + batch_size]
            loss, grads = network.loss(X[batch], y[batch])
            losses.append(loss)
            for name, w in network.params.items():
                network.params[name], configs[name] = adam(w, grads[name], configs[name])
        accuracies.append((network.accuracy(X, y), network.accuracy(X_val, y_val)))
    return np.array(losses), np.array(accuracies)


# %% [markdown]
# First with small initial weights, all of standard deviation 0.02. What will the loss of the plain network look like?

# %%
C = len(data.classes)
LABELS = {None: "no normalization", "batch": "batch norm", "layer": "layer norm"}
figure, axes = plt.subplots(1, 3, figsize=(14, 3.6))
for normalization, label in LABELS.items():
    losses, accuracies = train(Network(X.shape[1], C, normalization=normalization, weight_scale=0.02))
    axes[0].plot(losses, label=label)
    for axis, values in zip(axes[1:], accuracies.T, strict=True):
        axis.plot(np.arange(1, len(values) + 1), 100 * values, "o-", label=label)
axes[0].set(title="loss of each batch", xlabel="step")
axes[1].set(title="training accuracy (%)", xlabel="epoch")
axes[2].set(title="validation accuracy (%)", xlabel="epoch")
axes[0].legend()
plt.show()

# %% [markdown]
# Without normalization the loss stays at $\log 10 = 2.3$ for long: the activations shrink from layer to layer, and so do the gradients.
# With it, every layer gets inputs of the same size, whatever the weights.
#
# ## Normalization and the initial weights
#
# Now the same for many scales of the initial weights, from far too small to far too large.

# %%
SCALES = np.logspace(-4, 0, 13)
results = {}
for normalization in LABELS:
    for scale in SCALES:
        losses, accuracies = train(Network(X.shape[1], C, normalization=normalization, weight_scale=scale, seed=1), epochs=6)
        results[normalization, scale] = (*accuracies.max(axis=0), losses[-10:].mean())

figure, axes = plt.subplots(1, 3, figsize=(14, 3.6))
titles = ("best training accuracy (%)", "best validation accuracy (%)", "loss of the last 10 batches")
for column, (axis, title) in enumerate(zip(axes, titles, strict=True)):
    for normalization, label in LABELS.items():
        values = np.array([results[normalization, scale][column] for scale in SCALES])
        axis.semilogx(SCALES, values * (100 if column < 2 else 1), "o-", label=label)
    axis.axvline(np.sqrt(2 / 60), color="black", linewidth=0.8, linestyle=":")
    axis.set(title=title, xlabel="standard deviation of the initial weights")
axes[2].set_ylim(0, 3)
axes[0].legend()
plt.show()

# %% [markdown]
# The dotted line is $\sqrt{2 / 60}$, the scale that keeps the size of the activations from layer to layer with ReLU (He et al. 2015).
#
# **Question 3.** Describe the results. How does the scale of the initial weights affect the three networks differently, and why?

# %% [markdown] tags=["answer"]
# **Answer 3.** Without normalization only scales near $\sqrt{2/60} \approx 0.18$ work. For smaller ones, the activations shrink with
# every layer, the gradients vanish, and the scores are the same for all images: the loss stays at $\log 10$ and the accuracy near 10 %.
# For larger ones, the scores explode; the loss begins far above 3, and training is slow. With batch norm or layer norm the output of each
# hidden layer does not depend on the scale of its weights: scaling $w$ by a factor scales mean and deviation alike, and cancels. So a
# wide range of scales works. The limits that remain: below, the variance of the activations becomes smaller than eps, and the
# normalization no longer makes up for it. Above, a step of Adam changes the large weights by a small part of their size alone, so that
# training is slow, and the last layer, which is not normalized, begins with large scores.

# %% [markdown]
# ## Normalization and the batch size
#
# Batch norm takes its statistics from the batch. How small may the batch be? All networks see every image six times, so the larger
# the batch, the fewer steps.

# %%
SIZES = (2, 5, 10, 50)
figure, axes = plt.subplots(1, 3, figsize=(14, 3.6), sharey=True)
for axis, (normalization, label) in zip(axes, LABELS.items(), strict=True):
    for size in SIZES:
        _, accuracies = train(Network(X.shape[1], C, normalization=normalization, seed=2), epochs=6, batch_size=size)
        axis.plot(np.arange(1, 7), 100 * accuracies[:, 1], "o-", label=f"batches of {size}")
    axis.set(title=label, xlabel="epoch")
axes[0].set_ylabel("validation accuracy (%)")
axes[0].legend()
plt.show()

# %% [markdown]
# **Question 4.** How does the batch size affect batch norm, and why? Why is layer norm affected differently?

# %% [markdown] tags=["answer"]
# **Answer 4.** Mean and variance of two samples are bad estimates: with $N = 2$ every normalized feature is close to $+1$ or $-1$,
# whatever the inputs were, and what a sample becomes depends mostly on its partner. That noise slows training down, and the running
# averages used in the test fit badly what the network saw in training; batch norm with batches of 2 ends clearly below the others. From
# 10 on the estimates are good enough. Layer norm takes its statistics from one sample's 60 features: it does not know
# the batch size. Like the network without normalization, it changes with the batch size because there are more steps an epoch alone.

# %% [markdown]
# **Question 5.** When is layer norm likely to work badly: in a very deep network, with very few features in a layer, or with a large
# penalty on the weights?

# %% [markdown] tags=["answer"]
# **Answer 5.** With very few features. Mean and variance over, say, two features leave of a sample only which of the two is larger. Depth
# is no obstacle, it is where normalization helps. A large penalty limits what the network can express with or without layer norm; the
# scale of the weights before a normalization does not matter for its output.
