"""Every network, written once against an `nn` namespace; MODELS lists them by the name that the command line uses."""

from chainrule.models.convolutional import convnet, three_layer_convnet
from chainrule.models.fully_connected import fully_connected, mlp, two_layer
from chainrule.models.residual import resnet
from chainrule.models.speedrun import speedrun

__all__ = ["MODELS", "convnet", "fully_connected", "mlp", "resnet", "speedrun", "three_layer_convnet", "two_layer"]

MODELS = {
    "two-layer": two_layer,
    "fully-connected": fully_connected,
    "mlp": mlp,
    "three-layer-convnet": three_layer_convnet,
    "convnet": convnet,
    "resnet": resnet,
    "speedrun": speedrun,
}
