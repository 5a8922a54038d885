"""Batches of a dataset that lies on the device as it is stored, normalized and changed there: only the choices cross the bus."""

import numpy as np
import torch
from torch.nn.functional import pad

from chainrule.data import Augmentation
from chainrule.data.batching import choices

__all__ = ["DeviceBatches", "view"]


class DeviceBatches:
    """A split on a device.

    Parameters
    ----------
    data : Dataset, which says how to normalize
    split : one of its splits
    device : torch.device
    dtype : of the images that come out, "float32" or "float64"
    """

    def __init__(self, data, split, device, dtype):
        self.data, self.split, self.device, self.dtype = data, split, device, dtype
        self._images, self._labels = (torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in (split.images, split.labels))
        self._factor, self._offset = (torch.from_numpy(array[:, None, None]).to(device) for array in data.scaling(dtype))

    def batches(self, batch_size, *, augment=None, **how):
        """(images, labels) of one epoch, on the device: those of `chainrule.data.batches`, to rounding."""
        rank, size = how.get("share", (0, 1))
        for choice in choices(self.data, self.split, batch_size, augment=augment, **how):
            if augment is None or isinstance(augment, Augmentation):
                rows, *changes = self._there(np.stack([choice.rows, *(choice.changes or ())]))  # in one piece
                images = self._images[rows] * self._factor - self._offset
                if changes:
                    images = self._changed(images, augment, changes)
            else:
                images = augment(self.data.normalize(self.split.images[choice.all_rows], self.dtype), choice.rng)[rank::size]
                images, rows = self._there(images), self._there(choice.rows)
            yield images, self._labels[rows]

    def _changed(self, images, augmentation, changes):
        """As `Augmentation.apply`."""
        n, channels, height, width = images.shape
        flipped, top, left, centre_y, centre_x = changes
        images = torch.where(flipped[:, None, None, None] != 0, images.flip(3), images)
        if augmentation.pad:
            border = "reflect" if augmentation.border == "reflect" else "constant"
            around = pad(images, [augmentation.pad] * 4, mode=border)
            rows = top[:, None] + torch.arange(height, device=self.device)
            columns = left[:, None] + torch.arange(width, device=self.device)
            image, channel = (torch.arange(count, device=self.device) for count in (n, channels))
            images = around[image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]
        if augmentation.cutout:
            inside = [self._inside(size, centre, augmentation.cutout) for size, centre in ((height, centre_y), (width, centre_x))]
            images = images.masked_fill(inside[0][:, None, :, None] & inside[1][:, None, None, :], 0)
        return images

    def _inside(self, size, centres, side):
        """Whether each position lies in the interval of `side` pixels around each centre: (N, positions)."""
        first = centres[:, None] - side // 2
        positions = torch.arange(size, device=self.device)
        return (positions >= first) & (positions < first + side)

    def _there(self, array):
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()  # from other memory the copy would wait for what the GPU has still to do
        return tensor.to(self.device, non_blocking=True)


def view(images: torch.Tensor, shift: int, mirrored: bool) -> torch.Tensor:
    """The twin of `chainrule.data.view`."""
    if shift:
        height, width = images.shape[2:]
        around, first = pad(images, [1] * 4, mode="reflect"), 1 + shift
        images = around[:, :, first : first + height, first : first + width]
    return images.flip(3) if mirrored else images
