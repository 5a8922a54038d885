"""Every network, written once against an `nn` namespace; MODELS lists them by the name that the command line uses."""

from chainrule.models.fully_connected import fully_connected, mlp, two_layer

__all__ = ["MODELS", "fully_connected", "mlp", "two_layer"]

MODELS = {"two-layer": two_layer, "fully-connected": fully_connected, "mlp": mlp}
