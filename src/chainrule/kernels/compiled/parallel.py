# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# (Numba makes these attributes at run time; the first parameter of an intrinsic is Numba's own)
"""Compiled functions on several threads, called by address.

Where a parallel loop calls a compiled function by name, LLVM takes that function in and compiles it again, three times over; and Numba
takes half a second to build any parallel loop. So there is one loop, `spread`, for all: it knows a function and its arguments by address.
"""

import functools

import numpy as np
from llvmlite import ir
from numba import njit, prange, typeof, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["start"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
WORD = ir.IntType(64)
ENTRY = ir.FunctionType(ir.VoidType(), [WORD] * 3)


def call_compiled(context, builder, address, kinds, values):
    """Instructions that call the compiled function at the address, which returns nothing and takes arguments of exactly these types."""
    convention = context.call_conv
    function = builder.inttoptr(address, convention.get_function_type(types.none, kinds).as_pointer())
    convention.call_function(builder, function, types.none, kinds, values)


@intrinsic
def enter(typing, entry, packed, parts, part):
    """Call the entry that `call_spread` made."""

    def generate(context, builder, signature, args):
        builder.call(builder.inttoptr(args[0], ENTRY.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.int64, types.int64), generate


@njit(parallel=True, **OPTIONS)
def spread(entry, packed, parts):
    for part in prange(parts):
        enter(entry, packed, parts, np.int64(part))


@intrinsic
def call_spread(typing, spreading, address, arguments, parts):
    """Have the `spread` at address `spreading` call the function at `address` with (*arguments, parts, part).

    Of a tuple that the function takes, each value is an argument here: so functions are called in machine code.
    """
    kinds = [*arguments.types, types.int64, types.int64]

    def generate(context, builder, signature, args):
        spreading, address, values, parts = args
        kind = ir.LiteralStructType([WORD, values.type])
        packed = cgutils.alloca_once_value(builder, cgutils.pack_struct(builder, [address, values]))
        entry = ir.Function(builder.module, ENTRY, builder.module.get_unique_name(f"{builder.function.name}.entry"))
        entry.linkage = "internal"
        inside = ir.IRBuilder(entry.append_basic_block())
        unpacked = inside.load(inside.inttoptr(entry.args[0], kind.as_pointer()))
        own = cgutils.unpack_tuple(inside, inside.extract_value(unpacked, 1))
        call_compiled(context, inside, inside.extract_value(unpacked, 0), kinds, [*own, *entry.args[1:]])
        inside.ret_void()
        places = [builder.ptrtoint(entry, WORD), builder.ptrtoint(packed, WORD)]
        call_compiled(context, builder, spreading, [types.intp, types.intp, types.int64], [*places, parts])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, arguments, types.int64), generate


@njit(**OPTIONS)
def run(spreading, address, arguments, parts):
    call_spread(spreading, address, arguments, parts)


def address_of(function, kinds):
    """The address of the function compiled for arguments of these types; compiled now if need be."""
    function.compile(kinds)
    compiled = function.overloads[kinds]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@functools.cache
def spread_address():
    return address_of(spread, (types.intp, types.intp, types.int64))


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
    if key not in _addresses:
        _addresses[key] = address_of(function, tuple(typeof(argument) for argument in arguments) + (types.int64, types.int64))
    run(spread_address(), _addresses[key], flat, parts)
