"""The way out of one sandbox: an HTTP proxy on a Unix socket that keeps to an allow-list.

Who connects is known by the socket, so nobody logs in. One request is served on each
connection: a URL with `http://`, or CONNECT to something that then speaks TLS to the very name
that was asked for. Names are resolved here, once, and the address that was judged is dialled.
Redirects are not followed; the request they lead to is judged like any other.
"""

import asyncio
import os
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sandboxes.base import Egress, Network, Watch
from sandboxes.egress.dial import Dialer
from sandboxes.egress.heads import MAX_HEAD
from sandboxes.egress.refusals import Reason, RefusedError
from sandboxes.egress.rules import parse_rules
from sandboxes.egress.session import Bounds, Policy, Session

_FLOOD = 2
"""Beyond this many times the bound, connections are dropped without an answer."""


def unwatched(_: Egress) -> None:
    """Tell nobody."""


class EgressProxy:
    """Serves the connections of one sandbox while its `async with` block lasts."""

    def __init__(
        self,
        network: Network,
        socket: Path,
        watch: Watch = unwatched,
        *,
        owner: int | None = None,
        dialer: Dialer | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """Take the rules in.

        Args:
            network: what is allowed.
            socket: where it will listen; the path is short, as Unix sockets demand.
            watch: is told each decision, when its connection ends.
            owner: the user who may connect; None for this process's own.
            dialer: the way to names and addresses; this machine's.
            bounds: how much is served at once, and how long is waited.

        Raises:
            ValueError: an entry of the allow-list says nothing that could be kept to.
        """
        self._policy = Policy(
            network, parse_rules(network.domains), dialer or Dialer(), bounds or Bounds()
        )
        self._path = socket
        self._watch = watch
        self._owner = owner
        self._sessions: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._server = await asyncio.start_unix_server(
            self._serve, self._path, limit=MAX_HEAD, start_serving=False
        )
        self._path.chmod(0o600)
        if self._owner is not None:
            os.chown(self._path, self._owner, -1)
        await self._server.start_serving()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more and end what is open; each connection is still told of."""
        if self._server is not None:
            self._server.close()
        sessions = list(self._sessions)
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        bound = self._policy.bounds.connections
        if len(self._sessions) >= _FLOOD * bound:
            writer.transport.abort()
            return
        crowded = len(self._sessions) >= bound
        task = asyncio.create_task(self._session(reader, writer, crowded=crowded))
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    async def _session(self, reader: StreamReader, writer: StreamWriter, *, crowded: bool) -> None:
        session = Session(self._policy, reader, writer)
        try:
            if crowded:
                detail = f"at most {self._policy.bounds.connections} connections at once"
                await session.refuse(RefusedError(Reason.CONNECTIONS, detail))
            else:
                await session.serve()
        finally:
            if (egress := session.egress) is not None:
                self._watch(egress)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
