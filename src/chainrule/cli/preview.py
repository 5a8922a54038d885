"""An image that is being made, in the terminal: how far it is, its number, and a small picture of it."""

import numpy as np
from PIL import Image
from rich.live import Live
from rich.text import Text

from chainrule.cli.console import err

__all__ = ["Preview"]

SIDE = 32  # pixels of the picture; two of them, one above the other, are one character


class Preview:
    """On stderr, while the block runs; nothing where that is no terminal.

    >>> with Preview("tarantula", steps=200) as preview:
    ...     preview.show(10, score, pixels)
    """

    def __init__(self, name: str, steps: int):
        self._name, self._steps = name, steps
        self._live = Live(console=err, transient=True, auto_refresh=False) if err.is_terminal else None

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def show(self, step: int, number: float, pixels: np.ndarray):
        """Step, the number that goes with it, and the image, (H, W) or (H, W, 3) uint8."""
        if self._live:
            text = Text(f"{self._name}   step {step}/{self._steps}   {number:.3g}\n").append(_picture(pixels))
            self._live.update(text, refresh=True)

    def __exit__(self, *error):
        if self._live:
            self._live.stop()


def _picture(pixels):
    small = np.asarray(Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    text = Text()
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", style=f"rgb({','.join(map(str, above))}) on rgb({','.join(map(str, below))})")
        text.append("\n")
    return text
