"""Functions made by functions: the cache of compiled code must not take one for another."""

from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

import chainrule.kernels.compiled
from chainrule.kernels.compiler import load

MODULES = sorted(path.stem for path in Path(chainrule.kernels.compiled.__path__[0]).glob("[a-z]*.py"))


def compiled_functions(values, found):
    """All compiled functions among the values, and those that they call."""
    for value in values:
        if isinstance(value, Dispatcher) and value not in found:
            found.append(value)
            cells = [cell.cell_contents for cell in value.py_func.__closure__ or ()]
            compiled_functions([*cells, *value.py_func.__globals__.values()], found)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_no_two_functions_have_the_same_name(name):
    names = [(function.__module__, function.py_func.__qualname__) for function in compiled_functions(vars(load(name)).values(), [])]
    assert len(names) == len(set(names))
