"""Images and labels in memory, split into training, validation and test, with what is needed to normalize them."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = ["Dataset", "Split"]

_DTYPES = (np.uint8, np.float32, np.float64)
_CHUNK = 1000  # images whose integers or floats are widened at a time


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Images with their labels; checked when it is made.

    Parameters
    ----------
    images : (N, C, H, W) uint8, float32 or float64, finite; N >= 1
    labels : (N,) int64, at least 0
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.dtype not in _DTYPES:
            raise ValueError(f"images are {_described(images)}; expected (N, C, H, W) of uint8, float32 or float64")
        if labels.ndim != 1 or labels.dtype != np.int64:
            raise ValueError(f"labels are {_described(labels)}; expected (N,) of int64")
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images but {len(labels)} labels; each image needs one label")
        if images.size == 0:
            raise ValueError(f"images are {_described(images)}: empty; a split needs at least one image of at least one pixel")
        if labels.min() < 0:
            raise ValueError(f"label {labels.min()} at index {labels.argmin()}; labels are class numbers, counted from 0")
        for start in range(0, len(images), _CHUNK) if images.dtype != np.uint8 else ():
            finite = np.isfinite(images[start : start + _CHUNK])
            if not finite.all():
                index = np.argwhere(~finite)[0] + [start, 0, 0, 0]
                where = tuple(int(i) for i in index)
                raise ValueError(f"images[{', '.join(map(str, where))}] is {images[where]}; expected finite numbers")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self):,} images {self.images.shape[1:]} {self.images.dtype})"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A named data set: three splits of equally shaped images, and the statistics of the training split.

    Parameters
    ----------
    name : what runs and reports call it
    train, val, test : the splits
    classes : the name of each class; labels index it
    scale : the pixel value that stands for 1 (255 for uint8 photographs, 16 for the digits; default 1: floats are taken as they are)

    Attributes
    ----------
    mean, std : (C,) float32, mean and standard deviation (of the population) of each channel over the pixels of `train`, in units of
        `scale`. A channel that varies by less than float32 resolves (beside its mean, or at all) gets std 1: normalizing makes it 0.
    checksum : sha256 (hexadecimal) over name, scale, classes, and every split's images and labels
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    scale: float = 1.0
    mean: np.ndarray = field(init=False)
    std: np.ndarray = field(init=False)
    checksum: str = field(init=False)

    def __post_init__(self):
        if not self.scale > 0:
            raise ValueError(f"data set {self.name!r}: scale={self.scale}; it is the pixel value that stands for 1, above 0")
        for name in ("train", "val", "test"):
            split = self.split(name)
            if split.images.shape[1:] != self.image_shape or split.images.dtype != self.train.images.dtype:
                raise ValueError(
                    f"data set {self.name!r}: images of {name} are {_described(split.images)}, "
                    f"those of train {_described(self.train.images)}; all splits need one shape and dtype"
                )
            if split.labels.max() >= len(self.classes):
                index = int(split.labels.argmax())
                raise ValueError(
                    f"data set {self.name!r}: label {split.labels[index]} at index {index} of {name}, "
                    f"but there are {len(self.classes)} classes; labels are 0 to {len(self.classes) - 1}"
                )
        mean, std = _moments(self.train.images)
        set_field = object.__setattr__  # the class is frozen for everybody else
        set_field(self, "mean", (mean / self.scale).astype(np.float32))
        float32 = np.finfo(np.float32)
        varies = (std > float32.eps * np.abs(mean)) & (np.minimum(std, std / self.scale) > float32.tiny)  # below tiny, 1 / std overflows
        set_field(self, "std", np.where(varies, std / self.scale, 1.0).astype(np.float32))
        set_field(self, "checksum", self._checksum())

    @classmethod
    def from_arrays(
        cls,
        name: str,
        *,
        train: tuple[Any, Any],
        val: tuple[Any, Any],
        test: tuple[Any, Any],
        classes: tuple[str, ...] | None = None,
        scale: float | None = None,
    ) -> "Dataset":
        """Make a data set of your own arrays.

        Parameters
        ----------
        name : what runs and reports shall call it
        train, val, test : pairs (images, labels). Images are (N, C, H, W), or (N, H, W) in one channel, or (N, D) features without places,
            which become D channels of one pixel, so that each feature is normalized by its own mean and deviation. uint8 or float;
            float32, float64 and uint8 arrays are not copied. What looks like (N, H, W, C) is refused: 1, 3 or 4 on the last axis, more on
            the two before it (a `Split` made by hand takes it). Labels are (N,) integers.
        classes : names of the classes (default "0", "1", ... up to the largest label)
        scale : the value that stands for 1 (default 255 for uint8, 1 for floats)

        Raises
        ------
        ValueError, TypeError
            The message names the split, and says what is wrong with its arrays.
        """
        train_split, val_split, test_split = (_split(name, part, pair) for part, pair in (("train", train), ("val", val), ("test", test)))
        if classes is None:
            largest = max(split.labels.max() for split in (train_split, val_split, test_split))
            classes = tuple(str(label) for label in range(largest + 1))
        if scale is None:
            scale = 255.0 if train_split.images.dtype == np.uint8 else 1.0
        return cls(name, train_split, val_split, test_split, tuple(classes), scale)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return self.train.images.shape[1:]

    def split(self, name: Literal["train", "val", "test"] | str) -> Split:
        """The split of that name."""
        if name not in ("train", "val", "test"):
            raise ValueError(f"data set {self.name!r}: no split {name!r}; there are train, val and test")
        return getattr(self, name)

    def normalize(self, images: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
        """(images / scale - mean) / std for each channel.

        Parameters
        ----------
        images : (N, C, H, W), as the splits have them
        dtype : float32 or float64 of the result and the arithmetic (mean and std are float32 either way)

        Returns
        -------
        (N, C, H, W), C-contiguous, a new array
        """
        factor, offset = self.scaling(dtype)
        # two passes and no intermediate array; widens uint8 on the way
        out = np.multiply(images, factor[:, None, None], dtype=dtype, order="C")
        out -= offset[:, None, None]
        return out

    def scaling(self, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
        """What `normalize` multiplies by, and what it then takes off: (C,) each, of that dtype."""
        std = self.std.astype(np.float64)
        return (1.0 / (self.scale * std)).astype(dtype), (self.mean / std).astype(dtype)

    def _checksum(self) -> str:
        digest = hashlib.sha256(repr((self.name, float(self.scale), self.classes)).encode())
        for split in (self.train, self.val, self.test):
            for array in (split.images, split.labels):
                digest.update(repr((array.shape, array.dtype.str)).encode())
                for start in range(0, len(array), _CHUNK):  # copies at most a chunk, where the array is not contiguous
                    digest.update(np.ascontiguousarray(array[start : start + _CHUNK]).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, train={self.train}, val={self.val}, test={self.test}, {len(self.classes)} classes)"


def _split(name: str, part: str, pair: tuple[Any, Any]) -> Split:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        given = f"{len(pair)} items" if isinstance(pair, tuple | list) else type(pair).__name__
        raise TypeError(f"data set {name!r}, {part}: expected a pair (images, labels), got {given}; all of train, val and test are needed")
    try:
        images, labels = (np.asarray(array) for array in pair)
        if images.ndim == 4 and images.shape[3] in (1, 3, 4) and min(images.shape[1:3]) > images.shape[3]:
            raise ValueError(
                f"images are {_described(images)}, which looks like (N, H, W, C); expected (N, C, H, W): give images.transpose(0, 3, 1, 2)"
            )
        if images.ndim == 2:
            images = images[:, :, None, None]  # (N, D) -> (N, D, 1, 1)
        elif images.ndim == 3:
            images = images[:, None]  # (N, H, W) -> (N, 1, H, W)
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"labels are {_described(labels)}; expected integers, the numbers of the classes")
        return Split(images, labels.astype(np.int64, copy=False))
    except ValueError as error:
        raise ValueError(f"data set {name!r}, {part}: {error}") from None


def _moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, float64 (C,)."""
    n, channels, height, width = images.shape
    count = n * height * width
    chunks = [images[start : start + _CHUNK].reshape(-1, channels, height * width) for start in range(0, n, _CHUNK)]
    if images.dtype == np.uint8:
        # integers: exact whatever the order; 255**2 fits uint16, so that only the sums are wider than two bytes
        total, squares = np.zeros((2, channels), dtype=np.uint64)
        for chunk in chunks:
            total += chunk.sum(axis=(0, 2), dtype=np.uint64)
            squares += np.square(chunk, dtype=np.uint16).sum(axis=(0, 2), dtype=np.uint64)
        moments = [(int(t), int(s)) for t, s in zip(total, squares, strict=True)]
        mean = np.array([t / count for t, _ in moments])
        variance = np.array([(count * s - t * t) / count**2 for t, s in moments])  # in Python's integers: no cancellation
    else:
        mean, variance = np.zeros((2, channels))
        for chunk in chunks:
            mean += chunk.sum(axis=(0, 2), dtype=np.float64) / count
        for chunk in chunks:  # a second pass: no cancellation
            variance += np.square(chunk - mean[:, None]).sum(axis=(0, 2)) / count
    return mean, np.sqrt(variance)


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"
