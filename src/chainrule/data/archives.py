"""Unpacks a tar.gz of which the contents are known beforehand, and nothing that is not among them."""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

__all__ = ["extract"]

_CHUNK = 1 << 20  # bytes


def extract(archive: Path, destination: Path, members: Mapping[str, int], *, optional: Mapping[str, int] | None = None) -> None:
    """Write the members of a tar.gz as files into the folder `destination`, which must not exist yet.

    Parameters
    ----------
    archive : path of the tar.gz
    destination : the folder to make; files of the archive's folder FOLDER/ go directly into it
    members, optional : name in the archive (FOLDER/file) -> greatest size in bytes, for those that must and those that may be there.
        Nothing else may be: any other name, a link, a device, a second copy of a member or a larger one is refused.

    Raises
    ------
    ValueError
        for an archive that is not what `members` says, or is damaged. `destination` is then incomplete: the caller removes it.
    """
    allowed = {**members, **(optional or {})}
    folders = {name.rpartition("/")[0] for name in allowed}
    destination.mkdir()
    written: set[str] = set()
    try:
        with gzip.open(archive) as unzipped:
            # the limit is on the whole stream, headers included: a few kilobytes of gzip can claim any length
            stream = _Limited(unzipped, sum(allowed.values()) + _CHUNK)
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    if member.isdir() and member.name in folders:
                        continue
                    _check(member, allowed, written)
                    _write(tar.extractfile(member), destination / member.name.rpartition("/")[2])
                    written.add(member.name)
            while stream.read(_CHUNK):  # gzip's checksum comes after all that tar reads
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{archive}: damaged or truncated archive ({error}); delete it and get it again") from error
    except ValueError as error:
        raise ValueError(f"{archive}: {error}; nothing was written outside its own folder") from error
    if missing := sorted(members.keys() - written):
        raise ValueError(f"{archive}: lacks {', '.join(missing)}; delete it and get it again")


class _Limited(io.RawIOBase):
    """A stream that ends in an error after `limit` bytes."""

    def __init__(self, stream, limit: int):
        super().__init__()
        self._stream, self._limit, self._left = stream, limit, limit

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"unpacks to more than the expected {self._limit:,} bytes")
        return content


def _check(member: tarfile.TarInfo, allowed: Mapping[str, int], written: set[str]) -> None:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ValueError(f"{member.name!r} is no plain file but a {_kind(member)}")
    if member.name not in allowed:
        raise ValueError(f"{member.name!r} is not among the expected members {', '.join(sorted(allowed))}")
    if member.name in written:
        raise ValueError(f"{member.name!r} occurs twice")
    if member.size > allowed[member.name]:
        raise ValueError(f"{member.name!r} claims {member.size:,} bytes; expected at most {allowed[member.name]:,}")


def _kind(member: tarfile.TarInfo) -> str:
    kinds = {
        tarfile.SYMTYPE: "symbolic link",
        tarfile.LNKTYPE: "hard link",
        tarfile.CHRTYPE: "device",
        tarfile.BLKTYPE: "device",
        tarfile.FIFOTYPE: "pipe",
        tarfile.DIRTYPE: "folder",
    }
    return kinds.get(member.type, f"member of type {member.type!r}")


def _write(content, path: Path) -> None:
    with open(path, "xb") as file:
        while chunk := content.read(_CHUNK):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
