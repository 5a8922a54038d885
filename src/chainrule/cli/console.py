"""How things look: two consoles, numbers with units, and the message while kernels are compiled."""

import json
import sys
import warnings

from rich.console import Console

__all__ = ["announce_compilation", "count", "download_bar", "err", "out", "percent", "print_json", "show_warnings", "size"]

# a file or a pipe has no width: tables are not cut there
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value):
    """One JSON document on stdout, for scripts."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def percent(share):
    return f"{100 * share:.1f} %"


def count(number):
    """1234567 -> 1,234,567"""
    return f"{number:,}"


def size(number):
    """Bytes; 2048 -> 2.0 KiB"""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def announce_compilation():
    """Say so, once, when a kernel is compiled rather than loaded from the cache."""
    from chainrule import kernels

    said = []

    def say(*_):
        if not said:
            said.append(True)
            kept = "once; they are kept" if kernels.cache_is_kept() else "each time: no folder can be written to; NUMBA_CACHE_DIR names one"
            err.print(f"compiling the kernels for this processor (some seconds, {kept})", style="dim")

    kernels.on_compile(say)


class download_bar:
    """A bar on stderr that appears with the first bytes; `announcement` then stands above it, and stays."""

    def __init__(self, announcement: str | None = None):
        self._announcement, self._bar = announcement, None

    def __enter__(self):
        return self._advance

    def _advance(self, done, total):
        from rich.progress import Progress

        if self._bar is None:
            if self._announcement:
                err.print(self._announcement, style="dim", markup=False)
            self._bar = Progress(console=err, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("downloading", total=total)
        self._bar.update(self._task, completed=done)

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.stop()


def show_warnings():
    """Warnings as one plain line on stderr."""

    def show(message, category, filename, lineno, file=None, line=None):
        err.print(f"warning: {message}", style="yellow", markup=False)

    warnings.showwarning = show
