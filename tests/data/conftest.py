"""Files for the tests of chainrule.data: original pixels of CIFAR-10, and a small imitation of its archives."""

import gzip
import io
import os
import pickle
import shutil
import tarfile

import numpy as np
import pytest

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]


@pytest.fixture(scope="session")
def original_pixels(shared_data):
    """The first 4,000 training and 164 test images with the official pixels."""
    with np.load(shared_data / "cifar10-original-pixels-sample.npz") as file:
        return {name: file[name] for name in file.files}


def fake_batch(index):
    """(pixels (10000, 3072), labels): image i of batch k is all k, with i in its first two pixels."""
    pixels = np.full((10_000, 3072), index, dtype=np.uint8)
    pixels[:, 0], pixels[:, 1] = np.divmod(np.arange(10_000), 256)
    return pixels, np.arange(10_000) % 10


def fake_files(kind):
    """name -> content of a whole data set of that kind."""
    if kind == "python":
        files = {}
        for index, name in enumerate(BATCHES):
            pixels, labels = fake_batch(index)
            # Python 3 writes other opcodes for protocol 2 than Python 2 did: the reader is to know both
            files[name] = pickle.dumps({"batch_label": name, "labels": labels.tolist(), "data": pixels}, protocol=2)
        files["batches.meta"] = pickle.dumps({"label_names": CLASSES, "num_cases_per_batch": 10_000, "num_vis": 3072}, protocol=2)
        return files
    files = {"batches.meta.txt": "\n".join([*CLASSES, "", ""]).encode()}
    for index, name in enumerate(BATCHES):
        pixels, labels = fake_batch(index)
        files[f"{name}.bin"] = np.hstack([labels.astype(np.uint8)[:, None], pixels]).tobytes()
    return files


def tar_gz(members, path):
    """Write a tar.gz of (name or TarInfo, content) pairs."""
    with gzip.open(path, "wb", compresslevel=1) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, content in members:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture(scope="session")
def fake_archives(tmp_path_factory):
    """kind -> path of an archive built like the official one (which also has its folder and a readme as members)."""
    base = tmp_path_factory.mktemp("archives")
    archives = {}
    for kind, folder in (("python", "cifar-10-batches-py"), ("binary", "cifar-10-batches-bin")):
        top = tarfile.TarInfo(folder + "/")
        top.type = tarfile.DIRTYPE
        members = [(top, b""), (f"{folder}/readme.html", b"<html></html>")]
        members += [(f"{folder}/{name}", content) for name, content in fake_files(kind).items()]
        archives[kind] = tar_gz(members, base / f"cifar-10-{kind}.tar.gz")
    yield archives
    shutil.rmtree(base)


@pytest.fixture
def server(server, tmp_path):
    yield server
    shutil.rmtree(tmp_path)  # what was downloaded has 184 MB


@pytest.fixture
def make_archive():
    """tar_gz, for tests of what an archive must not hold."""
    return tar_gz


@pytest.fixture(scope="session")
def fake_folder(fake_archives, tmp_path_factory):
    """kind -> an unpacked folder of the imitation, for tests that only read."""
    base = tmp_path_factory.mktemp("unpacked")
    folders = {}
    for kind, folder in (("python", "cifar-10-batches-py"), ("binary", "cifar-10-batches-bin")):
        with tarfile.open(fake_archives[kind]) as tar:
            tar.extractall(base, filter="data")
        folders[kind] = base / folder
    yield folders
    shutil.rmtree(base)


@pytest.fixture
def damaged(fake_folder, tmp_path):
    """Make a copy of the imitation (hard links) in which one file has other content; returns its folder."""

    def make(kind, name, content):
        folder = tmp_path / fake_folder[kind].name
        folder.mkdir()
        for path in fake_folder[kind].iterdir():
            if path.name != name:
                os.link(path, folder / path.name)
        if content is not None:
            (folder / name).write_bytes(content)
        return folder

    return make
