"""Pages that open anywhere, offline, without scripts: their template, and how numbers are written in them."""

import math
from pathlib import Path

import jinja2

__all__ = ["duration_text", "number_text", "percent_text", "percent_tick", "render"]


def render(template: Path, **values) -> bytes:
    """The page of the file `template`, which may extend those beside this module; every text in `values` is escaped.

    A file name that is not UTF-8 has lone surrogates in Python; no page can hold them.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent_text, "whole_percent": _whole_percent, "number": number_text}
    return environment.get_template(template.name).render(**values).encode("utf-8", "backslashreplace")


def percent_text(value):
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%" if math.isfinite(value) else "–"


def _whole_percent(value):
    if 0 < value < 0.01 or 0.99 < value < 1:
        return "<1\N{NO-BREAK SPACE}%" if value < 0.5 else ">99\N{NO-BREAK SPACE}%"
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%" if math.isfinite(value) else "–"


def percent_tick(value):
    return f"{100 * value:.4g}\N{NO-BREAK SPACE}%"


def number_text(value):
    if not math.isfinite(value):
        return "–"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.3e}" if abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:.4g}"


def duration_text(seconds):
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
