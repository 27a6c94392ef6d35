"""Files of a workspace, reached without ever following a path out of it.

Whatever lies in a workspace was made by code nobody trusts: links that point elsewhere,
pipes that block a reader, folders swapped while they are being opened. Every path is
resolved by `sandboxes.beneath`, every file is checked after it was opened, not before.
"""

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import IO, Literal

from sandboxes.base import FileInfo, SandboxGoneError, WorkspacePathError
from sandboxes.beneath import DIRECTORY, open_beneath
from sandboxes.swapping import recover

MOUNT_POINT = "/work"
MAX_DEPTH = 100
"""Folders below this depth are not entered; each level holds a descriptor open."""
_LEAST_BYTES = 4096
"""What an entry counts for at least, so that a limit of bytes bounds empty files, too."""
_PIECE = 1 << 20

Entry = tuple[str, int, os.stat_result]
"""Path in the workspace, descriptor of the folder that holds it, status of the link itself."""

_REASONS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "has a part that is not a folder",
    errno.EISDIR: "is a folder, not a file",
    errno.ELOOP: "is or has a symbolic link that may not be followed",
    errno.EXDEV: "leaves the workspace",
    errno.ENXIO: "is not a regular file",
    errno.EACCES: "may not be opened with its permissions",
    errno.EPERM: "may not be opened with its permissions",
    errno.ENAMETOOLONG: "is too long",
    errno.ENOSPC: "does not fit on the disk",
}


def relative_path(path: str) -> str:
    """Return `path` as a clean path below the workspace; `/work/x` means `x`.

    Raises:
        WorkspacePathError: it names a place elsewhere or cannot be a file name.
    """
    if "\0" in path:
        msg = f"expected a path in the workspace, got one with a NUL character: {path!r}"
        raise WorkspacePathError(msg)
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        msg = f"expected a path in the workspace, got one that cannot be encoded: {path!r}"
        raise WorkspacePathError(msg) from error
    inner = path
    if path == MOUNT_POINT or path.startswith(f"{MOUNT_POINT}/"):
        inner = path.removeprefix(MOUNT_POINT).lstrip("/")
    clean = normpath(inner or ".")
    if clean.startswith(("/", "../")) or clean == "..":
        msg = f"expected a path in the workspace ({MOUNT_POINT}), got {path!r}"
        raise WorkspacePathError(msg)
    return clean


class Workspace:
    """A folder of the host whose contents are hostile."""

    def __init__(self, root: Path, *, owner: int | None = None) -> None:
        """Open the folder `root`, making it; new entries will belong to `owner`."""
        root.mkdir(parents=True, exist_ok=True)
        self.path = root.resolve()
        self.owner = owner
        self._root = os.open(root, DIRECTORY)
        self._lock = threading.Lock()
        recover(self._root, self.path)
        self.adopt()

    def close(self) -> None:
        """Let go of the folder; may be called twice, and while another thread uses it."""
        with self._lock:
            root, self._root = self._root, -1
        if root >= 0:
            os.close(root)

    @contextmanager
    def root(self) -> Generator[int]:
        """Hold a descriptor of the folder that `close` in another thread does not take away.

        Raises:
            SandboxGoneError: it was closed.
        """
        with self._lock:
            if self._root < 0:
                msg = "the sandbox was closed; create another one"
                raise SandboxGoneError(msg)
            root = os.dup(self._root)
        try:
            yield root
        finally:
            os.close(root)

    def read(self, path: str, *, offset: int, max_bytes: int) -> bytes:
        """Return at most `max_bytes` of a regular file, from `offset` on."""
        if offset < 0 or max_bytes < 0:
            msg = f"expected offset and max_bytes of 0 or more, got {offset} and {max_bytes}"
            raise ValueError(msg)
        with self._opened(path, os.O_RDONLY) as descriptor:
            _demand_regular(path, descriptor)
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                file.seek(min(offset, os.fstat(descriptor).st_size))
                return _read_fully(file.read, max_bytes)

    def write(self, path: str, data: bytes) -> None:
        """Write a regular file, making its folders."""
        with self._opened_to_write(path) as descriptor:
            _write_fully(path, descriptor, data)

    def upload(self, source: IO[bytes], path: str, pulse: Callable[[], None]) -> int:
        """Write a regular file from `source`, piece by piece; `pulse` may raise to stop."""
        size = 0
        with self._opened_to_write(path) as descriptor:
            while piece := source.read(_PIECE):
                pulse()
                _write_fully(path, descriptor, piece)
                size += len(piece)
        return size

    def download(
        self, path: str, target: IO[bytes], *, max_bytes: int, pulse: Callable[[], None]
    ) -> int:
        """Copy a regular file to `target`, piece by piece; `pulse` may raise to stop."""
        size = 0
        with self._opened(path, os.O_RDONLY) as descriptor:
            _demand_regular(path, descriptor)
            found = os.fstat(descriptor).st_size
            while found <= max_bytes and (piece := os.read(descriptor, _PIECE)):
                pulse()
                target.write(piece)
                size += len(piece)
                found = max(found, size)
        if found > max_bytes:
            msg = f"expected a file of at most {max_bytes} bytes, {path!r} has {found} and more"
            raise WorkspacePathError(msg)
        return size

    def list(self, path: str, *, max_entries: int) -> "list[FileInfo]":
        """Return everything under `path`, sorted by path."""
        inner = relative_path(path)
        prefix = "" if inner == "." else f"{inner}/"
        with self._opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            found = [_info(entry) for entry in islice(_walk(descriptor, prefix), max_entries)]
        return sorted(found, key=lambda info: info.path)

    def usage(self) -> int:
        """Return the bytes the workspace takes on disk; folders too deep count as endless."""
        total = 0
        with self._opened(".", os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            for path, _, status in _walk(descriptor, ""):
                total += max(status.st_blocks * 512, _LEAST_BYTES)
                if stat.S_ISDIR(status.st_mode) and path.count("/") >= MAX_DEPTH:
                    return sys.maxsize
        return total

    @contextmanager
    def walk(self) -> Generator[Iterator[Entry]]:
        """Hold everything there is, folder by folder, to be gone through once.

        Raises:
            WorkspacePathError: some folder is too deep to be entered.
        """
        with self._opened(".", os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            yield _demand_shallow(_walk(descriptor, ""))

    @contextmanager
    def folder(self, path: str) -> Generator[int]:
        """Hold a folder, made if it is missing."""
        self._make_folders(relative_path(path))
        with self._opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            yield descriptor

    def adopt(self) -> None:
        """Make everything belong to the owner, so that the sandbox can change it."""
        if self.owner is None:
            return
        with self._opened(".", os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            self._give_away(descriptor)
            for path, folder, status in _walk(descriptor, ""):
                if status.st_uid != self.owner:
                    name = PurePosixPath(path).name
                    os.chown(name, self.owner, self.owner, dir_fd=folder, follow_symlinks=False)

    def _make_folders(self, path: str) -> None:
        try:
            with self._opened(path, os.O_RDONLY | os.O_DIRECTORY):
                return
        except WorkspacePathError as error:
            if not _is_missing(error):
                raise
        inner = PurePosixPath(path)
        self._make_folders(str(inner.parent))
        with self._opened(str(inner.parent), os.O_RDONLY | os.O_DIRECTORY) as parent:
            try:
                os.mkdir(inner.name, 0o755, dir_fd=parent)
            except FileExistsError:
                return
            except OSError as error:
                raise _explained(path, error) from error
        with self._opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            self._give_away(descriptor)

    def _give_away(self, descriptor: int) -> None:
        if self.owner is not None and os.fstat(descriptor).st_uid != self.owner:
            os.fchown(descriptor, self.owner, self.owner)

    @contextmanager
    def _opened_to_write(self, path: str) -> Generator[int]:
        self._make_folders(str(PurePosixPath(relative_path(path)).parent))
        with self._opened(path, os.O_WRONLY | os.O_CREAT, 0o644) as descriptor:
            _demand_regular(path, descriptor)
            self._give_away(descriptor)
            os.ftruncate(descriptor, 0)
            yield descriptor

    @contextmanager
    def _opened(self, path: str, flags: int, mode: int = 0) -> Generator[int]:
        inner = relative_path(path)
        with self.root() as root:
            try:
                descriptor = open_beneath(root, inner, flags, mode)
            except OSError as error:
                raise _explained(path, error) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _read_fully(read: Callable[[int], bytes | None], max_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = max_bytes
    while left > 0 and (part := read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _write_fully(path: str, descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise _explained(path, error) from error


def _demand_shallow(entries: Iterator[Entry]) -> Iterator[Entry]:
    for path, folder, status in entries:
        if stat.S_ISDIR(status.st_mode) and path.count("/") >= MAX_DEPTH:
            msg = f"expected at most {MAX_DEPTH} folders in each other, got {path[:100]!r}..."
            raise WorkspacePathError(msg)
        yield path, folder, status


def _walk(folder: int, prefix: str) -> Iterator[Entry]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        path = f"{prefix}{entry.name}"
        yield path, folder, status
        if stat.S_ISDIR(status.st_mode) and path.count("/") < MAX_DEPTH:
            yield from _walk_below(folder, entry.name, path)


def _walk_below(folder: int, name: str, path: str) -> Iterator[Entry]:
    try:
        child = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        return
    try:
        yield from _walk(child, f"{path}/")
    finally:
        os.close(child)


def _info(entry: Entry) -> FileInfo:
    path, _, status = entry
    kind: Literal["file", "dir", "symlink", "other"] = "other"
    if stat.S_ISREG(status.st_mode):
        kind = "file"
    elif stat.S_ISDIR(status.st_mode):
        kind = "dir"
    elif stat.S_ISLNK(status.st_mode):
        kind = "symlink"
    shown = os.fsencode(path).decode(errors="replace")
    return FileInfo(path=shown, kind=kind, size=status.st_size, mtime=status.st_mtime)


def _demand_regular(path: str, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        msg = f"expected a regular file in the workspace, {path!r} is {kind}"
        raise WorkspacePathError(msg)


def _explained(path: str, error: OSError) -> WorkspacePathError:
    reason = _REASONS.get(error.errno or 0, os.strerror(error.errno or 0))
    return WorkspacePathError(f"expected a path in the workspace, {path!r} {reason}")


def _is_missing(error: WorkspacePathError) -> bool:
    return isinstance(error.__cause__, FileNotFoundError)
