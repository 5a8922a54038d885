# %% [markdown]
# # Backpropagation
#
# In this lab you write a neural network and the gradients that it learns by, twice: first as one class of basic matrix
# operations, then as layers that know nothing of each other. Both give the same numbers, and the same as PyTorch.
#
# You write
# - `TwoLayerNet` in `two_layer_net.py`: scores, loss and gradients, training, prediction;
# - `affine`, `relu`, `sigmoid` and `tanh`, forward and backward, and two losses in `layers.py`.
#
# `check("NAME")` checks a function as it is saved, and says what is wrong. `check("NAME", hints=1)` gives a hint, `hints=2`
# another one.
# %%
# %load_ext autoreload
# %autoreload 2
# %matplotlib inline
import importlib.util

import matplotlib.pyplot as plt
import numpy as np

from chainrule.data import load
from chainrule.lab.notebook import check
from chainrule.verification import numerical_gradient, numerical_gradient_array

DATA = "digits"  # or "cifar10" (under a minute), once `chainrule data get cifar10` has fetched it
LEARNING_RATE = {"digits": 0.3, "cifar10": 0.05}[DATA]
# %% [markdown]
# ## The data
# Images become rows of numbers: a batch of N images is a matrix X of shape (N, D). Every row has a label, a class number from 0
# to C - 1.
# %%
dataset = load(DATA, limit=None if DATA == "digits" else 5000)


def rows(split):
    """The images of a split, normalized, each as one row; and its labels."""
    images = dataset.normalize(split.images, np.float64)
    return images.reshape(len(images), -1), split.labels


X_train, y_train = rows(dataset.train)
X_val, y_val = rows(dataset.val)
D, C = X_train.shape[1], len(dataset.classes)
print(f"{len(X_train)} images to learn from, {len(X_val)} for validation; D = {D}, C = {C}")

figure, axes = plt.subplots(1, 10, figsize=(10, 1.4))
for axis, image, label in zip(axes, dataset.train.images, y_train, strict=False):
    axis.imshow(image.transpose(1, 2, 0).squeeze() / dataset.scale, cmap="gray")
    axis.set_title(dataset.classes[label], fontsize=9)
    axis.axis("off")
plt.show()
# %% [markdown]
# # 1. A network of matrix operations
#
# The network has one hidden layer of H units:
#
# $$\text{hidden} = \max(0, X W_1 + b_1), \qquad \text{scores} = \text{hidden}\, W_2 + b_2 .$$
#
# Write `TwoLayerNet.__init__`: the parameters with their shapes. The weights are drawn at random, the biases begin at 0.
# %%
from two_layer_net import TwoLayerNet

check("TwoLayerNet.__init__")
# %% [markdown]
# ## From scores to probabilities, and to a loss
# The softmax makes probabilities of the scores s of a sample, and the cross-entropy says how surprising its label y is:
#
# $$p_c = \frac{e^{s_c}}{\sum_k e^{s_k}}, \qquad L = -\frac 1 N \sum_n \log p_{n, y_n} + \lambda \left( \sum W_1^2 + \sum W_2^2 \right).$$
#
# The second term, with $\lambda$ = `reg`, keeps the weights small. Write the first half of `TwoLayerNet.loss`: the probabilities,
# and the loss.
#
# Before you run the next cell: a network of tiny weights knows nothing. What is its loss for C classes?
# %%
np.random.seed(0)
net = TwoLayerNet(D, 50, C, std=1e-4)
loss, _ = net.loss(X_train[:100], y_train[:100])
print(f"loss {loss:.4f}, log(C) {np.log(C):.4f}")
# %% [markdown]
# All classes have the probability 1 / C, so the loss is log(C). If yours is another number, begin there.
#
# ## Back
# Backpropagation is the chain rule, from the loss to the parameters. The gradient of the loss with respect to the scores is
# short:
#
# $$\frac{\partial L}{\partial s_{n,c}} = \frac{p_{n,c} - [c = y_n]}{N} .$$
#
# From there, each operation passes the gradient on to what it was computed from. For a product `scores = hidden @ W2 + b2` with
# `dscores`, the gradient of its result:
#
# $$dW_2 = \text{hidden}^\top\, d\text{scores}, \qquad db_2 = \sum_n d\text{scores}_n, \qquad d\text{hidden} = d\text{scores}\, W_2^\top .$$
#
# ReLU lets the gradient pass where its input was positive, and nowhere else. Each gradient has the shape of what it belongs to:
# that alone decides where a transpose belongs. Write the second half of `TwoLayerNet.loss`.
# %%
check("TwoLayerNet.loss")
# %% [markdown]
# ## Is it right?
# A gradient can be measured without any calculus: move one parameter by a little, and see how the loss changes. It takes two
# losses for each parameter, so it is for small networks only; but it is the judge of every gradient in this course.
#
# The relative error is the difference over the size of both. In float64, 1e-7 and less is right; 1e-2 is a mistake.
# %%
np.random.seed(1)
small = TwoLayerNet(6, 5, 3, std=0.5)
X_small, y_small = np.random.randn(4, 6), np.array([0, 1, 2, 1])
_, grads = small.loss(X_small, y_small, reg=0.1)
for name, grad in grads.items():
    measured = numerical_gradient(lambda _: small.loss(X_small, y_small, reg=0.1)[0], small.params[name])
    error = np.abs(grad - measured).max() / np.abs(grad + measured).max()
    print(f"{name}: relative error {error:.1e}")
# %% [markdown]
# ## Training
# Gradient descent goes a step down the slope, $W \leftarrow W - \text{learning\_rate} \cdot dW$. Each step looks at a random
# batch only: its gradient is a noisy guess of that of all the data, and as many times cheaper as the batch is smaller: with 100 of
# the 1,259 digits some 13 times. Write `TwoLayerNet.train` and `TwoLayerNet.predict`.
# %%
check("TwoLayerNet.train", "TwoLayerNet.predict")
# %%
np.random.seed(0)
net = TwoLayerNet(D, 50, C, std=1e-1 / np.sqrt(D))
settings = {"learning_rate": LEARNING_RATE, "learning_rate_decay": 0.95, "reg": 1e-4, "num_iters": 600, "batch_size": 100}
stats = net.train(X_train, y_train, X_val, y_val, **settings)
print(f"right on the validation images: {np.mean(net.predict(X_val) == y_val):.1%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
left.plot(stats["loss_history"], linewidth=0.8)
left.set(xlabel="step", ylabel="loss of the batch")
right.plot(stats["train_acc_history"], label="batch")
right.plot(stats["val_acc_history"], label="validation")
right.set(xlabel="epoch", ylabel="accuracy")
right.legend()
plt.show()
# %% [markdown]
# The loss begins at log(C) and falls, in jumps, for each batch is another one. On the digits, more than nine in ten validation
# images should be right, on CIFAR-10 about four in ten.
#
# Rows of 3,072 numbers have a squared length 48 times that of rows of 64, and with it the gradient's effect on the scores grows:
# that is why CIFAR-10 has the smaller learning rate. With 0.3 the loss explodes there, to 1e49 and more.
#
# ## What the hidden units look for
# A column of W1 has one weight for each pixel, so it is an image itself: the unit is most active for an input that looks like it.
# %%
columns = net.params["W1"].T.reshape(-1, *dataset.image_shape)[:20]
figure, axes = plt.subplots(2, 10, figsize=(10, 2.2))
for axis, column in zip(axes.flat, columns, strict=True):
    column = (column - column.min()) / (np.ptp(column) + 1e-12)
    axis.imshow(column.transpose(1, 2, 0).squeeze(), cmap="gray")
    axis.axis("off")
plt.show()
# %% [markdown]
# **Question 1.** All weights could begin with 0 instead of random numbers: the loss is log(C) all the same. What would the
# columns of W1 look like after training, and why?
# %% [markdown] tags=["answer"]
# With W1 = 0 and b1 = 0 all hidden values are 0, and so are their derivatives of ReLU and the gradient of W2: nothing but b2
# learns, and W1 stays 0. With W1 and W2 at any one constant, all hidden units compute the same and get the same gradient: they
# stay equal for ever, and the network is as good as one with a single hidden unit. Only a random start tells them apart.
# %% [markdown]
# # 2. Layers
#
# The class above has to be written anew for three layers. So the second way cuts it into pieces: each layer is a pair of
# functions,
#
# `out, cache = x_forward(...)` and `gradients = x_backward(dout, cache)`,
#
# in which `dout` is the gradient of the loss with respect to `out`, and the cache is whatever you choose to keep. A layer need
# not know what comes before or after it.
#
# ## The affine layer
# $\text{out} = x W + b$, for images, too: every sample is flattened to a row of D numbers, and `dx` comes back in the shape of
# `x`.
# %%
check("affine_forward", "affine_backward")
# %%
from layers import affine_backward, affine_forward

rng = np.random.default_rng(0)
x, w, b, dout = rng.standard_normal((4, 2, 3)), rng.standard_normal((6, 5)), rng.standard_normal(5), rng.standard_normal((4, 5))
_, cache = affine_forward(x, w, b)
for name, array, grad in zip(("dx", "dw", "db"), (x, w, b), affine_backward(dout, cache), strict=True):
    measured = numerical_gradient_array(lambda _: affine_forward(x, w, b)[0], array, dout)
    print(f"{name} {grad.shape}: largest difference to the measured gradient {np.abs(grad - measured).max():.1e}")
# %% [markdown]
# **Question 2.** `db` is a sum over the batch, although the loss is a mean. Where has the division by N gone?
# %% [markdown] tags=["answer"]
# Into dout: the loss divides by N, so the gradient that comes from it has the factor 1 / N in every row. b is used once in each
# row, and the chain rule adds up what all its uses give.
# %% [markdown]
# ## Activations
# Between two affine layers stands a function of every single number; without it, two affine layers would be one. Its backward
# pass multiplies `dout` by the derivative:
#
# $$\text{relu}'(x) = [x > 0], \qquad \sigma' = \sigma\,(1 - \sigma), \qquad \tanh' = 1 - \tanh^2 .$$
#
# The last two need no x at all, only the output. Take care that no exponential overflows: `np.exp(1000)` is infinite.
# %%
check("relu_forward", "relu_backward", "sigmoid_forward", "sigmoid_backward", "tanh_forward", "tanh_backward")
# %%
from layers import relu_backward, relu_forward, sigmoid_backward, sigmoid_forward, tanh_backward, tanh_forward

activations = {
    "ReLU": (relu_forward, relu_backward),
    "sigmoid": (sigmoid_forward, sigmoid_backward),
    "tanh": (tanh_forward, tanh_backward),
}
line = np.linspace(-6, 6, 241)
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8))
for axis, (name, (forward, backward)) in zip(axes, activations.items(), strict=True):
    out, cache = forward(line)
    axis.plot(line, out, label=name)
    axis.plot(line, backward(np.ones_like(line), cache), linestyle="--", label="its derivative")
    axis.set_ylim(-1.2, 2)
    axis.legend()
plt.show()
# %% [markdown]
# **Question 3.** For which inputs is the derivative nearly 0, for each of the three? What does that mean for the weights of such
# a unit? Which of the three can have it for *all* samples of a data set, and for good?
# %% [markdown] tags=["answer"]
# The sigmoid and tanh for inputs far from 0 on either side, ReLU for every negative one, where it is exactly 0. The gradient of
# the unit's weights is then (nearly) 0, and it hardly learns from such a sample. A ReLU unit whose input is negative for all
# samples gets no gradient at all and stays as it is: it is dead. Sigmoid and tanh units learn slowly there, but never stop for
# good. (At x = 0 the sigmoid's slope is 1/4 at most, so that many of them in a row shrink the gradient in any case.)
# %% [markdown]
# ## Losses
# A loss ends the network, so forward and backward are one function: `loss, dx = softmax_loss(x, y)` with the scores x. Subtract
# each row's largest score before the exponential, which changes no probability, and stay with logarithms: $\log p_c = s_c - \log
# \sum_k e^{s_k}$.
#
# The SVM loss asks for something else: the score of the label should exceed every other one by 1,
#
# $$L = \frac 1 N \sum_n \sum_{c \ne y_n} \max(0, s_{n,c} - s_{n,y_n} + 1) .$$
# %%
check("softmax_loss", "svm_loss")
# %%
from layers import softmax_loss, svm_loss

others = np.linspace(-4, 4, 161)
losses = {"softmax": softmax_loss, "SVM": svm_loss}
for name, function in losses.items():
    values = [function(np.array([[score, 0.0]]), np.array([0]))[0] for score in others]
    plt.plot(others, values, label=name)
plt.gcf().set_size_inches(6, 3)
plt.xlabel("score of the label; the other class has 0")
plt.ylabel("loss")
plt.legend()
plt.show()
# %% [markdown]
# **Question 4.** Which of the two losses can be exactly 0? What does the other one do with a sample that is classified right by
# far?
# %% [markdown] tags=["answer"]
# The SVM loss is 0, and so is its gradient, as soon as all margins are met: such a sample teaches nothing more. The softmax loss
# is positive always: its probability for the label only approaches 1, and it goes on to push the scores apart, by less and less.
# %% [markdown]
# ## The same network out of layers
# The forward pass calls the layers one after the other, the backward pass goes back through their caches. Before you run the
# cell: by how much will these gradients differ from those of `TwoLayerNet`?
# %%
X_batch, y_batch = X_train[:50], y_train[:50]


def layered_loss(params, X, y):
    """affine - relu - affine - softmax, of layers: the loss, and the gradients by name."""
    scores1, affine1 = affine_forward(X, params["W1"], params["b1"])
    hidden, relu1 = relu_forward(scores1)
    scores, affine2 = affine_forward(hidden, params["W2"], params["b2"])
    loss, dscores = softmax_loss(scores, y)
    dhidden, dW2, db2 = affine_backward(dscores, affine2)
    _, dW1, db1 = affine_backward(relu_backward(dhidden, relu1), affine1)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


loss, grads = net.loss(X_batch, y_batch)
layered, layered_grads = layered_loss(net.params, X_batch, y_batch)
print(f"losses {loss:.12f} and {layered:.12f}")
for name in grads:
    print(f"{name}: largest difference {np.abs(grads[name] - layered_grads[name]).max():.1e}")
# %% [markdown]
# By rounding alone, less than 1e-16: it is the same mathematics. But `layered_loss` can be made longer by two lines for each layer.
#
# # 3. Compared with PyTorch
# PyTorch writes down every operation as it computes, and goes back through the list by itself: that is its autograd. It has no
# other rules than yours.
# %%
if importlib.util.find_spec("torch") is None:
    print("PyTorch is not installed; the cells above compare with numerical gradients")
else:
    import torch

    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in net.params.items()}
    hidden = torch.relu(torch.tensor(X_batch) @ tensors["W1"] + tensors["b1"])
    expected = torch.nn.functional.cross_entropy(hidden @ tensors["W2"] + tensors["b2"], torch.tensor(y_batch))
    expected.backward()
    print(f"losses {layered:.12f} and {expected.item():.12f}")
    for name, tensor in tensors.items():
        print(f"{name}: largest difference {np.abs(layered_grads[name] - tensor.grad.numpy()).max():.1e}")
# %% [markdown]
# ## Questions
# **Question 5.** A layer takes N = 128 samples of 1024 numbers to 2048 outputs. How many entries has the full Jacobian of its
# output with respect to its input, and how many bytes in float64? Why does `affine_backward` never need it?
# %% [markdown] tags=["answer"]
# The output has 128 * 2048 numbers, the input 128 * 1024: the Jacobian has 128 * 2048 * 128 * 1024 = 3.4e10 entries, some 275 GB.
# Backpropagation only needs the product of dout with it, which is dout @ w.T: as large as the input. (Most of the Jacobian is 0,
# for one sample's output does not depend on another sample, and the blocks that are left are all the same w.)
# %% [markdown]
# **Question 6.** A numerical gradient of the network above takes two losses for each parameter. About how many times as long as a
# forward pass does backpropagation take, and how many times a numerical gradient?
# %% [markdown] tags=["answer"]
# The way back has two matrix products for each one forward (for dx and for dw), so both passes together take about three forward
# passes, whatever the number of parameters. A numerical gradient takes two for every parameter: with the digits, (64 + 1) * 50 +
# 51 * 10 = 3760 parameters, that is 7520 forward passes.
# %% [markdown]
# **Question 7.** What does the network learn if, in the backward pass, you leave out ReLU's mask? Try it: is the loss going down?
# Which test finds the mistake at once?
# %% [markdown] tags=["answer"]
# On the digits it learns nearly as well: W2 and b2 have the right gradients, and those of W1 still point roughly the right way.
# The loss falls, and no curve tells that something is wrong; a harder problem would. The numerical gradient finds it at once: W1
# and b1 are off by far more than rounding.
# %% [markdown]
# That is all of this lab. `check()` without a name checks everything in the workspace.
# %%
check()
