import pytest

import chainrule.data
from chainrule.data.download import URL


@pytest.fixture
def got(monkeypatch, tmp_path):
    """What the command asked for; nothing is downloaded."""
    calls = []

    def get_cifar10(folder=None, *, kind, progress, **mirror):
        progress(10, 100)
        progress(100, 100)
        calls.append((folder, kind, mirror))
        return tmp_path / "cifar-10-batches-py"

    monkeypatch.setattr(chainrule.data, "get_cifar10", get_cifar10)
    return calls


def describe_as(monkeypatch, folder, official):
    changed = ("data_batch_1",) if official is False else ()
    description = chainrule.data.Description(
        folder, "python", size=1, train=50_000, test=10_000, classes=(), official=official, changed=changed
    )
    monkeypatch.setattr(chainrule.data, "describe", lambda path: description)


@pytest.mark.parametrize(
    ("official", "remark"), [(True, ""), (False, "but not the official ones"), (None, "there are no official checksums")]
)
def test_it_says_where_the_data_are_and_whether_they_are_the_official_ones(chainrule, got, monkeypatch, tmp_path, official, remark):
    describe_as(monkeypatch, tmp_path, official)
    ended = chainrule("data", "get", "cifar10")
    assert ended.code == 0
    where, *remarks = ended.out.splitlines()
    assert where == f"cifar10 is in {tmp_path}/cifar-10-batches-py"
    assert len(remarks) == bool(remark)
    assert remark in ended.out
    assert got == [(None, "python", {"url": URL})]


def test_folder_archive_and_mirror_are_options(chainrule, got, monkeypatch, tmp_path):
    describe_as(monkeypatch, tmp_path, True)
    chainrule("data", "get", "cifar10", "--folder", "here", "--binary", "--url", "https://mirror.example/")
    ((folder, kind, mirror),) = got
    assert (str(folder), kind, mirror) == ("here", "binary", {"url": "https://mirror.example/"})


def test_a_server_that_does_not_answer_is_an_error_with_advice(chainrule, tmp_path):
    ended = chainrule("data", "get", "cifar10", "--folder", tmp_path / "none", "--url", "http://127.0.0.1:9/")
    assert ended.code == 1
    assert ended.err.startswith("error: could not download http://127.0.0.1:9/cifar-10-python.tar.gz: cannot reach 127.0.0.1; try again")
    assert "put it into" in ended.err


def test_another_dataset_is_wrong_usage(chainrule):
    assert chainrule("data", "get", "mnist").code == 2
