# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Numba and llvmlite make these attributes at run time)
"""What is done to the rows of a tile of one vector each: small linear maps, sums, and the choices of ReLU and max pooling.

A formula of plain Python becomes the instructions that it describes, once for every lane: `linear_map(lambda a, b: (a + b, a - b))` takes a
tile of two rows to a tile of two rows, `row_by_row(lambda x, y: x * y)` two tiles to a tile. It costs the compiler nothing: Numba sees one
operation.
"""

import inspect

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.compiled.tile import VECTOR_BYTES, Tile, broadcast, element_pointer, vector_pointer, vector_type

__all__ = [
    "add_rows",
    "add_where",
    "keep_greatest",
    "keep_where_positive",
    "linear_map",
    "lowest",
    "pool_columns",
    "row_by_row",
    "store_greatest",
    "unpool_left",
    "unpool_right",
]

CUT = 4  # the winner's byte where the ReLU cut the maximum off


class Term:
    """One row inside a formula: +, - and multiplication by a number write an instruction each; the processor may fuse them."""

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    def __add__(self, other):
        return Term(self.builder, self.builder.fadd(self.value, other.value, flags=("contract",)))

    def __sub__(self, other):
        return Term(self.builder, self.builder.fsub(self.value, other.value, flags=("contract",)))

    def __mul__(self, other):
        return Term(self.builder, self.builder.fmul(self.value, other.value, flags=("contract",)))

    def __rmul__(self, number):
        vector = self.value.type
        factor = ir.Constant(vector, [ir.Constant(vector.element, float(number))] * vector.count)
        return Term(self.builder, self.builder.fmul(factor, self.value, flags=("contract",)))


def linear_map(formula):
    """The operation on a tile whose rows are the arguments of the formula; its results are the rows of the tile that comes out."""
    inputs = len(inspect.signature(formula).parameters)

    @intrinsic
    def apply(typing, tile):
        outputs = len(formula(*[Shape()] * inputs))
        result = Tile(tile.dtype, outputs, 1)

        def generate(context, builder, signature, args):
            terms = formula(*(Term(builder, builder.extract_value(args[0], r)) for r in range(inputs)))
            out = ir.Constant(context.get_value_type(result), ir.Undefined)
            for r, term in enumerate(terms):
                out = builder.insert_value(out, term.value, r)
            return out

        return result(tile), generate

    return apply


def row_by_row(formula):
    """The operation on as many tiles as the formula has arguments: on their first rows, on their second rows, and so on."""

    @intrinsic
    def apply(typing, tile, *others):
        def generate(context, builder, signature, args):
            out, values = args[0], [args[0], *cgutils.unpack_tuple(builder, args[1])]
            for r in range(tile.rows):
                term = formula(*(Term(builder, builder.extract_value(value, r)) for value in values))
                out = builder.insert_value(out, term.value, r)
            return out

        return tile(tile, types.StarArgTuple(others)), generate

    return apply


class Shape:
    """Stands for a row where only the number of results is asked for."""

    def __add__(self, other):
        return self

    __sub__ = __rmul__ = __add__


@intrinsic
def add_rows(typing, tile, other):
    """The tile, with the rows of a tile of fewer rows added to its first ones."""

    def generate(context, builder, signature, args):
        out, addend = args
        for r in range(other.rows):
            out = builder.insert_value(out, builder.fadd(builder.extract_value(out, r), builder.extract_value(addend, r)), r)
        return out

    return tile(tile, other), generate


@intrinsic
def keep_where_positive(typing, tile, other):
    """The tile where the other one is > 0, else 0: the gradient before a ReLU whose output is `other`."""

    def generate(context, builder, signature, args):
        out, passed = args
        zero = ir.Constant(vector_type(tile.dtype), None)
        for r in range(tile.rows):
            positive = builder.fcmp_ordered(">", builder.extract_value(passed, r), zero)
            out = builder.insert_value(out, builder.select(positive, builder.extract_value(out, r), zero), r)
        return out

    return tile(tile, other), generate


def bytes_vector(tile):
    """The type of a vector with one byte for each lane."""
    return ir.VectorType(ir.IntType(8), VECTOR_BYTES * 8 // tile.dtype.bitwidth)


def constant_bytes(tile, number):
    vector = bytes_vector(tile)
    return ir.Constant(vector, [ir.Constant(vector.element, number)] * vector.count)


def winner_pointer(context, builder, tile, winners, array, offset):
    return builder.bitcast(element_pointer(context, builder, winners, array, offset), bytes_vector(tile).as_pointer())


@intrinsic
def pool_columns(typing, left, right, rectify, winners, i, stride):
    """The largest of every 2x2 window of two columns of pixels: half as many rows.

    Which of (left, right, left, right) of its two rows won goes to winners[i + row * stride :], 0 to 3: the first among equals, a NaN over
    numbers. The last row of windows is written first. With `rectify` 4 is written where the largest is not > 0; the values themselves are
    left to `relu`.
    """
    pooled = Tile(left.dtype, left.rows // 2, 1)

    def generate(context, builder, signature, args):
        left_tile, right_tile, cut, array, offset, row_stride = args
        vector, width = vector_type(left.dtype), bytes_vector(left).count
        zero, mask = ir.Constant(vector, None), ir.VectorType(ir.IntType(1), width)
        flag = builder.insert_element(ir.Constant(mask, ir.Undefined), builder.trunc(cut, ir.IntType(1)), ir.Constant(ir.IntType(32), 0))
        cuts = builder.shuffle_vector(flag, flag, ir.Constant(ir.VectorType(ir.IntType(32), width), None))
        out = ir.Constant(context.get_value_type(pooled), ir.Undefined)
        places = [builder.add(offset, builder.mul(row_stride, ir.Constant(row_stride.type, r))) for r in range(pooled.rows)]
        for r in reversed(range(pooled.rows)):
            window = [builder.extract_value(tile, row) for row in (2 * r, 2 * r + 1) for tile in (left_tile, right_tile)]
            best, winner = window[0], constant_bytes(left, 0)
            for place, value in enumerate(window[1:], 1):
                larger = builder.or_(builder.fcmp_ordered(">", value, best), builder.fcmp_unordered("uno", value, value))
                best = builder.select(larger, value, best)
                winner = builder.select(larger, constant_bytes(left, place), winner)
            lost = builder.and_(cuts, builder.not_(builder.fcmp_ordered(">", best, zero)))
            winner = builder.select(lost, constant_bytes(left, CUT), winner)
            builder.store(winner, winner_pointer(context, builder, left, winners, array, places[r]), align=1)
            out = builder.insert_value(out, best, r)
        return out

    return pooled(left, right, types.boolean, winners, types.intp, types.intp), generate


def unpool(column):
    """The operation that undoes `pool_columns` for gradients, for the left (0) or the right (1) column."""

    @intrinsic
    def unpool_column(typing, tile, winners, i, stride):
        column_tile = Tile(tile.dtype, 2 * tile.rows, 1)

        def generate(context, builder, signature, args):
            gradients, array, offset, row_stride = args
            zero = ir.Constant(vector_type(tile.dtype), None)
            out = ir.Constant(context.get_value_type(column_tile), ir.Undefined)
            for r in range(tile.rows):
                winner = builder.load(winner_pointer(context, builder, tile, winners, array, offset), align=1)
                offset = builder.add(offset, row_stride)
                for upper_or_lower in (0, 1):
                    won = builder.icmp_unsigned("==", winner, constant_bytes(tile, 2 * upper_or_lower + column))
                    value = builder.select(won, builder.extract_value(gradients, r), zero)
                    out = builder.insert_value(out, value, 2 * r + upper_or_lower)
            return out

        return column_tile(tile, winners, types.intp, types.intp), generate

    return unpool_column


unpool_left, unpool_right = unpool(0), unpool(1)


@intrinsic(prefer_literal=True)
def lowest(typing, x, vectors):
    """A tile of x's dtype for `keep_greatest`, of so many vectors, a literal number: values below all numbers, and place 0."""
    tile = Tile(x.dtype, 2, vectors.literal_value)

    def generate(context, builder, signature, args):
        vector = vector_type(tile.dtype)
        out, below = (
            ir.Constant(context.get_value_type(tile), None),
            ir.Constant(vector, [ir.Constant(vector.element, float("-inf"))] * vector.count),
        )
        for v in range(tile.vectors):
            out = builder.insert_value(out, below, v)
        return out

    return tile(x, vectors), generate


@intrinsic
def keep_greatest(typing, tile, x, i, place):
    """The tile, whose rows are the greatest values so far and their places, after the values x[i:], which have a later place.

    The first among equals stays, a NaN is over numbers, and the first NaN stays, too.
    """

    def generate(context, builder, signature, args):
        out, array, offset, number = args
        vector = vector_type(tile.dtype)
        pointer = element_pointer(context, builder, x, array, offset)
        here = broadcast(builder, vector, builder.sitofp(number, vector.element))
        for v in range(tile.vectors):
            value = builder.load(vector_pointer(builder, tile, pointer, v), align=1)
            best, place = builder.extract_value(out, v), builder.extract_value(out, tile.vectors + v)
            # not <= : greater, or one of them is NaN
            better = builder.and_(builder.fcmp_unordered(">", value, best), builder.fcmp_ordered("ord", best, best))
            out = builder.insert_value(out, builder.select(better, value, best), v)
            out = builder.insert_value(out, builder.select(better, here, place), tile.vectors + v)
        return out

    return tile(tile, x, types.intp, types.intp), generate


@intrinsic
def store_greatest(typing, tile, out, winners, i):
    """out[i:] = the values of a tile of `keep_greatest`, winners[i:] = their places, as whole numbers."""

    def generate(context, builder, signature, args):
        state, out_array, winner_array, offset = args
        whole = ir.VectorType(ir.IntType(winners.dtype.bitwidth), vector_type(tile.dtype).count)
        values = element_pointer(context, builder, out, out_array, offset)
        places = builder.bitcast(element_pointer(context, builder, winners, winner_array, offset), whole.as_pointer())
        for v in range(tile.vectors):
            builder.store(builder.extract_value(state, v), vector_pointer(builder, tile, values, v), align=1)
            place = builder.fptosi(builder.extract_value(state, tile.vectors + v), ir.VectorType(ir.IntType(32), whole.count))
            place = place if whole.element.width == 32 else builder.trunc(place, whole)
            builder.store(place, builder.gep(places, [ir.Constant(ir.IntType(64), v)]), align=1)
        return context.get_dummy_value()

    return types.void(tile, out, winners, types.intp), generate


@intrinsic
def add_where(typing, tile, x, winners, i, place):
    """The tile of one row plus x[i:] where winners[i:], one byte each, is `place`."""

    def generate(context, builder, signature, args):
        out, array, winner_array, offset, number = args
        values = element_pointer(context, builder, x, array, offset)
        winner = winner_pointer(context, builder, tile, winners, winner_array, offset)
        here = broadcast(builder, bytes_vector(tile), builder.trunc(number, ir.IntType(8)))
        for v in range(tile.vectors):
            won = builder.icmp_unsigned("==", builder.load(builder.gep(winner, [ir.Constant(ir.IntType(64), v)]), align=1), here)
            value = builder.load(vector_pointer(builder, tile, values, v), align=1)
            addend = builder.select(won, value, ir.Constant(vector_type(tile.dtype), None))
            out = builder.insert_value(out, builder.fadd(builder.extract_value(out, v), addend), v)
        return out

    return tile(tile, x, winners, types.intp, types.intp), generate
