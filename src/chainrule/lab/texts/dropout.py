# %% [markdown]
# # Dropout
#
# In training, dropout sets elements of a layer's output to zero at random. No element can then rely on a particular other one, and a
# network that has more parameters than the data can pin down fits less of the noise (Srivastava et al. 2014).
#
# You write `dropout_forward` and `dropout_backward` in `dropout.py`, and then see what dropout does to a network that has only
# 100 images to learn from.
#
# When you are through, you can
# - say what inverted dropout computes in training and in the test, and why the two fit together,
# - derive and write its backward pass,
# - tell from two curves whether a network needs more of it or less.

# %%
# %load_ext autoreload
# %autoreload 2
import matplotlib.pyplot as plt
import numpy as np
from dropout import dropout_backward, dropout_forward

from chainrule.data import load
from chainrule.functional import adam, affine_backward, affine_forward, relu_backward, relu_forward, softmax_loss
from chainrule.lab.notebook import check
from chainrule.verification import numerical_gradient_array, relative_error

DATA = "digits"  # or "cifar10" (one or two minutes), once `chainrule data get cifar10` has fetched it

# %% [markdown]
# ## The forward pass
#
# Let $p$ be the probability to *keep* an element. In training, every element $x_i$ gets a random number of its own, and
#
# $$m_i = \begin{cases} 1 / p & \text{with probability } p \\ 0 & \text{otherwise} \end{cases} \qquad \text{out}_i = m_i x_i .$$
#
# The mean of $m_i$ is $p \cdot 1/p + (1 - p) \cdot 0 = 1$, so that the mean of every output over all masks is its input. In the test
# nothing is dropped and nothing is scaled: $\text{out} = x$. Because the scaling happens in training, this is called *inverted* dropout.
#
# Many texts and `torch.nn.Dropout` call $p$ the probability to *drop*. Here it is the probability to keep.
#
# Write `dropout_forward` in `dropout.py`, save, and run the next cell. If it finds something wrong, `check("dropout_forward", hints=1)`
# gives a first hint.

# %%
check("dropout_forward")

# %% [markdown]
# One picture of ones, seen through three masks. Black is 0. How bright should the rest be?

# %%
ones = np.ones((40, 60))
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8))
for axis, p in zip(axes, (0.25, 0.5, 0.75), strict=True):
    out, _ = dropout_forward(ones, {"mode": "train", "p": p, "seed": 1})
    axis.imshow(out, cmap="gray", vmin=0, vmax=4)
    axis.set(title=f"p = {p}\nkept are {out.max():.3g}, the mean is {out.mean():.3f}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# The fewer elements are kept, the larger they are, and the mean is near 1 in all three. In mode `'test'` all of it comes back unchanged:

# %%
x = np.random.default_rng(0).normal(10, 2, (500, 500))
for p in (0.25, 0.4, 0.7):
    in_training, _ = dropout_forward(x, {"mode": "train", "p": p, "seed": 2})
    in_test, _ = dropout_forward(x, {"mode": "test", "p": p})
    zeros = np.mean(in_training == 0)
    print(
        f"p = {p:.2f}   mean of x {x.mean():6.3f}   in training {in_training.mean():6.3f}   in the test {in_test.mean():6.3f}"
        f"   zeros in training {100 * zeros:4.1f} %"
    )

# %% [markdown]
# **Question 1.** What happens if the values that are kept are not divided by $p$ in `dropout_forward`? What would have to be done in the
# test, and why is it done in training all the same?

# %% [markdown] tags=["answer"]
# **Answer 1.** In training the mean of every output would be $p\,x$, but in the test $x$: the next layer would see inputs that are $1/p$
# times larger than those it was trained with, and its scores would be off. To make up for it, the test would have to multiply by $p$ (the
# original form of dropout). Dividing in training leaves the test alone: it costs nothing there, and a network can be used without knowing
# that it was trained with dropout, or with which $p$.

# %% [markdown]
# ## The backward pass
#
# For a given mask, dropout is a product with constants, so that
#
# $$\frac{\partial L}{\partial x_i} = m_i \, \frac{\partial L}{\partial \text{out}_i} .$$
#
# The mask must be the one of the forward pass: that is what the cache is for.

# %%
check("dropout_backward")

# %% [markdown]
# The same by central differences. The seed makes every call of the forward pass draw the same mask; without it, the two sides of a
# difference would belong to different functions.

# %%
rng = np.random.default_rng(3)
x, dout = rng.normal(size=(10, 12)), rng.normal(size=(10, 12))
param = {"mode": "train", "p": 0.6, "seed": 123}
_, cache = dropout_forward(x, param)
dx = dropout_backward(dout, cache)
numerical = numerical_gradient_array(lambda x: dropout_forward(x, param)[0], x, dout)
print(f"relative error of dx: {relative_error(dx, numerical):.1e}   (1e-9 or less is expected)")

# %% [markdown]
# ## A network with dropout
#
# Two hidden layers, each affine - ReLU - dropout, and an affine layer for the scores. The layers come from chainrule, dropout is yours.


# %%
class Network:
    """Two hidden layers with dropout; p = 1 keeps everything."""

    def __init__(self, D, H, C, p, seed):
        self.rng = np.random.default_rng(seed)
        self.params = {}
        for layer, before, after in zip((1, 2, 3), (D, H, H), (H, H, C), strict=True):
            self.params[f"w{layer}"] = self.rng.normal(0, np.sqrt(2 / before), (before, after))
            self.params[f"b{layer}"] = np.zeros(after)
        self.p = p

    def forward(self, x, mode):
        """scores and what backward needs."""
        caches = []
        for layer in (1, 2):
            x, affine_cache = affine_forward(x, self.params[f"w{layer}"], self.params[f"b{layer}"])
            x, relu_cache = relu_forward(x)
            x, dropout_cache = dropout_forward(x, {"mode": mode, "p": self.p, "seed": int(self.rng.integers(2**31))})
            caches.append((affine_cache, relu_cache, dropout_cache))
        scores, last_cache = affine_forward(x, self.params["w3"], self.params["b3"])
        return scores, (caches, last_cache)

    def loss(self, x, y):
        scores, (caches, last_cache) = self.forward(x, "train")
        loss, dscores = softmax_loss(scores, y)
        dout, dw, db = affine_backward(dscores, last_cache)
        grads = {"w3": dw, "b3": db}
        for layer in (2, 1):
            affine_cache, relu_cache, dropout_cache = caches[layer - 1]
            dout = relu_backward(dropout_backward(dout, dropout_cache), relu_cache)
            dout, grads[f"w{layer}"], grads[f"b{layer}"] = affine_backward(dout, affine_cache)
        return loss, grads

    def accuracy(self, x, y):
        scores, _ = self.forward(x, "test")
        return np.mean(scores.argmax(axis=1) == y)


# %% [markdown]
# ## Small data
#
# 100 images for training, ten of each class; the validation images are all there.

# %%
data = load(DATA, limit=100)


def prepared(split):
    return data.normalize(split.images, np.float64).reshape(len(split), -1), split.labels


(X, y), (X_val, y_val) = prepared(data.train), prepared(data.val)
print(f"{DATA}: {len(X)} images to train on, {len(X_val)} for validation, {X.shape[1]} features each")


# %%
EPOCHS = 60


def trained(p, seed, epochs=EPOCHS, batch_size=25, learning_rate=1e-3):
    """A network, and its training and validation accuracy after each epoch."""
    network = Network(X.shape[1], 200, 10, p, seed)
    configs = {name: {"learning_rate": learning_rate} for name in network.params}
    rng, history = np.random.default_rng(seed), []
    for _ in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            _, grads = network.loss(X[batch], y[batch])
            for name, w in network.params.items():
                network.params[name], configs[name] = adam(w, grads[name], configs[name])
        history.append((network.accuracy(X, y), network.accuracy(X_val, y_val)))
    return network, np.array(history)


# %% [markdown]
# Before you run the next cell: which of the networks reaches 100 % on its 100 images first, and which does best on images it has not seen?
# Every curve is the mean of three networks that began with other weights.

# %%
KEEP = (1.0, 0.75, 0.5, 0.25, 0.1)
SEEDS = (0, 1, 2)
runs = {p: [trained(p, seed) for seed in SEEDS] for p in KEEP}
histories = {p: np.mean([history for _, history in runs[p]], axis=0) for p in KEEP}

figure, axes = plt.subplots(1, 2, figsize=(12, 4), sharex=True)
for p, history in histories.items():
    for axis, values in zip(axes, history.T, strict=True):
        axis.plot(100 * values, label=f"p = {p}" if p < 1 else "no dropout")
axes[0].set(title="on the 100 training images", xlabel="epoch", ylabel="accuracy (%)")
axes[1].set(title="on the validation images", xlabel="epoch")
late = 100 * np.concatenate([history[EPOCHS // 4 :, 1] for history in histories.values()])  # the first epochs are alike for all of them
axes[1].set_ylim(late.min() - 2, late.max() + 2)
axes[1].legend()
plt.show()

for p in KEEP:
    last = np.array([history[-10:].mean(axis=0) for _, history in runs[p]])
    (train, val), (_, spread) = last.mean(axis=0), last.std(axis=0)
    print(f"p = {p:4.2f}   training {100 * train:5.1f} %   validation {100 * val:5.1f} % (+- {100 * spread:.1f} over the networks)")

# %% [markdown]
# Without dropout the training images are learned by heart within a few epochs, and the validation accuracy stands still from then on.
# With dropout the same takes longer. Compare the differences on the right with the spread between networks before you believe in them:
# those between no dropout, p = 0.75 and p = 0.5 are no larger than the spread, neither on the digits nor on CIFAR-10, where 100 images
# are enough for little more than 20 %.
#
# **Question 2.** Compare the validation and training accuracies with and without dropout. What do they say about dropout as a regularizer?
# What goes wrong for the smallest $p$?

# %% [markdown] tags=["answer"]
# **Answer 2.** Without dropout the training accuracy is 100 % after few epochs, and the gap to the validation accuracy is the
# overfitting. With moderate dropout the training images are fitted more slowly, and the validation accuracy is as high or a little higher:
# the gap shrinks, which is what a regularizer does. On the digits a hundred images are enough for a good answer, so that the gain
# is about the size of the spread between networks; one should not claim more than that. For very small $p$ so few elements are left in
# a step that the network cannot fit even the training data well in the same time: it underfits.

# %% [markdown]
# ## What the test mode stands for
#
# A network with dropout is a different network in each step: it draws one from all those that leave elements out, with shared weights. In
# the test one would like to average the answers of all of these. Mode `'test'` does so approximately, in a single pass. How good is the
# approximation? The next cell averages the probabilities of 1 to 300 networks drawn at random, and compares.

# %%
network, _ = runs[0.5][0]


def probabilities(scores):
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


draws = 300
answers = np.array([probabilities(network.forward(X_val, "train")[0]) for _ in range(draws)])
averages = answers.cumsum(axis=0) / np.arange(1, draws + 1)[:, None, None]
in_one_pass = probabilities(network.forward(X_val, "test")[0])

figure, axes = plt.subplots(1, 2, figsize=(12, 3.6))
axes[0].semilogx(np.arange(1, draws + 1), 100 * (averages.argmax(axis=2) == y_val).mean(axis=1), label="average of so many masks")
axes[0].axhline(100 * network.accuracy(X_val, y_val), color="black", linestyle="--", label="mode 'test', one pass")
axes[0].set(xlabel="masks", ylabel="validation accuracy (%)")
axes[0].legend()
axes[1].scatter(in_one_pass.ravel(), averages[-1].ravel(), s=3)
axes[1].plot([0, 1], [0, 1], color="black", linewidth=0.8)
axes[1].set(xlabel="probability in mode 'test'", ylabel=f"average of {draws} masks")
plt.show()

# %% [markdown]
# A single mask does worse than the average of many; the average and the one pass end at about the same accuracy. Their probabilities
# are not equal: those of the one pass are nearer to 0 and 1.
#
# **Question 3.** You train a network with $p = 0.5$ in all hidden layers, and find it overfits no longer. You then halve the number of
# units in every hidden layer. How should you change $p$, if at all?

# %% [markdown] tags=["answer"]
# **Answer 3.** Upwards, towards 1. With half of the units and the same $p$, only a quarter of the original units take part in each
# step. The smaller network has less capacity to overfit, too, and needs less regularization; with $p = 0.5$ it may underfit. With
# $p = 1$ as many units take part in a step as before.

# %% [markdown]
# **Question 4.** In code that trains well, `dropout_backward` is called with a cache of an earlier batch by mistake. Which gradients are
# wrong, and would a falling loss reveal it?

# %% [markdown] tags=["answer"]
# **Answer 4.** The mask would not be that of the forward pass: gradients pass through units that had been dropped, and are cut off at
# units that took part. All gradients of the layers below are wrong; those of the layers above are right. The loss may still fall, as the
# layers above learn, and the wrong gradients are correlated with the right ones. A comparison with numerical gradients reveals it at once.
