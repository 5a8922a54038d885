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

__all__ = ["address_of", "run"]


@intrinsic
def call(typing, address, arguments):
    """Call the compiled function at the address, which returns nothing and takes arguments of exactly these types."""

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


def address_of(function, arguments):
    """The address of function(*arguments, parts, part), compiled for the types of the arguments if need be."""
    kinds = tuple(typeof(argument) for argument in arguments) + (types.int64, types.int64)
    if (function, kinds) not in _addresses:
        function.compile(kinds)
        compiled = function.overloads[kinds]
        _addresses[function, kinds] = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return _addresses[function, kinds]
