"""Images made by following the gradient of the image: fooling images, class visualization, feature inversion.

Each has a generator that yields every step, for whoever wants to watch, and a function that takes the last. x is (1, C, H, W), normalized
as the network takes it; `low` and `high`, numbers or broadcast to x, are what black and white are there.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from chainrule.functional import adam, softmax_loss
from chainrule.visualization.attribution import one_hot
from chainrule.visualization.probes import probe

__all__ = [
    "Fooling",
    "class_visualization",
    "class_visualization_steps",
    "feature_inversion",
    "feature_inversion_steps",
    "fooling_steps",
    "make_fooling_image",
]

Bound = float | np.ndarray


@dataclass(frozen=True)
class Fooling:
    """An image that is to be taken for another class.

    Attributes
    ----------
    x : (1, C, H, W)
    scores : (1, classes), of x
    before : (1, classes), of the image that it was made from
    steps : how many steps it took so far
    fooled : whether the target has the greatest score
    """

    x: np.ndarray
    scores: np.ndarray
    before: np.ndarray
    steps: int
    fooled: bool


def make_fooling_image(
    module,
    x,
    target: int,
    *,
    learning_rate: float = 1.0,
    steps: int = 100,
    low: Bound = -np.inf,
    high: Bound = np.inf,
    stored: Callable | None = None,
) -> Fooling:
    """An image close to x that the network takes for `target`: x += learning_rate * g / |g| with g = d log p(target) / d x.

    After Szegedy et al. 2014, "Intriguing properties of neural networks", section 4.1; the normalized step is CS231n's (assignment 3,
    2017). CS231n follows the score instead of the logarithm of its softmax p, which takes two to four times as many steps: the scores of
    the other classes rise with it.

    Parameters
    ----------
    module : network of chainrule.nn or torch.nn
    x : (1, C, H, W), normalized
    target : class
    learning_rate : length of a step, in units of x
    steps : after so many it gives up; the result says whether it succeeded
    low, high : values that the image stays between (default: it may leave what a picture can show)
    stored : x as it comes back from a file of 8-bit pixels; with it, the result is such an image and fools as one (default: x itself)
    """
    *_, last = fooling_steps(module, x, target, learning_rate=learning_rate, steps=steps, low=low, high=high, stored=stored)
    return last


def fooling_steps(
    module,
    x,
    target: int,
    *,
    learning_rate: float = 1.0,
    steps: int = 100,
    low: Bound = -np.inf,
    high: Bound = np.inf,
    stored: Callable | None = None,
) -> Iterator[Fooling]:
    """The image as it forms, from x itself (`steps` 0) to the one that `make_fooling_image` returns."""
    _check_steps("make_fooling_image", steps, learning_rate)
    x = _one_image("make_fooling_image", x)
    looked, before = probe(module), None

    def towards_target(scores):
        return -softmax_loss(scores, np.array([target]))[1]

    for step in range(steps + 1):
        seen = x if stored is None or not step else stored(x)
        scores, dx = looked.gradient(seen, towards_target)
        before = scores if before is None else before
        fooled = int(scores.argmax()) == target
        yield Fooling(seen, scores, before, step, fooled)
        if fooled:
            return
        x = np.clip(x + learning_rate * _direction(dx), low, high)


def class_visualization(module, target: int, **how):
    """An image that the network finds most like a class; arguments as in `class_visualization_steps`.

    Returns
    -------
    (1, C, H, W)
    """
    *_, (x, _) = class_visualization_steps(module, target, **how)
    return x


def class_visualization_steps(
    module,
    target: int,
    *,
    shape: tuple[int, int, int],
    steps: int = 200,
    learning_rate: float = 0.13,
    l2_reg: float = 1e-3,
    max_jitter: int | None = None,
    blur_every: int = 2,
    blur: float = 0.6,
    low: Bound = -np.inf,
    high: Bound = np.inf,
    rng,
) -> Iterator[tuple[np.ndarray, float]]:
    """Gradient ascent from noise on score(x) - l2_reg * |x|^2 (Simonyan et al. 2014, eq. 1), as (image, score) of every step.

    Before each step the image is moved by some pixels, and back afterwards; now and then it is blurred (Yosinski et al. 2015, section 3):
    both keep patterns away that no photograph has.

    Parameters
    ----------
    module : network of chainrule.nn or torch.nn
    target : class
    shape : (C, H, W) of the image
    learning_rate : root mean square of a step, in units of x
    l2_reg : weight of |x|^2
    max_jitter : the image is moved by less than so many pixels (default: a fourteenth of its shorter side, 16 of 224)
    blur_every, blur : after so many steps it is blurred by a Gaussian of this standard deviation, in pixels
    rng : numpy.random.Generator
    """
    from scipy.ndimage import gaussian_filter  # takes a tenth of a second

    _check_steps("class_visualization", steps, learning_rate)
    looked = probe(module)
    if max_jitter is None:
        max_jitter = min(shape[1:]) // 14
    x = np.clip(rng.standard_normal((1, *shape), np.float32), low, high)
    for step in range(steps):
        shift = rng.integers(0, max_jitter, 2) if max_jitter > 0 else (0, 0)
        moved = np.roll(x, shift, axis=(2, 3))
        scores, dx = looked.gradient(moved, lambda scores: one_hot(scores, [target]))
        moved = moved + learning_rate * math.sqrt(x.size) * _direction(dx - 2 * l2_reg * moved)
        x = np.clip(np.roll(moved, (-shift[0], -shift[1]), axis=(2, 3)), low, high)
        if blur_every and step % blur_every == 0:
            x = gaussian_filter(x, (0, 0, blur, blur))
        yield x, float(scores[0, target])


def feature_inversion(module, x, layer: str, **how):
    """An image whose features at a layer are those of x; arguments as in `feature_inversion_steps`.

    Returns
    -------
    (1, C, H, W)
    """
    *_, (inverted, _) = feature_inversion_steps(module, x, layer, **how)
    return inverted


def feature_inversion_steps(
    module,
    x,
    layer: str,
    *,
    steps: int = 200,
    learning_rate: float = 0.1,
    tv_weight: float = 1e-3,
    low: Bound = -np.inf,
    high: Bound = np.inf,
    rng,
) -> Iterator[tuple[np.ndarray, float]]:
    """Adam on |f(image) - f(x)|^2 / |f(x)|^2 + tv_weight * mean total variation, from noise, as (image, first term) of every step.

    Mahendran & Vedaldi 2015, eq. 1 to 4: what a layer still knows about an image. f are the outputs of `layer`.

    Parameters
    ----------
    module : network of chainrule.nn or torch.nn
    x : (1, C, H, W), normalized
    layer : name of a module; nothing behind it is computed
    learning_rate : of Adam
    tv_weight : weight of the mean over pixels of the squared differences between neighbours, which prefers smooth images
    rng : numpy.random.Generator
    """
    _check_steps("feature_inversion", steps, learning_rate)
    x = _one_image("feature_inversion", x)
    looked = probe(module)
    wanted, _ = looked.gradient_from(x, layer, np.zeros_like)
    size = float(np.sum(wanted.astype(np.float64) ** 2)) or 1.0
    image = np.clip(0.1 * rng.standard_normal(x.shape, np.float32), low, high).astype(x.dtype)
    config = {"learning_rate": learning_rate}
    for _ in range(steps):
        out, dx = looked.gradient_from(image, layer, lambda out: 2 / size * (out - wanted))
        distance = float(np.sum((out.astype(np.float64) - wanted) ** 2)) / size
        image, config = adam(image, dx + tv_weight * _total_variation_gradient(image), config)
        image = np.clip(image, low, high).astype(x.dtype)
        yield image, distance


def _total_variation_gradient(x):
    """d/dx of the sum over neighbours, above and beside one another, of their squared difference, divided by the number of pixels."""
    gradient = np.zeros_like(x)
    for axis in (2, 3):
        difference = 2 * np.diff(x, axis=axis)
        ahead, behind = [slice(None)] * 4, [slice(None)] * 4
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        gradient[tuple(ahead)] += difference
        gradient[tuple(behind)] -= difference
    return gradient / (x.shape[2] * x.shape[3])


def _direction(gradient):
    """The gradient divided by its norm; zeros stay zeros."""
    norm = np.linalg.norm(gradient)
    return gradient / norm if norm else gradient


def _one_image(function, x):
    """x as floating point numbers; refused unless it is one image."""
    x = np.asarray(x)
    if x.ndim != 4 or len(x) != 1:
        raise ValueError(f"{function}: x has shape {x.shape}; expected one image, (1, C, H, W)")
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def _check_steps(function, steps, learning_rate):
    if steps < 1:
        raise ValueError(f"{function}: steps is {steps}; it must be at least 1")
    if not learning_rate > 0:
        raise ValueError(f"{function}: learning_rate is {learning_rate}; it must be greater than 0")
