"""Read what zip and tar archives hold, one entry after the other, and write such a tar."""

import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from bz2 import BZ2File
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import IO

from sandboxes.base import SandboxError
from sandboxes.unpacking import Count, Entry, Readable, Stream, UnpackLimits, refused

_ZIP = b"PK"
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
_XZ_MEMORY = 128 << 20
_PIECE = 1 << 16
_BLOCK = 1 << 11
_TABLE_BYTES_PER_ENTRY = 256
_COMPRESS_LEVEL = 1
_SECOND = 1_000_000_000
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Found = tuple[str, int, os.stat_result]
"""Path in a tree, descriptor of the folder that holds it, status of the link itself."""


def entries_of(archive: IO[bytes], count: Count, limits: UnpackLimits) -> Iterator[Entry]:
    """Yield the entries of a zip or of a tar, compressed or not.

    Raises:
        WorkspacePathError: it holds something that is not taken.
    """
    start = archive.read(8)
    archive.seek(0)
    if start.startswith(_ZIP):
        return _of_zip(archive, count, limits)
    return _of_tar(_decompressed(archive, start), count)


def _decompressed(archive: IO[bytes], start: bytes) -> Readable:
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=archive)
    if start.startswith(_BZIP2):
        return BZ2File(archive)
    if start.startswith(_XZ):
        return _Xz(archive)
    return archive


class _Xz:
    """Decompresses with a bound on the memory that an archive may ask for."""

    def __init__(self, archive: IO[bytes]) -> None:
        self._archive = archive
        self._engine = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        while not self._engine.eof:
            fresh = self._archive.read(_PIECE) if self._engine.needs_input else b""
            if data := self._engine.decompress(fresh, size):
                return data
            if not fresh and self._engine.needs_input:
                raise EOFError
        return b""


def _of_tar(source: Readable, count: Count) -> Iterator[Entry]:
    stream = Stream(source, count)
    stream.allow(0)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK) as tar:
        while (member := tar.next()) is not None:
            stream.allow(member.size if member.isreg() else 0)
            yield _tar_entry(tar, member)
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue] - they would pile up
            stream.allow(0)
        while rest := tar.fileobj.read(_PIECE):
            if rest.strip(b"\0"):
                raise refused("it is damaged: something follows its end")


def _tar_entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    name, mode = member.name, member.mode
    mtime = int(Decimal(member.pax_headers.get("mtime", member.mtime)) * _SECOND)
    if member.isdir():
        return Entry(name, "folder", mode, mtime)
    if member.issym():
        return Entry(name, "symlink", mode, mtime, link=member.linkname)
    if member.islnk():
        return Entry(name, "hardlink", mode, mtime, link=member.linkname)
    if not member.isreg() or member.issparse():
        raise refused(f"{name[:100]!r} is no file, folder or link")
    return Entry(name, "file", mode, mtime, data=tar.extractfile(member))


class _Table:
    """An archive whose table of contents may not be longer than its entries need."""

    def __init__(self, archive: IO[bytes], most: int) -> None:
        self._archive = archive
        self._most = most
        self.seek = archive.seek
        self.tell = archive.tell
        self.seekable = archive.seekable

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        data = self._archive.read(size if 0 <= size <= self._most else self._most + 1)
        if len(data) > self._most:
            raise refused("its table of contents is too long")
        return data


def _of_zip(archive: IO[bytes], count: Count, limits: UnpackLimits) -> Iterator[Entry]:
    most = (1 << 17) + limits.entries * _TABLE_BYTES_PER_ENTRY
    table: IO[bytes] = _Table(archive, most)  # pyright: ignore[reportAssignmentType] - all that is used of a file
    with zipfile.ZipFile(table) as packed:
        for info in packed.infolist():
            count.bytes(0)
            if info.flag_bits & 1:
                raise refused("it is encrypted")
            if info.compress_type not in _PLAIN:
                raise refused("it is compressed in a way other than 'deflate'")
            yield from _zip_entry(packed, info)


def _zip_entry(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Entry]:
    unix = info.external_attr >> 16
    mtime = _zip_time(info.date_time)
    if info.is_dir():
        yield Entry(info.filename, "folder", stat.S_IMODE(unix) or 0o755, mtime)
        return
    if stat.S_IFMT(unix) not in {0, stat.S_IFREG, stat.S_IFLNK}:
        raise refused(f"{info.filename[:100]!r} is no file, folder or link")
    with packed.open(info) as data:
        if stat.S_ISLNK(unix):
            link = os.fsdecode(data.read(4096))
            yield Entry(info.filename, "symlink", 0o777, mtime, link=link)
        else:
            yield Entry(info.filename, "file", stat.S_IMODE(unix) or 0o644, mtime, data=data)


def _zip_time(parts: tuple[int, int, int, int, int, int]) -> int:
    import calendar  # noqa: PLC0415 - only for zip

    return max(0, calendar.timegm((*parts, 0, 0, 0))) * _SECOND


class Packer:
    """Writes a tree as a compressed tar.

    Pipes, devices and sockets are left out. What vanishes meanwhile is left out, too; a file
    that is being written has the length it had when its turn came.
    """

    def __init__(self, target: IO[bytes], most_bytes: int, pulse: Callable[[], None]) -> None:
        """Write to `target` no more than `most_bytes` of files; `pulse` may raise to stop."""
        self.packed = 0
        self.left_out = 0
        self._most = self._room = most_bytes
        self._pulse = pulse
        self._names: dict[tuple[int, int], str] = {}
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `run`
            fileobj=target,
            mode="w:gz",
            format=tarfile.PAX_FORMAT,
            compresslevel=_COMPRESS_LEVEL,
        )

    def run(self, found: Iterator[Found]) -> None:
        """Write everything.

        Raises:
            SandboxError: something cannot be read, or it is too much.
        """
        with self._tar:
            for path, folder, status in found:
                self._pulse()
                if self._add(path, folder, status):
                    self.packed += 1
                else:
                    self.left_out += 1
                self._tar.members = []  # pyright: ignore[reportAttributeAccessIssue] - they would pile up

    def _add(self, path: str, folder: int, status: os.stat_result) -> bool:
        info = tarfile.TarInfo(path)
        info.mode = status.st_mode & 0o777
        seconds, rest = divmod(status.st_mtime_ns, _SECOND)
        info.pax_headers = {"mtime": f"{seconds}.{rest:09}"}
        try:
            if stat.S_ISREG(status.st_mode):
                return self._add_file(info, folder)
            if stat.S_ISLNK(status.st_mode):
                info.type = tarfile.SYMTYPE
                info.linkname = os.readlink(path.rpartition("/")[2], dir_fd=folder)
            elif stat.S_ISDIR(status.st_mode):
                info.type = tarfile.DIRTYPE
            else:
                return False
        except FileNotFoundError:
            return False
        except OSError as error:
            msg = f"{path[:200]!r} in the workspace cannot be read: {error.strerror}"
            raise SandboxError(msg) from error
        self._tar.addfile(info)
        return True

    def _add_file(self, info: tarfile.TarInfo, folder: int) -> bool:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(info.name.rpartition("/")[2], flags, dir_fd=folder)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return False
            identity = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and identity in self._names:
                info.type, info.linkname = tarfile.LNKTYPE, self._names[identity]
                self._tar.addfile(info)
                return True
            self._names[identity] = info.name
            info.size = status.st_size
            self._room -= info.size
            if self._room < 0:
                msg = f"the workspace holds more than {self._most} bytes; remove some files"
                raise SandboxError(msg)
            data: IO[bytes] = _Exactly(file, self._pulse)  # pyright: ignore[reportAssignmentType] - all that is used of a file
            self._tar.addfile(info, data)
        return True


class _Exactly:
    """A file of just the length that was announced, filled with zeros if it shrank."""

    def __init__(self, file: io.FileIO, pulse: Callable[[], None]) -> None:
        self._file = file
        self._pulse = pulse

    def read(self, size: int) -> bytes:
        """Return `size` bytes."""
        self._pulse()
        parts: list[bytes] = []
        while size > 0 and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts) + bytes(size)
