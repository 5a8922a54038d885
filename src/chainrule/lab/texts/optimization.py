# %% [markdown]
# # Optimization
#
# Backpropagation gives the gradient of the loss; an update rule says what to do with it. You write four of them in `optim.py`: plain
# gradient descent, momentum, RMSProp and Adam. Then you compare them on one network, and at last choose the settings of the two-layer
# network in `two_layer_net.py` until it reaches a target.
#
# When you are through, you can
# - say what state each rule keeps, and what it is good for,
# - read off a loss curve whether the learning rate is too small or too large,
# - search for settings in a way that can be repeated, and report the result honestly.

# %%
# %load_ext autoreload
# %autoreload 2
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from optim import adam, rmsprop, sgd, sgd_momentum
from two_layer_net import TwoLayerNet

from chainrule.data import load
from chainrule.functional import affine_backward, affine_forward, relu_backward, relu_forward, softmax_loss
from chainrule.lab.notebook import check

DATA = "digits"  # or "cifar10" (up to 9 minutes, 2 GB of memory), once `chainrule data get cifar10` has fetched it
TARGET = {"digits": 0.965, "cifar10": 0.50}[DATA]  # of the two-layer network, on the validation images

# %% [markdown]
# ## Plain gradient descent
#
# Every rule is a function `rule(w, dw, config) -> next_w, config`. `config` is a dict with the settings and, if there is any, the state
# of the rule; the next step is given the one that came back. Plain gradient descent has no state:
#
# $$w \leftarrow w - \eta \, \frac{\partial L}{\partial w} \qquad \text{with the learning rate } \eta .$$
#
# In *stochastic* gradient descent (SGD) the gradient is that of a batch drawn at random.

# %%
check("sgd")

# %% [markdown]
# A small landscape to look at the rules: a ravine, $L(w) = \frac{1}{2} (w_0^2 + 25\, w_1^2)$, 25 times as steep across as along. The
# gradient mostly points across.

# %%
STEEPNESS = np.array([1.0, 25.0])
START = np.array([-9.0, 1.5])


def path(rule, steps=40, **config):
    """The points that a rule visits in the ravine."""
    points = [START]
    for _ in range(steps):
        next_w, config = rule(points[-1].copy(), STEEPNESS * points[-1], config)
        points.append(np.array(next_w))
    return np.array(points)


def draw(axis, points, title):
    first, second = np.meshgrid(np.linspace(-10, 4, 100), np.linspace(-2.5, 2.5, 80))
    axis.contour(first, second, np.sqrt(first**2 + 25 * second**2), levels=12, colors="lightgray", linewidths=0.8)
    axis.plot(*points.T, "o-", markersize=3, linewidth=1)
    axis.plot(0, 0, "k+", markersize=10)
    axis.set(title=title, xlim=(-10, 4), ylim=(-2.5, 2.5))


figure, axes = plt.subplots(1, 3, figsize=(14, 3))
for axis, learning_rate in zip(axes, (0.01, 0.07, 0.0805), strict=True):
    points = path(sgd, learning_rate=learning_rate)
    draw(axis, points, f"learning rate {learning_rate}: {np.linalg.norm(points[-1]):.2g} from the minimum")
plt.show()

# %% [markdown]
# With a small learning rate the way along the ravine takes long; with a larger one the path jumps from wall to wall; a little
# above $2/25 = 0.08$ every jump across ends higher than it began.
#
# **Question 1.** Why is 2/25 the limit? Which learning rates would be possible, if the ravine were a round bowl of steepness 1?

# %% [markdown] tags=["answer"]
# **Answer 1.** Across, a step takes $w_1$ to $w_1 - \eta \cdot 25 \, w_1 = (1 - 25 \eta) \, w_1$. It shrinks as long as
# $|1 - 25 \eta| < 1$, that is for $0 < \eta < 2/25$. In the bowl it is $|1 - \eta| < 1$: all learning rates up to 2, and
# $\eta = 1$ reaches the minimum in a single step. The steepest direction sets the limit, and the flattest one suffers from it.

# %% [markdown]
# ## Momentum
#
# A velocity $v$ gathers the gradients of the past; what changes its sign from step to step cancels, what stays adds up (Polyak 1964):
#
# $$v \leftarrow \mu v - \eta \, \frac{\partial L}{\partial w}, \qquad w \leftarrow w + v .$$
#
# `config["velocity"]` begins with zeros.

# %%
check("sgd_momentum")

# %% [markdown]
# ## RMSProp
#
# Steps of equal size in all directions: each gradient is divided by the root of a running mean of its squares (Tieleman & Hinton 2012),
#
# $$s \leftarrow \rho s + (1 - \rho) \Big( \frac{\partial L}{\partial w} \Big)^2, \qquad
# w \leftarrow w - \eta \, \frac{\partial L / \partial w}{\sqrt{s} + \epsilon} ,$$
#
# elementwise; $s$ is `config["cache"]`.

# %%
check("rmsprop")

# %% [markdown]
# ## Adam
#
# Both at once, with running means of the gradients and of their squares (Kingma & Ba 2015). As both begin with zeros, they are too small
# at the start; the correction divides by the weight that has been given so far. With $g = \partial L / \partial w$, in step
# $t = 1, 2, \dots$
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
# w \leftarrow w - \eta \, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon} .$$
#
# `config["t"]` counts the steps taken, and is counted up before it is used.

# %%
check("adam")

# %% [markdown]
# All four in the ravine, 40 steps each. How does each come out of the jumping from wall to wall?

# %%
IN_THE_RAVINE = {
    sgd: {"learning_rate": 0.07},
    sgd_momentum: {"learning_rate": 0.02, "momentum": 0.8},
    rmsprop: {"learning_rate": 0.4, "decay_rate": 0.9},
    adam: {"learning_rate": 0.6, "beta1": 0.8, "beta2": 0.99},
}
figure, axes = plt.subplots(1, 4, figsize=(17, 3), sharey=True)
for axis, (rule, settings) in zip(axes, IN_THE_RAVINE.items(), strict=True):
    points = path(rule, **settings)
    draw(axis, points, f"{rule.__name__}: {np.linalg.norm(points[-1]):.2g} from the minimum")
plt.show()

# %% [markdown]
# Momentum swings past the minimum and comes back. RMSProp and Adam move as fast along the ravine as across it: for them it is
# nearly a round bowl.
#
# The learning rates are fixed. Before you run the next cell: which of the four comes to rest in the minimum, if it goes on, and which
# does not?

# %%
plt.figure(figsize=(8, 3))
for rule, settings in IN_THE_RAVINE.items():
    plt.semilogy(np.linalg.norm(path(rule, steps=120, **settings), axis=1), label=rule.__name__)
plt.xlabel("step")
plt.ylabel("distance to the minimum")
plt.legend()
plt.show()

# %% [markdown]
# RMSProp does not. It divides the gradient by its own size, and so makes steps of about the learning rate wherever it is, near the minimum,
# too: after some 50 steps it goes to and fro, a few tenths away. To come to rest it needs a learning rate that falls.
#
# **Question 2.** How long is the very first step of Adam in each direction, and that of RMSProp with the default decay rate of 0.99? What
# would Adam's be without the correction, for $\beta_1 = 0.9$ and $\beta_2 = 0.999$?

# %% [markdown] tags=["answer"]
# **Answer 2.** Adam's is $\eta$, whatever the gradient: $m / (1 - \beta_1) = g$ and $\sqrt{v / (1 - \beta_2)} = |g|$. RMSProp's is
# $\eta / \sqrt{1 - 0.99} = 10 \, \eta$, since its mean is not corrected. Adam's without the correction would be
# $0.1 / \sqrt{0.001} \approx 3.2$ times $\eta$: too long, because the mean of squares is further from its value than the mean of gradients.

# %% [markdown]
# ## One network, four rules
#
# Four hidden layers of 60 units with ReLU, and a loop over batches. The layers come from chainrule, the rules are yours. An L2 penalty
# $\frac{\lambda}{2} \sum w^2$ on the weights of every layer adds $\lambda w$ to its gradient.

# %%
data = load(DATA, limit=1000)


def prepared(split, dtype=np.float64):
    return data.normalize(split.images, dtype).reshape(len(split), -1), split.labels


(X, y), (X_val, y_val), (X_test, y_test) = (prepared(split) for split in (data.train, data.val, data.test))
C = len(data.classes)
print(f"{DATA}: {len(X)} images to train on, {len(X_val)} for validation, {len(X_test)} for the test, {X.shape[1]} features each")


# %%
def initial(sizes, seed=0):
    """Weights and biases of the layers."""
    rng, params = np.random.default_rng(seed), {}
    for layer, (before, after) in enumerate(pairwise(sizes), 1):
        params[f"w{layer}"] = rng.normal(0, np.sqrt(2 / before), (before, after))
        params[f"b{layer}"] = np.zeros(after)
    return params


def scores_of(x, params):
    caches, last = [], len(params) // 2
    for layer in range(1, last + 1):
        x, affine_cache = affine_forward(x, params[f"w{layer}"], params[f"b{layer}"])
        x, relu_cache = relu_forward(x) if layer < last else (x, None)
        caches.append((affine_cache, relu_cache))
    return x, caches


def loss_and_gradients(x, y, params, penalty):
    scores, caches = scores_of(x, params)
    loss, dout = softmax_loss(scores, y)
    grads = {}
    for layer in range(len(caches), 0, -1):
        affine_cache, relu_cache = caches[layer - 1]
        if relu_cache is not None:
            dout = relu_backward(dout, relu_cache)
        w = params[f"w{layer}"]
        dout, dw, grads[f"b{layer}"] = affine_backward(dout, affine_cache)
        grads[f"w{layer}"] = dw + penalty * w
        loss += 0.5 * penalty * np.sum(w**2)
    return loss, grads


def train(rule, settings, epochs=6, batch_size=50, penalty=1e-4, seed=0):
    """The loss of each step and the validation accuracy after each epoch."""
    params = initial([X.shape[1], 60, 60, 60, 60, C], seed)
    configs = {name: dict(settings) for name in params}  # a state of its own for every array
    rng, losses, accuracies = np.random.default_rng(seed), [], []
    for _ in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            loss, grads = loss_and_gradients(X[batch], y[batch], params, penalty)
            losses.append(loss)
            for name, w in params.items():
                params[name], configs[name] = rule(w, grads[name], configs[name])
        accuracies.append(np.mean(scores_of(X_val, params)[0].argmax(axis=1) == y_val))
    return np.array(losses), np.array(accuracies)


# %% [markdown]
# Every rule gets three learning rates, since a comparison at one rate alone would be one of rates. Which rule is the least sensitive?

# %%
RATES = {sgd: (0.003, 0.03, 0.3), sgd_momentum: (0.001, 0.01, 0.1), rmsprop: (1e-4, 1e-3, 1e-2), adam: (3e-4, 3e-3, 3e-2)}
figure, axes = plt.subplots(1, 4, figsize=(17, 3.4), sharey=True)
best = {}
for axis, (rule, rates) in zip(axes, RATES.items(), strict=True):
    for rate in rates:
        losses, accuracies = train(rule, {"learning_rate": rate})
        axis.plot(np.convolve(losses, np.ones(5) / 5, mode="valid"), label=f"{rate:g}: {100 * accuracies[-1]:.1f} %")
        best[rule] = max(best.get(rule, (0,)), (accuracies[-1], rate))
    axis.set(title=rule.__name__, xlabel="step", ylim=(0, 3))
    axis.legend(title="learning rate: validation")
axes[0].set_ylabel("loss, mean of 5 batches")
plt.show()
for rule, (accuracy, rate) in best.items():
    print(f"{rule.__name__:13} best with learning rate {rate:<7g} {100 * accuracy:.1f} % on the validation images after 6 epochs")

# %% [markdown]
# At a good learning rate all four get there; plain gradient descent needs the largest one. Three cases are worth knowing by sight: too
# small (a straight, slow fall), good, and too large (a fast start, then jumps).
#
# **Question 3.** AdaGrad divides by the root of the *sum* of all squared gradients so far, $s \leftarrow s + g^2$. Whoever trains with
# it for long sees the steps become very small. Why, and does Adam have the same problem?

# %% [markdown] tags=["answer"]
# **Answer 3.** The sum never falls, so that the effective learning rate $\eta / \sqrt{s}$ shrinks with every step, about as $1 / \sqrt{t}$,
# and training comes to a halt before the minimum. Adam's and RMSProp's running means forget: after about $1 / (1 - \beta_2)$ steps an old
# gradient no longer counts, and if gradients get smaller, so does the root.

# %% [markdown]
# **Question 4.** Every array has a config of its own here. What would go wrong if all arrays shared one?

# %% [markdown] tags=["answer"]
# **Answer 4.** Velocity, cache, m and v have the shape of one array; the next array has another one, so that NumPy raises an error, or,
# where shapes happen to agree or to broadcast, mixes the histories of different parameters without one. Adam's t would be counted up once
# for each array and step instead of once a step.

# %% [markdown]
# ## A target for the two-layer network
#
# Now the network of `two_layer_net.py`: affine - ReLU - affine - softmax, trained by plain SGD in its own method `train`. First see that
# it is right; you may have written it in the lab on backpropagation.

# %%
check("TwoLayerNet")

# %% [markdown]
# Training with the settings it comes with:


# %%
def fitted(hidden_size=50, std=1e-4, seed=0, **settings):
    """A trained network and its history; the network draws from NumPy's global generator."""
    np.random.seed(seed)
    network = TwoLayerNet(X.shape[1], hidden_size, C, std=std)
    network.params = {name: value.astype(X.dtype) for name, value in network.params.items()}
    history = network.train(X, y, X_val, y_val, batch_size=100, **settings)
    return network, history


def accuracy(network, x, y):
    return np.mean(network.predict(x) == y)


def show(network, history):
    _, axes = plt.subplots(1, 2, figsize=(12, 3.2))
    axes[0].plot(history["loss_history"])
    axes[0].set(title="loss", xlabel="step", ylim=(0, 1.1 * max(history["loss_history"])))
    axes[1].plot(100 * np.array(history["train_acc_history"]), label="on the batch")
    axes[1].plot(100 * np.array(history["val_acc_history"]), label="on the validation images")
    axes[1].set(title="accuracy (%)", xlabel="epoch")
    axes[1].legend()
    plt.show()
    training, validation = accuracy(network, X, y), accuracy(network, X_val, y_val)
    print(f"training {100 * training:.1f} %, validation {100 * validation:.1f} %; the target is {100 * TARGET:.1f} %")


data = load(DATA)
dtype = np.float64 if DATA == "digits" else np.float32  # 49,000 images of CIFAR-10 are 0.6 GB in float32, and the steps twice as fast
(X, y), (X_val, y_val), (X_test, y_test) = (prepared(split, dtype) for split in (data.train, data.val, data.test))
print(f"{len(X):,} images to train on")
network, history = fitted(num_iters=500)
show(network, history)

# %% [markdown]
# The loss does not move from $\log 10 = 2.3$. What does that say about the learning rate, and about the initial weights? Change one thing
# at a time.

# %%
STD = {"digits": 0.05, "cifar10": 0.01}[DATA]
for settings in ({"learning_rate": 0.1}, {"learning_rate": 0.1, "std": STD}, {"learning_rate": 3.0, "std": STD}):
    with np.errstate(all="ignore"):  # the last one is meant to fail
        network, history = fitted(num_iters=500, **settings)
        print(f"{settings!s:42} last loss {history['loss_history'][-1]:5.2f}   validation {100 * accuracy(network, X_val, y_val):5.1f} %")

# %% [markdown]
# ## The search
#
# Learning rate, penalty and size depend on one another, so that they are drawn together, at random, the first two on a logarithmic scale
# (Bergstra & Bengio 2012: with the same number of runs, a grid tries only few values of each). The validation images choose. The test
# images are not looked at until the end.
#
# `drawn` gives the settings of one run. Its ranges are a beginning that misses the target by far. Run the search and look at its pictures:
# is the best run at the edge of what was tried? Then move or widen that range, and search again, until the target is reached. Larger
# networks and longer runs cost time; a search that is finished soon can be repeated more often.

# %%
RUNS, STEPS = (16, 600) if DATA == "digits" else (6, 1500)


def drawn(rng):
    return {
        "learning_rate": 10 ** rng.uniform(-3, -1.5),
        "reg": 10 ** rng.uniform(-5, -2),
        "hidden_size": int(rng.choice([5, 10, 20])),
        "learning_rate_decay": 0.95,
    }


# %% tags=["answer"]
def drawn(rng):
    if DATA == "digits":
        return {
            "learning_rate": 10 ** rng.uniform(-1.2, 0),
            "reg": 10 ** rng.uniform(-5, -2),
            "hidden_size": int(rng.choice([50, 100, 200])),
            "learning_rate_decay": float(rng.choice([0.95, 0.98, 1.0])),
        }
    return {
        "learning_rate": 10 ** rng.uniform(-1.7, -0.9),
        "reg": 10 ** rng.uniform(-4, -2),
        "hidden_size": int(rng.choice([100, 200])),
        "learning_rate_decay": float(rng.choice([0.9, 0.95])),
    }


# %%
rng = np.random.default_rng(5)
tried = []
for _ in range(RUNS):
    settings = drawn(rng)
    with np.errstate(all="ignore"):  # some diverge
        network, _ = fitted(std=STD, num_iters=STEPS, **settings)
    tried.append((accuracy(network, X_val, y_val), accuracy(network, X, y), settings))
tried.sort(key=lambda run: run[0], reverse=True)
for val, training, settings in tried[:5]:
    told = "   ".join(f"{name} {value:.3g}" for name, value in settings.items())
    print(f"validation {100 * val:5.1f} %   training {100 * training:5.1f} %   {told}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(14, 3.2), sharey=True)
for axis, name in zip(axes, ("learning_rate", "reg", "hidden_size"), strict=True):
    axis.plot([settings[name] for _, _, settings in tried], [100 * val for val, _, _ in tried], "o")
    axis.set(xlabel=name, xscale="linear" if name == "hidden_size" else "log")
    axis.tick_params(axis="x", which="both", rotation=30)
axes[0].set_ylabel("validation accuracy (%)")
plt.show()

# %% [markdown]
# Which of the three matters most? Where should the search go on? The best settings, trained for longer:

# %%
network, history = fitted(std=STD, num_iters=3 * STEPS, **tried[0][2])
show(network, history)
reached = accuracy(network, X_val, y_val)
print("the target is reached" if reached >= TARGET else "the target is not reached yet: change the ranges in `drawn`, or the steps")

# %% [markdown]
# What the network looks for: the weights of the first layer as images, those with the largest norm first. Noise in them would be a sign of
# too large a learning rate or of too small a penalty.

# %%
weights = network.params["W1"]
weights = weights[:, np.argsort(-np.linalg.norm(weights, axis=0))[:24]].T.reshape(-1, *data.image_shape)
figure, axes = plt.subplots(2, 12, figsize=(14, 2.6))
for axis, image in zip(axes.ravel(), weights, strict=True):
    image = (image - image.min()) / (image.max() - image.min())
    axis.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray")
    axis.axis("off")
plt.show()

# %% [markdown]
# The test images, once and last, when the target is reached and not before:

# %%
if reached >= TARGET:
    print(f"validation {100 * reached:.1f} %, test {100 * accuracy(network, X_test, y_test):.1f} %")

# %% [markdown]
# **Question 5.** The best of all runs was chosen by the validation images. Is its validation accuracy a fair estimate for new images? How
# large is the uncertainty of an accuracy of 97 % on the 269 validation images of the digits?

# %% [markdown] tags=["answer"]
# **Answer 5.** No, it is too high on average: the maximum of many noisy numbers prefers runs that were lucky on these very images. The
# test images had no say in the choice, so that theirs is fair. The standard deviation of a share is
# $\sqrt{0.97 \cdot 0.03 / 269} \approx 1\,\%$: most of the order among the best runs is chance.

# %% [markdown]
# **Question 6.** The training accuracy is far above the validation accuracy. Which of these helps: more training data, more hidden units, a
# larger penalty?

# %% [markdown] tags=["answer"]
# **Answer 6.** More training data and a larger penalty. The gap is overfitting; both limit how well the network can fit what is
# peculiar to its training images. More hidden units give it more room to do so.
