"""The memory and the first values of weights: what does not fit is refused before anything is written."""

import numpy as np
import pytest

from chainrule.nn import BatchNorm2d, Conv2d, Linear, parameters
from chainrule.nn.module import Parameter
from chainrule.nn.parameters import available_memory, memory_text, reset_uniformly


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "CGROUP", tmp_path)
    free = available_memory()
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 1000\ninactive_file 250000\n")
    assert available_memory() == 750_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() == pytest.approx(free, rel=0.5)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Linear(10_000, 100_000), "Linear: a weight of 1,000,000,000 numbers takes 3.7 GB, and 1.0 GB of memory are free"),
        (lambda: Conv2d(4096, 8192, 5, dtype=np.float64), "Conv2d: a weight of 838,860,800 numbers takes 6.2 GB, and 1.0 GB"),
    ],
)
def test_a_weight_that_does_not_fit_is_refused_with_figures(build, said, monkeypatch):
    monkeypatch.setattr(parameters, "available_memory", lambda: 2**30)
    with pytest.raises(MemoryError, match=said):
        build()


@pytest.mark.parametrize("dtype", [int, np.float16, complex, "foo"])
@pytest.mark.parametrize("build", [lambda dtype: Linear(3, 4, dtype=dtype), lambda dtype: BatchNorm2d(3, dtype=dtype)])
def test_parameters_that_modules_do_not_compute_with_are_refused(build, dtype):
    with pytest.raises(TypeError, match=r"dtype is .*; expected float32 or float64"):
        build(dtype)


def test_values_drawn_some_rows_at_a_time_are_those_drawn_at_once(monkeypatch):
    weight, bias = (Parameter(np.empty(shape, np.float32)) for shape in ((7, 3, 5, 5), (7,)))
    monkeypatch.setattr(parameters, "DRAWN", 2 * 3 * 5 * 5 + 1)
    reset_uniformly(weight, bias, np.random.default_rng(3))
    rng, k = np.random.default_rng(3), 1 / np.sqrt(75)
    np.testing.assert_array_equal(weight.data, rng.uniform(-k, k, (7, 3, 5, 5)).astype(np.float32))
    np.testing.assert_array_equal(bias.data, rng.uniform(-k, k, 7).astype(np.float32))


def test_the_unit_is_the_one_that_a_person_would_choose():
    assert [memory_text(nbytes) for nbytes in (2048, 3 * 2**20, 5.25 * 2**30)] == ["2 kB", "3.0 MB", "5.2 GB"]
