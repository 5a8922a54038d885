"""The parameters of one group in one contiguous buffer, so that an update is one pass over memory instead of a call a parameter."""

import numpy as np

__all__ = ["FlatGroup"]

ALIGNMENT = 64  # bytes: every parameter starts at a cache line, and at a whole vector


class FlatGroup:
    """Values, gradients and optimizer state of a list of parameters, each kind in one flat array.

    `parameter.data` and the memory of `parameter.grad` become views of it, in the memory order that the parameter had. The gaps between
    parameters hold zeros and stay zero under every update rule.

    Parameters
    ----------
    parameters : list of Parameter, at least one, all float32 or all float64
    """

    def __init__(self, parameters):
        self.parameters = parameters
        dtypes = {parameter.dtype for parameter in parameters}
        if len(dtypes) > 1:
            raise TypeError(
                f"the parameters of one group have several dtypes ({', '.join(sorted(map(str, dtypes)))}); convert the model first"
            )
        self.dtype: np.dtype = dtypes.pop()
        if str(self.dtype) not in ("float32", "float64"):
            raise TypeError(f"the parameters are {self.dtype}; an optimizer needs float32 or float64")
        step = ALIGNMENT // self.dtype.itemsize
        self.ranges, end = [], 0
        for parameter in parameters:
            self.ranges.append(slice(end, end + parameter.size))
            end += -(-parameter.size // step) * step
        self.size = end
        self.data, self.data_views = self.zeros()
        self.grad, self.grad_views = self.zeros()
        self.gather()

    def zeros(self):
        """A flat array of zeros, and its views shaped and ordered like the parameters: room for a kind of optimizer state."""
        flat = _aligned_zeros(self.size, self.dtype)
        return flat, [_view_like(flat[span], parameter.data) for span, parameter in zip(self.ranges, self.parameters, strict=True)]

    def gather(self):
        """Bring in what was put elsewhere since the last step: replaced `data`, a `grad` that somebody else made."""
        for parameter, data, grad in zip(self.parameters, self.data_views, self.grad_views, strict=True):
            if parameter.data is not data:
                if parameter.data.shape != data.shape or parameter.data.dtype != data.dtype:
                    raise ValueError(
                        f"a parameter was {data.dtype} {data.shape} when the optimizer was made and is {parameter.data.dtype} "
                        f"{parameter.data.shape} now; make the optimizer after the last change of the model"
                    )
                data[...] = parameter.data
                parameter.data = data
            if parameter.grad is not grad:
                parameter.place_grad(grad)

    def present(self, steps):
        """Numbers of the parameters that have a gradient, each with its step count before the update.

        Parameters
        ----------
        steps : list of int, one a parameter; counted up here for those that have a gradient
        """
        counted = [(index, steps[index]) for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for index, _ in counted:
            steps[index] += 1
        return counted

    def spans(self, steps):
        """Slices to update, each with its step count before the update: neighbours with a gradient and the same count are one slice.

        `steps` as for `present`.
        """
        spans, last = [], None
        for index, count in self.present(steps):
            span = self.ranges[index]
            if last == index - 1 and spans[-1][1] == count:
                spans[-1] = (slice(spans[-1][0].start, span.stop), count)
            else:
                spans.append((span, count))
            last = index
        return spans


def _aligned_zeros(size, dtype):
    extra = ALIGNMENT // dtype.itemsize
    memory = np.zeros(size + extra, dtype)
    start = -(memory.ctypes.data // dtype.itemsize) % extra
    return memory[start : start + size]


def _view_like(flat, array):
    """`flat`, a contiguous part of a buffer, seen with the shape and the memory order of `array`."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))  # outermost axis first
    return flat.reshape([array.shape[axis] for axis in order]).transpose(np.argsort(order))
