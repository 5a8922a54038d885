# %% [markdown]
# # Convolution
#
# An affine layer treats an image as a list of numbers: it would learn nothing new if the pixels of all images were
# shuffled in the same way. A convolution uses that pixels have neighbours, and that an edge is an edge wherever it is.
#
# In this lab you write
#
# 1. convolution and max pooling with plain loops, forward and backward,
# 2. a fast convolution, and see how far it is from compiled kernels,
# 3. a convolutional network of three layers, and train it,
# 4. batch and group normalization for images.
#
# You write in `convolution.py` and `three_layer_convnet.py`. `check("name")` runs the checks of one function, and says
# what is wrong.
# %%
# %load_ext autoreload
# %autoreload 2
import time

import matplotlib.pyplot as plt
import numpy as np
from convolution import (
    conv_backward_im2col,
    conv_backward_naive,
    conv_forward_im2col,
    conv_forward_naive,
    max_pool_backward_naive,
    max_pool_forward_naive,
    spatial_batchnorm_backward,
    spatial_batchnorm_forward,
    spatial_groupnorm_backward,
    spatial_groupnorm_forward,
)
from sklearn.datasets import load_sample_images
from three_layer_convnet import ThreeLayerConvNet

from chainrule import data, kernels
from chainrule.lab.notebook import check
from chainrule.verification import numerical_gradient_array, relative_error

DATA = "digits"  # or "cifar10" (about a minute), once `chainrule data get cifar10` has fetched it

plt.rcParams["figure.dpi"] = 80


def show(images, titles):
    """Pictures side by side: (H, W) in grey, (H, W, 3) in colour."""
    _, axes = plt.subplots(1, len(images), figsize=(3.2 * len(images), 3), layout="constrained")
    for axis, image, title in zip(np.atleast_1d(axes), images, titles, strict=True):
        axis.imshow(image, cmap=None if image.ndim == 3 else "gray")
        axis.set_title(title)
        axis.axis("off")
    plt.show()


# %% [markdown]
# ## Convolution, forwards
#
# A batch of images is an array `x` of shape (N, C, H, W): N images, C channels (3 for red, green and blue), H rows, W
# columns. A filter looks at a window of KH x KW pixels in all channels. The weights of F filters are `w`, of shape (F,
# C, KH, KW), and each filter has one bias. The image gets $p$ (`pad`) zeros on all four sides, which makes it $\hat x$,
# and the window moves in steps of $s$ (`stride`). At each place $(i, j)$ every filter gives one number:
#
# $$
# \mathrm{out}_{nfij} = b_f + \sum_{c,k,l} \hat x_{n,\,c,\;is + k,\;js + l}\; w_{fckl}.
# $$
#
# The window fits
#
# $$
# \mathrm{OH} = \left\lfloor \frac{H + 2p - \mathrm{KH}}{s} \right\rfloor + 1
# $$
#
# times into the rows of the padded image, and likewise into the columns. The filter is not flipped: a mathematician
# would call this a cross-correlation.
#
# Write `conv_forward_naive` in `convolution.py`. Loops are what is wanted here: one line that is obviously right is
# worth more than speed.
# %%
check("conv_forward_naive")

# %% [markdown]
# A convolution is older than networks that learn its weights. The next cell writes filters by hand and lays them on two
# photographs. The first filter averages the three colours into grey; the others look at the grey image alone.
#
# Before you run it: a filter has the rows (-1, -2, -1), (0, 0, 0), (1, 2, 1). Where is its output far from zero?
# %%
photographs = np.stack([image[:420:3, 100:520:3] for image in load_sample_images().images]) / 255.0  # 140 x 140 pixels of each
images = photographs.transpose(0, 3, 1, 2)  # channels first: (2, 3, 140, 140)
grey, _ = conv_forward_naive(images, np.full((1, 3, 1, 1), 1 / 3), np.zeros(1), {"stride": 1, "pad": 0})

filters = np.array(
    [
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],  # below minus above
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],  # right minus left
        [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],  # the pixel against its neighbours
    ],
    dtype=float,
)[:, None]  # (3, 1, 3, 3)
edges, _ = conv_forward_naive(grey, filters, np.zeros(3), {"stride": 1, "pad": 1})
for photograph, plain, seen in zip(photographs, grey, edges, strict=True):
    show(
        [photograph, plain[0], np.abs(seen[0]), np.abs(seen[1]), seen[2].clip(0, 1)],
        ["image", "grey", "horizontal edges", "vertical edges", "sharpened"],
    )
# %% [markdown]
# Horizontal edges light up in the third picture, vertical ones in the fourth: each of these filters is a difference
# across the edge and a mean along it. Look at the frame of both: the zeros around the image make an edge that is not in
# the photograph.
#
# **Question 1.** The edge filters have weights that sum to 0, the sharpening filter's sum to 1. What does this say
# about their output in the sky, where the colour hardly changes?
# %% [markdown] tags=["answer"]
# Where the image is constant, with the value $a$, the output is $a \sum_{k,l} w_{kl}$: 0 for the edge filters, which
# forget how bright the image is, and $a$ for the sharpening filter, which keeps it.
# %% [markdown]
# ## Convolution, backwards
#
# Upstream comes `dout`, with one number for each number of `out`. A weight is used at every place of every image, so it
# gets a sum over all of them; the bias of a filter, too:
#
# $$
# \mathrm{dw}_{fckl} = \sum_{n,i,j} \mathrm{dout}_{nfij}\; \hat x_{n,\,c,\;is + k,\;js + l},
# \qquad
# \mathrm{db}_f = \sum_{n,i,j} \mathrm{dout}_{nfij}.
# $$
#
# A pixel is in several windows. Run over the windows once more, and let each give back to its pixels what it took,
# times the upstream number:
#
# $$
# \text{for all } i, j: \qquad \mathrm{d}\hat x_{n,\,c,\;is + k,\;js + l} \mathrel{+}= \sum_f \mathrm{dout}_{nfij}\; w_{fckl}.
# $$
#
# In the end the padding is cut off, since it is no input.
# %%
check("conv_backward_naive")
# %% [markdown]
# The checks compare with the library. A gradient can always be checked without one, too: move every number of `x` a
# little, and see how far the output moves. The relative errors should be below 1e-7.
# %%
rng = np.random.default_rng(1)
x, w, b = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)
conv_param = {"stride": 2, "pad": 1}
out, cache = conv_forward_naive(x, w, b, conv_param)
dout = rng.standard_normal(out.shape)
for name, array, gradient in zip(("dx", "dw", "db"), (x, w, b), conv_backward_naive(dout, cache), strict=True):
    expected = numerical_gradient_array(lambda _: conv_forward_naive(x, w, b, conv_param)[0], array, dout)
    print(f"{name}: relative error {relative_error(gradient, expected):.1e}")
# %% [markdown]
# A picture of it: let the loss be a single number of the output, the one in the middle. Its gradient with respect to
# the image shows which pixels have made that number. Before you run the cell: how many pixels are not zero after one
# convolution of 3 x 3, and how many after two?
# %%
image = rng.standard_normal((1, 1, 9, 9))
ones, same_size = np.ones((1, 1, 3, 3)), {"stride": 1, "pad": 1}
first, first_cache = conv_forward_naive(image, ones, np.zeros(1), same_size)
second, second_cache = conv_forward_naive(first, ones, np.zeros(1), same_size)
middle = np.zeros_like(second)
middle[0, 0, 4, 4] = 1
dfirst, _, _ = conv_backward_naive(middle, second_cache)
dimage, _, _ = conv_backward_naive(dfirst, first_cache)
show([middle[0, 0], dfirst[0, 0], dimage[0, 0]], ["one number of the output", "before the second layer", "before the first layer"])
# %% [markdown]
# One number sees 3 x 3 pixels of the layer before and 5 x 5 of the one before that, those in the middle along more ways
# than those at the border. This is its receptive field.
#
# **Question 2.** How many convolutions of 3 x 3 with stride 1 have a receptive field of 7 x 7? How many weights do they
# have, with C channels everywhere, and how many has one convolution of 7 x 7?
# %% [markdown] tags=["answer"]
# Three: each adds 2 rows and columns, 3 + 2 + 2 = 7. They have $3 \cdot 9\, C^2 = 27\, C^2$ weights, against $49\,
# C^2$, and two more nonlinearities can stand between them.
# %% [markdown]
# ## Max pooling
#
# Pooling makes images smaller. Every channel on its own is reduced window by window to its maximum:
#
# $$
# \mathrm{out}_{ncij} = \max_{k,l}\; x_{n,\,c,\;is + k,\;js + l}.
# $$
#
# Backwards, the maximum gets all of the upstream gradient, and the other pixels nothing: a small change of theirs
# changes nothing. Where windows overlap, one pixel can be the maximum of several; of equal maxima the first gets it.
# %%
check("max_pool_forward_naive")
check("max_pool_backward_naive")
# %%
pool_param = {"pool_height": 4, "pool_width": 4, "stride": 4}
small, cache = max_pool_forward_naive(np.abs(edges), pool_param)
chosen = max_pool_backward_naive(np.ones_like(small), cache)
show(
    [np.abs(edges[0, 0]), small[0, 0], np.abs(edges[0, 0]) * chosen[0, 0]],
    ["horizontal edges", f"pooled, {small.shape[2]} x {small.shape[3]}", "the pixels that were chosen"],
)
# %% [markdown]
# A sixteenth of the numbers is left, and the edges are still where they were, to four pixels.
#
# **Question 3.** What happens to the output of a max pooling of 2 x 2 with stride 2 when the image moves by one pixel
# to the right, and what when it moves by two?
# %% [markdown] tags=["answer"]
# By two pixels: the output moves by one, but for the border. By one: about half of the maxima stay in their windows,
# and the others move into the next one, so that the output changes, but by less than the image did. Pooling makes small
# shifts matter less; it does not make them disappear.
# %% [markdown]
# ## A fast convolution
#
# The loops of the naive convolution run in Python, which takes about a microsecond for each step whatever is done
# there. A matrix product does thousands of multiplications in that time. So make one of it: write every window as a
# column of a matrix, of shape (C * KH * KW, N * OH * OW), the filters as the rows of another, of shape (F, C * KH *
# KW), and multiply. This is called im2col. `np.lib.stride_tricks.sliding_window_view` shows all windows without a loop.
#
# Backwards, the weights' gradient is a matrix product, too. The windows' gradients have to be added up where the
# windows overlap: a loop over the KH * KW points of the window is enough for it, since one point lies on different
# pixels at all places.
#
# The order of the axes matters for speed: memory is read fastest in long runs of neighbours, along the OW places of a
# row rather than along the KW points of a window.
#
# Write `conv_forward_im2col` and `conv_backward_im2col`; another way that is fast will do as well.
# %%
check("conv_forward_im2col")
check("conv_backward_im2col")


# %%
def conv_loops(x, w, b, conv_param):
    """A convolution with a loop for each of n, f, i and j."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    KH, KW = w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.empty((len(x), len(w), (padded.shape[2] - KH) // stride + 1, (padded.shape[3] - KW) // stride + 1), x.dtype)
    for n, f, i, j in np.ndindex(*out.shape):
        out[n, f, i, j] = np.sum(padded[n, :, i * stride : i * stride + KH, j * stride : j * stride + KW] * w[f]) + b[f]
    return out, None


def seconds(function, *arguments, repeat=5):
    """The shortest of a few runs."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


rng = np.random.default_rng(2)
x = rng.standard_normal((20, 8, 32, 32)).astype(np.float32)
w, b = rng.standard_normal((16, 8, 3, 3)).astype(np.float32), rng.standard_normal(16).astype(np.float32)
ways = {
    "your naive functions": (conv_forward_naive, conv_backward_naive),
    "your fast functions": (conv_forward_im2col, conv_backward_im2col),
    "the library's kernels": (kernels.conv_forward, kernels.conv_backward),
}
timed = {"a loop for each number": (seconds(conv_loops, x, w, b, same_size, repeat=1), None)}
for title, (forward, backward) in ways.items():
    out, cache = forward(x, w, b, same_size)  # kernels are compiled in their first run
    backward(out, cache)
    timed[title] = seconds(forward, x, w, b, same_size), seconds(backward, out, cache)
for title, (forward_time, backward_time) in timed.items():
    back = f"   backward {1000 * backward_time:8.1f} ms" if backward_time else ""
    print(f"{title:24} forward {1000 * forward_time:8.1f} ms{back}")
# %%
_, axis = plt.subplots(figsize=(7, 2.5), layout="constrained")
axis.barh(list(timed), [1000 * forward_time for forward_time, _ in timed.values()])
axis.set(xscale="log", xlabel="ms", title="forward, 20 images (8, 32, 32), 16 filters of 3 x 3")
axis.invert_yaxis()
plt.show()
# %% [markdown]
# A fast function of your own should take less than a hundredth of the time of the loops, and a few times that of the
# kernels. These are compiled, use all the cores that they are given, and do not write the matrix of windows at all.
#
# **Question 4.** How many multiplications does this forward pass need, and how many floating point operations a second
# does each of the ways reach? How large is the matrix of windows, compared with `x`?
# %% [markdown] tags=["answer"]
# $N F \cdot \mathrm{OH} \cdot \mathrm{OW} \cdot C \cdot \mathrm{KH} \cdot \mathrm{KW} = 20 \cdot 16 \cdot 1024 \cdot
# 72$, about 24 million multiplications, and as many additions: 47 million operations. In 2 ms that is 24 billion a
# second, in 2 s of loops a thousandth of it. With stride 1 and padding 1 the matrix of windows has KH * KW = 9 numbers
# for each of `x`, 1.5 million of 4 bytes: it has to be written and read again, and a batch of large images does not fit
# into the caches, or not even into memory.
# %% [markdown]
# ## A network of three layers
#
# convolution - ReLU - 2 x 2 max pooling - affine - ReLU - affine - softmax.
#
# Write `ThreeLayerConvNet` in `three_layer_convnet.py`. It may use everything that you have written; affine layers are
# matrix products.
# %%
check("ThreeLayerConvNet")
# %% [markdown]
# Two things to look at before training any network. Its first loss: with small weights all classes are as likely, so it
# is the logarithm of their number, and a penalty adds to it. And whether it can learn a few images by heart; if not,
# something is wrong.
# %%
dataset = data.load(DATA, limit=2000 if DATA == "cifar10" else None)
X_train, y_train = dataset.normalize(dataset.train.images), dataset.train.labels
X_val, y_val = dataset.normalize(dataset.val.images), dataset.val.labels
print(dataset)


def network(seed=0, weight_scale=0.05):
    """A network for these images, with the same weights for the same seed."""
    np.random.seed(seed)
    return ThreeLayerConvNet(
        input_dim=dataset.image_shape, num_filters=16, filter_size=3, hidden_dim=64, weight_scale=weight_scale, reg=1e-3
    )


model = network(weight_scale=1e-3)
for model.reg in (0, 1, 10):
    print(f"reg = {model.reg:2}: loss {model.loss(X_train[:50], y_train[:50])[0]:.4f}, log(10) = {np.log(10):.4f}")


# %%
def accuracy(model, X, y):
    """Share of the images that the model classifies rightly."""
    return np.mean(np.concatenate([model.loss(X[i : i + 100]).argmax(axis=1) for i in range(0, len(X), 100)]) == y)


def train(model, X, y, *, epochs, learning_rate, batch_size=50, momentum=0.9, seed=0):
    """SGD with momentum; the loss of every step."""
    rng = np.random.default_rng(seed)
    velocity = {name: np.zeros_like(value) for name, value in model.params.items()}
    losses = []
    for _ in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X) - batch_size + 1, batch_size):
            batch = order[start : start + batch_size]
            loss, grads = model.loss(X[batch], y[batch])
            losses.append(loss)
            for name, value in model.params.items():
                velocity[name] = momentum * velocity[name] - learning_rate * grads[name]
                model.params[name] = value + velocity[name]
    return losses


model = network()
train(model, X_train[:50], y_train[:50], epochs=60, learning_rate=0.02)
print(f"50 images: {accuracy(model, X_train[:50], y_train[:50]):.0%} of them right, {accuracy(model, X_val, y_val):.0%} of others")
# %% [markdown]
# The 50 images should be right, all or all but one or two. The others are worse: the network knows these 50 by heart.
#
# Now with all images.
# %%
model = network()
before = model.params["W1"].copy()
losses = train(model, X_train, y_train, epochs=12, learning_rate=0.02)
print(f"training {accuracy(model, X_train, y_train):.1%}, validation {accuracy(model, X_val, y_val):.1%}")
_, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.plot(losses)
axis.set(xlabel="step", ylabel="loss of the batch", yscale="log")
plt.show()
# %% [markdown]
# On the digits the validation accuracy should be above 95 %, on 2,000 images of CIFAR-10 some 35 to 45 %. What have the
# filters become?
# %%
fig, axes = plt.subplots(2, 16, figsize=(12, 1.8), layout="constrained")
for row, weights in zip(axes, (before, model.params["W1"]), strict=True):
    limit = np.abs(weights).max()
    for axis, kernel in zip(row, weights, strict=True):
        axis.imshow(kernel.mean(axis=0), cmap="RdBu", vmin=-limit, vmax=limit)
        axis.axis("off")
fig.suptitle("the filters before (above) and after training")
plt.show()
# %%
example = X_val[:1]
seen, _ = conv_forward_im2col(example, model.params["W1"], model.params["b1"], same_size)
show([example[0].mean(axis=0), *np.maximum(seen[0, :5], 0)], ["an image", *(f"filter {f}" for f in range(5))])
# %% [markdown]
# Filters that began as noise have become smoother. Some are means of their neighbourhood, others differences in one
# direction or another, like those that you wrote by hand; each picks out its own strokes.
#
# **Question 5.** How many parameters has each of the layers of this network? What would the first layer have, if it
# were an affine one with an output of the same size?
# %% [markdown] tags=["answer"]
# For the digits: the convolution $16 \cdot 9 + 16 = 160$, the first affine layer $16 \cdot 4 \cdot 4 \cdot 64 + 64 =
# 16448$, the second $64 \cdot 10 + 10 = 650$. An affine first layer from 64 pixels to $16 \cdot 64$ numbers would have
# $65536 + 1024$, 416 times as many: the convolution uses its weights at all 64 places.
# %% [markdown]
# ## Batch normalization of images
#
# Batch norm for affine layers normalizes every feature over the batch. In an image, the features are the channels: a
# filter is the same at all pixels, so its outputs at all pixels of all images are samples of one distribution. Mean and
# variance are over N, H and W, one of each for each channel:
#
# $$
# \mu_c = \frac{1}{NHW} \sum_{n,h,w} x_{nchw},
# \qquad
# \mathrm{out}_{nchw} = \gamma_c\, \frac{x_{nchw} - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} + \beta_c.
# $$
#
# With pixels as samples it is the batch norm of an array (N * H * W, C). Mind the order of the axes on the way there
# and back. You may use `batchnorm_forward` and its backward pass, your own or the library's: `from chainrule.functional
# import batchnorm_backward, batchnorm_forward`.
# %%
check("spatial_batchnorm_forward")
check("spatial_batchnorm_backward")
# %%
rng = np.random.default_rng(3)
x = np.array([1, 5, 20])[:, None, None] * rng.standard_normal((8, 3, 6, 6)) + np.array([-10, 0, 40])[:, None, None]
gamma, beta = np.array([1.0, 2.0, 3.0]), np.array([0.0, 5.0, -5.0])
bn_param = {"mode": "train"}
out, _ = spatial_batchnorm_forward(x, gamma, beta, bn_param)
print("channel            0        1        2")
for title, values in (("before", x), ("after", out)):
    print(f"{title:8} mean {'  '.join(f'{value:7.2f}' for value in values.mean(axis=(0, 2, 3)))}")
    print(f"{'':8} std  {'  '.join(f'{value:7.2f}' for value in values.std(axis=(0, 2, 3)))}")
print("running means have the shape", bn_param["running_mean"].shape)
# %% [markdown]
# After it, the means are those of `beta` and the deviations those of `gamma`, channel by channel.
#
# ## Group normalization
#
# The statistics of a batch are noisy if the batch is small, and an image's output depends on the images beside it.
# Group norm takes mean and variance of each image on its own, over groups of neighbouring channels: image $n$, group
# $g$ with its $C / G$ channels and all their pixels,
#
# $$
# \mu_{ng} = \frac{1}{(C / G)\, HW} \sum_{c \in g} \sum_{h,w} x_{nchw}.
# $$
#
# $\gamma_c$ and $\beta_c$ are still one of each for each channel; here they have the shape (1, C, 1, 1). With G = 1
# this is layer norm, with G = C instance norm. There are no running averages, and no mode.
# %%
check("spatial_groupnorm_forward")
check("spatial_groupnorm_backward")
# %% [markdown]
# How much does the output for one image depend on the others in its batch? The next cell takes the trained network's
# first layer, puts one image into many batches drawn at random, and looks at how far its normalized output scatters.
# %%
features, _ = conv_forward_im2col(X_train[:500], model.params["W1"], model.params["b1"], same_size)
features = features.astype(np.float64)
C = features.shape[1]
rng = np.random.default_rng(4)
batch_sizes = (4, 8, 16, 32, 64)
scatter = {"batch norm": [], "group norm, G = 4": []}
for batch_size in batch_sizes:
    outputs = {name: [] for name in scatter}
    for _ in range(40):
        batch = features[[0, *rng.choice(np.arange(1, 500), batch_size - 1, replace=False)]]
        outputs["batch norm"].append(spatial_batchnorm_forward(batch, np.ones(C), np.zeros(C), {"mode": "train"})[0][0])
        group_normed, _ = spatial_groupnorm_forward(batch, np.ones((1, C, 1, 1)), np.zeros((1, C, 1, 1)), 4, {})
        outputs["group norm, G = 4"].append(group_normed[0])
    for name, values in outputs.items():
        scatter[name].append(np.std(values, axis=0).mean())
_, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name, values in scatter.items():
    axis.plot(batch_sizes, values, marker="o", label=name)
axis.set(xscale="log", xlabel="images in the batch", ylabel="scatter of one image's output")
axis.set_xticks(batch_sizes, [str(size) for size in batch_sizes])
axis.minorticks_off()
axis.legend()
plt.show()
# %% [markdown]
# Under batch norm the output for one and the same image scatters, the more the smaller the batch is; it falls about as
# one over the root of its size. Group norm gives the same each time.
#
# The backward passes differ accordingly. Before you run the next cell: `dout` is not zero for the first image alone.
# For which images is `dx` not zero?
# %%
batch = features[:6]
dout = np.zeros_like(batch)
dout[0] = rng.standard_normal(batch[0].shape)
_, cache = spatial_batchnorm_forward(batch, np.ones(C), np.zeros(C), {"mode": "train"})
dx_batch, _, _ = spatial_batchnorm_backward(dout, cache)
_, cache = spatial_groupnorm_forward(batch, np.ones((1, C, 1, 1)), np.zeros((1, C, 1, 1)), 4, {})
dx_group, _, _ = spatial_groupnorm_backward(dout, cache)
for title, dx in (("batch norm", dx_batch), ("group norm", dx_group)):
    print(f"{title}: mean |dx| of each image  {'  '.join(f'{size:.4f}' for size in np.abs(dx).mean(axis=(1, 2, 3)))}")
# %% [markdown]
# With batch norm a loss of the first image has gradients in all six, with group norm in the first alone.
#
# **Question 6.** Batch norm of images and batch norm of an affine layer both take mean and variance of a batch of N
# images. Which of the two copes better with N = 2, and why? Why is it still worse than with N = 64?
# %% [markdown] tags=["answer"]
# The one of images: its mean is over $2HW$ numbers, that of the affine layer over 2. The pixels of one image are alike,
# though; they count for much fewer independent samples than $HW$, so that more images still make better statistics.
# %% [markdown]
# **Question 7.** A network with batch norm runs on one image at a time when it is used. Which numbers does it need for
# this that group norm does not?
# %% [markdown] tags=["answer"]
# The running averages of mean and variance, one of each for each channel.
# %% [markdown]
# **Question 8.** Which of these can replace a convolution's bias: the `beta` of a batch norm directly behind it, that
# of a group norm with G = 1?
# %% [markdown] tags=["answer"]
# Batch norm takes the mean of each channel off, and any bias with it, so `beta` replaces it. Group norm with G = 1 takes
# one mean off for all channels: biases that differ from channel to channel stay in x_hat and change the deviation, so
# `beta` does not replace them exactly.
