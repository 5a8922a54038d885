from contextlib import nullcontext

import numpy as np
import pytest

from chainrule import functional
from chainrule.benchmarks import ladder


@pytest.fixture(scope="module")
def arrays():
    """Two images of 32 x 32, and the convolution by the definition, in float64."""
    x, w, b = ladder._arrays()
    expected, _ = functional.conv_forward_naive(*(array.astype(float) for array in (x[:2], w, b)), ladder.CONV_PARAM)
    return x[:2], w, b, expected


@pytest.mark.parametrize("rung", [rung for rung in ladder.RUNGS if rung != "python"])
def test_every_rung_computes_the_same_convolution(rung, arrays):
    x, w, b, expected = arrays
    # float32 sums of 576 products, Winograd's 1e-5 of the largest value included
    np.testing.assert_allclose(ladder.forward(rung)(x, w, b), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_first_rung_computes_a_row_of_it(arrays):
    *_, expected = arrays
    task = ladder.task("python", "")
    np.testing.assert_allclose(list(task.check()), expected[0, 0, 0], rtol=1e-9)  # both in float64
    assert task.scale == ladder.N * ladder.F * ladder.SIDE  # rows of all outputs


def test_the_ways_between_layers_compute_the_same():
    checks = [list(ladder.task(way, "").check()) for way in ladder.BETWEEN]
    for check in checks[1:]:
        np.testing.assert_allclose(check, checks[0], rtol=1e-5)


def test_a_rung_is_as_many_times_faster_as_the_ratios_say(monkeypatch):
    def rows(contenders, **options):
        return {name: {"median_ms": 10.0 * 2**i, "best_ms": 1.0, "ratio": 2.0**i} for i, name in enumerate(contenders)}

    monkeypatch.setattr(ladder, "compare", rows)
    monkeypatch.setattr(ladder, "workers", lambda table, contenders: nullcontext(contenders))
    layer, between = ladder.run(threads=1, rounds=1, seconds=0.0)
    assert list(layer) == list(ladder.RUNGS)
    assert "factor" not in layer["python"]
    assert layer["winograd"]["factor"] == 2
    assert layer["winograd"]["gflops"] == pytest.approx(ladder.OPERATIONS / 10e6)
    assert list(between) == list(ladder.BETWEEN)
