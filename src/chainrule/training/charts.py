"""Line charts as geometry: where ticks, lines and marks lie. A page draws them.

Positions are per cent of the plot, from its left and from its top, so that the plot can be stretched to any width while text and strokes
keep their size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Chart", "Series", "Stop", "Tick", "line_chart", "sparkline"]

COLUMNS = 400  # a line of more than twice as many points is thinned to the least and the greatest of each of so many parts
STOPS = 150  # places of a chart, at most, that show their numbers
LARGEST = 1e300  # beyond this, sums and differences overflow


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Parameters
    ----------
    name : what the legend calls it
    style : how the page draws it ("train", "val", ...)
    x, y : (N,) floats; x ascending and finite. Where y is not finite, the line has a gap
    background : drawn faintly and without its numbers
    """

    name: str
    style: str
    x: np.ndarray
    y: np.ndarray
    background: bool = False


@dataclass(frozen=True)
class Tick:
    """A number of an axis, or a marked place: `position` per cent from the left or the top."""

    position: float
    label: str


@dataclass(frozen=True)
class Stop:
    """The numbers at one x, for a strip of the plot that shows them when it is pointed at; `at` is where x lies, per cent of the strip."""

    left: float
    width: float
    at: float
    label: str
    values: tuple[tuple[str, str, str], ...]  # name, style, number


@dataclass(frozen=True)
class Chart:
    """A chart laid out. Paths are SVG's, in a box of 100 x 100; one of a single point has length 0 and wants round caps.

    Attributes
    ----------
    description : the chart in words
    legend : name (with the number of values that are not finite), style, last number ("" for the background) of each line
    lines, dots : style and path
    mark : a vertical line, or None
    is_log : the y axis is logarithmic
    """

    title: str
    x_label: str
    description: str
    legend: tuple[tuple[str, str, str], ...]
    lines: tuple[tuple[str, str], ...]
    dots: tuple[tuple[str, str], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    stops: tuple[Stop, ...]
    mark: Tick | None
    is_log: bool


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    number: Callable[[float], str],
    tick: Callable[[float], str] | None = None,
    may_be_log: bool = False,
    x_from: float | None = None,
    mark: tuple[float, str] | None = None,
) -> Chart | None:
    """Lay out a chart; None if no value is finite.

    Parameters
    ----------
    series : the lines, those in the background first
    number : writes a value where it is read
    tick : writes a value of the y axis (default: with the digits that tell the ticks apart)
    may_be_log : take a logarithmic axis if the values are positive and the greatest is more than 30 times the least
    x_from : where the x axis begins at the latest (default: at the first point)
    mark : x and text of a place to point out
    """
    series = [entry for entry in series if len(entry.x)]
    if not any(_finite(entry.y).any() for entry in series):
        return None
    front = [entry for entry in series if not entry.background]
    values = np.concatenate([_typical(entry) for entry in series])
    is_log = bool(may_be_log and values.min() > 0 and values.max() > 30 * values.min())
    x_axis = _Axis(np.concatenate([entry.x for entry in series] + ([] if x_from is None else [[x_from]])))
    y_axis = _Axis(values, is_log, margin=0.05)

    def place(entry, chosen=slice(None)):
        return x_axis(entry.x[chosen]), 100 - y_axis(entry.y[chosen])

    dots = [(f"{entry.style} small", _points(*place(entry))) for entry in front if len(entry.x) <= 30]
    if mark is not None:
        dots += [(entry.style, _points(*place(entry, entry.x == mark[0]))) for entry in front]
    y_ticks = y_axis.ticks(5)
    y_labels = [tick(value) for value in y_ticks] if tick else _tick_labels(y_ticks, alike=not is_log)
    return Chart(
        title=title,
        x_label=x_label,
        description=_description(title, x_label, front, number),
        legend=tuple((entry.name + _gaps(entry), entry.style, "" if entry.background else number(entry.y[-1])) for entry in series),
        lines=tuple((entry.style, _path(*_thinned(*place(entry), COLUMNS))) for entry in series),
        dots=tuple(dots),
        x_ticks=tuple(Tick(float(x_axis(value)), f"{value:,.0f}") for value in x_axis.ticks(6) if value == round(value)),
        y_ticks=tuple(Tick(float(100 - y_axis(value)), label) for value, label in zip(y_ticks, y_labels, strict=True)),
        stops=_stops(front, x_label, x_axis, number, mark),
        mark=None if mark is None else Tick(float(x_axis(mark[0])), mark[1]),
        is_log=is_log,
    )


def sparkline(y) -> str:
    """The course of (N,) values as an SVG path in a box of 100 x 100, from 0 (or the least, if that is below) to the greatest."""
    y = np.where(_finite(y), y, np.nan)
    if np.isnan(y).all():
        return ""
    greatest = np.nanmax(y)
    axis = _Axis(np.array([min(np.nanmin(y), 0.0), greatest if greatest > 0 else 1.0]))
    return _path(*_thinned(np.linspace(0, 100, len(y)), 100 - axis(y), 30))


class _Axis:
    """Turns values into per cent of the axis; clips what lies beyond, keeps NaN."""

    def __init__(self, values, is_log=False, margin=0.0):
        self.is_log = is_log
        low, high = (float(value) for value in self._scaled(np.array([np.min(values), np.max(values)])))
        self._only = low if high - low <= 1e-9 * max(abs(low), abs(high)) else None
        if self._only is not None:  # one value: in the middle
            room = abs(low) / 10 or 1.0
            low, high = low - room, high + room
        else:
            low, high = low - margin * (high - low), high + margin * (high - low)
        self.low, self.high = low, high

    def _scaled(self, values):
        return np.log10(values, out=np.full(np.shape(values), np.nan), where=np.greater(values, 0)) if self.is_log else values

    def __call__(self, values):
        values = np.where(_finite(values), values, np.nan)
        return np.clip(100 * (self._scaled(values) - self.low) / (self.high - self.low), 0, 100)

    def ticks(self, count):
        """About `count` round values within the axis; the value itself where there is only one."""
        if self._only is not None:
            return np.array([self._only])
        if not self.is_log:
            return _round_values(self.low, self.high, count)
        decades = _round_values(self.low, self.high, count + 3)
        decades = decades[decades == np.round(decades)]
        if len(decades) > 2:
            return 10.0**decades
        exponents = np.arange(math.floor(self.low), math.ceil(self.high) + 1)
        values = np.outer(10.0**exponents, [1, 2, 5] if len(decades) else np.arange(1, 10)).ravel()
        return values[(np.log10(values) >= self.low) & (np.log10(values) <= self.high)]


def _finite(values):
    with np.errstate(invalid="ignore"):
        return np.abs(values) <= LARGEST  # False for NaN


def _typical(entry):
    """The values that an axis should hold: all of a line, but without the outermost hundredths of one in the background."""
    values = entry.y[_finite(entry.y)]
    if entry.background and len(values):
        low, high = np.percentile(values, [1, 99])
        return np.clip(values, low, high)
    return values


def _round_values(low, high, count):
    """About `count` multiples of 1, 2 or 5 times a power of ten, from `low` to `high`."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    values = step * np.arange(math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) + 1)
    return np.round(values, max(0, 1 - math.floor(math.log10(step)))) if step > 1e-15 else values  # 0.3, not 0.30000000000000004


def _tick_labels(values, alike=True):
    """The values as text, with decimals where that is readable; `alike`: all with as many as the finest needs."""
    if not all(value == 0 or 1e-3 <= abs(value) < 1e6 for value in values):
        return [f"{value:.3g}" for value in values]
    needed = [len(f"{value:.6f}".rstrip("0").partition(".")[2]) for value in values]
    return [f"{value:,.{max(needed) if alike else own}f}" for value, own in zip(values, needed, strict=True)]


def _thinned(x, y, columns):
    """At most two points for each of `columns` parts, the least and the greatest: the line looks the same."""
    if len(x) <= 2 * columns:
        return x, y
    kept = []
    for part in np.array_split(np.arange(len(x)), columns):
        finite = part[np.isfinite(y[part])]
        kept += sorted({int(finite[y[finite].argmin()]), int(finite[y[finite].argmax()])}) if len(finite) else [int(part[0])]
    return x[kept], y[kept]


def _path(x, y):
    """A line through the points; it stops at NaN, and h0 makes a dot of a point without neighbours."""
    parts, pen_is_down = [], False
    for left, top in zip(x, y, strict=True):
        if math.isfinite(top):
            parts.append(f"L{left:.2f} {top:.2f}" if pen_is_down else f"M{left:.2f} {top:.2f}h0")
        pen_is_down = math.isfinite(top)
    return "".join(parts)


def _points(x, y):
    return "".join(f"M{left:.2f} {top:.2f}h0" for left, top in zip(x, y, strict=True) if math.isfinite(top))


def _stops(front, x_label, x_axis, number, mark):
    """A strip for each x, or for STOPS of them and the marked one, from halfway to its neighbours."""
    if not front:
        return ()
    x = np.unique(np.concatenate([entry.x for entry in front]))
    chosen = set(np.linspace(0, len(x) - 1, min(len(x), STOPS)).round().astype(int).tolist())
    if mark is not None:
        chosen |= set(np.flatnonzero(x == mark[0]).tolist())
    rows = sorted(chosen)
    at = x_axis(x[rows])
    edges = np.concatenate([[0.0], (at[1:] + at[:-1]) / 2, [100.0]])
    widths = np.maximum(np.diff(edges), 1e-6)
    return tuple(
        Stop(
            left=float(left),
            width=float(width),
            at=float(100 * (position - left) / width),
            label=f"{x_label} {f'{x[row]:,.2f}'.rstrip('0').rstrip('.')}",
            values=tuple((entry.name, entry.style, number(entry.y[entry.x == x[row]][0])) for entry in front if x[row] in entry.x),
        )
        for row, position, left, width in zip(rows, at, edges[:-1], widths, strict=True)
    )


def _gaps(entry):
    gaps = int(np.count_nonzero(~_finite(entry.y)))
    return f" ({gaps:,} not finite)" if gaps and not entry.background else ""


def _description(title, x_label, front, number):
    """The chart in words, for those who cannot see it."""
    sentences = [f"{title}, by {x_label}."]
    for entry in front:
        values = entry.y[_finite(entry.y)]
        if len(values):
            course = f"from {number(values[0])} to {number(values[-1])}, least {number(values.min())}, greatest {number(values.max())}"
            sentences.append(f"{entry.name}{_gaps(entry)}: {course}.")
    return " ".join(sentences)
