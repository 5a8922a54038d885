import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import pytest
import requests

from chainrule.data import download, get_cifar10


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["python", "binary"])
def test_an_archive_is_downloaded_checked_and_unpacked(kind, server, fake_archives, fake_folder, tmp_path):
    checksums = server.serve(fake_archives[kind])
    folder = get_cifar10(tmp_path / "new", kind=kind, url=server.url, checksums=checksums)
    assert folder == tmp_path / "new" / fake_folder[kind].name
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in fake_folder[kind].iterdir()
    }
    assert names_in(tmp_path / "new") == [".cifar-10.lock", folder.name]


def test_the_official_checksums_and_address_are_the_defaults():
    assert download.URL == "https://www.cs.toronto.edu/~kriz/"
    assert download.CHECKSUMS == {
        "cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a",
        "cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530",
    }


def test_an_archive_with_another_checksum_is_refused_and_not_kept(server, fake_archives, tmp_path):
    server.serve(fake_archives["binary"])
    found = hashlib.md5(fake_archives["binary"].read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=rf"(?s)127\.0\.0\.1.*c32a1d4ab5d03f1284b67883e8d87530.*{found}.*try again"):
        get_cifar10(tmp_path, kind="binary", url=server.url)
    assert names_in(tmp_path) == [".cifar-10.lock"]


def test_progress_is_reported_up_to_the_whole(server, fake_archives, tmp_path):
    reports = []
    checksums = server.serve(fake_archives["binary"])
    get_cifar10(tmp_path, kind="binary", url=server.url, checksums=checksums, progress=lambda done, total: reports.append((done, total)))
    size = fake_archives["binary"].stat().st_size
    assert reports[-1] == (size, size)
    assert reports == sorted(reports)
    assert {total for _, total in reports} == {size}


@pytest.mark.parametrize("kind", ["python", "binary"])
def test_a_folder_that_is_there_is_used_without_the_network(kind, fake_folder, monkeypatch):
    assert get_cifar10(fake_folder[kind], url="http://127.0.0.1:1/") == fake_folder[kind]
    monkeypatch.setenv("CHAINRULE_DATA", str(fake_folder[kind]))
    assert get_cifar10(url="http://127.0.0.1:1/") == fake_folder[kind]


def test_a_folder_that_is_there_but_damaged_is_refused(damaged):
    folder = damaged("binary", "data_batch_1.bin", b"half")
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: 4 bytes; expected 30,730,000"):
        get_cifar10(folder, url="http://127.0.0.1:1/")


def test_a_folder_that_lacks_files_is_not_touched(damaged):
    folder = damaged("binary", "data_batch_1.bin", None)
    with pytest.raises(FileExistsError, match=r"lacks data_batch_1\.bin; complete it, or remove it"):
        get_cifar10(folder.parent, kind="binary", url="http://127.0.0.1:1/")
    assert len(names_in(folder)) == 7  # the other batches, the names and the readme


def test_an_archive_brought_by_hand_is_used_and_kept(fake_archives, tmp_path):
    archive = shutil.copy(fake_archives["binary"], tmp_path)
    checksum = {"cifar-10-binary.tar.gz": f"sha256:{hashlib.sha256(fake_archives['binary'].read_bytes()).hexdigest()}"}
    folder = get_cifar10(tmp_path, kind="binary", url="http://127.0.0.1:1/", checksums=checksum)
    assert len(names_in(folder)) == 8
    assert os.path.exists(archive)
    shutil.rmtree(folder)  # 184 MB


def test_an_archive_brought_by_hand_with_another_checksum_is_refused_and_kept(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"half a download")
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz has the md5 \w+; expected c58f30108f718f92721af3b95e74349a; remove it"):
        get_cifar10(tmp_path, url="http://127.0.0.1:1/")
    assert (tmp_path / "cifar-10-python.tar.gz").exists()


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("nobody listens", r"cannot reach 127\.0\.0\.1"),
        ("no such file", r"127\.0\.0\.1 answered 404 \(.*\)"),
        ("the connection breaks", r"(the connection to 127\.0\.0\.1 broke off|cannot reach 127\.0\.0\.1)"),
    ],
)
def test_a_download_that_fails_says_so_and_works_when_repeated(trouble, reason, server, fake_archives, tmp_path):
    url = server.url
    checksums = server.serve(fake_archives["binary"])
    if trouble == "nobody listens":
        url = "http://127.0.0.1:1/"
    elif trouble == "no such file":
        url = f"{server.url}elsewhere/"
    else:
        server.cut = 100_000
    message = rf"could not download http://127\.0\.0\.1:.*cifar-10-binary\.tar\.gz: {reason}; try again, or .* put it into"
    with pytest.raises(ConnectionError, match=message):
        get_cifar10(tmp_path, kind="binary", url=url, checksums=checksums)
    assert names_in(tmp_path) == [".cifar-10.lock"]
    server.cut = None
    assert len(names_in(get_cifar10(tmp_path, kind="binary", url=server.url, checksums=checksums))) == 8


def test_the_whole_story_of_a_failed_download_is_its_cause(tmp_path):
    with pytest.raises(ConnectionError) as raised:
        get_cifar10(tmp_path, url="http://127.0.0.1:1/")
    assert isinstance(raised.value.__cause__, requests.RequestException)


def start_download(folder, server, checksums):
    call = f"get_cifar10({str(folder)!r}, kind='binary', url={server.url!r}, checksums={checksums!r})"
    code = f"from chainrule.data import get_cifar10; print({call})"
    return subprocess.Popen([sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once_download_once_and_both_get_the_folder(server, fake_archives, tmp_path):
    checksums = server.serve(fake_archives["binary"])
    processes = [start_download(tmp_path, server, checksums) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    assert results == [(f"{tmp_path / 'cifar-10-batches-bin'}\n", "")] * 2
    assert server.requests == ["/cifar-10-binary.tar.gz"]


def test_what_a_killed_download_leaves_is_cleared_away_by_the_next(server, fake_archives, tmp_path):
    checksums = server.serve(fake_archives["binary"])
    server.cut = 100_000
    server.stall.clear()
    process = start_download(tmp_path, server, checksums)
    deadline = time.monotonic() + 30
    while not any((tmp_path / ".cifar-10-download").glob("*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert any((tmp_path / ".cifar-10-download").iterdir())  # killed in the middle
    server.cut = None
    server.stall.set()
    folder = get_cifar10(tmp_path, kind="binary", url=server.url, checksums=checksums)
    assert names_in(tmp_path) == [".cifar-10.lock", folder.name]


def test_half_unpacked_files_of_a_killed_process_are_cleared_away(fake_archives, server, tmp_path):
    half = tmp_path / ".cifar-10-download" / "cifar-10-batches-bin"
    half.mkdir(parents=True)
    (half / "data_batch_1.bin").write_bytes(b"half")
    folder = get_cifar10(tmp_path, kind="binary", url=server.url, checksums=server.serve(fake_archives["binary"]))
    assert (folder / "data_batch_1.bin").stat().st_size == 30_730_000
    assert names_in(tmp_path) == [".cifar-10.lock", folder.name]


def test_a_full_disk_leaves_no_half_folder_and_keeps_the_archive(server, fake_archives, tmp_path, monkeypatch):
    checksums = server.serve(fake_archives["binary"])
    calls = iter(range(100))

    def fsync_on_a_full_disk(descriptor):
        if next(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("chainrule.data.archives.os.fsync", fsync_on_a_full_disk)
        with pytest.raises(OSError, match=r"no space left in .*make room or set CHAINRULE_DATA") as raised:
            get_cifar10(tmp_path, kind="binary", url=server.url, checksums=checksums)
    assert raised.value.errno == errno.ENOSPC
    assert names_in(tmp_path) == [".cifar-10-download", ".cifar-10.lock"]
    assert names_in(tmp_path / ".cifar-10-download") == ["cifar-10-binary.tar.gz"]
    get_cifar10(tmp_path, kind="binary", url=server.url, checksums=checksums)
    assert server.requests == ["/cifar-10-binary.tar.gz"]
    assert names_in(tmp_path) == [".cifar-10.lock", "cifar-10-batches-bin"]


def hostile_link():
    member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


@pytest.mark.parametrize("member", ["../escaped", "/tmp/chainrule-escaped", hostile_link()], ids=["above", "absolute", "link"])
def test_a_hostile_archive_with_the_right_checksum_leaves_nothing(member, server, make_archive, tmp_path):
    checksums = server.serve(make_archive([(member, b"")], tmp_path / "a.tar.gz"), "cifar-10-binary.tar.gz")
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match=r"not among the expected|symbolic link"):
        get_cifar10(tmp_path / "data", kind="binary", url=server.url, checksums=checksums)
    assert names_in(tmp_path) == ["a.tar.gz", "data"]
    assert names_in(tmp_path / "data") == [".cifar-10-download", ".cifar-10.lock"]
    assert names_in(tmp_path / "data" / ".cifar-10-download") == ["cifar-10-binary.tar.gz"]


def test_an_archive_whose_files_are_no_cifar10_is_refused(server, make_archive, fake_folder, tmp_path):
    members = [(f"cifar-10-batches-bin/{path.name}", b"short") for path in fake_folder["binary"].iterdir()]
    checksums = server.serve(make_archive(members, tmp_path / "a.tar.gz"), "cifar-10-binary.tar.gz")
    with pytest.raises(ValueError, match=r"batches\.meta\.txt: names the classes"):
        get_cifar10(tmp_path / "data", kind="binary", url=server.url, checksums=checksums)
    assert "cifar-10-batches-bin" not in names_in(tmp_path / "data")


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="kind is 'matlab'; expected 'python' or 'binary'"):
        get_cifar10(tmp_path, kind="matlab")
