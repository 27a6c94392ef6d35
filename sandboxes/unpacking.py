"""Take an archive apart within limits; whoever packed it is not trusted.

Nothing is believed that an archive says about itself: names are checked part by part, sizes
are counted as they come, and reading stops at the first thing that is too much. Everything
is written below one folder that nobody else sees yet, and no link is followed on the way.
"""

import io
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Literal, Protocol

from sandboxes.base import Frozen, WorkspacePathError
from sandboxes.beneath import DIRECTORY

_PIECE = 1 << 18
_FREE_BYTES = 1 << 20
"""So much may come out of any archive, however well it was compressed."""
_HEADER_BYTES = 1 << 14
"""Room for what stands between two entries: two paths of the greatest length fit, and little
more, since some versions of Python take time by its square."""

Kind = Literal["file", "folder", "symlink", "hardlink"]


class Readable(Protocol):
    """Bytes that come piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class UnpackLimits(Frozen):
    """What an archive may hold."""

    total_bytes: int = 512 << 20
    entry_bytes: int = 256 << 20
    entries: int = 10_000
    ratio: float = 200.0
    """Bytes that come out for each byte of the archive."""
    depth: int = 32
    """Folders above an entry."""
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in an archive."""

    name: str
    kind: Kind
    mode: int
    mtime_ns: int
    link: str = ""
    """Where a link points; for a hard link the name of another entry."""
    data: Readable | None = None


class Count:
    """Counts what came out of an archive and stops it in time."""

    def __init__(self, limits: UnpackLimits, archive_bytes: int, pulse: Callable[[], None]) -> None:
        """Begin at nothing; `pulse` is called often and may raise to stop."""
        self._limits = limits
        by_ratio = max(_FREE_BYTES, limits.ratio * archive_bytes)
        self._room = min(limits.total_bytes, by_ratio)
        self._cause = (
            f"more than {limits.total_bytes} bytes"
            if limits.total_bytes <= by_ratio
            else f"more than {limits.ratio:g} bytes for each of its own"
        )
        self._pulse = pulse
        self._end = time.monotonic() + limits.seconds
        self._entries = 0

    def entry(self) -> None:
        """Count one more entry."""
        self._entries += 1
        if self._entries > self._limits.entries:
            raise refused(f"it holds more than {self._limits.entries} entries")
        self.bytes(0)

    def bytes(self, size: int) -> None:
        """Count bytes that came out."""
        self._pulse()
        self._room -= size
        if self._room < 0:
            raise refused(f"it unpacks to {self._cause}")
        if time.monotonic() > self._end:
            raise refused(f"it takes longer than {self._limits.seconds:g} s")


def refused(reason: str) -> WorkspacePathError:
    """Return the error for an archive that is not taken."""
    return WorkspacePathError(f"the archive was refused: {reason}")


@dataclass(slots=True)
class Unpacking:
    """Writes entries below a folder."""

    folder: int
    limits: UnpackLimits
    count: Count
    owner: int | None
    any_link: bool
    """Whether links may point anywhere; they are never followed here."""
    _folders: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    _files: set[str] = field(default_factory=set[str])
    made: int = 0

    def run(self, entries: Iterator[Entry]) -> int:
        """Write them all and return how many there were."""
        for entry in entries:
            self.count.entry()
            name = self._checked(entry.name)
            if name != ".":
                self._make(name, entry)
                self.made += 1
        inner_first = sorted(self._folders, key=lambda found: found[0].count("/"), reverse=True)
        for name, mode, mtime_ns in inner_first:
            with self._parent(name) as (parent, last):
                _finish(parent, last, mode, mtime_ns)
        return self.made

    def _checked(self, name: str) -> str:
        if "\0" in name:
            raise refused(f"{name[:100]!r} is no name for a file")
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            raise refused(f"{name[:100]!r} leaves the folder")
        clean = normpath(name or ".")
        if clean.count("/") > self.limits.depth:
            raise refused(f"{name[:100]!r} is more than {self.limits.depth} folders deep")
        return clean

    def _make(self, name: str, entry: Entry) -> None:
        with self._parent(name) as (parent, last):
            if entry.kind == "folder":
                self._make_folder(parent, last)
                self._folders.append((name, entry.mode, entry.mtime_ns))
                return
            _clear(parent, last)
            if entry.kind == "file":
                self._write(parent, last, entry)
                self._files.add(name)
            elif entry.kind == "symlink":
                self._link(parent, last, name, entry)
            else:
                self._hard_link(parent, last, entry)
                self._files.add(name)

    @contextmanager
    def _parent(self, name: str) -> Generator[tuple[int, str]]:
        """Hold the folder that is to contain `name`, making those that are missing."""
        *above, last = name.split("/")
        descriptor = os.dup(self.folder)
        try:
            for part in above:
                if self._make_folder(descriptor, part):
                    self.count.entry()
                below = os.open(part, DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor, last
        finally:
            os.close(descriptor)

    def _make_folder(self, parent: int, name: str) -> bool:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                return False
            raise refused(f"it goes through {name[:100]!r}, which is no folder") from None
        os.chmod(name, 0o755, dir_fd=parent)  # noqa: S103 - as for every folder of a workspace
        self._give_away(parent, name)
        return True

    def _write(self, parent: int, name: str, entry: Entry) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            size = 0
            while entry.data is not None and (piece := entry.data.read(_PIECE)):
                size += len(piece)
                self.count.bytes(len(piece))
                if size > self.limits.entry_bytes:
                    raise refused(f"{name[:100]!r} is bigger than {self.limits.entry_bytes} bytes")
                _write_sparsely(descriptor, piece)
            os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)
        self._give_away(parent, name)
        _finish(parent, name, entry.mode, entry.mtime_ns)

    def _link(self, parent: int, name: str, path: str, entry: Entry) -> None:
        target = entry.link
        if not target or "\0" in target:
            raise refused(f"{path[:100]!r} is a link to nowhere")
        inside = normpath(f"{path}/../{target}")
        if not self.any_link and (target.startswith("/") or inside.split("/")[0] == ".."):
            raise refused(f"the link {path[:100]!r} leaves the folder")
        os.symlink(target, name, dir_fd=parent)
        self._give_away(parent, name)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _hard_link(self, parent: int, name: str, entry: Entry) -> None:
        source = self._checked(entry.link)
        if source not in self._files:
            raise refused(f"{name[:100]!r} is a link to {source[:100]!r}, which it does not hold")
        with self._parent(source) as (folder, last):
            os.link(last, name, src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False)

    def _give_away(self, parent: int, name: str) -> None:
        if self.owner is not None:
            os.chown(name, self.owner, self.owner, dir_fd=parent, follow_symlinks=False)


def _clear(parent: int, name: str) -> None:
    """Let a later entry of the same name replace an earlier one, as tar does."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        raise refused(f"{name[:100]!r} is a folder and a file") from None


def _finish(parent: int, name: str, mode: int, mtime_ns: int) -> None:
    os.chmod(name, mode & 0o777, dir_fd=parent)
    os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)


def _write_sparsely(descriptor: int, piece: bytes) -> None:
    """Leave a hole where there is nothing but zeros, so that no disk fills with them."""
    if not piece.strip(b"\0"):
        os.lseek(descriptor, len(piece), io.SEEK_CUR)
        return
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


class Stream(io.RawIOBase):
    """What a decompressor gives, with a bound on how far it may be read at a time."""

    def __init__(self, source: Readable, count: Count) -> None:
        """Read from `source` and report to `count`."""
        self._source = source
        self._count = count
        self._room = 0

    def allow(self, size: int) -> None:
        """Let `size` bytes of content be read next, besides what stands around them."""
        self._room = size + _HEADER_BYTES

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        data = self._source.read(min(size, _PIECE) if size >= 0 else _PIECE)
        self._room -= len(data)
        if self._room < 0:
            raise refused("it is damaged: a header is longer than any should be")
        self._count.bytes(0)
        return data
