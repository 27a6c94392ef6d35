"""Take uploaded files in, place them in workspaces, and give back what a task made."""

import asyncio
import errno
import hashlib
import os
import shutil
import stat
import unicodedata
import uuid
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from sqlalchemy import Connection

from app.db import audit, files, namespaces
from app.db.records import FileRow
from app.db.types import now
from app.errors import (
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    TooManyError,
    UnavailableError,
)
from app.home import Home
from memory.database import Database
from models.messages import JsonObject
from sandboxes.beneath import DIRECTORY, open_beneath

_CHUNK = 1 << 20
MAX_NAME_BYTES = 200


class Upload(Protocol):
    """Something that can be read piece by piece, such as a part of a form."""

    async def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; none at the end."""
        ...


class BytesUpload:
    """Bytes that are at hand already."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    async def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        end = len(self._rest) if size < 0 else size
        part, self._rest = self._rest[:end], self._rest[end:]
        return bytes(part)


def safe_name(name: str) -> str:
    """Return a file name that stays in its folder.

    Raises:
        InvalidInputError: there is no harmless reading of it.
    """
    plain = unicodedata.normalize("NFC", name)
    if "\0" in plain or any(unicodedata.category(c) in {"Cc", "Cs"} for c in plain):
        raise InvalidInputError.of("files", "expected a file name without control characters")
    parts = plain.replace("\\", "/").split("/")
    if len(parts) > 1 and (".." in parts or parts[0] == "" or parts[0].endswith(":")):
        message = f"expected a plain file name, got a path: {name[:100]!r}"
        raise InvalidInputError.of("files", message)
    last = parts[-1].strip()
    if last in {"", ".", ".."}:
        raise InvalidInputError.of("files", f"expected a file name, got {name[:100]!r}")
    if len(last.encode()) > MAX_NAME_BYTES:
        message = f"expected a file name of at most {MAX_NAME_BYTES} bytes"
        raise InvalidInputError.of("files", message)
    return last


class FileShelf:
    """The uploaded files of one home."""

    def __init__(self, database: Database, home: Home, *, limit_bytes: int) -> None:
        self._database = database
        self._home = home
        self._limit_bytes = limit_bytes

    async def add(self, namespace: str, name: str, upload: Upload) -> FileRow:
        """Keep a file and return its entry.

        Raises:
            InvalidInputError: the name is of no use.
            TooLargeError: it holds more than is taken.
            TooManyError: the namespace has stored as much as it may.
            UnavailableError: the disk is full.
        """
        file_id = f"f_{uuid.uuid4().hex}"
        plain_name = safe_name(name)
        path = self._home.files / file_id
        partial_path = path.with_suffix(".part")
        try:
            size, digest = await self._store(partial_path, upload)
            await asyncio.to_thread(partial_path.replace, path)
        except OSError as error:
            await asyncio.to_thread(partial(partial_path.unlink, missing_ok=True))
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                message = "the disk is full, the file was not kept"
                raise UnavailableError(message) from None
            raise
        except BaseException:
            await asyncio.to_thread(partial(partial_path.unlink, missing_ok=True))
            raise
        row = FileRow(file_id, namespace, plain_name, size, digest, now())
        try:
            await self._database.run(partial(_register, row=row))
        except TooManyError:
            await asyncio.to_thread(partial(path.unlink, missing_ok=True))
            raise
        return row

    async def _store(self, path: Path, upload: Upload) -> tuple[int, str]:
        digest = hashlib.sha256()
        size = 0
        descriptor = await asyncio.to_thread(
            os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            while chunk := await upload.read(_CHUNK):
                size += len(chunk)
                if size > self._limit_bytes:
                    message = f"expected a file of at most {self._limit_bytes} bytes"
                    raise TooLargeError(message)
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        return size, digest.hexdigest()

    async def discard(self, ids: Sequence[str]) -> None:
        """Drop files that were handed in with a task that was not made."""
        await self._database.run(partial(files.drop, ids=ids))
        for file_id in ids:
            path = self._home.files / file_id
            await asyncio.to_thread(partial(path.unlink, missing_ok=True))

    async def find(self, namespace: str, ids: Sequence[str]) -> list[FileRow]:
        """Return the files of these ids, in order.

        Raises:
            InvalidInputError: one is not known, or two have the same name.
        """
        known = await self._database.read(partial(files.get, namespace=namespace, ids=ids))
        found: list[FileRow] = []
        for place, file_id in enumerate(ids):
            if file_id not in known:
                message = f"expected the id of an uploaded file, got {file_id!r}"
                raise InvalidInputError.of(f"files.{place}", message)
            found.append(known[file_id])
        names = [row.name for row in found]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            message = f"expected files with different names, got {twice!r} twice"
            raise InvalidInputError.of("files", message)
        return found


def _register(connection: Connection, row: FileRow) -> None:
    namespaces.admit_bytes(connection, row.namespace, row.size)
    files.add(connection, row)
    audit.note(connection, "file.stored", row.id, namespace=row.namespace)


def place_files(home: Home, task_id: str, rows: Sequence[JsonObject]) -> Path:
    """Make a task's workspace with its files, or return the one that is there already."""
    workspace = home.workspace(task_id)
    if workspace.exists():
        return workspace
    draft = workspace.with_name(f".{task_id}.{uuid.uuid4().hex}")
    draft.mkdir(mode=0o700)
    for row in rows:
        shutil.copyfile(home.files / row["id"], draft / row["name"])
    draft.rename(workspace)
    return workspace


def artifact_views(workspace: Path, names: Sequence[str]) -> list[JsonObject]:
    """Return those of the named files that exist, each once, with their sizes."""
    found: dict[str, JsonObject] = {}
    for name in names:
        plain = name.strip().removeprefix("/work/").removeprefix("./")
        try:
            with open_artifact(workspace, plain) as file:
                found[plain] = {"name": plain, "size": os.fstat(file.fileno()).st_size}
        except NotFoundError:
            continue
    return list(found.values())


def open_artifact(workspace: Path, name: str) -> BinaryIO:
    """Open a regular file of a workspace; nothing leads out of it.

    Raises:
        NotFoundError: there is no such file.
    """
    missing = NotFoundError(f"there is no file {name[:200]!r} in this task's workspace")
    if "\0" in name or not name:
        raise missing
    try:
        root = os.open(workspace, DIRECTORY)
    except OSError:
        raise missing from None
    try:
        descriptor = open_beneath(root, name, os.O_RDONLY)
    except (OSError, UnicodeEncodeError):
        raise missing from None
    finally:
        os.close(root)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise missing
    return os.fdopen(descriptor, "rb")


async def chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    """Give a file piece by piece and close it."""
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
