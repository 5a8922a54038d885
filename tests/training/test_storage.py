"""Files are written whole or not at all, arrays of every layout come back equal, and no file can do more than raise ValueError."""

import errno
import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.training import storage
from chainrule.training.storage import decode_json, encode_json, load_arrays, read_file, read_json, save_arrays, write_file, write_json

# a folder is shared by the examples of one test: each of them writes its file anew
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

BASE = np.random.default_rng(0).standard_normal((4, 5, 6)).astype(np.float32)
LAYOUTS = {
    "contiguous": BASE,
    "transposed": BASE.T,
    "axes swapped": BASE.swapaxes(0, 1),
    "strided": BASE[:, ::2, 1::3],
    "reversed": BASE[::-1, :, ::-1],
    "fortran order": np.asfortranarray(BASE),
    "broadcast": np.broadcast_to(BASE[0, 0], (3, 6)),
    "0-d": np.array(2.5),
    "0-d view": BASE[1, 2, 3, ...],
    "numpy scalar": np.float64(2.5),
    "size 0": np.zeros((0, 3)),
    "size 0, strided": BASE[:, 4:1, ::2],
    "big-endian": BASE.astype(">f4"),
    "read-only": np.frombuffer(b"12345678", dtype=np.uint32),
    "not aligned": np.frombuffer(b"_12345678", dtype=np.uint8)[1:].view(np.float32),
    "NaN with a payload": np.array([0x7FF8_0000_0000_0123, 0xFFF0_0000_0000_0000], dtype=np.uint64).view(np.float64),
    "negative zero": np.array([-0.0, 0.0]),
}


def assert_identical(stored, given):
    """Same shape, same type, same bits: NaN payloads and the sign of zero count."""
    given = np.asarray(given)
    assert stored.shape == given.shape
    assert stored.dtype == given.dtype.newbyteorder("=")
    assert stored.tobytes() == given.astype(stored.dtype).tobytes()


# --- arrays -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_array_of_any_layout_is_read_back_equal(tmp_path, name):
    save_arrays(tmp_path / "a.safetensors", {name: LAYOUTS[name], "other": np.arange(3)})
    arrays, _ = load_arrays(tmp_path / "a.safetensors")
    assert list(arrays) == sorted([name, "other"])
    assert_identical(arrays[name], LAYOUTS[name])


def test_safetensors_alone_stores_other_values_for_a_transposed_array():
    # the reason for `_storable`; when this fails, safetensors has been mended (its issue 825)
    stored = safetensors.numpy.load(safetensors.numpy.save({"a": BASE.T}))["a"]
    assert not np.array_equal(stored, BASE.T)


DTYPES = st.sampled_from([np.dtype(kind).newbyteorder(order) for kind in storage.ARRAY_TYPES.values() for order in "<>"])


@st.composite
def strided_arrays(draw):
    """Any dtype, any shape, then axes in any order, with any step in either direction."""
    array = draw(hnp.arrays(draw(DTYPES), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    steps = draw(st.lists(st.sampled_from([1, 2, 3, -1, -2]), min_size=array.ndim, max_size=array.ndim))
    return array[tuple(slice(None, None, step) for step in steps) + (...,)]


@one_folder
@given(
    arrays=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), strided_arrays(), max_size=4),
    metadata=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))),
)
def test_save_then_load_is_the_identity(tmp_path, arrays, metadata):
    save_arrays(tmp_path / "a.safetensors", arrays, metadata)
    loaded, loaded_metadata = load_arrays(tmp_path / "a.safetensors")
    assert loaded.keys() == arrays.keys()
    assert loaded_metadata == metadata
    for name in arrays:
        assert_identical(loaded[name], arrays[name])


@pytest.mark.parametrize("metadata", [None, {}, {"optimizer": "SGD"}])
def test_no_arrays_at_all_are_stored_too(tmp_path, metadata):
    save_arrays(tmp_path / "a", {}, metadata)  # the optimizer of plain SGD
    assert load_arrays(tmp_path / "a") == ({}, metadata or {})


def test_arrays_are_read_by_torch_and_read_from_torch(tmp_path):
    save_arrays(tmp_path / "ours", {"w": BASE.T})
    assert torch.equal(safetensors.torch.load_file(tmp_path / "ours")["w"], torch.from_numpy(BASE).permute(2, 1, 0))
    safetensors.torch.save_file({"w": torch.from_numpy(BASE), "step": torch.tensor(7)}, tmp_path / "theirs")
    arrays, _ = load_arrays(tmp_path / "theirs")
    assert_identical(arrays["w"], BASE)
    assert arrays["step"].shape == () and arrays["step"] == 7


def test_loaded_arrays_are_writable_and_own_their_memory(tmp_path):
    save_arrays(tmp_path / "a", {"a": BASE, "b": np.array(1.0), "c": np.zeros((0, 2))})
    for array in load_arrays(tmp_path / "a")[0].values():
        assert array.flags.writeable and array.flags.owndata and array.flags.aligned and array.flags.c_contiguous
        array[...] = 3


def test_given_arrays_are_not_modified(tmp_path):
    given = BASE.astype(">f4").T
    before = given.copy()
    save_arrays(tmp_path / "a", {"a": given})
    assert given.dtype == before.dtype and np.array_equal(given, before)


@pytest.mark.parametrize(
    "array, what",
    [
        (np.zeros(2, complex), "complex128"),
        (np.zeros(2, np.longdouble), "longdouble|float128"),
        (np.array([object()]), "object"),
        (np.array(["text"]), "<U4"),
        (np.zeros(2, "datetime64[s]"), "datetime64"),
        (np.zeros(2, [("x", "f4")]), "'x'"),
    ],
)
def test_a_dtype_that_the_format_lacks_is_refused_by_name(tmp_path, array, what):
    with pytest.raises(ValueError, match=f"array 'layer.weight' has dtype .*({what}).*convert it to one of bool, uint8"):
        save_arrays(tmp_path / "a", {"layer.weight": array})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["__metadata__", 3, None])
def test_a_name_that_the_format_lacks_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="cannot be stored"):
        save_arrays(tmp_path / "a", {name: np.zeros(2)})


def test_what_does_not_read_back_equal_never_takes_the_place_of_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"w": BASE})
    # a serializer that stores the buffer whatever its strides are, as safetensors itself does
    monkeypatch.setattr(storage, "_storable", lambda name, array: array)
    with pytest.raises(OSError, match="array 'w' reads back differently from what was given; the earlier version is intact") as caught:
        save_arrays(path, {"w": BASE.T})
    assert caught.value.errno == errno.EIO
    assert list(tmp_path.iterdir()) == [path]
    assert_identical(load_arrays(path)[0]["w"], BASE)


# --- hostile safetensors ----------------------------------------------------------------------------------------------------------------


def tensor(dtype="F32", shape=(2, 3), offsets=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def made(header, data=b"\0" * 24, length=None):
    """The bytes of a file with this header (a dict, or bytes), whatever is wrong with it."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


GOOD = made({"w": tensor()})
LIES = {
    "empty": b"",
    "shorter than the length of its header": b"\x10\0\0",
    "no header": struct.pack("<Q", 0),
    "header longer than the file": made({"w": tensor()}, length=10**6),
    "header of 2**64 - 1 bytes": made({"w": tensor()}, length=2**64 - 1),
    "header of 2**63 bytes": made({"w": tensor()}, length=2**63),
    "header that ends early": made({"w": tensor()}, length=10),
    "truncated data": GOOD[:-1],
    "data beyond the last array": GOOD + b"\0",
    "a gap between arrays": made({"a": tensor(offsets=(0, 24)), "b": tensor(offsets=(28, 52))}, b"\0" * 52),
    "overlapping arrays": made({"a": tensor(offsets=(0, 24)), "b": tensor(offsets=(12, 36))}, b"\0" * 36),
    "the same bytes twice": made({"a": tensor(), "b": tensor()}),
    "offsets beyond the file": made({"w": tensor(offsets=(0, 24_000))}),
    "offsets backwards": made({"w": tensor(offsets=(24, 0))}),
    "negative offsets": made({"w": tensor(offsets=(-24, 0))}),
    "offsets of 2**64": made({"w": tensor(offsets=(2**64, 2**64 + 24))}),
    "one offset": made({"w": tensor(offsets=(24,))}),
    "shape larger than the data": made({"w": tensor(shape=(200, 300))}),
    "shape smaller than the data": made({"w": tensor(shape=(2, 2))}),
    "negative shape": made({"w": tensor(shape=(-2, -3))}),
    "fractional shape": made({"w": tensor(shape=(2.5, 3))}),
    "shape whose size overflows to the right one": made({"w": tensor(shape=(2**62, 8), offsets=(0, 0))}, b""),
    "absurd shape of size 0": made({"w": tensor(shape=(2**62, 4, 0), offsets=(0, 0))}, b""),
    "size 0 beyond NumPy's sizes": made({"w": tensor(shape=(2**62, 0), offsets=(0, 0))}, b""),
    "size 0, one side of 2**64 - 1": made({"w": tensor(shape=(0, 2**64 - 1), offsets=(0, 0))}, b""),
    "65 axes": made({"w": tensor(shape=(1,) * 65, offsets=(0, 4))}, b"\0" * 4),
    "unknown type": made({"w": tensor(dtype="F128")}),
    "type that is no text": made({"w": tensor(dtype=32)}),
    "bfloat16": made({"w": tensor(dtype="BF16", offsets=(0, 12))}, b"\0" * 12),
    "float8": made({"w": tensor(dtype="F8_E4M3", offsets=(0, 6))}, b"\0" * 6),
    "float4": made({"w": tensor(dtype="F4", offsets=(0, 3))}, b"\0" * 3),
    "bool of other bytes": made({"w": tensor(dtype="BOOL", offsets=(0, 6))}, b"\0\1\2\0\0\0"),
    "header that is a list": made(b"[1, 2]", b""),
    "header that is a number": made(b"7", b""),
    "header that is not JSON": made(b"{'w': 1}", b""),
    "header that is not UTF-8": made(b'{"\xff\xfe": 1}', b""),
    "header in UTF-16": made(json.dumps({"w": tensor()}).encode("utf-16")),
    "header nested deeply": made(b'{"w":' * 5000 + b"1" + b"}" * 5000, b""),
    "lists nested deeply": made(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""),
    "lone surrogate": made(b'{"__metadata__": {"a": "\\ud800"}}', b""),
    "no offsets": made({"w": {"dtype": "F32", "shape": [2, 3]}}),
    "metadata that is no text": made({"__metadata__": {"epoch": 3}, "w": tensor()}),
    "metadata that is a list": made({"__metadata__": ["epoch"], "w": tensor()}),
    "a pickle": b"\x80\x04\x95\x1c\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
}


def test_the_files_below_differ_from_a_good_one_by_their_lie_alone(tmp_path):
    (tmp_path / "good").write_bytes(GOOD)
    assert_identical(load_arrays(tmp_path / "good")[0]["w"], np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("name", LIES)
def test_a_lying_file_is_refused_by_name(tmp_path, name):
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(LIES[name])
    with pytest.raises(ValueError, match=r"hostile\.safetensors(:| is not a whole safetensors file:) \w"):
        load_arrays(path)


def test_a_type_that_numpy_lacks_is_refused_with_what_to_do(tmp_path):
    safetensors.torch.save_file({"w": torch.zeros(2, dtype=torch.bfloat16)}, tmp_path / "a")
    with pytest.raises(ValueError, match="array 'w' has type BF16, which NumPy does not have; convert it to F32 first"):
        load_arrays(tmp_path / "a")


VALID = safetensors.numpy.save({"w": BASE[0], "mask": np.array([True, False]), "step": np.array(3)}, {"format": "chainrule"})
# half of the changes go where the structure is: the length and the header
PLACES = st.one_of(st.integers(0, len(VALID) - len(BASE[0].tobytes())), st.integers(0, len(VALID) - 1))


@settings(one_folder, max_examples=500)
@given(changes=st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=4), end=st.none() | st.integers(0, len(VALID)))
def test_a_changed_or_truncated_file_loads_or_raises_value_error(tmp_path, changes, end):
    data = bytearray(VALID)
    for place, byte in changes:
        data[place] = byte
    path = tmp_path / "a"
    path.write_bytes(data[:end])
    try:
        arrays, metadata = load_arrays(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
        assert all(isinstance(text, str) for text in metadata.values())


def test_every_single_byte_of_the_header_may_be_wrong(tmp_path):
    path = tmp_path / "a"
    for place in range(len(VALID) - BASE[0].nbytes):
        for byte in (0, VALID[place] ^ 1, VALID[place] ^ 0x80, ord("9"), ord('"')):
            path.write_bytes(VALID[:place] + bytes([byte]) + VALID[place + 1 :])
            try:
                load_arrays(path)
            except ValueError as error:
                assert str(path) in str(error)


@one_folder
@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_arrays(tmp_path / "a")


# --- writing whole or not at all --------------------------------------------------------------------------------------------------------


def test_a_file_is_written_over_the_earlier_one_and_nothing_else_is_left(tmp_path):
    write_file(tmp_path / "a", b"earlier")
    write_file(tmp_path / "a", b"later")
    assert (tmp_path / "a").read_bytes() == b"later"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_has_the_permissions_that_the_user_asked_for(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("special", ["pipe", "link"])
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path, special):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/full")
    for write in (lambda path: write_file(path, b"new"), lambda path: save_arrays(path, {"a": BASE})):
        with pytest.raises(ValueError, match=f"{special} is a pipe or a device, not a file; it is not replaced"):
            write(tmp_path / special)
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_symbolic_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "outside").write_bytes(b"untouched")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "outside").read_bytes() == b"untouched"
    assert (tmp_path / "link").read_bytes() == b"new" and not (tmp_path / "link").is_symlink()


WRITERS = {
    "write_file": lambda path, size: write_file(path, b"x" * size),
    "write_json": lambda path, size: write_json(path, "x" * size),
    "save_arrays": lambda path, size: save_arrays(path, {"w": np.zeros(size, np.uint8)}),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_version(tmp_path, monkeypatch, writer, step):
    path = tmp_path / "a"
    WRITERS[writer](path, 10)
    earlier = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(
        OSError, match=f"could not write the .* to {path}: No space left on device; the earlier version is intact"
    ) as caught:
        WRITERS[writer](path, 20)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == earlier
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_without_an_earlier_version_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match=r"could not write the report to .*; nothing was written"):
        write_file(tmp_path / "a", b"", what="the report")
    assert os.listdir(tmp_path) == []


def test_a_device_that_is_really_full_is_reported(tmp_path, monkeypatch):
    real_open = open
    # /dev/full accepts no byte: the first flush fails in the kernel
    monkeypatch.setattr("builtins.open", lambda path, mode, **options: real_open("/dev/full", "wb", **options))
    with pytest.raises(OSError, match=r"could not write the file to .*/a: No space left on device; nothing was written") as caught:
        write_file(tmp_path / "a", b"x" * 100_000)
    assert caught.value.errno == errno.ENOSPC


LIMITED = """
import resource, sys
import numpy as np
from chainrule.training.storage import save_arrays, write_file, write_json
writers = {
    "write_file": lambda path, size: write_file(path, b"x" * size),
    "write_json": lambda path, size: write_json(path, "x" * size),
    "save_arrays": lambda path, size: save_arrays(path, {"w": np.zeros(size, np.uint8)}),
}
write = writers[sys.argv[1]]
write(sys.argv[2], 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write(sys.argv[2], 1_000_000)
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_the_kernel_cuts_off_leaves_the_earlier_version(tmp_path, writer):
    path = tmp_path / "a"
    done = subprocess.run([sys.executable, "-c", LIMITED, writer, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(f"to {path}: File too large; the earlier version is intact")
    assert os.listdir(tmp_path) == ["a"]
    assert 1000 <= path.stat().st_size < 2000


def test_an_interrupted_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"could not write the file to .*missing/a: No such file or directory; nothing was written"):
        write_file(tmp_path / "missing" / "a", b"")


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a pipe or a device, not a file"):
        read_file(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a pipe or a device, not a file"):
        load_arrays("/dev/zero")
    with pytest.raises(IsADirectoryError):
        read_json(tmp_path)


# --- JSON -------------------------------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters()).filter(lambda text: text not in storage.NOT_FINITE)  # with lone surrogates, as in odd file names
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@one_folder
@given(value=VALUES)
def test_json_written_is_json_read(tmp_path, value):
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert decode_json(encode_json(value), "a") == value


def test_a_written_file_holds_only_what_any_json_reader_takes(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    write_json(tmp_path / "a.json", {"loss": math.nan, "best": [math.inf, -math.inf], "ä": "größer \udc80"})
    text = (tmp_path / "a.json").read_bytes().decode("utf-8")
    assert json.loads(text, parse_constant=refuse) == {"loss": "NaN", "best": ["Infinity", "-Infinity"], "ä": "größer \udc80"}
    assert "größer" in text and text.endswith("}\n")


def test_numbers_that_are_not_finite_come_back():
    loss, best = decode_json(encode_json([math.nan, {"best": -math.inf}]), "a")
    assert math.isnan(loss) and best == {"best": -math.inf}


@pytest.mark.parametrize("scalar", [np.float32(0.1), np.float64(0.1), np.float16(0.1), np.int64(7), np.uint8(7), np.bool_(True)])
def test_a_numpy_scalar_is_written_as_the_number_that_it_is(scalar):
    value = decode_json(encode_json(scalar), "a")
    assert value == scalar.item() and type(value) is type(scalar.item())


def test_a_numpy_scalar_that_is_not_finite_comes_back():
    assert decode_json(encode_json(np.float32("inf")), "a") == math.inf


@pytest.mark.parametrize(
    "value, message",
    [
        ({"a": [1, {2}]}, r"state\.a\[1\] is of type set, which JSON does not have"),
        ({"a": {3: 4}}, r"state\.a has the key 3 of type int; JSON keys are str"),
        ({"w": np.zeros(2)}, r"state\.w is of type ndarray"),
        ({"w": np.longdouble(1)}, r"state\.w is of type longdouble"),
        ({"path": Path("a")}, r"state\.path is of type PosixPath"),
        ({"z": 1j}, r"state\.z is of type complex"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value, message):
    with pytest.raises(TypeError, match=message):
        encode_json(value, name="state")


@pytest.mark.parametrize("text", storage.NOT_FINITE)
def test_a_text_that_would_come_back_as_a_number_is_refused(text):
    with pytest.raises(ValueError, match=f"config.name is the text '{text}', which would be read back as a number"):
        encode_json({"name": text}, name="config")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "line 1, column 1: not JSON: Expecting value"),
        (b'{\n  "a": 1,\n  "b": \n}', "line 4, column 1: not JSON: Expecting value"),
        (b'{"a": 1}\n\n{"b": 2}', "line 3, column 1: not JSON: Extra data"),
        (b'{"a": 1', "line 1, column 8: not JSON"),
        (b'{\n"a": "\xff"}', "line 2: byte 0xff is not UTF-8 text"),
        (b'{"loss": NaN}', 'from line 1 on: NaN is not JSON; a number that is not finite is written as text, "NaN"'),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[" * 200_000 + b"]" * 200_000, "line 1: lists or objects nested too deeply"),
        (b"9" * 10_000, "from line 1 on: Exceeds the limit"),
        (b"\0" * 100, "line 1, column 1: not JSON"),
    ],
)
def test_broken_json_is_refused_with_file_and_line(tmp_path, data, message):
    path = tmp_path / "state.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"state.json, ") as caught:
        read_json(path)
    assert message in str(caught.value)


@one_folder
@given(data=st.binary() | st.text('{}[]",:0123456789eE+-.truefalsnINity \n\\').map(str.encode))
def test_any_bytes_are_json_or_raise_value_error(tmp_path, data):
    (tmp_path / "a.json").write_bytes(data)
    try:
        read_json(tmp_path / "a.json")
    except ValueError as error:
        assert "a.json" in str(error)
