"""Random changes of training images that keep their labels: flip, shifted crop, cutout."""

import numpy as np

__all__ = ["augment"]


def augment(images: np.ndarray, rng: np.random.Generator, *, flip: bool = True, pad: int = 4, cutout: int = 0) -> np.ndarray:
    """Flip, shift and partly blank each image, independently of the others.

    1. flip: left-right with probability 1/2;
    2. padded crop: `pad` zeros on each side, then a window of the old size at a random place among (2 pad + 1)^2 (He et al. 2016, 4.2);
    3. cutout: a square of zeros whose centre is uniform over the image, so that it may hang over the border (DeVries & Taylor 2017).

    Zero is meant as the mean pixel: augment *normalized* images, as `batches` does. (torchvision's usual order pads before it normalizes,
    and so with black.)

    Parameters
    ----------
    images : (N, C, H, W) of any dtype; not modified
    rng : source of all randomness
    flip : whether to flip (default True)
    pad : pixels, the greatest shift in each direction (default 4; 0 leaves the images in their place)
    cutout : pixels, the side of the square (default 0: none)

    Returns
    -------
    (N, C, H, W), a new array of the same dtype
    """
    if images.ndim != 4:
        raise ValueError(f"augment: images have the shape {images.shape}; expected (N, C, H, W)")
    if pad < 0 or cutout < 0:
        raise ValueError(f"augment: pad={pad}, cutout={cutout}; both are numbers of pixels, at least 0")
    n, channels, height, width = images.shape
    out = np.zeros((n, channels, height + 2 * pad, width + 2 * pad), dtype=images.dtype)
    out[:, :, pad : pad + height, pad : pad + width] = images
    if flip:
        flipped = rng.random(n) < 0.5
        out[flipped] = out[flipped, :, :, ::-1]  # the border is the same on both sides: flipping the padded image is flipping the image
    if pad:
        windows = np.lib.stride_tricks.sliding_window_view(out, (height, width), axis=(2, 3))  # (N, C, 2 pad + 1, 2 pad + 1, H, W)
        top, left = rng.integers(0, 2 * pad + 1, size=(2, n))
        out = windows[np.arange(n), :, top, left]  # (N, C, H, W), a copy
    if cutout:
        centre_y, centre_x = rng.integers(0, height, size=n), rng.integers(0, width, size=n)
        rows = _inside(np.arange(height), centre_y, cutout)  # (N, H)
        columns = _inside(np.arange(width), centre_x, cutout)  # (N, W)
        square = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
        np.copyto(out, 0, where=square)
    return out


def _inside(positions: np.ndarray, centres: np.ndarray, side: int) -> np.ndarray:
    """Whether each position lies in the interval of `side` pixels around each centre: (N, positions)."""
    first = centres[:, None] - side // 2
    return (positions >= first) & (positions < first + side)
