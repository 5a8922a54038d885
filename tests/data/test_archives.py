import gzip
import tarfile

import pytest

from chainrule.data.archives import extract

MEMBERS = {"top/one": 100, "top/two": 100}


def link(name, target, kind):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def special(name, kind):
    member = tarfile.TarInfo(name)
    member.type = kind
    return member


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_expected_members_become_files(tmp_path, make_archive):
    archive = make_archive(
        [(special("top", tarfile.DIRTYPE), b""), ("top/one", b"1"), ("top/two", b"22"), ("top/readme", b"r")], tmp_path / "a.tar.gz"
    )
    extract(archive, tmp_path / "out", MEMBERS, optional={"top/readme": 10})
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"one": b"1", "two": b"22", "readme": b"r"}


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        ("../escaped", "not among the expected"),
        ("top/../../escaped", "not among the expected"),
        ("/tmp/chainrule-escaped", "not among the expected"),
        ("top/one/../two", "not among the expected"),
        ("top/three", "not among the expected"),
        ("./top/one", "not among the expected"),
        ("top/one ", "not among the expected"),
        (link("top/one", "/etc/passwd", tarfile.SYMTYPE), "symbolic link"),
        (link("top/one", "top/two", tarfile.LNKTYPE), "hard link"),
        (link("top", "/tmp", tarfile.SYMTYPE), "symbolic link"),
        (special("top/one", tarfile.CHRTYPE), "device"),
        (special("top/one", tarfile.BLKTYPE), "device"),
        (special("top/one", tarfile.FIFOTYPE), "pipe"),
        (special("top/one", tarfile.DIRTYPE), "folder"),
        (special("elsewhere", tarfile.DIRTYPE), "folder"),
        (special("top/one", tarfile.GNUTYPE_SPARSE), "type|damaged"),
    ],
    ids=lambda value: f"{value.name}-{value.type.decode()}" if isinstance(value, tarfile.TarInfo) else None,
)
def test_a_hostile_member_is_refused_and_nothing_escapes(tmp_path, make_archive, member, complaint):
    archive = make_archive([(member, b"")], tmp_path / "a.tar.gz")
    (tmp_path / "inside").mkdir()
    with pytest.raises(ValueError, match=complaint) as raised:
        extract(archive, tmp_path / "inside" / "out", MEMBERS)
    assert str(archive) in str(raised.value)
    assert everything_in(tmp_path) == ["a.tar.gz", "inside", "inside/out"]


def test_a_second_copy_of_a_member_is_refused(tmp_path, make_archive):
    archive = make_archive([("top/one", b"1"), ("top/one", b"2")], tmp_path / "a.tar.gz")
    with pytest.raises(ValueError, match="'top/one' occurs twice"):
        extract(archive, tmp_path / "out", MEMBERS)


def test_a_missing_member_is_named(tmp_path, make_archive):
    archive = make_archive([("top/one", b"1")], tmp_path / "a.tar.gz")
    with pytest.raises(ValueError, match="lacks top/two"):
        extract(archive, tmp_path / "out", MEMBERS)


def test_a_member_larger_than_expected_is_refused_before_it_is_written(tmp_path, make_archive):
    archive = make_archive([("top/one", b"1" * 101)], tmp_path / "a.tar.gz")
    with pytest.raises(ValueError, match="claims 101 bytes; expected at most 100"):
        extract(archive, tmp_path / "out", MEMBERS)
    assert everything_in(tmp_path / "out") == []


def test_a_bomb_in_a_header_is_defused(tmp_path):
    # 40 MB of an extended header, which tarfile would read into memory, in some kilobytes of gzip
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, 40_000_000
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(header.tobuf())
        file.write(bytes(40_000_000))
    assert (tmp_path / "a.tar.gz").stat().st_size < 100_000
    with pytest.raises(ValueError, match="unpacks to more than the expected"):
        extract(tmp_path / "a.tar.gz", tmp_path / "out", MEMBERS)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(tmp_path, make_archive, kept):
    archive = make_archive([("top/one", bytes(range(100))), ("top/two", bytes(range(100, 200)))], tmp_path / "a.tar.gz")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r"a\.tar\.gz: (damaged or truncated|lacks)"):
        extract(archive, tmp_path / "out", MEMBERS)


def test_a_changed_byte_is_noticed(tmp_path, make_archive):
    archive = make_archive([("top/one", bytes(range(100))), ("top/two", bytes(range(100, 200)))], tmp_path / "a.tar.gz")
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1  # in gzip's checksum
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or truncated"):
        extract(archive, tmp_path / "out", MEMBERS)


def test_something_else_than_an_archive_is_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match="damaged or truncated"):
        extract(tmp_path / "a.tar.gz", tmp_path / "out", MEMBERS)
