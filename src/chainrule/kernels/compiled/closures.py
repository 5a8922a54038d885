"""Functions that a function makes, each for values of its own, so named that the cache can tell them apart.

Numba names the machine code of a function after the function, the types of its arguments, and a number that every process counts for
itself. So two closures of one function can have the same name in two files of the cache, and a process that reads both runs one of them for
the other: results are wrong, and memory is written that should not be. The values in the name prevent it.
"""

from numba import njit

__all__ = ["closure"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def closure(*values):
    """Compile the function that is decorated, called from other compiled functions alone; `values` are all that it is made for."""

    def compiled(function):
        names = (getattr(value, "_name", None) or str(value) for value in values)  # that of an intrinsic is _name
        function.__qualname__ = "_".join([function.__qualname__, *names])
        return njit(**OPTIONS)(function)

    return compiled
