"""How much memory a training run will take, found out before it starts: a network too large should say so, not die."""

import math
import tracemalloc

import numpy as np

from chainrule.nn.parameters import available_memory, memory_text
from chainrule.nn.plan import Plan

__all__ = ["check_memory", "step_memory"]

PROBES = 8, 16  # images: enough to outweigh what does not grow with them, which does grows linearly
OPTIMIZER_ARRAYS = 2  # like the parameters, that an optimizer keeps: Adam's; others have fewer


def step_memory(model, criterion, image_shape, batch_size):
    """Bytes that the forward and the backward pass of a batch hold at most at once, beside the parameters and their gradients.

    Measured on two small batches and extended to the whole; scratch inside the kernels (some MB) is not in it.

    Parameters
    ----------
    model : Module; its parameters and buffers stay as they are, gradients are cleared
    criterion : loss module
    image_shape : (C, H, W)
    batch_size : images
    """
    buffers = [(module, name, getattr(module, name)) for module in model.modules() for name in module.buffer_names]
    values = [None if buffer is None else buffer.copy() for _, _, buffer in buffers]
    model.train()
    plan = Plan(model)
    try:
        for images in PROBES:  # kernels are compiled or loaded, gradients get their memory
            _peak(plan, criterion, image_shape, images, model)
        small, large = (_peak(plan, criterion, image_shape, images, model) for images in PROBES)
    finally:
        for (_, _, buffer), value in zip(buffers, values, strict=True):
            if buffer is not None:
                buffer[...] = value
        model.zero_grad()
    each = max(large - small, 0) / (PROBES[1] - PROBES[0])
    return math.ceil(small + each * (batch_size - PROBES[0]))


def _peak(plan, criterion, image_shape, images, model):
    dtype = next(model.parameters()).dtype
    x, labels = np.zeros((images, *image_shape), dtype), np.zeros(images, np.int64)
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        criterion(plan.forward(x), labels)
        plan.backward(criterion.backward())
        return tracemalloc.get_traced_memory()[1] - before + x.nbytes
    finally:
        if not tracing:
            tracemalloc.stop()


def check_memory(model, criterion, image_shape, batch_size):
    """Refuse a training run that does not fit into memory.

    Parameters
    ----------
    model, criterion, image_shape, batch_size : as in `step_memory`

    Raises
    ------
    MemoryError
        The message says how much is needed and for what, how much there is, and what to do.
    """
    parameters = sum(parameter.data.nbytes for parameter in model.parameters())
    state = parameters * (1 + OPTIMIZER_ARRAYS)  # gradients, too
    step = step_memory(model, criterion, image_shape, batch_size)
    available = available_memory()
    if state + step <= available:
        return
    needed, free, outputs, gradients = map(memory_text, (state + step, available, step, state))
    raise MemoryError(
        f"training this network on batches of {batch_size} images needs about {needed} more memory, and {free} are free: {outputs} for the "
        f"layers' outputs and their gradients, {gradients} for the parameters' gradients and the optimizer; "
        f"{_advice(step, batch_size, available - state)}"
    )


def _advice(step, batch_size, room):
    fitting = int(batch_size * room / step * 0.9)
    return f"a batch size of {fitting} would fit" if fitting >= 1 else "use a smaller network"
