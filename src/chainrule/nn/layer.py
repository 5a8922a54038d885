"""Layer: a module that is one entry of the table of functions."""

from chainrule.nn.module import Module

__all__ = ["Layer"]


class Layer(Module):
    """A module that is one entry of the table of functions: a subclass names it, and says what its forward takes besides x.

    Attributes
    ----------
    entry : name in `chainrule.nn.Functions`
    """

    entry: str

    def arguments(self, x) -> tuple:
        """What the function takes after x."""
        return ()

    def check_input(self, x):
        """Refuse an x that the layer cannot take; the message names the layer."""

    def forward(self, x):
        self.check_input(x)
        out, cache = getattr(self.functions, self.entry).forward(x, *self.arguments(x))
        self._cache = cache, out.shape, out.dtype
        return out

    def backward(self, dout):
        cache, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        return getattr(self.functions, self.entry).backward(dout, cache)
