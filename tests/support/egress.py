"""Both ends of a proxy under test: what a sandbox sends, and a network that is not there."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandboxes.base import Egress, Network
from sandboxes.egress.dial import Dialer
from sandboxes.egress.proxy import EgressProxy
from sandboxes.egress.session import Bounds

PUBLIC = "93.184.216.34"


def client_hello(name: str | None) -> bytes:
    """Return the first bytes of a real TLS client that asks for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def in_records(hello: bytes, size: int) -> bytes:
    """Return the same message in records of `size` bytes."""
    message = hello[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(hello[:3] + len(part).to_bytes(2, "big") + part for part in parts)


@dataclass
class FakeNetwork:
    """Names with addresses, all of which are one server on loopback that answers with `reply`."""

    names: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    reply: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    holds: bool = False
    """Whether it then waits for the other side to hang up."""
    resolved: list[str] = field(default_factory=list[str])
    dialled: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    heard: list[bytes] = field(default_factory=list[bytes])
    port: int = 0

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        if host not in self.names:
            msg = "no such name"
            raise OSError(msg)
        return self.names[host]

    async def connect(self, address: str, port: int) -> tuple[StreamReader, StreamWriter]:
        self.dialled.append((address, port))
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        heard = b""
        try:
            heard = await reader.read(1 << 16)
            writer.write(self.reply)
            await writer.drain()
            if not self.holds:
                writer.write_eof()
            while piece := await reader.read(1 << 16):
                heard += piece
        except OSError:
            pass
        finally:
            self.heard.append(heard)
            writer.close()


@dataclass
class Way:
    """A proxy, the network behind it and what it told."""

    socket: Path
    network: FakeNetwork
    told: list[Egress]

    async def send(self, *pieces: bytes, eof: bool = False) -> bytes:
        """Send pieces on one connection and return all that comes back."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if eof:
                writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def get(self, url: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
        head = "\r\n".join([f"{method} {url} HTTP/1.1", *lines, "", ""])
        return await self.send(head.encode() + body)

    async def tunnel(self, place: str, *first: bytes) -> tuple[bytes, bytes]:
        """Ask for a tunnel, then send; return the answer and what came through."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(f"CONNECT {place} HTTP/1.1\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            for piece in first:
                writer.write(piece)
                await writer.drain()
            return answer, await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def way_out(
    folder: Path,
    network: Network,
    fake: FakeNetwork,
    bounds: Bounds | None = None,
    *,
    timeout_s: float = 10.0,
) -> AsyncGenerator[Way, None]:
    """Run a proxy before a fake network."""
    listening = await asyncio.start_server(fake.answer, "127.0.0.1", 0)
    fake.port = listening.sockets[0].getsockname()[1]
    told: list[Egress] = []
    dialer = Dialer(fake.resolve, fake.connect, timeout_s)
    proxy = EgressProxy(network, folder / "e", told.append, dialer=dialer, bounds=bounds)
    try:
        async with proxy:
            yield Way(folder / "e", fake, told)
    finally:
        listening.close()
        await listening.wait_closed()
