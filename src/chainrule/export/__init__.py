"""Trained networks as files that other programs read: ONNX, safetensors, PyTorch's own."""

from chainrule.export.files import FORMATS, write_network

__all__ = ["FORMATS", "write_network"]
