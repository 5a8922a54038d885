"""Slopes along a line, from both sides."""

import numpy as np
import pytest

from chainrule.verification.slopes import slope

STEP = 6e-6


def slope_of(f, x, where, direction=1.0):
    return slope(lambda: f(x), f(x), np.finfo(float).eps * np.abs(f(x)), np.ones(f(x).shape), x, where, direction, STEP)


def test_on_a_smooth_line_all_slopes_agree():
    found = slope_of(np.sin, np.array([0.3, 0.7]), (1,))
    assert found.central == pytest.approx(np.cos(0.7), abs=1e-9)
    assert found.high - found.low == pytest.approx(np.sin(0.7) * STEP, rel=1e-3)  # the curvature times the step
    assert abs(found.central - np.cos(0.7)) < found.rounding + STEP**2


def test_at_a_kink_the_bounds_are_the_slopes_of_its_sides():
    found = slope_of(lambda x: np.maximum(x, 0) - np.maximum(-x, 0) / 2, np.array([0.0, 1.0]), (0,))
    assert (found.low, found.central, found.high) == pytest.approx((0.5, 0.75, 1.0))


def test_kinks_of_several_outputs_do_not_cancel():
    x = np.zeros(2)
    found = slope_of(np.abs, x, ..., np.array([1.0, -2.0]))
    assert (found.low, found.central, found.high) == pytest.approx((-3, 0, 3))


def test_the_slope_along_a_direction_is_the_gradient_times_the_direction():
    x, direction = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert slope_of(np.square, x, ..., direction).central == pytest.approx(np.sum(2 * x * direction), abs=1e-9)


def test_the_array_is_put_back_bit_by_bit_also_when_the_output_fails():
    x = np.array([-0.0, 0.1])
    before = x.tobytes()
    slope_of(np.exp, x, ...)
    slope_of(np.exp, x, (0,))
    assert x.tobytes() == before

    calls = iter([np.ones(2)])
    with pytest.raises(StopIteration):
        slope(lambda: next(calls), np.ones(2), np.ones(2), np.ones(2), x, (1,), 1.0, STEP)
    assert x.tobytes() == before


def test_an_output_that_does_not_move_may_have_been_rounded_away():
    found = slope_of(lambda x: np.full(3, 5.0), np.ones(2), (0,))
    assert found.central == 0
    assert 0 < found.rounding < 1e-7
