import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.unpickling import load_dictionary

# the official batches.meta, byte by byte, as Python 2 wrote it
META = (
    b"\x80\x02}q\x01(U\x13num_cases_per_batchq\x02M\x10'U\x0blabel_namesq\x03]q\x04(U\x08airplaneq\x05U\nautomobileq\x06U\x04birdq\x07U\x03catq\x08"
    b"U\x04deerq\tU\x03dogq\nU\x04frogq\x0bU\x05horseq\x0cU\x04shipq\rU\x05truckq\x0eeU\x07num_visq\x0fM\x00\x0cu."
)


def python2_array(content, shape, dtype=b"U\x02u1", order=b"\x89", tail=b"tb"):
    """A uint8 matrix with the opcodes and memo entries of Python 2's cPickle."""
    head = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01"
    rows, columns = (b"J" + struct.pack("<i", size) for size in shape)
    kind = b"cnumpy\ndtype\nq\x04" + dtype + b"K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return head + rows + columns + b"\x86" + kind + order + b"T" + struct.pack("<i", len(content)) + content + tail


def dictionary(value, key=b"U\x04data"):
    return b"\x80\x02}q\x00(" + key + value + b"u."


def test_the_official_meta_file_is_read():
    entries = load_dictionary(META, "batches.meta")
    assert entries["num_cases_per_batch"] == 10_000
    assert entries["num_vis"] == 3072
    assert entries["label_names"][:2] == [b"airplane", b"automobile"]


def test_an_array_of_python_2_is_read_as_pickle_reads_it():
    content = bytes(range(250, 256)) + bytes(6)
    file = dictionary(python2_array(content, (3, 4)))
    expected = pickle.loads(file, encoding="bytes")[b"data"]
    np.testing.assert_array_equal(load_dictionary(file, "f")["data"], expected)


@pytest.mark.parametrize(
    "array", [np.arange(24, dtype=np.uint8).reshape(4, 6), np.asfortranarray(np.arange(200, 212, dtype=np.uint8).reshape(3, 4))]
)
def test_what_python_3_writes_in_protocol_2_is_read(array):
    file = pickle.dumps({"data": array, "labels": [1, 2, 300], "name": "x", "nothing": None}, protocol=2)
    entries = load_dictionary(file, "f")
    np.testing.assert_array_equal(entries["data"], array)
    assert entries["labels"] == [1, 2, 300]
    assert entries["nothing"] is None


class Harmful:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_call_of_the_system_is_refused_by_name_and_not_executed(tmp_path, protocol):
    file = pickle.dumps({"data": Harmful(os.system, f"touch {tmp_path / 'executed'}")}, protocol=protocol)
    with pytest.raises(
        ValueError, match=r"data_batch_1: .*(posix\.system|nt\.system|STACK_GLOBAL|FRAME|opcode).*nothing in it was executed"
    ):
        load_dictionary(file, "data_batch_1")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("numpy", "fromfile"),
        ("numpy", "ndarray.tofile"),
        ("numpy.core", "multiarray._reconstruct.x"),
    ],
)
def test_a_foreign_name_is_refused_by_name(module, name):
    with pytest.raises(ValueError, match=rf"wants to import {module}\.{name}"):
        load_dictionary(dictionary(f"c{module}\n{name}\n".encode() + b"U\x01x\x85R"), "f")


@pytest.mark.parametrize(
    ("instructions", "opcode"),
    [
        (b"ios\nsystem\n", "INST"),
        (b"(cnumpy\ndtype\no", "OBJ"),
        (b"cnumpy\ndtype\n)\x81", "NEWOBJ"),
        (b"\x82\x01", "EXT1"),
        (b"Pname\n", "PERSID"),
        (b"\x96" + struct.pack("<Q", 1 << 60), "BYTEARRAY8"),
        (b"\x8b" + struct.pack("<i", 1 << 30), "LONG4"),
        (b"I1\n", "INT"),
        (b"\x00", "0x00"),
    ],
)
def test_a_foreign_opcode_is_refused_by_name(instructions, opcode):
    with pytest.raises(ValueError, match=f"the opcode {opcode} does not occur"):
        load_dictionary(dictionary(instructions), "f")


def test_an_array_cannot_claim_more_than_the_file_holds():
    with pytest.raises(ValueError, match=r"claims the shape \(2000000000, 2000000000\) and has 4 bytes"):
        load_dictionary(dictionary(python2_array(b"abcd", (2_000_000_000, 2_000_000_000))), "f")


def test_an_array_cannot_have_a_negative_length():
    with pytest.raises(ValueError, match="shape"):
        load_dictionary(dictionary(python2_array(b"abcd", (-2, -2))), "f")


@pytest.mark.parametrize("dtype", [b"U\x02O8", b"U\x02f8", b"U\x08V1000000"])
def test_only_uint8_arrays_are_read(dtype):
    with pytest.raises(ValueError, match="dtype"):
        load_dictionary(dictionary(python2_array(b"abcd", (2, 2), dtype=dtype)), "f")


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "use", [b"%sK\x00s", b"U\x04datacnumpy\ndtype\n%sK\x00K\x01\x87Rs", b"U\x04data(%sl."], ids=["key", "dtype", "list"]
)
def test_pairs_of_pairs_of_pairs_cost_no_time(use):
    nested = b")" + b"q\x01h\x01\x86" * 60  # hashed or written out, the outermost has 2**60 leaves
    with pytest.raises(ValueError, match="f: this is no pickle of CIFAR-10"):
        load_dictionary(b"\x80\x02}" + use % nested + b".", "f")


def test_a_memo_index_costs_no_memory():
    file = dictionary(b"U\x01xr" + struct.pack("<I", (1 << 32) - 1))  # pickle's own reader in C allocates 64 GB for this
    assert load_dictionary(file, "f") == {"data": b"x"}


def test_one_text_cannot_be_encoded_again_and_again():
    text = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x01"
    encode = b"c_codecs\nencode\nh\x01U\x06latin1\x86R"
    with pytest.raises(ValueError, match=r"_codecs\.encode"):
        load_dictionary(dictionary(b"](" + text + encode * 50 + b"e"), "f")


def test_a_file_cannot_be_a_million_tiny_objects():
    with pytest.raises(ValueError, match="more than 200,000 instructions"):
        load_dictionary(dictionary(b"](" + b"}" * 1_000_000 + b"e"), "f")


@pytest.mark.parametrize(
    "instructions", [b"cnumpy\nndarray\n)R", b"cnumpy\nndarray\n}U\x01aU\x01bsb", b"U\x01xU\x01y\x85R", b"h\x63", b"tb", b"R"]
)
def test_a_program_that_makes_no_sense_is_a_plain_error(instructions):
    with pytest.raises(ValueError, match="f: this is no pickle of CIFAR-10"):
        load_dictionary(dictionary(instructions), "f")


def test_an_array_that_was_never_filled_is_refused():
    with pytest.raises(ValueError, match="without content"):
        load_dictionary(dictionary(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"), "f")


def test_something_else_than_a_dictionary_is_refused():
    with pytest.raises(ValueError, match="holds a list; expected a dictionary"):
        load_dictionary(pickle.dumps([1, 2], protocol=2), "f")


def test_bytes_after_the_end_are_refused():
    with pytest.raises(ValueError, match="3 bytes follow the end"):
        load_dictionary(META + b"abc", "f")


@pytest.mark.parametrize("length", range(len(META)))
def test_a_cut_file_is_refused_wherever_it_is_cut(length):
    with pytest.raises(ValueError, match=r"f: .*get"):
        load_dictionary(META[:length], "f")


FILE = dictionary(python2_array(bytes(range(12)), (3, 4)))


@given(st.integers(0, len(FILE) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_dictionary_or_a_plain_error(position, value):
    changed = bytearray(FILE)
    changed[position] = value
    try:
        load_dictionary(bytes(changed), "f")
    except ValueError as error:
        assert str(error).startswith("f: ")
