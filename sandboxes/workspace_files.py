"""The files of a sandbox whose workspace is a folder of this host; backends derive from it."""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from sandboxes.archives import Packer, entries_of
from sandboxes.base import FileInfo, SandboxError, WorkspacePathError
from sandboxes.files import MAX_DEPTH, Workspace, relative_path
from sandboxes.running import Running
from sandboxes.secrets import Blot
from sandboxes.swapping import draft_beside, swap_contents
from sandboxes.unpacking import Count, Unpacking, UnpackLimits, refused

_T = TypeVar("_T")
_Pulse = Callable[[], None]

SNAPSHOT_LIMITS = UnpackLimits(
    total_bytes=8 << 30,
    entry_bytes=8 << 30,
    entries=250_000,
    ratio=float("inf"),
    depth=MAX_DEPTH,
    seconds=600.0,
)
"""What a snapshot may hold; compression does not matter, holes stay holes."""


class HostFiles:
    """Reads and writes below a folder of the host, whatever hostile code put there."""

    def __init__(self, workspace: Workspace, running: Running) -> None:
        """Use `workspace` for as long as `running` is open."""
        self._files = workspace
        self._running = running
        self._blot = Blot()
        self._restoring = asyncio.Lock()

    def blotted(self, data: bytes) -> bytes:
        """Return `data` without the values of secrets."""
        return self._blot.all(data)

    async def read(self, path: str, *, offset: int = 0, max_bytes: int = 1 << 20) -> bytes:
        """Return at most `max_bytes` of a regular file in the workspace, secrets blotted out."""
        self._running.demand_open()
        read = self._files.read
        return self.blotted(await asyncio.to_thread(read, path, offset=offset, max_bytes=max_bytes))

    async def write(self, path: str, data: bytes) -> None:
        """Write a file in the workspace, making its folders."""
        self._running.demand_open()
        await asyncio.to_thread(self._files.write, path, data)

    async def list(self, path: str = ".", *, max_entries: int = 10_000) -> "list[FileInfo]":
        """Return everything under `path`, sorted by path, links not followed."""
        self._running.demand_open()
        return await asyncio.to_thread(self._files.list, path, max_entries=max_entries)

    async def upload(self, source: Path, path: str) -> int:
        """Copy a file of the host into the workspace, in pieces; return its bytes."""

        def work(pulse: _Pulse) -> int:
            with source.open("rb") as file:
                return self._files.upload(file, path, pulse)

        return await self._do(work)

    async def download(self, path: str, target: Path, *, max_bytes: int = 1 << 30) -> int:
        """Copy a regular file of the workspace to the host; it is there whole or not at all."""

        def work(pulse: _Pulse) -> int:
            with _whole_or_not(target) as file:
                return self._files.download(path, file, max_bytes=max_bytes, pulse=pulse)

        return await self._do(work)

    async def snapshot(self, target: Path) -> int:
        """Write the workspace as a compressed archive; return how many entries it has.

        Links stay links, hard links too; pipes, devices and sockets are left out.
        """

        def work(pulse: _Pulse) -> int:
            with _whole_or_not(target) as file, self._files.walk() as found:
                packer = Packer(file, SNAPSHOT_LIMITS.total_bytes, pulse)
                packer.run(found)
                return packer.packed

        return await self._do(work)

    async def restore(self, source: Path) -> int:
        """Make the workspace what `snapshot` wrote; if that fails it stays as it was."""

        def work(pulse: _Pulse) -> int:
            files = self._files
            with draft_beside(files.path) as draft, files.root() as root:
                made = _unpacked(source, draft, SNAPSHOT_LIMITS, files.owner, pulse, any_link=True)
                swap_contents(root, files.path, draft)
                return made

        async with self._restoring:
            return await self._do(work)

    async def unpack(self, source: Path, path: str, limits: UnpackLimits | None = None) -> int:
        """Take a zip or tar of the host apart into a new folder `path`; return its entries.

        It is there whole or not at all, and no link in it leads out of it.

        Raises:
            WorkspacePathError: the archive is damaged, too much or names a place elsewhere, or
                `path` leaves the workspace or is not empty.
        """
        clean = relative_path(path)
        if clean == ".":
            msg = f"expected a new folder to unpack into, got {path!r}"
            raise WorkspacePathError(msg)

        def work(pulse: _Pulse) -> int:
            files = self._files
            with draft_beside(files.path) as draft:
                bounds = limits or UnpackLimits()
                made = _unpacked(source, draft, bounds, files.owner, pulse, any_link=False)
                parent, _, name = clean.rpartition("/")
                with files.folder(parent or ".") as folder:
                    _put(draft, name, folder, files.owner)
                return made

        return await self._do(work)

    async def _do(self, work: Callable[[_Pulse], _T]) -> _T:
        """Run long work in a thread; closing stops it, and so does not waiting for it."""
        self._running.demand_open()
        stop = threading.Event()

        def pulse() -> None:
            self._running.demand_open()
            if stop.is_set():
                raise InterruptedError

        return await _waited_for(asyncio.create_task(asyncio.to_thread(work, pulse)), stop)


async def _waited_for(task: asyncio.Task[_T], stop: threading.Event) -> _T:
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:  # possibly again and again
            cancelled = error
            stop.set()
    if cancelled is not None:
        task.exception()
        raise cancelled
    return task.result()


def _unpacked(
    source: Path,
    draft: Path,
    limits: UnpackLimits,
    owner: int | None,
    pulse: _Pulse,
    *,
    any_link: bool,
) -> int:
    with source.open("rb") as archive:
        folder = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            count = Count(limits, os.fstat(archive.fileno()).st_size, pulse)
            unpacking = Unpacking(folder, limits, count, owner, any_link)
            return unpacking.run(entries_of(archive, count, limits))
        except (SandboxError, InterruptedError):
            raise
        except OSError as error:
            raise refused(error.strerror or str(error) or "it is damaged") from error
        except Exception as error:  # hostile bytes make the readers fail in any way
            raise refused(f"it is damaged: {str(error)[:200] or type(error).__name__}") from error
        finally:
            os.close(folder)


def _put(draft: Path, name: str, folder: int, owner: int | None) -> None:
    draft.chmod(0o755)
    if owner is not None:
        os.chown(draft, owner, owner)
    try:
        os.rename(draft, name, dst_dir_fd=folder)
    except OSError as error:
        msg = f"expected a new folder to unpack into, {name!r} is not ({error.strerror})"
        raise WorkspacePathError(msg) from error


@contextmanager
def _whole_or_not(target: Path) -> Generator[IO[bytes]]:
    """Yield a file that takes the place of `target` when the block ends well."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, 0o666), "wb") as file:
            yield file
        part.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
