"""Fill a folder beside a workspace, then put its contents in place of the workspace's.

The folder of the workspace stays the same one, because running commands and containers have
it mounted. Which step was reached can be told from the names beside it, so a crash in the
middle is undone or completed the next time the workspace is opened:

    swap.NAME.old      what was there before is being moved out; undo
    swap.NAME.new      everything old is out and the new is being moved in; complete
"""

import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandboxes.base import SandboxError
from sandboxes.beneath import DIRECTORY

_BELOW = DIRECTORY | os.O_NOFOLLOW


@contextmanager
def draft_beside(root: Path) -> Generator[Path]:
    """Yield a new empty folder that only the server sees; it is gone afterwards.

    Raises:
        SandboxError: none can be made that could take the place of things in `root`.
    """
    draft = _beside(root)
    try:
        draft.mkdir(mode=0o700)
        apart = draft.stat().st_dev != root.stat().st_dev
    except OSError as error:
        msg = f"the folder above the workspace must be writable by the server: {error}"
        raise SandboxError(msg) from error
    try:
        if apart:
            msg = f"the workspace {root} must be a folder of a disk, not the top of a mounted one"
            raise SandboxError(msg)
        yield draft
    finally:
        remove_tree(draft)


def swap_contents(root: int, path: Path, draft: Path) -> None:
    """Put what is in `draft` in place of what is in the folder `root`, which is at `path`."""
    old, new = _names(path)
    recover(root, path)
    try:
        old.mkdir(mode=0o700)
        with _held(old) as folder:
            _move_all(root, folder, aside=folder)
        draft.rename(new)
    except OSError:
        recover(root, path)
        raise
    recover(root, path)


def recover(root: int, path: Path) -> None:
    """Finish what an interrupted swap began, so that all of it or nothing happened."""
    old, new = _names(path)
    if new.exists():
        old.mkdir(mode=0o700, exist_ok=True)
        with _held(new) as source, _held(old) as aside:
            _move_all(source, root, aside=aside)
        new.rmdir()
    elif old.exists():
        with _held(old) as source:
            _move_all(source, root, aside=source)
    remove_tree(old)


def remove_tree(path: Path) -> None:
    """Remove a folder however deep, odd or forbidden its contents are; missing is fine."""
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError):
            _empty(folder, path, waiting)
        with suppress(OSError):
            folder.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name.lstrip('.')}.{secrets.token_hex(8)}")


def _names(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"swap.{path.name}.old"), path.with_name(f"swap.{path.name}.new")


def _empty(folder: Path, top: Path, waiting: list[Path]) -> None:
    """Remove a folder's files, and move its folders up so that depth never matters."""
    with _unlocked(None, str(folder)) as handle:
        descriptor = os.open(".", DIRECTORY, dir_fd=handle)
    try:
        for name in _names_in(descriptor):
            try:
                os.unlink(name, dir_fd=descriptor)
            except FileNotFoundError:
                continue
            except (IsADirectoryError, PermissionError):
                apart = _beside(top)
                with _unlocked(descriptor, name):
                    os.rename(name, apart, src_dir_fd=descriptor)
                waiting.append(apart)
    finally:
        os.close(descriptor)
    folder.rmdir()


@contextmanager
def _unlocked(parent: int | None, name: str) -> Generator[int]:
    """Hold a folder whose own permissions forbid nothing to its owner; no link is followed."""
    flags = getattr(os, "O_PATH", 0) | _BELOW
    handle = os.open(name, flags, dir_fd=parent)
    try:
        with suppress(OSError):
            _chmod(handle, 0o700)
        yield handle
    finally:
        os.close(handle)


def _chmod(handle: int, mode: int) -> None:
    path = Path(f"/proc/self/fd/{handle}")
    if path.exists():
        path.chmod(mode)
    else:
        os.fchmod(handle, mode)


def _move(source: int, name: str, folder: int) -> None:
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=folder)
    except PermissionError:
        mode = stat.S_IMODE(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode)
        with _unlocked(source, name) as handle:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=folder)
            _chmod(handle, mode)
    except FileNotFoundError:
        return


def _move_all(source: int, folder: int, *, aside: int) -> None:
    """Move everything; what a running command put in the way meanwhile goes aside."""
    for name in _names_in(source):
        with suppress(FileNotFoundError):
            os.rename(name, f"{secrets.token_hex(8)}.gone", src_dir_fd=folder, dst_dir_fd=aside)
        _move(source, name, folder)


def _names_in(folder: int) -> list[str]:
    with os.scandir(folder) as found:
        return [entry.name for entry in found]


@contextmanager
def _held(path: Path) -> Generator[int]:
    descriptor = os.open(path, _BELOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
