"""Search with an embedded Chroma, kept on a short leash.

Chroma loses acknowledged vectors on an unlucky kill, corrupts itself when two processes open
one folder, and holds the interpreter while it writes. So: a lock that the kernel releases, a
marker that is there only after a clean stop, a fresh folder filled from SQL otherwise, and
writes of at most 100 rows. It is a cache; nothing is ever read from it but ids.
"""
# chromadb's own types are partly unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import fcntl
import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from memory.base import IndexUnavailableError, Vector, vector_index
from memory.ids import new_id
from memory.vectors import Scored

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
BATCH = 100
_HNSW = {
    "space": "cosine",
    "max_neighbors": 32,
    "ef_construction": 200,
    "ef_search": 200,
    # Each flush is a moment at which a kill corrupts; below it the write-ahead log replays.
    "sync_threshold": 10_000,
}


class ChromaIndex:
    """One collection; its vectors, and ids of entries, nothing else."""

    def __init__(self, client: "Client", name: str, lock: threading.Lock) -> None:
        self._client = client
        # Names have a closed alphabet and a greatest length; a digest fits both.
        self._name = f"c-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        self._lock = lock
        self._collection: Collection | None = None
        self.failed = False
        """Whether a call has failed; the folder is then filled anew at the next start."""

    async def upsert(self, ids: Sequence[str], vectors: Vector) -> None:
        """Add or replace vectors, in batches that let other threads breathe."""
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            await self._call(
                lambda found, part=part: found.upsert(ids=list(ids[part]), embeddings=vectors[part])
            )

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget vectors; unknown ids are ignored."""
        for start in range(0, len(ids), BATCH):
            part = list(ids[start : start + BATCH])
            await self._call(lambda found, part=part: found.delete(ids=part))

    async def query(self, vector: Vector, k: int) -> list[Scored]:
        """Return about the `k` nearest ids with their cosine, best first.

        Raises:
            IndexUnavailableError: the index cannot answer.
        """

        def work(found: "Collection") -> list[Scored]:
            held = min(k, found.count())
            if held < 1:
                return []
            answer = found.query(
                query_embeddings=vector.reshape(1, -1), n_results=held, include=["distances"]
            )
            distances = answer["distances"] or [[]]
            return [
                (entry_id, 1.0 - float(distance))
                for entry_id, distance in zip(answer["ids"][0], distances[0], strict=True)
            ]

        return await self._call(work)

    async def count(self) -> int:
        """Return how many vectors are held."""
        return await self._call(lambda found: found.count())

    async def clear(self) -> None:
        """Forget everything."""

        def work(found: "Collection") -> None:
            self._client.delete_collection(found.name)
            self._collection = None

        await self._call(work)

    async def close(self) -> None:
        """Do nothing: files and locks belong to the backend."""

    async def _call(self, work: "Callable[[Collection], T]") -> T:
        return await asyncio.to_thread(self._call_sync, work)

    def _call_sync(self, work: "Callable[[Collection], T]") -> T:
        with self._lock:
            try:
                if self._collection is None:
                    configuration: Any = {"hnsw": _HNSW}
                    self._collection = self._client.get_or_create_collection(
                        self._name, configuration=configuration, embedding_function=None
                    )
                return work(self._collection)
            except Exception as error:
                self.failed = True
                msg = f"the Chroma index failed: {type(error).__name__}: {error}"
                raise IndexUnavailableError(msg) from error


@vector_index("chroma")
class ChromaBackend:
    """Owns the folder: `lock` names its holder, `clean.json` exists only after a clean stop."""

    burst = BATCH

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._indexes: dict[str, ChromaIndex] = {}
        self._client: Client | None = None
        self._held: int | None = None
        self._data = ""
        self._reached = 0

    async def start(self) -> int:
        """Take the folder, drop what an unclean stop left, and return the place reached.

        Raises:
            IndexUnavailableError: another process holds the folder, or Chroma cannot open it.
        """
        if self._client is None:
            await asyncio.to_thread(self._open)
        return self._reached

    async def collection(self, name: str, dim: int) -> ChromaIndex:
        """Return the index of that name; Chroma learns `dim` from the first vector."""
        del dim
        if self._client is None:
            msg = "the Chroma index is closed"
            raise IndexUnavailableError(msg)
        if name not in self._indexes:
            self._indexes[name] = ChromaIndex(self._client, name, self._lock)
        return self._indexes[name]

    async def close(self, reached: int) -> None:
        """Stop Chroma, mark the folder as clean and let it go."""
        if self._client is not None:
            await asyncio.to_thread(self._shut, reached)

    def _open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._held = _lock_folder(self._folder)
            self._data, self._reached = self._take_marker()
            self._client = _open_client(self._folder / self._data)
        except IndexUnavailableError:
            raise
        except Exception as error:
            self._release()
            msg = f"cannot open the Chroma index in {self._folder}: {error}"
            raise IndexUnavailableError(msg) from error

    def _take_marker(self) -> tuple[str, int]:
        """Return the data folder to use and the place it has reached; from now on it is dirty."""
        marker = self._folder / "clean.json"
        marker = self._folder / "clean.json"
        kept, reached = _read_marker(marker)
        if not (self._folder / kept).is_dir():
            kept, reached = f"data-{new_id()}", 0
        marker.unlink(missing_ok=True)
        for old in self._folder.glob("data-*"):
            if old.name != kept:
                shutil.rmtree(old)
        return kept, reached

    def _shut(self, reached: int) -> None:
        with self._lock:
            try:
                if self._client is not None:
                    self._client.close()
                    if not any(index.failed for index in self._indexes.values()):
                        self._mark_clean(reached)
            except Exception:  # noqa: BLE001 - a failing cache must not keep us from stopping
                # Without its marker the folder is filled anew at the next start.
                _LOG.exception("Chroma did not stop cleanly; its index will be rebuilt")
            finally:
                self._client = None
                self._indexes.clear()
                self._release()

    def _mark_clean(self, reached: int) -> None:
        _flush(self._folder / self._data)
        marker = self._folder / "clean.json.part"
        marker.write_text(json.dumps({"data": self._data, "reached": reached}))
        marker.replace(self._folder / "clean.json")

    def _release(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None


def _read_marker(marker: Path) -> tuple[str, int]:
    """Return what the last clean stop left; a name that no folder has when there was none."""
    try:
        state = json.loads(marker.read_bytes())
        return str(state["data"]), int(state["reached"])
    except (OSError, ValueError, KeyError, TypeError):
        return "none", 0


def _lock_folder(folder: Path) -> int:
    """Return the open lock file; the kernel lets go of it when the process dies."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        msg = (
            f"the Chroma index in {folder} is held by process {holder}; only one may open it. "
            "Stop that process, or let this one search without it"
        )
        raise IndexUnavailableError(msg) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _open_client(data: Path) -> "Client":
    # Chroma imports ONNX Runtime, which sends telemetry unless told so before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from chromadb import PersistentClient  # noqa: PLC0415 - heavy, and wants the variable above
    from chromadb.config import Settings  # noqa: PLC0415 - as above

    # By itself Chroma obeys a `.env` in the working directory, which may name any class.
    options: dict[str, Any] = {
        "_env_file": None,
        "anonymized_telemetry": False,
        "chroma_api_impl": "chromadb.api.rust.RustBindingsAPI",
    }
    return cast("Client", PersistentClient(path=data, settings=Settings(**options)))


def _flush(folder: Path) -> None:
    """Bring the files to the disk: Chroma itself does not, and the marker vouches for them."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
