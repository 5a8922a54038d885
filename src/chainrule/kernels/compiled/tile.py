# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Numba and llvmlite make these attributes at run time)
"""The register tile: ROWS rows of V vectors of accumulators that LLVM keeps in registers, as Numba intrinsics.

A plain Numba loop loads and stores its accumulators at every step and reaches a quarter of a core's speed. A tile is a value, not memory:
it stays in registers through a whole inner loop (the "micro-kernel" of Goto & van de Geijn, Anatomy of high-performance matrix
multiplication, 2008):

    tile = zeros(x, ROWS, 2)
    for k in range(K):
        tile = multiply_add(tile, x, i + k * step, stride, w, j + k * width)
    store(tile, out, o, M)

Every array is taken as flat, C-contiguous memory, whatever its number of dimensions; offsets and strides count elements. Nothing is
checked: the caller makes sure that ROWS rows of V whole vectors are there, and packs what is narrower into padded scratch.

The operations whose names end in _rows or _lanes take, instead of one stride, the places of the rows, which may then lie anywhere:

    inside = rows_at(x, i, places, 0, ROWS)
    tile = multiply_add_rows(tile, inside, k * step, w, j + k * width)
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

__all__ = [
    "ROWS",
    "VECTOR_BYTES",
    "Tile",
    "copy",
    "load",
    "load_rows",
    "multiply_add",
    "multiply_add_lanes",
    "multiply_add_rows",
    "relu",
    "rows_at",
    "store",
    "store_rows",
    "transpose",
    "zeros",
]


TRIPLE, CPU, FEATURES = cpu_target.target_context.codegen().magic_tuple()
if config.CPU_NAME and config.CPU_FEATURES is None:
    FEATURES = ""  # to the processor that NUMBA_CPU_NAME names, Numba adds the features of this one; the tile is sized for the former


def widest_vector():
    """Bytes of the widest vector register that LLVM would use: 64 (AVX-512), 32 (AVX) or 16 (SSE2, NEON).

    LLVM itself is asked, because it knows better than a list of features: for some processors it prefers half a register.
    """
    module = ir.Module()
    vector = ir.VectorType(ir.FloatType(), 16)
    function = ir.Function(module, ir.FunctionType(vector, [vector, vector]), "add")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(builder.fadd(*function.args))
    target = binding.Target.from_triple(TRIPLE).create_target_machine(cpu=CPU, features=FEATURES)
    assembly = target.emit_assembly(binding.parse_assembly(str(module)))
    return 64 if "zmm" in assembly else 32 if "ymm" in assembly else 16


VECTOR_BYTES = widest_vector()
# AVX-512 and ARM have 32 registers: 8 x 2 accumulators. With 16 (AVX, SSE2) the limit is 6 x 2; 8 x 2 would spill there: 0.57 times the
# speed.
ROWS = 8 if VECTOR_BYTES == 64 or TRIPLE.startswith(("aarch64", "arm64")) else 6


class Tile(types.Type):
    """Numba's type of a tile of `rows` x `vectors` registers of `dtype` (float32 or float64)."""

    def __init__(self, dtype, rows, vectors):
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        super().__init__(f"Tile({dtype}, {rows}, {vectors}, {VECTOR_BYTES})")


class Rows(types.Type):
    """Numba's type of the places in memory of `rows` rows of `dtype`."""

    def __init__(self, dtype, rows):
        self.dtype, self.rows = dtype, rows
        super().__init__(f"Rows({dtype}, {rows})")


def element_type(dtype):
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def vector_type(dtype):
    return ir.VectorType(element_type(dtype), VECTOR_BYTES * 8 // dtype.bitwidth)


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        super().__init__(manager, tile, ir.ArrayType(vector_type(tile.dtype), tile.rows * tile.vectors))


@register_model(Rows)
class RowsModel(models.PrimitiveModel):
    def __init__(self, manager, rows):
        super().__init__(manager, rows, ir.ArrayType(element_type(rows.dtype).as_pointer(), rows.rows))


def element_pointer(context, builder, array_type, array, offset):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def vector_pointer(builder, tile, pointer, v):
    vector = vector_type(tile.dtype)
    return builder.bitcast(builder.gep(pointer, [ir.Constant(ir.IntType(64), v * vector.count)]), vector.as_pointer())


def broadcast(builder, vector, scalar):
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


def multiply_adder(builder, vector, dtype):
    """The instruction a * b + c, rounded once where the processor has it, twice elsewhere (llvm.fma would call a slow, sometimes missing
    library function there).
    """
    name = f"llvm.fmuladd.v{vector.count}f{dtype.bitwidth}"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)


def fence(builder):
    """No instruction, but a line across which LLVM moves no load: else it fetches the factors of several steps ahead, runs out of registers
    for them, and keeps accumulators in memory: half the speed.
    """
    builder.call(ir.InlineAsm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", side_effect=True), [])


@intrinsic(prefer_literal=True)
def zeros(typing, x, rows, vectors):
    """A tile of zeros of x's dtype; rows and vectors are literal numbers."""
    tile = Tile(x.dtype, rows.literal_value, vectors.literal_value)

    def generate(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(x, rows, vectors), generate


@intrinsic
def load(typing, tile, x, i, stride):
    """The tile whose row r is x[i + r * stride :]. A stride of 0 gives every row the same values: a bias."""

    def generate(context, builder, signature, args):
        out, array, offset, row_stride = args
        pointer = element_pointer(context, builder, x, array, offset)
        for r in range(tile.rows):
            for v in range(tile.vectors):
                vector = builder.load(vector_pointer(builder, tile, pointer, v), align=1)
                out = builder.insert_value(out, vector, r * tile.vectors + v)
            pointer = builder.gep(pointer, [row_stride])
        return out

    return tile(tile, x, types.intp, types.intp), generate


@intrinsic
def multiply_add(typing, tile, x, i, stride, w, j):
    """Row r of the tile plus x[i + r * stride] * w[j :], for all rows: a product of a column and a row."""

    def generate(context, builder, signature, args):
        out, x_array, x_offset, x_stride, w_array, w_offset = args
        vector = vector_type(tile.dtype)
        fused = multiply_adder(builder, vector, tile.dtype)
        w_pointer = element_pointer(context, builder, w, w_array, w_offset)
        w_vectors = [builder.load(vector_pointer(builder, tile, w_pointer, v), align=1) for v in range(tile.vectors)]
        x_pointer = element_pointer(context, builder, x, x_array, x_offset)
        for r in range(tile.rows):
            scalar = builder.load(builder.gep(x_pointer, [builder.mul(x_stride, ir.Constant(x_stride.type, r))]))
            factor = broadcast(builder, vector, scalar)
            for v in range(tile.vectors):
                k = r * tile.vectors + v
                out = builder.insert_value(out, builder.call(fused, [factor, w_vectors[v], builder.extract_value(out, k)]), k)
        return out

    return tile(tile, x, types.intp, types.intp, w, types.intp), generate


@intrinsic
def relu(typing, tile):
    """max(0, value), keeping NaN, as NumPy's maximum does."""

    def generate(context, builder, signature, args):
        (out,) = args
        zero = ir.Constant(vector_type(tile.dtype), None)
        for k in range(tile.rows * tile.vectors):
            value = builder.extract_value(out, k)
            out = builder.insert_value(out, builder.select(builder.fcmp_ordered("<", value, zero), zero, value), k)
        return out

    return tile(tile), generate


@intrinsic
def store(typing, tile, x, i, stride):
    """x[i + r * stride :] = row r of the tile."""

    def generate(context, builder, signature, args):
        value, array, offset, row_stride = args
        pointer = element_pointer(context, builder, x, array, offset)
        for r in range(tile.rows):
            for v in range(tile.vectors):
                builder.store(builder.extract_value(value, r * tile.vectors + v), vector_pointer(builder, tile, pointer, v), align=1)
            pointer = builder.gep(pointer, [row_stride])
        return context.get_dummy_value()

    return types.void(tile, x, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def rows_at(typing, x, i, places, first, rows):
    """The places of x[i + places[first + r]] for r < rows, a literal number."""
    found = Rows(x.dtype, rows.literal_value)

    def generate(context, builder, signature, args):
        array, offset, place_array, place_offset, _ = args
        start, place = (
            element_pointer(context, builder, x, array, offset),
            element_pointer(context, builder, places, place_array, place_offset),
        )
        out = ir.Constant(context.get_value_type(found), ir.Undefined)
        for r in range(found.rows):
            distance = builder.load(builder.gep(place, [ir.Constant(ir.IntType(64), r)]))
            out = builder.insert_value(out, builder.gep(start, [distance]), r)
        return out

    return found(x, types.intp, places, types.intp, rows), generate


@intrinsic
def load_rows(typing, tile, rows):
    """The tile that lies in these rows."""

    def generate(context, builder, signature, args):
        out, pointers = args
        for r in range(tile.rows):
            pointer = builder.extract_value(pointers, r)
            for v in range(tile.vectors):
                vector = builder.load(vector_pointer(builder, tile, pointer, v), align=1)
                out = builder.insert_value(out, vector, r * tile.vectors + v)
        return out

    return tile(tile, rows), generate


@intrinsic
def multiply_add_rows(typing, tile, rows, i, w, j):
    """Row r of the tile plus rows[r][i] * w[j :], for all rows: as `multiply_add`, from rows that lie anywhere."""

    def generate(context, builder, signature, args):
        out, pointers, offset, w_array, w_offset = args
        vector = vector_type(tile.dtype)
        fused = multiply_adder(builder, vector, tile.dtype)
        fence(builder)
        w_pointer = element_pointer(context, builder, w, w_array, w_offset)
        w_vectors = [builder.load(vector_pointer(builder, tile, w_pointer, v), align=1) for v in range(tile.vectors)]
        for r in range(tile.rows):
            factor = broadcast(builder, vector, builder.load(builder.gep(builder.extract_value(pointers, r), [offset])))
            for v in range(tile.vectors):
                k = r * tile.vectors + v
                out = builder.insert_value(out, builder.call(fused, [factor, w_vectors[v], builder.extract_value(out, k)]), k)
        return out

    return tile(tile, rows, types.intp, w, types.intp), generate


@intrinsic
def multiply_add_lanes(typing, tile, rows, i, w, j):
    """Row r of the tile plus rows[r][i :] * w[j :], number by number, for all rows."""

    def generate(context, builder, signature, args):
        out, pointers, offset, w_array, w_offset = args
        fused = multiply_adder(builder, vector_type(tile.dtype), tile.dtype)
        fence(builder)
        w_pointer = element_pointer(context, builder, w, w_array, w_offset)
        w_vectors = [builder.load(vector_pointer(builder, tile, w_pointer, v), align=1) for v in range(tile.vectors)]
        for r in range(tile.rows):
            pointer = builder.gep(builder.extract_value(pointers, r), [offset])
            for v in range(tile.vectors):
                k = r * tile.vectors + v
                factor = builder.load(vector_pointer(builder, tile, pointer, v), align=1)
                out = builder.insert_value(out, builder.call(fused, [factor, w_vectors[v], builder.extract_value(out, k)]), k)
        return out

    return tile(tile, rows, types.intp, w, types.intp), generate


@intrinsic
def store_rows(typing, tile, rows):
    """The rows of the tile to their places."""

    def generate(context, builder, signature, args):
        value, pointers = args
        for r in range(tile.rows):
            pointer = builder.extract_value(pointers, r)
            for v in range(tile.vectors):
                builder.store(builder.extract_value(value, r * tile.vectors + v), vector_pointer(builder, tile, pointer, v), align=1)
        return context.get_dummy_value()

    return types.void(tile, rows), generate


@intrinsic
def copy(typing, x, i, y, j, count):
    """x[i : i + count] = y[j : j + count]: one memcpy, where a loop would be compiled into hundreds of instructions."""

    def generate(context, builder, signature, args):
        x_array, x_offset, y_array, y_offset, number = args
        target, source = element_pointer(context, builder, x, x_array, x_offset), element_pointer(context, builder, y, y_array, y_offset)
        cgutils.raw_memcpy(builder, target, source, number, x.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(x, types.intp, y, types.intp, types.intp), generate


@intrinsic
def transpose(typing, x, i, x_stride, y, j, y_stride):
    """y[j + c * y_stride + r] = x[i + r * x_stride + c] for as many rows and columns as a vector has lanes.

    To interleave the first half of the rows with the second turns the index (r, c), written in bits, by one bit: done once for every bit of
    r, rows and columns have changed places.
    """

    def generate(context, builder, signature, args):
        x_array, x_offset, x_row, y_array, y_offset, y_row = args
        vector = vector_type(x.dtype)
        lanes = vector.count
        tile = Tile(x.dtype, lanes, 1)
        order = [lane // 2 + lane % 2 * lanes for lane in range(2 * lanes)]
        mask = ir.VectorType(ir.IntType(32), lanes)
        low, high = ir.Constant(mask, order[:lanes]), ir.Constant(mask, order[lanes:])
        pointer, rows = element_pointer(context, builder, x, x_array, x_offset), []
        for _ in range(lanes):
            rows.append(builder.load(vector_pointer(builder, tile, pointer, 0), align=1))
            pointer = builder.gep(pointer, [x_row])
        for _ in range(lanes.bit_length() - 1):
            pairs = zip(rows[: lanes // 2], rows[lanes // 2 :], strict=True)
            rows = [builder.shuffle_vector(first, second, half) for first, second in pairs for half in (low, high)]
        pointer = element_pointer(context, builder, y, y_array, y_offset)
        for row in rows:
            builder.store(row, vector_pointer(builder, tile, pointer, 0), align=1)
            pointer = builder.gep(pointer, [y_row])
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, y, types.intp, types.intp), generate
