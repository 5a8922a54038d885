"""ONNX from the hand-written layers: each writes the operators of its forward pass in eval mode, in float32."""

import math

import numpy as np

from chainrule import nn

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise ImportError("this needs ONNX: pip install chainrule[onnx]") from error

__all__ = ["onnx_bytes"]

OPSET = 21  # the first with GroupNormalization as it is defined here: a scale for each channel


def onnx_bytes(network, data, notes: dict[str, str]) -> bytes:
    """An ONNX file: pixels (N, C, H, W) as the dataset stores them, as floats, to scores (N, classes); N may be any number.

    Parameters
    ----------
    network : chainrule.nn.Module
    data : Dataset, which says how to normalize
    notes : text by name, kept in the file's metadata

    Raises
    ------
    ValueError
        A layer has no operators here.
    """
    graph = Graph()
    factor, offset = (array[:, None, None] for array in data.scaling(np.float32))
    x = graph.add("Sub", graph.add("Mul", "pixels", graph.constant(factor)), graph.constant(offset))
    images = np.zeros((1, *data.image_shape), np.float32)
    training = network.training
    scores = graph.layer(network.float().eval(), x, images)[0]
    network.train(training)
    graph.nodes.append(helper.make_node("Identity", [scores], ["scores"]))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "chainrule",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", *data.image_shape])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", len(data.classes)])],
            graph.constants,
        ),
        producer_name="chainrule",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,  # what programs of 2024 read
    )
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


class Graph:
    """Nodes and constants, as they come."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, array):
        """The name of a constant."""
        name = f"constant_{len(self.constants)}"
        array = np.ascontiguousarray(array, None if array.dtype == np.int64 else np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator, *inputs, **attributes):
        """The name of the output of a new node."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def layer(self, module, x, value):
        """The name of a module's output for the input named x, and the output for one image, `value`."""
        match module:
            case nn.Sequential():
                for child in module:
                    x, value = self.layer(child, x, value)
                return x, value
            case nn.Named():
                return self.layer(module.path, x, value)
            case nn.Residual():
                (body, out), (shortcut, _) = (self.layer(part, x, value) for part in (module.body, module.shortcut))
                return self.add("Add", body, shortcut), out
            case nn.Concat():
                branches = [self.layer(branch, x, value) for branch in module.children()]
                joined = np.concatenate([out for _, out in branches], axis=module.dim)
                return self.add("Concat", *(name for name, _ in branches), axis=module.dim), joined
        return self.operators(module, x, value), module(value)

    def operators(self, module, x, value):
        """The name of the output of a layer that has no children."""
        match module:
            case nn.Conv2d():
                inputs = [self.constant(parameter.data) for parameter in (module.weight, module.bias) if parameter is not None]
                return self.add("Conv", x, *inputs, pads=_pads(module.conv_param()["pad"]), **_window(module))
            case nn.ConvTranspose2d():
                inputs = [self.constant(parameter.data) for parameter in (module.weight, module.bias) if parameter is not None]
                pads = _pads(module.padding)
                return self.add("ConvTranspose", x, *inputs, pads=pads, output_padding=module.output_padding, **_window(module))
            case nn.Linear():
                product = self.add("MatMul", x, self.constant(module.weight.data.T))
                return product if module.bias is None else self.add("Add", product, self.constant(module.bias.data))
            case nn.MaxPool2d() | nn.AvgPool2d():
                return self.pooling(module, x)
            case nn.AdaptiveAvgPool2d():
                rows, columns = (_means(size, places) for size, places in zip(value.shape[2:], module(value).shape[2:], strict=True))
                return self.add("MatMul", self.add("MatMul", self.constant(rows), x), self.constant(columns.T))
            case nn.BatchNorm1d() | nn.BatchNorm2d() if module.track_running_stats:
                gamma, beta = module.scale_and_shift(np.float32)
                statistics = [self.constant(array) for array in (gamma, beta, module.running_mean, module.running_var)]
                return self.add("BatchNormalization", x, *statistics, epsilon=module.eps)
            case nn.GroupNorm():
                inputs = [self.constant(array.reshape(-1)) for array in module.scale_and_shift(np.float32)]
                return self.add("GroupNormalization", x, *inputs, epsilon=module.eps, num_groups=module.num_groups)
            case nn.LayerNorm():
                inputs = [self.constant(array) for array in module.scale_and_shift(np.float32)]
                return self.add("LayerNormalization", x, *inputs, axis=-len(module.normalized_shape), epsilon=module.eps)
            case nn.ReLU():
                return self.add("Relu", x)
            case nn.LeakyReLU():
                return self.add("LeakyRelu", x, alpha=module.negative_slope)
            case nn.GELU():
                return self.add("Gelu", x, approximate=module.approximate)
            case nn.Sigmoid() | nn.Tanh():
                return self.add(type(module).__name__, x)
            case nn.Dropout() | nn.Identity():  # in eval mode
                return x
            case nn.Scale():
                return self.add("Mul", x, self.constant(np.array(module.factor)))
            case nn.Flatten():
                return self.add("Reshape", x, self.constant(np.array([-1, *module(value).shape[1:]], np.int64)))
            case nn.Upsample():
                scales = self.constant(np.array([1, 1, module.scale_factor, module.scale_factor]))
                how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
                return self.add("Resize", x, "", scales, **how)
        raise ValueError(f"{module!r} has no operators in ONNX here; a network of the layers of chainrule.nn can be written")

    def pooling(self, module, x):
        """MaxPool or AveragePool."""
        param = module.pool_param()
        attributes = {
            "kernel_shape": [param["pool_height"], param["pool_width"]],
            "strides": param["stride"],
            "pads": _pads(param["pad"]),
            "ceil_mode": int(param["ceil_mode"]),
        }
        if isinstance(module, nn.MaxPool2d):
            return self.add("MaxPool", x, dilations=param["dilation"], **attributes)
        return self.add("AveragePool", x, count_include_pad=int(module.count_include_pad), **attributes)


def _window(module):
    return {"kernel_shape": module.kernel_size, "strides": module.stride, "dilations": module.dilation, "group": module.groups}


def _pads(pad):
    """Our (rows, columns), or ((top, bottom), (left, right)), or one number, as ONNX's [top, left, bottom, right]."""
    rows, columns = (pad, pad) if isinstance(pad, int) else pad
    (top, bottom), (left, right) = ((side, side) if isinstance(side, int) else side for side in (rows, columns))
    return [top, left, bottom, right]


def _means(size, places):
    """(places, size): the matrix whose product with a column of pixels is its means over windows that divide it evenly."""
    matrix = np.zeros((places, size))
    for place in range(places):
        window = slice(place * size // places, math.ceil((place + 1) * size / places))
        matrix[place, window] = 1 / (window.stop - window.start)
    return matrix
