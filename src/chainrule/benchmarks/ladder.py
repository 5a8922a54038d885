"""The ladder: one convolution, from loops over its definition to the last kernel, a rung a lesson. docs/kernels.md explains them.

The layer is a 3x3 convolution of 64 channels to 64 over 16 images of 32 x 32, forward, in float32: 1.2 billion multiplications and
additions by the direct way, the measure of all rungs. A second, short ladder has what counts between layers: fusion and used memory.
"""

from collections.abc import Iterator

import numpy as np

from chainrule.benchmarks import course_style
from chainrule.benchmarks.turns import Task, compare, workers

__all__ = ["BETWEEN", "OPERATIONS", "RUNGS", "forward", "run", "task"]

N, C, F, SIDE = 16, 64, 64, 32
CONV_PARAM = {"stride": 1, "pad": 1}
OPERATIONS = 2 * N * F * SIDE**2 * C * 9
TOLERANCE = 1e-3

RUNGS = {
    "python": "Python loops over every multiplication (timed on one row of one output)",
    "positions": "Python loop over the places of the window, NumPy for the rest",
    "im2col": "im2col, and one matrix product of NumPy",
    "compiled": "the Python loops, compiled by Numba",
    "channels-last": "the same, channels last: the inner loop is a vector",
    "tile": "register tile: direct convolution",
    "winograd": "Winograd F(4x4, 3x3)",
}
BETWEEN = {
    "separate": "convolution, ReLU and pooling one after another, fresh memory",
    "workspace": "the same in a workspace: memory is used again",
    "fused": "all three in one pass, in a workspace",
}


def run(*, threads, rounds, seconds, progress=lambda text: None) -> tuple[dict[str, dict], dict[str, dict]]:
    """Climb both ladders: rows of `turns.compare`, with "gflops" and, from the second rung on, "factor" to the one before."""
    tables = []
    for rungs, case in ((RUNGS, "layer"), (BETWEEN, "layer with ReLU and pooling, forward and backward")):
        with workers("ladder", {rung: (rung, threads) for rung in reversed(rungs)}) as processes:
            rows = compare(processes, rounds=rounds, seconds=seconds, tolerance=TOLERANCE, case=case, progress=progress)
        table, before = {}, None
        for rung in rungs:
            row = {name: rows[rung][name] for name in ("median_ms", "best_ms")}
            row["gflops"] = (1 if rungs is RUNGS else 3) * OPERATIONS / row["median_ms"] / 1e6
            if before is not None:
                row["factor"] = rows[before]["ratio"] / rows[rung]["ratio"]
            table[rung], before = row, rung
        tables.append(table)
    return tables[0], tables[1]


def task(contender: str, case: str) -> Task:
    """What one rung does."""
    x, w, b = _arrays()
    if contender in BETWEEN:
        return _task_between(contender, x, w, b)
    if contender == "python":
        w, b = w.astype(float), b.astype(float)
        image = np.pad(x[0].astype(float), ((0, 0), (1, 1), (1, 1)))
        return Task(lambda i: _python_row(image, w[0], b[0]), lambda: iter(_python_row(image, w[0], b[0])), N * F * SIDE)
    compute = forward(contender)
    arrays = (np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if contender in ("tile", "winograd") else x, w, b)
    return Task(lambda i: compute(*arrays), lambda: (float(value) for value in compute(*arrays)[0, 0, 0]))


def _arrays():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, C, SIDE, SIDE), dtype=np.float32)
    return x, rng.standard_normal((F, C, 3, 3), dtype=np.float32) / np.float32(24), rng.standard_normal(F, dtype=np.float32)


def _python_row(image, w, b):
    """The first row of the output of one filter, number by number."""
    row = []
    for j in range(SIDE):
        total = b
        for c in range(C):
            for k in range(3):
                for m in range(3):
                    total += image[c, k, j + m] * w[c, k, m]
        row.append(float(total))
    return row


def forward(rung: str):
    """The function (x, w, b) -> out of a rung, "python" excepted, for 3x3 filters at stride 1 with a padding of 1."""
    from chainrule import functional, kernels
    from chainrule.kernels.workspace import Workspace

    if rung == "positions":
        return lambda x, w, b: functional.conv_forward_naive(x, w, b, CONV_PARAM)[0]
    if rung == "im2col":
        return lambda x, w, b: course_style.conv_forward(x, w, b, CONV_PARAM)[0]
    if rung in ("compiled", "channels-last"):
        return _compiled(rung == "channels-last")
    kernel, workspace = {"tile": kernels.conv_direct_forward, "winograd": kernels.conv_forward}[rung], Workspace()

    def run_kernel(x, w, b):
        with workspace:
            return kernel(x, w, b, CONV_PARAM)[0]

    return run_kernel


def _compiled(channels_last):
    """Plain loops, which Numba compiles now; images are shared among the threads."""
    from numba import njit, prange

    def by_definition(image, w, b, out):
        for n in prange(out.shape[0]):
            for f in range(out.shape[1]):
                for i in range(out.shape[2]):
                    for j in range(out.shape[3]):
                        total = b[f]
                        for c in range(w.shape[1]):
                            for k in range(3):
                                for m in range(3):
                                    total += image[n, c, i + k, j + m] * w[f, c, k, m]
                        out[n, f, i, j] = total

    def by_rows(image, w, b, out):
        for n in prange(out.shape[0]):
            for i in range(out.shape[1]):
                for j in range(out.shape[2]):
                    for f in range(out.shape[3]):
                        out[n, i, j, f] = b[f]
                    for k in range(3):
                        for m in range(3):
                            for c in range(w.shape[2]):
                                factor = image[n, i + k, j + m, c]
                                for f in range(out.shape[3]):
                                    out[n, i, j, f] += factor * w[k, m, c, f]

    loops = njit(parallel=True, error_model="numpy")(by_rows if channels_last else by_definition)

    def run_loops(x, w, b):
        image = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        if not channels_last:
            out = np.empty((len(x), len(w), *x.shape[2:]), x.dtype)
            loops(image, w, b, out)
            return out
        rows = np.empty((len(x), *x.shape[2:], len(w)), x.dtype)
        loops(np.ascontiguousarray(image.transpose(0, 2, 3, 1)), np.ascontiguousarray(w.transpose(2, 3, 1, 0)), b, rows)
        return rows.transpose(0, 3, 1, 2)

    return run_loops


def _task_between(contender, x, w, b):
    from contextlib import nullcontext

    from chainrule import kernels
    from chainrule.kernels.workspace import Workspace

    pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    memory = nullcontext() if contender == "separate" else Workspace()
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    dout = np.ones((N, F, SIDE // 2, SIDE // 2), np.float32)

    def one_after_another():
        with memory:
            out, conv_cache = kernels.conv_forward(x, w, b, CONV_PARAM)
            out, relu_cache = kernels.relu_forward(out)
            out, pool_cache = kernels.max_pool_forward(out, pool_param)
            dx = kernels.max_pool_backward(dout, pool_cache)
            return out, *kernels.conv_backward(kernels.relu_backward(dx, relu_cache), conv_cache)

    def in_one_pass():
        with memory:
            out, cache = kernels.conv_relu_pool_forward(x, w, b, CONV_PARAM, pool_param)
            return out, *kernels.conv_relu_pool_backward(dout, cache)

    compute = in_one_pass if contender == "fused" else one_after_another

    def check() -> Iterator[float]:
        for array in compute():
            yield float(np.abs(array).mean(dtype=np.float64))

    return Task(lambda i: compute(), check)
