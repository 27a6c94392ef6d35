"""One connection of a sandbox: read what it asks, judge, and carry it there and back."""

import asyncio
from asyncio import IncompleteReadError, LimitOverrunError, StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sandboxes.base import Egress, Network
from sandboxes.egress.dial import Dialer, Streams
from sandboxes.egress.heads import END, Head, parse_head
from sandboxes.egress.hello import ACCESS_DENIED, MAX_HELLO, NotTlsError, hello_message, server_name
from sandboxes.egress.names import Place, normal_host
from sandboxes.egress.refusals import Reason, RefusedError, answer
from sandboxes.egress.replies import carry_reply, read_reply
from sandboxes.egress.rules import Rules
from sandboxes.egress.traffic import PIECE, Traffic, both, pump, send_body, send_chunks

CONNECT = "CONNECT"
_LINGER_S = 1.0
_LINGER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one sandbox may hold open."""

    connections: int = 64
    head_s: float = 30.0
    """For the head of a request, and for the first message of TLS."""
    idle_s: float = 60.0
    """Without a byte in either direction."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for every connection of one sandbox."""

    network: Network
    rules: Rules
    dialer: Dialer
    bounds: Bounds


@dataclass(slots=True)
class Session:
    """Serves one request; `egress` tells what was decided, once it is over."""

    policy: Policy
    reader: StreamReader
    writer: StreamWriter
    _head: Head | None = field(default=None, init=False)
    _traffic: Traffic | None = field(default=None, init=False)
    _refused: RefusedError | None = field(default=None, init=False)
    _answered: bool = field(default=False, init=False)

    @property
    def egress(self) -> Egress | None:
        """What became of the request; None when none was made."""
        head, traffic = self._head, self._traffic
        if head is None and self._refused is None:
            return None
        return Egress(
            host=head.place.host if head else "",
            port=head.place.port if head else 0,
            method=head.method if head else "",
            allowed=self._refused is None,
            reason=str(self._refused or ""),
            sent_bytes=traffic.sent if traffic else 0,
            received_bytes=traffic.received if traffic else 0,
        )

    async def serve(self) -> None:
        """Serve the request, or say why not."""
        try:
            self._head = await self._read_head()
            if self._head is None:
                return
            self._judge(self._head)
            await self._carry(self._head)
        except RefusedError as error:
            self._refused = error
        except OSError as error:
            if not self._answered:
                self._refused = RefusedError(Reason.UNREACHABLE, f"it was broken off: {error}")
        if self._refused is not None:
            await self._tell(self._refused)

    async def refuse(self, refused: RefusedError) -> None:
        """Answer without looking at the request."""
        self._refused = refused
        await self._tell(refused)

    async def _read_head(self) -> Head | None:
        """Return what is asked; browsers open connections that they then have no use for."""
        try:
            async with asyncio.timeout(self.policy.bounds.head_s):
                return parse_head(await self.reader.readuntil(END))
        except TimeoutError:
            return None
        except LimitOverrunError as error:
            raise RefusedError(Reason.BAD_REQUEST, "the head is too large") from error
        except IncompleteReadError as error:
            if not error.partial:
                return None
            raise RefusedError(Reason.BAD_REQUEST, "the head ended too early") from error

    def _judge(self, head: Head) -> None:
        reason, detail = self.policy.rules.refusal(head.place)
        if reason is not None:
            raise RefusedError(reason, detail)
        methods = self.policy.network.methods
        if head.method != CONNECT and head.method not in methods:
            detail = f"{head.method} is not allowed, only {', '.join(methods) or 'no method'}"
            raise RefusedError(Reason.METHOD, detail)
        if head.length > self.policy.network.upload_bytes:
            limit = self.policy.network.upload_bytes
            raise RefusedError(Reason.UPLOAD, f"a connection may send {limit} bytes at most")

    async def _carry(self, head: Head) -> None:
        network, idle_s = self.policy.network, self.policy.bounds.idle_s
        async with self._dialled(head.place) as (reader, writer):
            try:
                async with asyncio.timeout(idle_s) as timer:
                    self._traffic = Traffic(
                        network.upload_bytes, network.download_bytes, idle_s, timer
                    )
                    if head.method == CONNECT:
                        await self._tunnel(head.place, reader, writer, self._traffic)
                    else:
                        await self._exchange(head, reader, writer, self._traffic)
            except TimeoutError as error:
                detail = f"nothing moved for {idle_s:g} s"
                raise RefusedError(Reason.SILENT, detail) from error

    @asynccontextmanager
    async def _dialled(self, place: Place) -> AsyncGenerator[Streams]:
        reader, writer = await self.policy.dialer.dial(place)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(
        self, head: Head, server: StreamReader, onward: StreamWriter, traffic: Traffic
    ) -> None:
        if head.awaits:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        first = head.onward()
        traffic.send(len(first))
        onward.write(first)
        # A server that answers before it has read everything is heard all the same.
        with suppress(OSError):
            if head.chunked:
                await send_chunks(self.reader, onward, traffic)
            else:
                await send_body(self.reader, onward, head.length, traffic)
            await onward.drain()
        reply = await read_reply(server, head, traffic.download_limit)
        self._answered = True
        await carry_reply(reply, head, server, self.writer, traffic)

    async def _tunnel(
        self, place: Place, server: StreamReader, onward: StreamWriter, traffic: Traffic
    ) -> None:
        self._answered = True
        self.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        hello = await self._hello(place)
        traffic.send(len(hello))
        onward.write(hello)
        await both(
            pump(self.reader, onward, traffic.send), pump(server, self.writer, traffic.receive)
        )

    async def _hello(self, place: Place) -> bytes:
        """Return the first bytes of TLS once they ask for the name that CONNECT asked for."""
        received = b""
        try:
            async with asyncio.timeout(self.policy.bounds.head_s):
                while (message := hello_message(received)) is None:
                    piece = await self.reader.read(PIECE)
                    if not piece or len(received) > MAX_HELLO:
                        raise RefusedError(Reason.NOT_TLS, "a tunnel carries TLS only")
                    received += piece
            asked = server_name(message)
            agrees = asked is None if place.literal else _is_name(asked, place.host)
        except NotTlsError as error:
            raise RefusedError(Reason.NOT_TLS, f"a tunnel carries TLS only: {error}") from error
        except TimeoutError as error:
            raise RefusedError(Reason.NOT_TLS, "the first message of TLS did not come") from error
        if not agrees:
            detail = f"TLS asks for {asked or 'no name'}, the tunnel was asked to {place.host}"
            raise RefusedError(Reason.TLS_NAME, detail)
        return received

    async def _tell(self, refused: RefusedError) -> None:
        """Say why, as far as it can still be said, and end the connection."""
        tunnel = self._head is not None and self._head.method == CONNECT
        with suppress(OSError, TimeoutError):
            if not self._answered:
                network = self.policy.network
                self.writer.write(answer(refused, network.domains, network.methods))
            elif tunnel and self._traffic is not None and not self._traffic.sent:
                self.writer.write(ACCESS_DENIED)
            else:
                self.writer.transport.abort()
                return
            async with asyncio.timeout(_LINGER_S):
                await self.writer.drain()
                self.writer.write_eof()
                await _discard(self.reader)


async def _discard(reader: StreamReader) -> None:
    """Read what is still sent: closed before that, a connection loses its last answer."""
    left = _LINGER_BYTES
    while left > 0 and (piece := await reader.read(PIECE)):
        left -= len(piece)


def _is_name(asked: str | None, host: str) -> bool:
    try:
        return asked is not None and normal_host(asked) == (host, False)
    except ValueError:
        return False
