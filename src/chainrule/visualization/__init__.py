"""Looking inside trained networks."""

from chainrule.visualization.images import fit, read_image
from chainrule.visualization.networks import Network, load_network

__all__ = ["Network", "fit", "load_network", "read_image"]
