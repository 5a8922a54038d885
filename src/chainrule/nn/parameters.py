"""Memory and first values of the weights of a layer."""

import math
from pathlib import Path

import numpy as np

from chainrule.nn.module import Parameter

__all__ = ["available_memory", "check_dtype", "memory_text", "reset_uniformly", "uninitialized"]

CGROUP = Path("/sys/fs/cgroup")
SMALL = 1 << 26  # bytes; what is smaller is not worth asking how much memory there is
DRAWN = 1 << 20  # numbers at a time: a generator draws in float64


def uninitialized(module: str, shape: tuple[int, ...], dtype) -> np.ndarray:
    """Memory for a weight of `module`, its contents undefined.

    Raises
    ------
    TypeError
        The dtype is none of those that modules compute with.
    MemoryError
        It does not fit: the system would hand it out, and end the process when the first values are written.
    """
    check_dtype(module, dtype)
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if nbytes > SMALL and nbytes > (available := available_memory()):
        raise MemoryError(
            f"{module}: a weight of {math.prod(shape):,} numbers takes {memory_text(nbytes)}, "
            f"and {memory_text(available)} of memory are free; use a smaller layer"
        )
    return np.empty(shape, dtype)


def check_dtype(module: str, dtype):
    """Refuse a dtype that the parameters of `module` cannot have."""
    if dtype not in (np.float32, np.float64, "float32", "float64"):
        raise TypeError(f"{module}: dtype is {dtype!r}; expected float32 or float64")


def reset_uniformly(weight: Parameter, bias: Parameter | None, rng: np.random.Generator):
    """Weight and bias ~ U(-k, k), k = 1 / sqrt(numbers of the weight that an output meets), as PyTorch's layers begin."""
    bound = 1 / np.sqrt(math.prod(weight.shape[1:]))
    for parameter in (weight, *(() if bias is None else (bias,))):
        rows = max(1, DRAWN // math.prod(parameter.shape[1:]))
        for start in range(0, len(parameter.data), rows):
            part = parameter.data[start : start + rows]
            part[...] = rng.uniform(-bound, bound, part.shape)


def available_memory() -> int:
    """Bytes that this process can still have: what the machine has free, or less where a control group (a container) sets a limit."""
    import psutil

    free = psutil.virtual_memory().available
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        # files that are cached count as used, and are dropped when there is need
        cached = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        return free if limit == "max" else min(free, int(limit) - int(used) + cached)
    except (OSError, ValueError, StopIteration):
        return free


def memory_text(nbytes: int) -> str:
    """So many bytes in the unit that a person would choose."""
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if nbytes >= size:
            return f"{nbytes / size:,.1f} {unit}"
    return f"{nbytes / 2**10:.0f} kB"
