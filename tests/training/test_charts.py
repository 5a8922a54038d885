"""Where a chart puts things: ticks, lines, gaps, boxes of numbers."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.training.charts import COLUMNS, STOPS, Series, line_chart, sparkline


def chart_of(y, x=None, **arguments):
    y = np.asarray(y, dtype=np.float64)
    x = np.arange(1.0, len(y) + 1) if x is None else np.asarray(x, dtype=np.float64)
    return line_chart(
        "Loss", [Series("training", "train", x, y)], **{"x_label": "epoch", "number": lambda value: f"{value:.3f}"} | arguments
    )


def points(path):
    """The corners of an SVG path as an (N, 2) array, and how many separate lines it has."""
    return np.array(re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path), dtype=np.float64), path.count("M")


def value_at(chart, top):
    """The value that lies `top` per cent below the upper edge, read off two ticks as a person would."""
    (first, last) = chart.y_ticks[0], chart.y_ticks[-1]
    low, high = float(first.label.replace(",", "")), float(last.label.replace(",", ""))
    return low + (top - first.position) / (last.position - first.position) * (high - low)


def test_a_point_lies_where_the_ticks_say():
    chart = chart_of([2.0, 1.5, 1.1, 0.9])
    corners, _ = points(chart.lines[0][1])
    # positions are written with two decimals: 0.005 per cent of an axis of 1.2
    np.testing.assert_allclose([value_at(chart, top) for top in corners[:, 1]], [2.0, 1.5, 1.1, 0.9], rtol=0, atol=1e-3)
    np.testing.assert_allclose(corners[:, 0], [0, 100 / 3, 200 / 3, 100], rtol=0, atol=0.01)


def test_a_logarithmic_axis_is_taken_only_when_allowed_and_needed():
    assert chart_of([100.0, 1.0], may_be_log=True).is_log
    assert not chart_of([100.0, 1.0]).is_log
    assert not chart_of([2.0, 1.0], may_be_log=True).is_log
    assert not chart_of([100.0, 0.0], may_be_log=True).is_log


def test_decades_are_equally_far_apart_on_a_logarithmic_axis():
    chart = chart_of([1000.0, 1.0, 0.01], may_be_log=True)
    positions = [tick.position for tick in chart.y_ticks]
    np.testing.assert_allclose(np.diff(positions), np.diff(positions)[0])
    assert [tick.label for tick in chart.y_ticks] == ["0.01", "0.1", "1", "10", "100", "1,000"]


def test_a_value_that_is_not_finite_is_a_gap_and_is_counted():
    chart = chart_of([3.0, 2.0, math.nan, 1.0, math.inf, 2.0])
    _, separate = points(chart.lines[0][1])
    assert separate == 3
    assert "nan" not in chart.lines[0][1]
    assert chart.legend[0][0] == "training (2 not finite)"


def test_without_a_finite_value_there_is_no_chart():
    assert chart_of([math.nan, math.inf]) is None
    assert chart_of([]) is None


def test_a_single_point_is_in_the_middle():
    chart = chart_of([0.7])
    np.testing.assert_array_equal(points(chart.lines[0][1])[0], [[50, 50]])
    assert [tick.label for tick in chart.x_ticks] == ["1"]
    assert [(tick.position, tick.label) for tick in chart.y_ticks] == [(50, "0.7")]


def test_thousands_of_points_are_thinned_without_losing_the_extremes():
    y = np.random.default_rng(0).standard_normal(20_000)
    y[777], y[12_345] = 50, -50
    corners, _ = points(chart_of(y).lines[0][1])
    whole, _ = points(chart_of([y.max(), y.min()]).lines[0][1])
    assert len(corners) <= 2 * COLUMNS
    assert corners[:, 1].min() == whole[:, 1].min()
    assert corners[:, 1].max() == whole[:, 1].max()


def test_strips_tile_the_plot_and_say_the_numbers():
    chart = chart_of([3.0, 2.0, 1.0])
    assert [stop.label for stop in chart.stops] == ["epoch 1", "epoch 2", "epoch 3"]
    assert [stop.values for stop in chart.stops] == [(("training", "train", f"{y:.3f}"),) for y in (3, 2, 1)]
    ends = [stop.left + stop.width for stop in chart.stops]
    np.testing.assert_allclose([stop.left for stop in chart.stops[1:]], ends[:-1])
    np.testing.assert_allclose([stop.left + stop.width * stop.at / 100 for stop in chart.stops], [0, 50, 100])


def test_a_long_run_has_a_strip_for_its_marked_epoch():
    chart = chart_of(np.linspace(2, 1, 1000), mark=(503.0, "best: epoch 503"))
    assert STOPS <= len(chart.stops) <= STOPS + 1
    assert "epoch 503" in [stop.label for stop in chart.stops]
    assert chart.mark.label == "best: epoch 503"
    assert chart.mark.position == pytest.approx(100 * 502 / 999)


def test_the_background_is_drawn_but_not_read():
    x = np.array([0.5, 1.0, 1.5, 2.0])
    series = [
        Series("batches", "batch", x, np.array([9.0, 4, 3, 2]), background=True),
        Series("training", "train", x[1::2], np.array([4.0, 2])),
    ]
    chart = line_chart("Loss", series, x_label="epoch", number=str)
    assert [style for style, _ in chart.lines] == ["batch", "train"]
    assert [len(stop.values) for stop in chart.stops] == [1, 1]
    assert "batches" not in chart.description


def test_the_description_says_where_the_line_goes():
    assert chart_of([3.0, 0.5, 1.0]).description == "Loss, by epoch. training: from 3.000 to 1.000, least 0.500, greatest 3.000."


@given(
    y=st.lists(st.floats(width=64), min_size=1, max_size=8),
    may_be_log=st.booleans(),
)
def test_any_numbers_give_a_chart_inside_its_box(y, may_be_log):
    chart = chart_of(y, may_be_log=may_be_log)
    if chart is None:
        assert not any(abs(value) <= 1e300 for value in y)
        return
    for _, path in chart.lines + chart.dots:
        corners, _ = points(path)
        assert np.all((corners >= 0) & (corners <= 100))
    positions = [tick.position for tick in chart.x_ticks + chart.y_ticks]
    assert all(0 <= position <= 100 for position in positions)
    assert len(chart.y_ticks) <= 15


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_round_evenly_spaced_and_told_apart(low, span):
    chart = chart_of([low, low + span])
    labels = [tick.label for tick in chart.y_ticks]
    assert 2 <= len(labels) <= 12
    if span > 1e-3 * abs(low):
        assert len(set(labels)) == len(labels)
    steps = np.diff([tick.position for tick in chart.y_ticks])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


def test_a_sparkline_starts_at_zero():
    corners, _ = points(sparkline([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(corners, [[0, 100], [50, 50], [100, 0]])
    assert points(sparkline([0.0, 0.0]))[0][:, 1].tolist() == [100, 100]


def test_a_sparkline_of_nothing_is_empty():
    assert sparkline([math.nan, math.inf]) == ""
