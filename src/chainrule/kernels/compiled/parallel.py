# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# (Numba makes these attributes at run time; the first parameter of an intrinsic is Numba's own)
"""Compiled functions on several threads, called by address.

Where a parallel loop calls a compiled function by name, LLVM takes that function in and compiles it again, three times over; for a large
one that is most of the time that compilation takes. By its address, it is compiled once.
"""

import numpy as np
from numba import njit, prange, typeof, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["start"]


@intrinsic
def call(typing, address, arguments):
    """Call the compiled function at the address, which returns nothing and takes arguments of exactly these types.

    Of a tuple that it takes, each value is an argument here (so functions are called in machine code, and parallel loops take no tuples of
    tuples).
    """

    def generate(context, builder, signature, args):
        place, values = args
        kinds, convention = list(arguments.types), context.call_conv
        function = builder.inttoptr(place, convention.get_function_type(types.none, kinds).as_pointer())
        convention.call_function(builder, function, types.none, kinds, cgutils.unpack_tuple(builder, values))
        return context.get_dummy_value()

    return types.void(types.intp, arguments), generate


@njit(parallel=True, error_model="numpy", boundscheck=False, nogil=True, cache=True)
def run(address, arguments, parts):
    """Call the function with (*arguments, parts, part) for every part; a single one without waking another thread."""
    if parts == 1:
        call(address, (*arguments, parts, np.int64(0)))
    else:
        for part in prange(parts):
            call(address, (*arguments, parts, np.int64(part)))


_addresses = {}


def leaves(values):
    """The arrays and numbers in tuples of them and of such tuples."""
    for value in values:
        if isinstance(value, tuple):
            yield from leaves(value)
        else:
            yield value


def start(function, arguments, parts):
    """function(*arguments, parts, part) for every part, on as many threads; compiled for the types of the arguments if need be.

    Arguments are arrays, numbers, and tuples of them.
    """
    flat = tuple(leaves(arguments))
    # Numba's own names of the types would take longer to find than many a kernel to run
    key = function, *[(x.dtype.char, x.ndim, x.flags.c_contiguous) if isinstance(x, np.ndarray) else type(x) for x in flat]
    address = _addresses.get(key)
    if address is None:
        kinds = tuple(typeof(argument) for argument in arguments) + (types.int64, types.int64)
        function.compile(kinds)
        compiled = function.overloads[kinds]
        address = _addresses[key] = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    run(address, flat, parts)
