"""Files that PyTorch writes, against torch.load; and files that it would not write."""

import collections
import io
import os
import pickle
import re
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule.weights import read_torch_file

FORMATS = {"zip": True, "legacy": False}
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]


@pytest.fixture(params=FORMATS)
def save(request, tmp_path):
    """save(object) -> the path of the file that torch.save writes, in either format."""

    def save(value):
        torch.save(value, tmp_path / "w.pth", _use_new_zipfile_serialization=FORMATS[request.param])
        return tmp_path / "w.pth"

    return save


def assert_read_as_torch_reads_it(path):
    expected = torch.load(path, weights_only=True)
    arrays = read_torch_file(path)
    assert list(arrays) == list(expected)
    for name, tensor in expected.items():
        tensor = tensor.detach()
        tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        np.testing.assert_array_equal(arrays[name], tensor.numpy(), err_msg=name, strict=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_read_as_torch_reads_it(save, dtype):
    values = torch.tensor([[1, 2, 3], [100, 0, 7]]).to(dtype)
    assert_read_as_torch_reads_it(save({"w": values, "scalar": torch.tensor(5).to(dtype)}))


@pytest.mark.parametrize("value", [3.14159, -1e-40, float("inf"), float("-inf"), float("nan")])
def test_bfloat16_becomes_float32_exactly(save, value):
    assert_read_as_torch_reads_it(save({"w": torch.tensor([value, 1.0], dtype=torch.bfloat16)}))


def test_parameters_views_and_shared_storages_are_read_as_torch_reads_them(save):
    base = torch.arange(60.0).reshape(5, 4, 3)
    views = {
        "whole": base,
        "transposed": base.transpose(0, 2),
        "every other": base[::2, 1:, 2],
        "one": base[3, 2, 1],
        "parameter": torch.nn.Parameter(base),
        "channels last": torch.arange(120.0).reshape(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "expanded to as many as there are": torch.ones(4)[:1].expand(4),
        "nothing": torch.zeros(0, 3),
    }
    assert_read_as_torch_reads_it(save(views))


def test_the_state_dict_of_a_module_is_read(save):
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    assert_read_as_torch_reads_it(save(module.state_dict()))  # an OrderedDict with the attribute _metadata


def test_a_state_dict_among_the_notes_of_a_training_is_found(save):
    state = {"w": torch.ones(2, 3)}
    path = save(
        {"state_dict": state, "epoch": 90, "best": 69.76, "arch": "resnet18", "done": None, "optimizer": {"state": {}, "lrs": [0.1]}}
    )
    np.testing.assert_array_equal(read_torch_file(path)["w"], np.ones((2, 3), np.float32))


@pytest.mark.real_data
def test_a_published_file_is_read_as_torch_reads_it(shared_data):
    assert_read_as_torch_reads_it(shared_data / "squeezenet1_1-deepscale.pth")


# --- what is not read -------------------------------------------------------------------------------------------------------------------


class Harmful:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_nothing_in_a_file_is_executed(save, tmp_path):
    path = save({"w": Harmful(os.system, f"touch {tmp_path / 'executed'}")})
    with pytest.raises(ValueError, match=r"w\.pth: it wants to import posix\.system; .*nothing in the file was executed"):
        read_torch_file(path)
    assert not (tmp_path / "executed").exists()


def test_a_whole_pickled_module_is_refused_with_what_to_do(save):
    with pytest.raises(
        ValueError, match=r"wants to import torch\.nn\.\S+; .*expected what torch\.save\(model\.state_dict\(\), path\) writes"
    ):
        read_torch_file(save(torch.nn.Linear(2, 3)))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([torch.ones(2)], "it holds a list"),
        (torch.ones(2), "it holds a Tensor"),
        ({}, "it holds an empty dictionary"),
        ({"epoch": 3}, "its entry 'epoch' is of type int, not a tensor"),
        (
            {"model_state_dict": {"w": torch.ones(2)}},
            "its entry 'model_state_dict' is of type Dictionary, not a tensor; if that is the state_dict, store it alone",
        ),
        ({7: torch.ones(2)}, "its entry 7 is of type Tensor, not a tensor"),
        ({"w": torch.ones(2, dtype=torch.complex64)}, "wants to import torch.ComplexFloatStorage"),
        ({"w": torch.ones(3).to_sparse()}, "wants to import torch._utils._rebuild_sparse_tensor"),
        ({"w": torch.ones(1).expand(1_000_000_000)}, r"size \(1000000000,\) reaches outside its storage of 1 numbers"),
    ],
    ids=["list", "tensor", "empty", "number", "nested", "numbered", "complex", "sparse", "expanded"],
)
def test_something_else_than_a_state_dict_is_refused(save, value, complaint):
    with pytest.raises(ValueError, match=rf"w\.pth: .*{complaint}"):
        read_torch_file(save(value))


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>Not Found</html>", b"\x80\x02}q\x00.", pickle.dumps({"w": 1})])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.pth: it (is empty|begins with .*); expected what torch\.save"):
        read_torch_file(tmp_path / "w.pth")


def zipped(pickled, numbers=bytes(24), compression=zipfile.ZIP_STORED, order=b"little"):
    """A file of the zip format with that pickle and one storage."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/byteorder", order)
        archive.writestr("a/data/0", numbers)
        archive.writestr("a/version", b"3\n")
    return buffer.getvalue()


def pickled(offset=b"K\x00", size=b"K\x02K\x03\x86", stride=b"K\x03K\x01\x86", count=b"K\x06", key=b"X\x01\x00\x00\x000"):
    """{"w": a tensor} as torch.save pickles it, with parts of one's own."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + key + b"X\x03\x00\x00\x00cpu" + count + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + size + stride + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s."


def refused(content, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.pth: .*; expected what torch\.save") as raised:
        read_torch_file(tmp_path / "w.pth")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_file_made_by_hand_is_one_that_torch_reads(tmp_path):
    (tmp_path / "w.pth").write_bytes(zipped(pickled(), np.arange(6, dtype="<f4").tobytes()))
    assert_read_as_torch_reads_it(tmp_path / "w.pth")


INT = b"\x8a\x0c" + (1 << 90).to_bytes(12, "little")


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"offset": b"K\x01"}, "reaches outside its storage of 6 numbers"),
        ({"stride": b"K\x04K\x01\x86"}, "reaches outside"),
        ({"size": b"K\x02K\x04\x86"}, "reaches outside"),
        ({"stride": b"J\xff\xff\xff\xffK\x01\x86"}, "not all whole numbers, at least 0"),
        ({"offset": b"J\xff\xff\xff\xff"}, "not all whole numbers, at least 0"),
        ({"offset": b"\x88"}, "not all whole numbers"),
        ({"size": INT + INT + b"\x86", "stride": b"K\x00K\x00\x86"}, "reaches outside"),
        ({"size": INT + b"K\x00\x86"}, "Maximum allowed dimension|too large"),
        ({"stride": b"K\x01\x85"}, "shorter"),
        ({"count": INT}, "a storage has 24 bytes; its tensors claim"),
        ({"count": b"K\x07"}, "a storage has 24 bytes; its tensors claim 28"),
        ({"count": b"J\xff\xff\xff\xff"}, "a storage that is not described"),
        ({"key": b"X\x01\x00\x00\x009"}, "no item named 'a/data/9'"),
        ({"key": b"K\x00"}, "a storage that is not described"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_tensor_cannot_reach_outside_its_storage_nor_claim_memory(tmp_path, parts, complaint):
    assert re.search(complaint, refused(zipped(pickled(**parts)), tmp_path))


def test_a_compressed_zip_is_refused_before_it_is_unpacked(tmp_path):
    bomb = zipped(pickled(), bytes(100_000_000), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 200_000
    assert "its entries are compressed" in refused(bomb, tmp_path)


def test_entries_that_overlap_cannot_claim_more_than_the_file_has(tmp_path):
    content = bytearray(zipped(pickled(count=b"M\xe8\x03"), bytes(4000)))
    directory, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    content[end:end] = content[directory:end] * 20
    struct.pack_into("<I", content, len(content) - 10, 21 * (end - directory))  # the directory's size
    assert "its entries claim more bytes than the file has" in refused(bytes(content), tmp_path)


def test_other_zips_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    assert "a zip with no data.pkl in it" in refused(buffer.getvalue(), tmp_path)
    assert "big-endian" in refused(zipped(pickled(), order=b"big"), tmp_path)


@pytest.mark.timeout(30)
def test_parts_in_parts_in_parts_cost_no_time(tmp_path):
    nested = b")" + b"q\x01h\x01\x86" * 60  # each a pair of the one before: 2**60 leaves
    refused(zipped(b"\x80\x02}" + nested + b"K\x01s."), tmp_path)
    refused(zipped(pickled(size=nested)), tmp_path)
    refused(zipped(pickled(key=nested)), tmp_path)


def test_an_opcode_that_torch_does_not_write_is_refused_by_name(tmp_path):
    assert "the opcode INST does not occur in PyTorch's files" in refused(zipped(b"\x80\x02(ios\nsystem\n."), tmp_path)


# --- damage -----------------------------------------------------------------------------------------------------------------------------


def contents():
    state = collections.OrderedDict(
        w=torch.arange(6.0).reshape(2, 3), n=torch.tensor(3), p=torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    )
    for new in FORMATS.values():
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=new)
        yield buffer.getvalue()


FILES = dict(zip(FORMATS, contents(), strict=True))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_file_is_refused_wherever_it_is_cut(kind, tmp_path):
    for length in range(len(FILES[kind])):
        refused(FILES[kind][:length], tmp_path)


def test_a_cut_zip_is_said_to_be_cut(tmp_path):
    assert "w.pth: it ends too early; expected" in refused(FILES["zip"][: len(FILES["zip"]) // 2], tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
@given(data=st.data())
def test_changed_bytes_give_arrays_or_one_plain_line(kind, tmp_path_factory, data):
    changed = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"changed-{kind}.pth"
    path.write_bytes(changed)
    try:
        for array in read_torch_file(path).values():
            assert array.nbytes <= 2 * len(changed)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)


def test_a_changed_number_in_a_zip_is_noticed(tmp_path):
    place = FILES["zip"].index(np.arange(6, dtype="<f4").tobytes())
    changed = bytearray(FILES["zip"])
    changed[place + 5] ^= 1
    assert "Bad CRC-32" in refused(bytes(changed), tmp_path)
