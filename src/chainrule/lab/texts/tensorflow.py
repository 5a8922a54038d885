# %% [markdown]
# # TensorFlow
#
# So far every backward pass was written by hand. TensorFlow writes them: a tape records what is computed with tensors, and goes back along
# that record. In this lab, which takes the place of the lab *pytorch*, you write the same two networks three times,
#
# | level | you write | TensorFlow does |
# | --- | --- | --- |
# | 1 tensors | the forward pass, the parameters, the update | the gradients |
# | 2 modules | the forward pass | the gradients, the list of parameters, the update |
# | 3 sequential | a list of layers | the rest |
#
# and then train a network of your own until it reaches a target. The functions belong into `tf_level1_tensors.py`,
# `tf_level2_modules.py` and `tf_level3_sequential.py`.
#
# **Goals.** Know what a tape records and what it does not; know who makes the parameters of a Keras layer, and when; choose the level that
# a task asks for.

# %%
# %load_ext autoreload
# %autoreload 2
import os
import time

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")  # read when TensorFlow is imported: no messages, one way to round

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow import keras

from chainrule.data import batches, load
from chainrule.lab.notebook import check

DATA = "digits"  # or "cifar10", (some 3 minutes), once `chainrule data get cifar10` has fetched it
data = load(DATA, limit=None if DATA == "digits" else 5000)
CHANNELS, SIDE, _ = data.train.images.shape[1:]
IMAGE = (SIDE, SIDE, CHANNELS)
keras.utils.set_random_seed(0)
print(f"{data.name}: {len(data.train):,} images for training, {len(data.val):,} for validation, each {IMAGE} here")


# %% [markdown]
# TensorFlow's images are (N, H, W, C): the channels come last, where chainrule and PyTorch have (N, C, H, W). `epoch_of(number)` gives the
# batches of an epoch in that order, and `accuracy(network)` the share of validation images that a function `x -> scores` gets right.


# %%
def tensors_of(split, batch_size, seed=None, epoch=0):
    for images, labels in batches(data, split, batch_size, seed=seed, epoch=epoch):
        yield tf.constant(images.transpose(0, 2, 3, 1)), tf.constant(labels)


def epoch_of(number, batch_size=64):
    return tensors_of("train", batch_size, seed=0, epoch=number)


def accuracy(network, split="val"):
    return float(np.mean(np.concatenate([np.argmax(network(x), axis=1) == y.numpy() for x, y in tensors_of(split, 500)])))


# %% [markdown]
# ## The tape
#
# Inside of `with tf.GradientTape() as tape:` what is computed from a `tf.Variable` is recorded. For
# $$f(w) = \sum_i w_i^2$$
# the gradient is $\partial f / \partial w_i = 2 w_i$. Before you run the cell: which of the three gradients will be `None`?

# %%
w = tf.Variable([1.0, -2.0, 3.0])
with tf.GradientTape(persistent=True) as tape:
    f = tf.reduce_sum(w**2)
    through_numpy = tf.reduce_sum(tf.constant(w.numpy() ** 2))
outside = tf.reduce_sum(w**2)
for name, value in (("in the tape", f), ("through NumPy", through_numpy), ("outside", outside)):
    print(f"{name:<14} value {float(value):.0f}   gradient {tape.gradient(value, w)}")

# %% [markdown]
# All three have the value 14, and one has a gradient. The tape sees functions of TensorFlow, called while it runs; NumPy it does not see.
# A gradient that is `None` is the usual sign that the forward pass left the tape.
#
# A tensor never changes. What learns is a variable: `w.assign_sub(change)` changes it in place.
#
# **Question 1.** What does `w = w - learning_rate * dw` do to a variable `w`, and what does the next step of training do then?

# %% [markdown] tags=["answer"]
# **Answer.** It leaves the variable as it is and gives its name to a new tensor. In a loop over a list of parameters the list still holds
# the old variable, so nothing is learned, and nothing says so. If the name itself is used in the next step, the tape does not watch it,
# because it is no variable, and its gradient is `None`.

# %% [markdown]
# ## Level 1: tensors
#
# Write `two_layer_fc` and `three_layer_convnet` in `tf_level1_tensors.py`. No backward pass is needed:
# $$\text{scores} = \max(0,\, x W_1)\, W_2$$
# `x` may be a batch of images: `tf.reshape(x, (len(x), -1))` makes rows of them. `tf.nn.conv2d` adds no bias, and its padding is a word.

# %%
check("two_layer_fc", "three_layer_convnet")

# %% [markdown]
# Level 3 has functions of the same names, so the check tells of those, too: "not written" for now.
#
# Then the weights. A layer with $n$ inputs to each output keeps the variance of its values, behind a relu, if the weights have variance
# $2 / n$ (He et al. 2015). For an affine layer $n = D$. A filter of a convolution is (KH, KW, C, F) here, and $n = K_H \cdot K_W \cdot C$.

# %%
check("random_weight", "zero_weight", "sgd_step")

# %% [markdown]
# Does the variance stay? Ten layers of 200 values, with weights of three widths. The middle one is yours.

# %%
from tf_level1_tensors import random_weight

generator = tf.random.Generator.from_seed(0)
x = generator.normal((500, 200))
for name, factor in (("half as wide", 0.5), ("random_weight", 1.0), ("twice as wide", 2.0)):
    hidden, sizes = x, []
    for _ in range(10):
        hidden = tf.nn.relu(hidden @ (factor * random_weight((200, 200), generator)))
        sizes.append(float(tf.math.reduce_std(hidden)))
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
from tf_level1_tensors import sgd_step, three_layer_convnet, two_layer_fc, zero_weight

generator = tf.random.Generator.from_seed(1)
FILTERS = (16, 8)
params = [
    random_weight((5, 5, CHANNELS, FILTERS[0]), generator),
    zero_weight((FILTERS[0],)),
    random_weight((3, 3, FILTERS[0], FILTERS[1]), generator),
    zero_weight((FILTERS[1],)),
    random_weight((SIDE * SIDE * FILTERS[1], 10), generator),
    zero_weight((10,)),
]
EPOCHS = 6
for epoch in range(EPOCHS):
    losses = [sgd_step(three_layer_convnet, params, x, y, 0.02) for x, y in epoch_of(epoch)]
    print(f"epoch {epoch + 1}/{EPOCHS}   loss {np.mean(losses):.3f}   validation {accuracy(lambda x: three_layer_convnet(x, params)):6.1%}")

# %% [markdown]
# ## Level 2: modules
#
# A list of six variables is still easy to pass around; one of sixty is not. A `keras.Model` finds its parameters itself: it keeps account
# of every layer that is assigned to an attribute, and `trainable_variables` lists what they learn. A Keras layer asks how much it gives,
# not how much it takes: its parameters are made when the first batch comes. Write `TwoLayerFC`, `ThreeLayerConvNet` and `train_step` in
# `tf_level2_modules.py`.

# %%
check("TwoLayerFC", "ThreeLayerConvNet", "train_step")

# %% [markdown]
# The three parts of `train_step`, and what each of them changes:
#
# | part | changes |
# | --- | --- |
# | the loss, inside of the tape | nothing; it is recorded |
# | `tape.gradient(loss, variables)` | nothing; the gradients are what it gives back |
# | `optimizer.apply_gradients(...)` | the variables, and the optimizer's own state |
#
# No gradient is kept in a variable, so there is none to set to zero. The next cell trains the same network with three optimizers, from the
# same weights.

# %%
from tf_level2_modules import ThreeLayerConvNet, TwoLayerFC, train_step


def trained(network, optimizer, epochs):
    """The mean loss and the validation accuracy of each epoch."""
    curve = []
    for epoch in range(epochs):
        losses = [train_step(network, optimizer, x, y) for x, y in epoch_of(epoch)]
        curve.append((np.mean(losses), accuracy(network)))
    return np.array(curve)


RULES = {
    "SGD": lambda: keras.optimizers.SGD(0.02),
    "SGD, momentum 0.9": lambda: keras.optimizers.SGD(0.02, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(2e-3),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5))
for name, rule in RULES.items():
    keras.utils.set_random_seed(2)
    curve = trained(ThreeLayerConvNet(*FILTERS, 10), rule(), EPOCHS)
    left.plot(range(1, EPOCHS + 1), curve[:, 0], marker="o", label=name)
    right.plot(range(1, EPOCHS + 1), curve[:, 1], marker="o", label=name)
left.set(xlabel="epoch", ylabel="training loss", yscale="log")
right.set(xlabel="epoch", ylabel="validation accuracy")
right.legend()
plt.show()

# %% [markdown]
# Momentum and Adam need fewer epochs than plain SGD here.
#
# **Question 2.** What happens if a `keras.Model` keeps its weights as `self.w1 = tf.Variable(...)`? Say what `trainable_variables` gives,
# and what training does.

# %% [markdown] tags=["answer"]
# **Answer.** Keras keeps account of its own variables: those of layers, and those that `self.add_weight(...)` makes. A bare `tf.Variable`
# is not among them, so `trainable_variables` does not list it, no optimizer changes it, and `save_weights` does not save it. The scores
# are computed all the same.

# %% [markdown]
# **Question 3.** `keras.losses.SparseCategoricalCrossentropy()` without further arguments takes probabilities. What does training do if it
# is given the scores?

# %% [markdown] tags=["answer"]
# **Answer.** It cuts what it is given off near 0 and 1, divides each row by its sum, and takes the logarithm. Scores, which may be negative
# and as large as they like, are no probabilities: where one is below 0 or above 1 it is cut off, and no gradient comes through. The loss
# begins far from $\ln 10$ and learning is poor, or stands still. `from_logits=True` says that they are scores; softmax and the logarithm
# are then computed together, which is also the way that does not overflow.

# %% [markdown]
# ## Level 3: sequential
#
# Where data go straight through, a list of layers is the whole network. Write both networks once more, in `tf_level3_sequential.py`.

# %%
check("two_layer_fc", "three_layer_convnet")

# %% [markdown]
# The three levels are one network. The next cell gives them the same weights and looks at the scores.

# %%
import tf_level3_sequential

D, HIDDEN = SIDE * SIDE * CHANNELS, 50
generator = tf.random.Generator.from_seed(3)
weights = [random_weight((D, HIDDEN), generator), random_weight((HIDDEN, 10), generator)]
networks = [TwoLayerFC(HIDDEN, 10), tf_level3_sequential.two_layer_fc(HIDDEN, 10, IMAGE)]
x, y = next(epoch_of(0))
expected = two_layer_fc(x, weights)
for name, network in zip(("modules", "sequential"), networks, strict=True):
    network(x)  # makes the parameters
    for variable, weight in zip(network.trainable_variables, weights, strict=True):
        variable.assign(weight)
    print(f"{name:<12} largest difference to level 1: {float(tf.reduce_max(abs(network(x) - expected))):.1e}")

# %% [markdown]
# Differences of about 1e-6 are rounding: float32 sums in another order.
#
# **Question 4.** A network was trained on images (N, C, H, W) in PyTorch. Which of its weights have to be rearranged for TensorFlow's
# (N, H, W, C), and how?

# %% [markdown] tags=["answer"]
# **Answer.** Filters (F, C, KH, KW) become (KH, KW, C, F). The matrix of every affine layer is transposed from (out, in) to (in, out), and
# in the first one behind a flattened image the rows are put into another order besides, for the pixels are flattened with their channels
# last: (C, H, W) becomes (H, W, C). Biases stay as they are. `chainrule.tensorflow.to_tensorflow` does it.

# %% [markdown]
# ## A network of your own
#
# The target: **97.5 %** validation accuracy on the digits, or **60 %** on the 5,000 images of CIFAR-10. Below is a
# beginning that misses it. Change it until it does not: filters and kernel sizes, batch norm, pooling, depth, the
# optimizer, its learning rate and a schedule, dropout, weight decay. Change one thing at a time, and write down what it
# did. Judge by the validation images; the test images are looked at once, at the end.
#
# Keras owns the loop here: `compile` says how to learn, `fit` does it, and turns dropout and batch norm to their training mode while it
# does. It also traces the step once and then runs it as a graph, which is why it is faster than `train_step`.

# %%
TARGET = 0.975 if DATA == "digits" else 0.60
OWN_EPOCHS = 8


def own_network():
    return tf_level3_sequential.two_layer_fc(20, 10, IMAGE)


def own_optimizer():
    return keras.optimizers.SGD(0.02)


# %% tags=["answer"]
def own_network():
    def block(filters):
        convolution = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")
        return convolution, keras.layers.BatchNormalization(momentum=0.9), keras.layers.ReLU()

    return keras.Sequential(
        [
            keras.Input(IMAGE),
            *block(32),
            *block(32),
            keras.layers.MaxPooling2D(2),
            *block(64),
            keras.layers.MaxPooling2D(2),
            *block(128),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, kernel_initializer="zeros"),
        ]
    )


def own_optimizer():
    steps = OWN_EPOCHS * -(-len(data.train) // 64)
    return keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(2e-3, steps), weight_decay=1e-2)


# %%
keras.utils.set_random_seed(4)
network = own_network()
network.compile(own_optimizer(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
images, labels = (np.concatenate(arrays) for arrays in zip(*(map(np.asarray, pair) for pair in tensors_of("train", 500)), strict=True))
held_out = tuple(np.concatenate(arrays) for arrays in zip(*(map(np.asarray, pair) for pair in tensors_of("val", 500)), strict=True))
start = time.perf_counter()
curve = network.fit(images, labels, batch_size=64, epochs=OWN_EPOCHS, validation_data=held_out, verbose=0).history["val_accuracy"]
seconds, best = time.perf_counter() - start, accuracy(network)
print(f"{network.count_params():,} parameters, {OWN_EPOCHS} epochs in {seconds:.1f} s")
print(f"validation {best:.1%}, target {TARGET:.1%}: {'reached' if best >= TARGET else 'not reached yet'}")
plt.plot(range(1, OWN_EPOCHS + 1), curve, marker="o")
plt.axhline(TARGET, color="grey", linestyle="--")
plt.xlabel("epoch")
plt.ylabel("validation accuracy")
plt.show()

# %% [markdown]
# When the target is reached, and not before:

# %%
if best >= TARGET:
    print(f"test {accuracy(network, 'test'):.1%}")

# %% [markdown]
# **Question 5.** What did you change, in which order, and what did each change do to training loss and validation accuracy?

# %% [markdown] tags=["answer"]
# **Answer** (one of many). The beginning has 20 hidden values and stays below the target. Convolutions with pooling
# bring most of the gain: a stroke is the same stroke one pixel to the right. Batch norm makes the loss fall faster, so
# that 8 epochs are enough; its running mean has to follow within them, which Keras' default momentum of 0.99 does not do in so few steps.
# Adam does not need a search for the learning rate here; lowering it to the end along a cosine keeps the last epochs steady. Scores that
# begin at 0 begin with the loss of guessing, log 10; Keras' own weights of the last layer begin above it. Dropout and weight decay cost a
# little training loss, and are what makes the difference on 5,000 images, which such a network could learn by heart.
