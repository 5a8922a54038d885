"""A network looked into, whichever engine it belongs to."""

from chainrule.nn import Module
from chainrule.nn.probe import HandProbe, Probe

__all__ = ["probe"]


def probe(module) -> Probe:
    """The probe of a network, whichever engine it belongs to.

    Raises
    ------
    TypeError
        It is a network of neither.
    """
    if isinstance(module, Module):
        return HandProbe(module)
    from chainrule.pytorch import TorchProbe

    return TorchProbe(module)
