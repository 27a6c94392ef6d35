"""Ports of a command in a sandbox, brought out to ports of the host's `127.0.0.1`.

The relay inside connects to a socket of ours and waits for orders. Whoever connects to one of
the host's ports gets a number; the relay is told it, connects once more and says it.
"""

import asyncio
import os
from asyncio import Future, StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from sandboxes.base import Address
from sandboxes.egress.traffic import both, pump

HOST = "127.0.0.1"
_MAX_PORT = 65_535
_PATIENCE_S = 10.0
"""For the relay to begin, and to answer."""
_MAX_CONNECTIONS = 128
_LINE_BYTES = 64
_CONTROL = b"control\n"

_Streams = tuple[StreamReader, StreamWriter]


class Exposed:
    """The exposed ports of one command."""

    def __init__(self, path: Path, owner: int | None) -> None:
        """Take in where the relay will find us, and as which user."""
        self._path, self._owner = path, owner
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._awaited: dict[bytes, Future[_Streams]] = {}
        self._control: Future[StreamWriter] = asyncio.get_running_loop().create_future()
        self._numbers = count(1)
        self.addresses: dict[int, Address] = {}

    @property
    def name(self) -> str:
        """Name of the socket in its folder."""
        return self._path.name

    async def open(self, ports: Sequence[int]) -> None:
        """Begin to listen, for the relay and for the host.

        Raises:
            ValueError: there is no such port.
        """
        for port in ports:
            if not 0 < port <= _MAX_PORT:
                msg = f"expected a port from 1 to {_MAX_PORT}, got {port}"
                raise ValueError(msg)
        inside = await asyncio.start_unix_server(
            partial(self._begin, self._inside), self._path, limit=_LINE_BYTES
        )
        self._servers.append(inside)
        self._path.chmod(0o600)
        if self._owner is not None:
            os.chown(self._path, self._owner, -1)
        for port in dict.fromkeys(ports):
            serve = partial(self._begin, partial(self._outside, port))
            outside = await asyncio.start_server(serve, HOST, 0)
            self._servers.append(outside)
            self.addresses[port] = Address(HOST, outside.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Listen no more and cut what is connected."""
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    def _begin(self, serve: "_Serve", reader: StreamReader, writer: StreamWriter) -> None:
        if len(self._tasks) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _inside(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Hear from the relay, or from something else inside that poses as it."""
        handed_over = False
        try:
            async with asyncio.timeout(_PATIENCE_S):
                said = await reader.readline()
            if said == _CONTROL and not self._control.done():
                self._control.set_result(writer)
                await reader.read()
            elif (awaited := self._awaited.pop(said, None)) is not None:
                awaited.set_result((reader, writer))
                handed_over = True
        except (OSError, ValueError):
            pass
        finally:
            if not handed_over:
                writer.close()

    async def _outside(self, port: int, reader: StreamReader, writer: StreamWriter) -> None:
        number = next(self._numbers)
        said = b"%d\n" % number
        coming = self._awaited[said] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                control = await asyncio.shield(self._control)
                control.write(b"%d %d\n" % (port, number))
                from_inside, inner = await asyncio.shield(coming)
            await both(pump(reader, inner, _uncounted), pump(from_inside, writer, _uncounted))
        except OSError:
            pass
        finally:
            self._awaited.pop(said, None)
            writer.close()
            if coming.done():
                coming.result()[1].close()


_Serve = Callable[[StreamReader, StreamWriter], Coroutine[None, None, None]]


def _uncounted(_: int) -> None:
    """Let any number of bytes pass."""
