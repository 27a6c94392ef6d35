"""Search on a Chroma server, which any number of processes share.

What the server holds is never trusted across starts: each process writes again what the
database says, which changes nothing where it is there already. When the server is away,
search compares the vectors in the database instead, and says so.
"""
# chromadb's own types are partly unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, urlsplit

from memory.base import IndexUnavailableError, MemoryStoreError
from memory.chroma import BATCH, ChromaIndex

if TYPE_CHECKING:
    from chromadb.api.client import Client

_TIMEOUT_S = 10.0
_PORTS = {"http": 8000, "https": 443}


class ChromaServer:
    """The collections of one database and embedding space on a server.

    Args:
        url: such as `http://127.0.0.1:8000`.
        owner: names whose vectors these are, since others may use the server too.
    """

    burst = BATCH

    def __init__(self, url: str, owner: str) -> None:
        self._place = check_url(url)
        self._owner = owner
        self._lock = threading.Lock()
        self._indexes: dict[str, ChromaIndex] = {}
        self._client: Client | None = None

    async def start(self) -> int:
        """Connect, and return 0: everything is written again.

        Raises:
            IndexUnavailableError: the server does not answer.
        """
        if self._client is None:
            self._client = await asyncio.to_thread(self._connected)
        return 0

    async def collection(self, name: str, dim: int) -> ChromaIndex:
        """Return the index of that name; Chroma learns `dim` from the first vector."""
        del dim
        if self._client is None:
            msg = "the Chroma index is closed"
            raise IndexUnavailableError(msg)
        if name not in self._indexes:
            self._indexes[name] = ChromaIndex(self._client, f"{self._owner}/{name}", self._lock)
        return self._indexes[name]

    async def close(self, reached: int) -> None:
        """Let the server go; what it has reached is of no use later."""
        del reached
        client, self._client = self._client, None
        self._indexes.clear()
        if client is not None:
            await asyncio.to_thread(_shut, client)

    def _connected(self) -> "Client":
        host, port = self._place.hostname or "", self._place.port or _PORTS[self._place.scheme]
        try:
            # The library waits for ever for a server that takes no connection.
            socket.create_connection((host, port), _TIMEOUT_S).close()
            return _client(host, port, secure=self._place.scheme == "https")
        except Exception as error:
            msg = (
                f"the Chroma server at {host}:{port} does not answer: "
                f"{type(error).__name__}: {error}"
            )
            raise IndexUnavailableError(msg) from error


def check_url(url: str) -> SplitResult:
    """Return the parts of a server's address.

    Raises:
        MemoryStoreError: it is none.
    """
    try:
        place = urlsplit(url)
        valid = place.scheme in _PORTS and bool(place.hostname) and place.port != 0
    except ValueError:
        valid = False
        place = urlsplit("")
    if not valid or "@" in place.netloc:
        msg = "expected a URL such as http://127.0.0.1:8000 of a Chroma server, without a login"
        raise MemoryStoreError(msg)
    return place


def _client(host: str, port: int, *, secure: bool) -> "Client":
    # Chroma imports ONNX Runtime, which sends telemetry unless told so before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from chromadb import HttpClient  # noqa: PLC0415 - heavy, and wants the variable above
    from chromadb.config import Settings  # noqa: PLC0415 - as above

    # By itself Chroma obeys a `.env` in the working directory, which may name any class.
    options: dict[str, Any] = {"_env_file": None, "anonymized_telemetry": False}
    client = HttpClient(host=host, port=port, ssl=secure, settings=Settings(**options))
    for session in _sessions(client):
        session.timeout = _TIMEOUT_S
    return cast("Client", client)


def _sessions(client: object) -> list[Any]:
    """Return the HTTP clients that the library hides: its own and that of its administration."""
    parts = (client, getattr(client, "_admin_client", None))
    found = (getattr(getattr(part, "_server", None), "_session", None) for part in parts)
    return [session for session in found if session is not None]


def _shut(client: "Client") -> None:
    sessions = _sessions(client)
    client.close()
    for session in sessions:  # the library leaves their connections open
        session.close()
