# pyright: reportCallIssue=false
# (the first parameter of an intrinsic is Numba's own; a caller does not pass it)
"""Where a step's time goes: what its arithmetic and its traffic with memory need on this machine at least, and the rest.

The roofline (Williams, Waterman & Patterson 2009) of a whole step: multiplications at the peak of the register tile, and every array that
the layers read or write going through memory once, at the bandwidth of a copy. Arithmetic and traffic can overlap, and caches keep some of
the traffic from memory, so the two are least times, each of its own, and no sum.
"""

import functools
import math
import os
import time
from typing import Any

import numpy as np

from chainrule.benchmarks.steps import NETWORKS, hand_engine
from chainrule.benchmarks.turns import Task, Worker

__all__ = ["account", "bandwidth", "demand", "peak_gflops", "run", "task"]

FEW = 2  # images of the step whose time is that of Python and of the calls


def run(name: str, *, threads, seconds, progress=lambda text: None) -> dict[str, float]:
    """The account of one network, made in a process of its own. Keys: see `account`."""
    progress(f"{name}: account")
    keys = ("step_ms", "arithmetic_ms", "memory_ms", "calls_ms", "page_faults", "gflop", "megabytes", "peak_gflops", "gigabytes_per_s")
    with Worker("account", str(seconds), threads) as worker:
        return dict(zip(keys, worker.prepare(name)["check"], strict=True))


def task(contender: str, name: str) -> Task:
    """The account as numbers of a check; `contender` is the length of a measurement, in seconds."""
    return Task(lambda i: None, lambda: iter(account(name, float(contender)).values()))


def account(name: str, seconds: float) -> dict[str, float]:
    """Measure a network's step and this machine.

    Returns
    -------
    "step_ms" : median time of a step
    "arithmetic_ms" : its multiplications and additions (Winograd's 36 for 144 where it is used) at "peak_gflops"
    "memory_ms" : its traffic at "gigabytes_per_s"
    "calls_ms" : what a step of 2 images takes above its own arithmetic and traffic: Python, and entering the kernels
    "page_faults" : of a step, after warm-up
    "gflop", "megabytes" : the step's arithmetic and traffic
    """
    threads = int(os.environ["NUMBA_NUM_THREADS"])
    peak, speed = peak_gflops(threads), bandwidth(threads)
    engine = hand_engine(name)
    batch = NETWORKS[name].batch
    step_ms, faults = _time(engine, batch, seconds)
    few_ms, _ = _time(engine, FEW, seconds)
    operations, traffic = demand(engine, batch)
    few_operations, few_traffic = demand(engine, FEW)
    arithmetic, memory = operations / peak / 1e6, traffic / speed / 1e6
    return {
        "step_ms": step_ms,
        "arithmetic_ms": arithmetic,
        "memory_ms": memory,
        "calls_ms": max(0.0, few_ms - few_operations / peak / 1e6 - few_traffic / speed / 1e6),
        "page_faults": faults,
        "gflop": operations / 1e9,
        "megabytes": traffic / 1e6,
        "peak_gflops": peak,
        "gigabytes_per_s": speed,
    }


def _time(engine, batch, seconds):
    """Median time of a step in milliseconds, and its page faults."""
    import resource

    rng = np.random.default_rng(1)
    images, labels = rng.standard_normal((batch, 3, 32, 32), dtype=np.float32), rng.integers(10, size=batch)
    for _ in range(3):
        engine.step(images, labels, None)
    times, before, end = [], resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        engine.step(images, labels, None)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times)), (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / len(times)


def demand(engine, batch: int) -> tuple[float, float]:
    """Operations of the matrix products and convolutions of a step; bytes that its layers, fused as they run, and the optimizer move."""
    from chainrule.nn.plan import Plan

    x = np.zeros((batch, 3, 32, 32), np.float32)
    operations, traffic, _ = _of_steps(Plan(engine.model).steps, x, first=True)
    parameters = sum(parameter.data.nbytes for parameter in engine.model.parameters())
    # the update reads gradient, parameter and, in Adam's case, two averages, and writes all but the gradient
    return operations, traffic + parameters * (7 if type(engine.optimizer).__name__ == "Adam" else 3)


def _of_steps(steps, x, first=False):
    operations = traffic = 0.0
    for step in steps:
        if hasattr(step, "body"):
            body_operations, body_traffic, out = _of_steps(step.body, x)
            shortcut_operations, shortcut_traffic, _ = _of_steps(step.shortcut, x)
            operations += body_operations + shortcut_operations
            # the end reads both ways and writes the sum; backward reads the gradient and both, writes two gradients, and adds those of x
            traffic += body_traffic + shortcut_traffic + 8 * out.nbytes + 3 * x.nbytes
            x = out
            continue
        out = step.forward(x, True)
        step.forget()
        if np.shares_memory(out, x):
            x = out
            continue
        products = _products(step.modules[0], x, out)
        operations += products * (2 if first else 3)
        parameters = sum(parameter.data.nbytes for parameter in step.modules[0].parameters())
        # forward reads x and writes out; backward reads x and dout, and writes dx
        traffic += 2 * x.nbytes + 2 * out.nbytes + (0 if first else x.nbytes) + 3 * parameters
        first, x = False, out
    return operations, traffic, x


def _products(module: Any, x, out):
    """Multiplications and additions of the forward pass."""
    from chainrule.functional.geometry import conv_geometry
    from chainrule.kernels import winograd
    from chainrule.nn import Conv2d, Linear

    if isinstance(module, Linear):
        return 2 * module.weight.size * len(x)
    if not isinstance(module, Conv2d):
        return 0
    geometry = conv_geometry("conv", x.shape, module.weight.shape, module.conv_param())
    direct = 2 * len(x) * module.weight.size * math.prod(geometry.output)
    return direct / 4 if winograd.suits(x.shape, module.weight.shape, geometry, x.dtype) else direct


@functools.cache
def peak_gflops(threads: int, repetitions: int = 2_000_000) -> float:
    """What the register tile computes at most: multiply-adds on operands that stay in the L1 cache, on all threads."""
    tile = _load("tile")
    from numba import njit, prange

    rows, lanes = tile.ROWS, tile.VECTOR_BYTES // 4
    zeros, multiply_add, store, depth = tile.zeros, tile.multiply_add, tile.store, 256

    @njit(parallel=True, error_model="numpy")
    def spin(x, w, out, count):
        for part in prange(out.shape[0]):
            here = out[part]
            accumulators = zeros(x, rows, 2)
            for k in range(count):
                at = k % depth
                accumulators = multiply_add(accumulators, x, at, depth, w, at * 2 * lanes)
            store(accumulators, here, 0, 2 * lanes)

    x, w = np.zeros(rows * depth, np.float32), np.zeros(depth * 2 * lanes, np.float32)
    out = np.empty((threads, rows * 2 * lanes), np.float32)
    return max(2 * threads * rows * 2 * lanes * repetitions / 1e9 / seconds for seconds in _repeat(spin, x, w, out, repetitions))


@functools.cache
def bandwidth(threads: int, size: int = 1 << 25) -> float:
    """Gigabytes a second of a copy of 128 MB to another place, reading and writing counted."""
    tile = _load("tile")
    from numba import njit, prange

    move = tile.copy

    @njit(parallel=True, error_model="numpy")
    def copy(out, x):
        for part in prange(threads):
            first, last = part * x.size // threads, (part + 1) * x.size // threads
            move(out, first, x, first, last - first)

    x = np.ones(size, np.float32)
    return max(2 * x.nbytes / 1e9 / seconds for seconds in _repeat(copy, np.empty_like(x), x))


def _load(name):
    from chainrule.kernels.compiler import load

    return load(name)


def _repeat(function, *arguments):
    function(*arguments)
    for _ in range(5):
        start = time.perf_counter()
        function(*arguments)
        yield time.perf_counter() - start
