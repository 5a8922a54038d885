"""A download from a server on this machine: of the real network's weights, under the name and checksum of the published file."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from chainrule.training.storage import load_arrays, save_arrays
from chainrule.weights import PUBLISHED, load_weights


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def offered(server, tmp_path, monkeypatch):
    """A small file of weights that the server offers as that of squeezenet1_1, with its tensors; PUBLISHED has its checksum."""
    tensors = {"features.0.weight": torch.randn(64, 3, 3, 3), "features.0.bias": torch.randn(64), "count": torch.tensor(3)}
    torch.save(tensors, tmp_path / "file.pth")
    digest = hashlib.sha256((tmp_path / "file.pth").read_bytes()).hexdigest()
    name = f"squeezenet1_1-{digest[:8]}.pth"
    server.serve(tmp_path / "file.pth", name)
    monkeypatch.setitem(PUBLISHED, "squeezenet1_1", replace(PUBLISHED["squeezenet1_1"], file=name))
    (tmp_path / name).write_bytes((tmp_path / "file.pth").read_bytes())
    return tensors, tmp_path / name


def assert_equal(arrays, tensors):
    assert arrays.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy(), strict=True)


def test_the_files_are_torchvisions():
    files = {name: entry.file for name, entry in PUBLISHED.items()}
    assert files == {
        "squeezenet1_0": "squeezenet1_0-b66bff10.pth",
        "squeezenet1_1": "squeezenet1_1-b8a52dc0.pth",
        "resnet18": "resnet18-f37072fd.pth",
    }
    assert PUBLISHED["resnet18"].sha256 == "f37072fd"
    assert {(entry.image_shape, entry.mean, entry.std) for entry in PUBLISHED.values()} == {
        ((3, 224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    }


def test_weights_are_downloaded_once_and_kept_as_safetensors(server, offered, tmp_path):
    tensors, file = offered
    folder, reports = tmp_path / "new" / "weights", []
    for _ in range(2):
        assert_equal(load_weights(folder=folder, url=server.url, progress=lambda *report: reports.append(report)), tensors)
    assert server.requests == [f"/{file.name}"]
    assert reports[-1] == (file.stat().st_size, file.stat().st_size)
    assert names_in(folder) == [".squeezenet1_1.lock", "squeezenet1_1.safetensors"]
    _, metadata = load_arrays(folder / "squeezenet1_1.safetensors")
    assert metadata["source_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_they_are_kept_beside_the_datasets(server, offered, tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "data"))
    load_weights(url=server.url)
    assert (tmp_path / "data" / "weights" / "squeezenet1_1.safetensors").is_file()


@pytest.mark.parametrize("kind", ["pth", "pt", "safetensors"])
def test_a_file_of_ones_own_is_read_and_nothing_is_stored(kind, offered, tmp_path, monkeypatch):
    tensors, file = offered
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "data"))
    own = tmp_path / f"own.{kind}"
    if kind == "safetensors":
        save_arrays(own, {name: tensor.numpy() for name, tensor in tensors.items()})
    else:
        shutil.copy(file, own)
    assert_equal(load_weights("any", own), tensors)
    assert not (tmp_path / "data").exists()


def test_a_published_file_brought_by_hand_is_used_without_the_network_and_kept(offered, tmp_path):
    tensors, file = offered
    assert_equal(load_weights(folder=tmp_path, url="http://127.0.0.1:1/"), tensors)
    assert file.exists()


def test_a_file_brought_by_hand_with_another_checksum_is_refused_and_kept(offered, tmp_path):
    _, file = offered
    file.write_bytes(b"half a download")
    with pytest.raises(ValueError, match=rf"{file.name} has the sha256 \w+; expected {file.name[14:22]}; remove it"):
        load_weights(folder=tmp_path, url="http://127.0.0.1:1/")
    assert file.exists()


def test_a_download_with_another_checksum_is_refused_and_not_kept(server, offered, tmp_path):
    _, file = offered
    server.files[f"/{file.name}"] = b"<html>sign in</html>"
    with pytest.raises(ValueError, match=rf"127\.0\.0\.1.*{file.name}: expected the sha256 {file.name[14:22]}, found .*; .*try again"):
        load_weights(folder=tmp_path / "weights", url=server.url)
    assert names_in(tmp_path / "weights") == [".squeezenet1_1.lock"]


def test_a_file_of_the_right_checksum_that_is_none_of_weights_is_refused_and_not_kept(server, tmp_path, monkeypatch):
    (tmp_path / "list").write_bytes(b"[1, 2]")
    name = f"squeezenet1_1-{hashlib.sha256(b'[1, 2]').hexdigest()[:8]}.pth"
    server.serve(tmp_path / "list", name)
    monkeypatch.setitem(PUBLISHED, "squeezenet1_1", replace(PUBLISHED["squeezenet1_1"], file=name))
    with pytest.raises(ValueError, match=r"it begins with b'\[1, 2\]'; expected what torch\.save"):
        load_weights(folder=tmp_path / "weights", url=server.url)
    assert names_in(tmp_path / "weights") == [".squeezenet1_1.lock"]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("nobody listens", r"cannot reach 127\.0\.0\.1"),
        ("no such file", r"127\.0\.0\.1 answered 404 \(.*\)"),
        ("the connection breaks", r"(the connection to 127\.0\.0\.1 broke off|cannot reach 127\.0\.0\.1)"),
    ],
)
def test_a_download_that_fails_says_what_to_do_and_works_when_repeated(trouble, reason, server, offered, tmp_path):
    tensors, file = offered
    folder, url = tmp_path / "weights", server.url
    if trouble == "nobody listens":
        url = "http://127.0.0.1:1/"
    elif trouble == "no such file":
        url = f"{server.url}elsewhere/"
    else:
        server.cut = 1000
    advice = rf"try again, or fetch the file by other means and put it into {folder}, or give it with --weights FILE"
    with pytest.raises(ConnectionError, match=rf"could not download http://127\.0\.0\.1:.*{file.name}: {reason}; {advice}"):
        load_weights(folder=folder, url=url)
    assert names_in(folder) == [".squeezenet1_1.lock"]
    server.cut = None
    assert_equal(load_weights(folder=folder, url=server.url), tensors)


def changed_header(content):
    return content.replace(b"features.0.bias", b"features.1.bias")


def changed_number(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("damage", [changed_header, changed_number, lambda content: content[:-10], lambda content: b""])
def test_a_stored_file_that_was_changed_is_refused_until_it_is_removed(damage, server, offered, tmp_path):
    load_weights(folder=tmp_path / "weights", url=server.url)
    stored = tmp_path / "weights" / "squeezenet1_1.safetensors"
    stored.write_bytes(damage(stored.read_bytes()))
    with pytest.raises(ValueError, match=rf"{stored} was damaged or changed since it was stored; remove it, and the weights are fetched"):
        load_weights(folder=tmp_path / "weights", url=server.url)
    stored.unlink()
    assert_equal(load_weights(folder=tmp_path / "weights", url=server.url), offered[0])


def test_weights_that_somebody_else_stored_under_the_name_are_refused(server, offered, tmp_path):
    load_weights(folder=tmp_path / "weights", url=server.url)
    stored = tmp_path / "weights" / "squeezenet1_1.safetensors"
    arrays, metadata = load_arrays(stored)
    save_arrays(stored, arrays, metadata | {"source_sha256": "0" * 64})
    with pytest.raises(ValueError, match="damaged or changed"):
        load_weights(folder=tmp_path / "weights")


def start(folder, server, file):
    code = f"""if True:
        from dataclasses import replace
        from chainrule.weights import PUBLISHED, load_weights
        PUBLISHED["squeezenet1_1"] = replace(PUBLISHED["squeezenet1_1"], file={file.name!r})
        print(len(load_weights(folder={str(folder)!r}, url={server.url!r})))
    """
    return subprocess.Popen([sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once_download_once(server, offered, tmp_path):
    processes = [start(tmp_path / "weights", server, offered[1]) for _ in range(2)]
    assert [process.communicate(timeout=60) for process in processes] == [("3\n", "")] * 2
    assert len(server.requests) == 1


def test_what_a_killed_download_leaves_is_cleared_away_by_the_next(server, offered, tmp_path):
    server.cut = 1000
    server.stall.clear()
    process = start(tmp_path / "weights", server, offered[1])
    deadline = time.monotonic() + 30
    while not any((tmp_path / "weights" / ".squeezenet1_1-download").glob("*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert any((tmp_path / "weights" / ".squeezenet1_1-download").iterdir())  # killed in the middle
    server.cut = None
    server.stall.set()
    assert_equal(load_weights(folder=tmp_path / "weights", url=server.url), offered[0])
    assert names_in(tmp_path / "weights") == [".squeezenet1_1.lock", "squeezenet1_1.safetensors"]


def test_a_full_disk_leaves_nothing_half_written(server, offered, tmp_path, monkeypatch):
    def fsync_on_a_full_disk(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("chainrule.training.storage.os.fsync", fsync_on_a_full_disk)
        with pytest.raises(
            OSError, match=r"no space left in .*weights; the weights of squeezenet1_1 take .*; make room or set CHAINRULE_DATA"
        ):
            load_weights(folder=tmp_path / "weights", url=server.url)
    assert names_in(tmp_path / "weights") == [".squeezenet1_1.lock"]
    assert_equal(load_weights(folder=tmp_path / "weights", url=server.url), offered[0])


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(
        ValueError, match=r"published under the name 'squeezenet11'; there are squeezenet1_0, .*; did you mean squeezenet1_1\?"
    ):
        load_weights("squeezenet11")
