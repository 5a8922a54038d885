"""Every network, written once against an `nn` namespace; MODELS lists them by the name that the command line uses."""

from chainrule.models.convolutional import convnet, three_layer_convnet
from chainrule.models.fully_connected import fully_connected, mlp, two_layer
from chainrule.models.residual import resnet
from chainrule.models.resnet18 import resnet18
from chainrule.models.speedrun import speedrun
from chainrule.models.squeezenet import squeezenet

__all__ = [
    "MODELS",
    "convnet",
    "fully_connected",
    "mlp",
    "resnet",
    "resnet18",
    "speedrun",
    "squeezenet",
    "three_layer_convnet",
    "two_layer",
]

MODELS = {
    "two-layer": two_layer,
    "fully-connected": fully_connected,
    "mlp": mlp,
    "three-layer-convnet": three_layer_convnet,
    "convnet": convnet,
    "resnet": resnet,
    "speedrun": speedrun,
    "squeezenet": squeezenet,
    "resnet18": resnet18,
}
