"""Connections between the host and what listens, or dials, inside a container.

A container has no network and no folder with sockets of ours; its worker carries connections
through the same stream as everything else.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial

from sandboxes.base import Address, Network, SandboxError, Watch
from sandboxes.docker_wire import Channel, Wire
from sandboxes.egress.proxy import EgressProxy, unwatched
from sandboxes.egress.rules import parse_rules
from sandboxes.egress.traffic import both, pump
from sandboxes.held_folder import HeldFolder, hold_folder
from sandboxes.images.worker import STDOUT
from sandboxes.relay import proxy_env
from sandboxes.relay_inside import HOST, PORT

_PREFIX, _SOCKET = "strop-way-", "proxy"
_MAX_PORT = 65_535
_MAX_CONNECTIONS = 128

Serve = Callable[[StreamReader, StreamWriter], Coroutine[None, None, None]]


class Links:
    """Connections under way, which all end with `close`."""

    def __init__(self) -> None:
        """Begin without any."""
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, serve: Serve, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve a connection, unless there are too many."""
        if len(self._tasks) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self.run(serve(reader, writer))

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Do some work until it ends or all is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut what is connected."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Ports:
    """The exposed ports of one command."""

    def __init__(self, wire: Wire) -> None:
        """Expose nothing yet."""
        self._wire = wire
        self._links = Links()
        self._servers: list[asyncio.Server] = []
        self.addresses: dict[int, Address] = {}

    async def open(self, ports: Sequence[int]) -> None:
        """Listen on the host for each of the ports inside.

        Raises:
            OSError: this process may not listen.
        """
        for port in dict.fromkeys(ports):
            serve = partial(self._links.serve, partial(self._carry, port))
            server = await asyncio.start_server(serve, HOST, 0)
            self._servers.append(server)
            self.addresses[port] = Address(HOST, server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Listen no more and cut what is connected."""
        for server in self._servers:
            server.close()
        await self._links.close()

    async def _carry(self, port: int, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            with suppress(SandboxError):
                await carry(self._wire.dial(port), reader, writer)
        finally:
            writer.close()


class WayOut:
    """What commands of one sandbox reach of the network: the proxy, and what it lets through."""

    def __init__(self, network: Network, watch: Watch | None) -> None:
        """Take in what is allowed.

        Raises:
            ValueError: the allow-list says something that cannot be kept to.
        """
        parse_rules(network.domains)
        self.env = proxy_env(network)
        self._network, self._watch = network, watch or unwatched
        self._links = Links()
        self._folder: HeldFolder | None = None
        self._proxy: EgressProxy | None = None

    async def open(self, wire: Wire) -> None:
        """Have a container's worker listen where programs expect the proxy."""
        if self._network.mode == "none":
            return
        if self._proxy is None:
            self._folder = await asyncio.to_thread(hold_folder, _PREFIX)
            proxy = EgressProxy(self._network, self._folder.path / _SOCKET, self._watch)
            self._proxy = await proxy.__aenter__()
        wire.on_accept = self._accept
        wire.listen(PORT)

    async def close(self) -> None:
        """Cut what is connected and listen no more."""
        await self._links.close()
        if self._proxy is not None:
            await self._proxy.__aexit__(None, None, None)
            self._proxy = None
        if self._folder is not None:
            await asyncio.to_thread(self._folder.remove)
            self._folder = None

    def _accept(self, channel: Channel) -> None:
        self._links.run(self._lead(channel))

    async def _lead(self, channel: Channel) -> None:
        writer: StreamWriter | None = None
        try:
            if self._folder is not None:
                socket = self._folder.path / _SOCKET
                reader, writer = await asyncio.open_unix_connection(socket)
                await carry(channel, reader, writer)
        except OSError:
            pass  # the proxy has closed; whoever asked sees the end of the connection
        finally:
            channel.kill()
            if writer is not None:
                writer.close()


async def carry(channel: Channel, reader: StreamReader, writer: StreamWriter) -> None:
    """Carry bytes between a connection inside and one of the host until both have ended."""
    try:
        with suppress(OSError):
            await both(
                pump(reader, channel.input, _uncounted),
                pump(channel.outputs[STDOUT], writer, _uncounted),
            )
    finally:
        channel.kill()


def check_ports(ports: Sequence[int]) -> None:
    """See that each is a port.

    Raises:
        ValueError: one is not.
    """
    for port in ports:
        if not 0 < port <= _MAX_PORT:
            msg = f"expected a port from 1 to {_MAX_PORT}, got {port}"
            raise ValueError(msg)


def _uncounted(_: int) -> None:
    """Let any number of bytes pass."""
