# %% [markdown]
# # Looking inside
#
# In training the image is given, and the gradient changes the weights. Turn it round: the weights stay, and the
# gradient says what the *image* would have to be. Three questions can be asked so:
#
# | question | method |
# | --- | --- |
# | Which pixels matter for this score? | saliency map: the size of the gradient |
# | What must change for another class? | fooling image: steps along the gradient, from a real image |
# | What does a class look like to the network? | class visualization: steps along the gradient, from noise |
#
# You write `compute_saliency_maps`, `make_fooling_image` and `class_visualization_update_step` in `looking_inside.py`.
#
# **Goals.** Take gradients with respect to an input; know what a saliency map does not say; see how little it takes to fool a network.

# %%
# %load_ext autoreload
# %autoreload 2
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from chainrule.lab.notebook import check

NETWORK = "digits"  # trained here in seconds; or "squeezenet1_1", trained on ImageNet, whose weights are fetched once (5 MB)
WEIGHTS = None  # where they cannot be fetched: the path of squeezenet1_1-b8a52dc0.pth, got by other means, for example "Downloads/..."

# %% [markdown]
# ## The network
#
# Either a small convolutional network that learns the digits now, or SqueezeNet, which tells 1,000 classes apart. The rest of the notebook
# needs only these names: `model`, its `classes`, images `X` (N, C, H, W) with labels `y`, and `picture`, which undoes the normalization.


# %%
def digits_network():
    from chainrule.data import batches, load

    data = load("digits")
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 16, 10)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    for epoch in range(8):
        for images, labels in batches(data, "train", 64, seed=0, epoch=epoch):
            loss = F.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    images, labels = next(batches(data, "val", 500, seed=None))
    with torch.no_grad():
        right = model(torch.from_numpy(images)).argmax(1) == torch.from_numpy(labels)
    print(f"validation {float(right.float().mean()):.1%}")
    rows = [int(np.flatnonzero((labels == label) & right.numpy())[0]) for label in range(6)]  # one of each, predicted rightly
    X, y = torch.from_numpy(images[rows]), torch.from_numpy(labels[rows])
    return model, data.classes, X, y, data.mean, data.std


def imagenet_network():
    from sklearn.datasets import load_sample_images

    from chainrule.visualization import load_network

    network = load_network("squeezenet1_1", engine="torch", weights=WEIGHTS)
    X = torch.cat([torch.from_numpy(network.prepare(image)) for image in load_sample_images().images])
    with torch.no_grad():
        y = network.module(X).argmax(1)  # what it takes them for
    classes = tuple(name.split(", ")[0] for name in network.classes)
    return network.module, classes, X, y, np.array(network.mean), np.array(network.std)


model, classes, X, y, mean, std = digits_network() if NETWORK == "digits" else imagenet_network()
for parameter in model.parameters():
    parameter.requires_grad_(False)  # no gradient of a weight is needed in this notebook


def picture(image):
    """(C, H, W), normalized -> (H, W, 3), or (H, W) for one channel, in [0, 1]."""
    values = np.asarray(image) * std.reshape(-1, 1, 1) + mean.reshape(-1, 1, 1)
    values = np.clip(values, 0, 1).transpose(1, 2, 0)
    return values[..., 0] if values.shape[2] == 1 else values


def show(images, titles, maps=(), size=1.9):
    """Images in a row, and below them maps, if there are any."""
    rows = 2 if len(maps) else 1
    _, axes = plt.subplots(rows, len(images), figsize=(size * len(images), size * rows), squeeze=False)
    for column, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes[0, column].imshow(picture(image), cmap="gray")
        axes[0, column].set_title(title, fontsize=10)
        if len(maps):
            axes[1, column].imshow(np.asarray(maps[column]), cmap="hot")
    for axis in axes.flat:
        axis.axis("off")
    plt.tight_layout()
    plt.show()


show(X, [classes[label] for label in y])

# %% [markdown]
# ## Saliency maps
#
# How much does the score $s_y$ of the right class change when a pixel does? To first order by the gradient, and per pixel there are as many
# as channels (Simonyan et al. 2014):
# $$M_{ij} = \max_c \left| \frac{\partial s_y}{\partial X_{cij}} \right|$$
# All images of a batch can be done at once: an image's score depends on that image alone, so the gradient of the *sum*
# of their scores has each one's own gradient in its place.

# %%
check("compute_saliency_maps")

# %%
from looking_inside import compute_saliency_maps

maps = compute_saliency_maps(X, y, model)
show(X, [classes[label] for label in y], maps)

# %% [markdown]
# Bright pixels are those where a small change moves the score most. They need not be where the stroke is: for a digit,
# ink that is *not* there says as much as ink that is.
#
# The next cell tests what a map promises. It moves each image along the gradient's sign in its most salient tenth of pixels, and then in
# as many chosen by chance. Before you run it: which changes the score more?

# %%
rng = np.random.default_rng(0)


def change_of_score(image, label, chosen, step=0.1):
    image = image[None].clone().requires_grad_()
    score = model(image)[0, label]
    (gradient,) = torch.autograd.grad(score, image)
    with torch.no_grad():
        return float(model(image + step * gradient.sign() * chosen)[0, label] - score)


for index in range(len(X)):
    count = maps[index].numel() // 10
    salient = torch.zeros(maps[index].numel())
    salient[maps[index].flatten().argsort(descending=True)[:count]] = 1
    random = torch.zeros_like(salient)
    random[rng.permutation(len(random))[:count]] = 1
    shape = maps[index].shape
    most, chance = (change_of_score(X[index], int(y[index]), chosen.reshape(shape)) for chosen in (salient, random))
    print(f"{classes[y[index]]:<12} salient pixels {most:+.2f}   as many others {chance:+.2f}")

# %% [markdown]
# **Question 1.** The gradient of the score is taken, not that of the probability after softmax, nor that of the loss.
# What would a map of the loss show for an image that the network is sure about?

# %% [markdown] tags=["answer"]
# **Answer.** The gradient of the loss with respect to the scores is $p - \text{onehot}(y)$, which is near 0 where the
# network is sure: the map would be nearly black, and what is left in it would be rounding and the class that comes
# second. The probability has the same factor $p_y (1 - p_y)$. The score itself does not saturate. Moreover the
# probability also rises when other scores fall, so its map mixes the evidence for $y$ with that against others.

# %% [markdown]
# **Question 2.** A pixel has a gradient of 0. Does it follow that the network does not look at it?

# %% [markdown] tags=["answer"]
# **Answer.** No. The gradient speaks of small changes at this image. Where a relu is closed, or another pixel wins in a
# max pool, a small change has no effect, a large one may: if two pixels hold the same evidence and the maximum is
# taken, one has the whole gradient, the other none.

# %% [markdown]
# ## Fooling images
#
# Now follow the gradient: from a real image, in steps of length 1, uphill in the score of a *wrong* class $t$,
# $$X \leftarrow X + \frac{g}{\lVert g \rVert}, \qquad g = \frac{\partial s_t}{\partial X}$$
# until the network predicts $t$. The image itself stays as it is: work on a copy.

# %%
check("make_fooling_image")

# %%
from looking_inside import make_fooling_image

TARGET = 8 if NETWORK == "digits" else 113  # snail
index = 1
fooling = make_fooling_image(X[index : index + 1], TARGET, model)
difference = fooling - X[index : index + 1]
with torch.no_grad():
    predicted = int(model(fooling).argmax())
    probability = float(model(fooling).softmax(1)[0, predicted])
assert predicted == TARGET, "the network is not fooled"
names = [classes[y[index]], f"{classes[predicted]} ({probability:.0%})", "difference", "difference, 10 times"]
show([X[index], fooling[0], difference[0], 10 * difference[0]], names, size=2.4)
print(f"length of the difference {float(difference.norm()):.2f}, of the image {float(X[index].norm()):.2f}")

# %% [markdown]
# On ImageNet nobody sees the change: it is spread over 150,000 numbers. A digit of 8 x 8 has 64, so the change is
# easier to see; still it is not the stroke of another digit.
#
# How far is it from each of the digits to each class? The picture shows the length of the difference.

# %%
if NETWORK == "digits":
    lengths = np.zeros((len(X), 10))
    for row in range(len(X)):
        for target in range(10):
            lengths[row, target] = float((make_fooling_image(X[row : row + 1], target, model) - X[row : row + 1]).norm())
    plt.imshow(lengths, cmap="viridis")
    plt.colorbar(label="length of the difference")
    plt.xticks(range(10), classes)
    plt.yticks(range(len(X)), [classes[label] for label in y])
    plt.xlabel("made into")
    plt.ylabel("digit")
    plt.show()

# %% [markdown]
# **Question 3.** What is on the diagonal, and why? Which pairs are close to one another, and does the matrix look symmetric?

# %% [markdown] tags=["answer"]
# **Answer.** 0: the target is predicted already, so no step is taken. Close pairs differ by little ink, often in one
# place. It is not symmetric: the way from a 1 to an 8 leads through ink that has to be added, the way back through ink
# that has to go, and each begins at one particular image.

# %% [markdown]
# **Question 4.** Does the same image fool another network, trained from another seed? How would you find out, and what
# would it mean for a defence that keeps its weights secret?

# %% [markdown] tags=["answer"]
# **Answer.** Train a second network with another seed and give it the fooling images. Usually a good part of them fools
# it as well, and more if the steps go on for a while after the first network is fooled: both have learned much the same
# from the same images. Secret weights are then no defence: train one's own network, fool that one, and use the images.

# %% [markdown]
# ## Class visualization
#
# From noise, uphill in the score of a class, with a penalty on large pixels:
# $$I^* = \arg\max_I \; s_t(I) - \lambda \lVert I \rVert^2$$
# One step goes along the gradient $g$ of both terms, divided by its norm: $I \leftarrow I + \alpha\, g / \lVert g \rVert$, in place.

# %%
check("class_visualization_update_step")

# %% [markdown]
# Gradient ascent alone ends in high frequencies. Two more things keep the image smooth: it is moved by a few pixels
# before each step and back after it (*jitter*), and blurred now and then. And its values are kept in the range of real
# images.

# %%
from looking_inside import class_visualization_update_step

from chainrule.compat.cs231n.net_visualization_pytorch import blur_image, jitter

lowest, highest = (torch.tensor((value - mean) / std, dtype=torch.float32).view(1, -1, 1, 1) for value in (0.0, 1.0))


def visualize(target, steps, l2_reg, learning_rate, blur_every, largest_shift, smooth=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    img = (0.3 * torch.randn(1, *X.shape[1:], generator=generator)).requires_grad_()
    for step in range(steps):
        ox, oy = torch.randint(-largest_shift, largest_shift + 1, (2,), generator=generator).tolist() if smooth else (0, 0)
        img.data = jitter(img.data, ox, oy)
        class_visualization_update_step(img, model, target, l2_reg, learning_rate)
        img.data = jitter(img.data, -ox, -oy)
        img.data = torch.maximum(torch.minimum(img.data, highest), lowest)
        if smooth and step % blur_every == 0 and step < steps - 1:
            blur_image(img.data, sigma=0.5)
    return img.detach()[0]


if NETWORK == "digits":
    TARGETS = range(10)
    settings = {"steps": 100, "l2_reg": 1e-2, "learning_rate": 0.5, "blur_every": 5, "largest_shift": 1}
else:
    TARGETS = (76, 78, 187, 683)  # tarantula, tick, Yorkshire terrier, oboe
    settings = {"steps": 100, "l2_reg": 1e-3, "learning_rate": 25.0, "blur_every": 10, "largest_shift": 16}

found = [visualize(target, **settings) for target in TARGETS]
show(found, [classes[target] for target in TARGETS], size=1.2 if NETWORK == "digits" else 2.6)

# %% [markdown]
# And without jitter and blur:

# %%
rough = [visualize(target, **settings, smooth=False) for target in TARGETS]
show(rough, [classes[target] for target in TARGETS], size=1.2 if NETWORK == "digits" else 2.6)
with torch.no_grad():
    for name, images in (("smooth", found), ("rough", rough)):
        scores = model(torch.stack(images))[range(len(images)), list(TARGETS)]
        print(f"{name:<7} mean score of the class {float(scores.mean()):6.1f}")

# %% [markdown]
# The rough images have far higher scores, and are noisier: on ImageNet a class is hard to find in them. What the
# network answers to and what we see are two things.
#
# **Question 5.** What does the penalty do? Try `l2_reg` 0 and 1, and say what becomes of the pixels at the border of a digit.

# %% [markdown] tags=["answer"]
# **Answer.** It pulls every pixel to 0, the mean of the training images, so that only pixels stay away from it that pay
# for it in score. With 0 the background fills with whatever raises the score a little, up to the limits of the range;
# with 1 the penalty is stronger than the score, and the image fades to grey. At the border digits of this data set have
# hardly any ink, so the weights there were hardly trained: without a penalty the border is noise.
