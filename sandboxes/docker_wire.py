"""Speak with the worker of a container over its attached stdin and stdout.

Many commands and connections share the one stream as channels; each may have a window of
bytes under way, so that who prints faster than is read has to wait. What comes back was
written by a process that lives among hostile ones: every frame is checked for size, kind,
channel and credit, and the first that is wrong ends the connection.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandboxes.base import SandboxError, SandboxGoneError
from sandboxes.images import worker as theirs

_ENGINE_HEADER = 8
_STDERR = 2
_LARGEST = theirs.CHUNK + 1024
_INPUT_WINDOW = 1 << 18
_GIVE_BACK = theirs.WINDOW // 4
_MOST_ACCEPTED = 256
_BUFFER = 1 << 17
_TOLD_BYTES = 2000


class Ended(NamedTuple):
    """How a command ended, as the worker tells it."""

    exit_code: int
    signal: int
    cpu_us: int
    peak_memory: int
    leftovers: int
    oom: int
    clean: int
    """Whether everything that the command left is gone."""


class Channel:
    """One command or connection, with streams as asyncio has them."""

    def __init__(self, wire: "Wire", number: int, kinds: Sequence[int]) -> None:
        """Expect output of these kinds."""
        self.number = number
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.ended.add_done_callback(_look)
        self.outputs = {kind: asyncio.StreamReader(limit=_BUFFER) for kind in kinds}
        for reader in self.outputs.values():
            reader.set_transport(_Taken(self))
        self._wire = wire
        self._open = set(kinds)
        self._stopped: set[asyncio.BaseTransport] = set()
        self._owed = 0
        self._under_way = 0
        self._way_in = _WayIn(wire, number)
        self.input = self._way_in.stream()

    def kill(self) -> None:
        """End it with everything below it."""
        self._wire.send(theirs.KILL, self.number)

    def take(self, kind: int, payload: bytes) -> bool:
        """Take one frame; return whether it was one that may come."""
        if kind in self._open:
            self._under_way += len(payload)
            self._owed += len(payload)
            self.outputs[kind].feed_data(payload)
            self._give_back(_GIVE_BACK)
            return self._under_way <= theirs.WINDOW + 2 * theirs.CHUNK
        if kind == theirs.OUTPUT_END and len(payload) == theirs.NUMBER.size:
            return self._end_output(theirs.NUMBER.unpack(payload)[0])
        if kind == theirs.INPUT_CREDIT and len(payload) == theirs.NUMBER.size:
            return self._way_in.refund(theirs.NUMBER.unpack(payload)[0])
        if kind == theirs.ENDED and len(payload) == theirs.EXIT.size and not self.ended.done():
            self._way_in.abort()
            self.ended.set_result(Ended(*theirs.EXIT.unpack(payload)))
            return True
        if kind == theirs.FAILED and not self.ended.done():
            self.fail(SandboxError(f"the container has no room for it: {_shown(payload)}"))
            return True
        return False

    def fail(self, error: SandboxError) -> None:
        """End whoever waits, because nothing will come any more."""
        self._way_in.abort()
        for kind in tuple(self._open):
            self._end_output(kind)
        if not self.ended.done():
            self.ended.set_exception(error)

    def stop(self, stream: asyncio.BaseTransport) -> None:
        """Ask for no more while a reader has too much."""
        self._stopped.add(stream)

    def go_on(self, stream: asyncio.BaseTransport) -> None:
        """Ask for more, after a reader took what it had."""
        self._stopped.discard(stream)
        self._give_back(1)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return not self._open and self.ended.done()

    def _give_back(self, least: int) -> None:
        if self._owed >= least and not self._stopped:
            self._under_way -= self._owed
            self._wire.send(theirs.CREDIT, self.number, theirs.NUMBER.pack(self._owed))
            self._owed = 0

    def _end_output(self, kind: int) -> bool:
        if kind not in self._open:
            return False
        self._open.discard(kind)
        self.outputs[kind].feed_eof()
        return True


class _Taken(asyncio.ReadTransport):
    """Tells a channel whether a stream of its output is being read."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def pause_reading(self) -> None:
        self._channel.stop(self)

    def resume_reading(self) -> None:
        self._channel.go_on(self)


class _WayIn(asyncio.WriteTransport):
    """Passes on what is written, as far as the other side has room."""

    def __init__(self, wire: "Wire", number: int) -> None:
        super().__init__()
        self._wire, self._number = wire, number
        self._room = _INPUT_WINDOW
        self._waiting = bytearray()
        self._closing = False
        self._full = False
        self._ended = False
        self._protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())

    def stream(self) -> asyncio.StreamWriter:
        """Return what callers write to."""
        loop = asyncio.get_running_loop()
        return asyncio.StreamWriter(self, self._protocol, None, loop)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        self._waiting += data
        self._flush()
        if self._waiting and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def refund(self, size: int) -> bool:
        """Take note of room; return whether there can be so much."""
        self._room += size
        self._flush()
        return self._room <= _INPUT_WINDOW

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._flush()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.close()

    def abort(self) -> None:
        """Drop what still waits."""
        self._closing = True
        self._waiting.clear()
        self._end()

    def is_closing(self) -> bool:
        return self._closing

    def _flush(self) -> None:
        while self._waiting and self._room > 0:
            part = bytes(self._waiting[: min(theirs.CHUNK, self._room)])
            del self._waiting[: len(part)]
            self._room -= len(part)
            self._wire.send(theirs.INPUT, self._number, part)
        if self._waiting:
            return
        if self._full:
            self._full = False
            self._protocol.resume_writing()
        if self._closing and not self._ended:
            self._wire.send(theirs.INPUT_END, self._number)
            self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._protocol.connection_lost(None)


Accept = Callable[[Channel], None]
"""Is told each connection that a command made to a port that `listen` named."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the worker is to start."""

    argv: Sequence[str]
    env: Mapping[str, str]
    bounds: Sequence[tuple[int, int]]
    """Resource limits, by number."""
    cwd: str

    def packed(self) -> bytes:
        """Return it as the worker reads it: bytes that need not be UTF-8 as Latin-1."""

        def plain(text: str) -> str:
            return os.fsencode(text).decode("latin-1")

        return json.dumps(
            {
                "argv": [plain(part) for part in self.argv],
                "env": {plain(name): plain(value) for name, value in self.env.items()},
                "bounds": list(self.bounds),
                "cwd": self.cwd,
            }
        ).encode()


class Wire(asyncio.Protocol):
    """The connection to one worker."""

    def __init__(self) -> None:
        """Begin without a connection; `open_wire` makes one."""
        self.on_accept: Accept | None = None
        self.lost = False
        self.reason = "the container ended"
        self._transport: asyncio.Transport | None = None
        self._raw = bytearray()
        self._frames = bytearray()
        self._channels: dict[int, Channel] = {}
        self._next = 1
        self._told = bytearray()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self.gone_event = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what the engine passed on: its own frames around the worker's."""
        self._raw += data
        while len(self._raw) >= _ENGINE_HEADER:
            stream, length = self._raw[0], int.from_bytes(self._raw[4:8], "big")
            if len(self._raw) < _ENGINE_HEADER + length:
                break
            part = self._raw[_ENGINE_HEADER : _ENGINE_HEADER + length]
            del self._raw[: _ENGINE_HEADER + length]
            if stream == _STDERR:
                self._told = (self._told + part)[-_TOLD_BYTES:]
            else:
                self._frames += part
                self._take_frames()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait."""
        del exc
        self._lose("the container ended")

    def send(self, kind: int, channel: int, payload: bytes = b"") -> None:
        """Write one frame; nothing happens once the container is lost."""
        if self._transport is not None and not self.lost:
            self._transport.write(theirs.HEADER.pack(kind, channel, len(payload)) + payload)

    def start(self, order: Order) -> Channel:
        """Start a command."""
        channel = self._opened(theirs.STDOUT, theirs.STDERR)
        self.send(theirs.START, channel.number, order.packed())
        return channel

    def dial(self, port: int) -> Channel:
        """Connect to a port inside."""
        channel = self._opened(theirs.STDOUT)
        self.send(theirs.DIAL, channel.number, theirs.NUMBER.pack(port))
        return channel

    def listen(self, port: int) -> None:
        """Have the worker take connections on a port inside and pass them here."""
        self.send(theirs.LISTEN, 0, theirs.NUMBER.pack(port))

    async def ping(self, timeout_s: float) -> None:
        """Wait for an answer.

        Raises:
            SandboxGoneError: none came.
        """
        number = self._next
        self._next += 1
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self.send(theirs.PING, number)
        try:
            async with asyncio.timeout(timeout_s):
                await answer
        except TimeoutError:
            self._lose("the worker in the container did not answer")
            raise self.gone() from None
        finally:
            self._answers.pop(number, None)

    def gone(self) -> SandboxGoneError:
        """Return an error that says why the container is lost."""
        told = _shown(bytes(self._told))
        return SandboxGoneError(f"{self.reason}{': ' + told if told else ''}")

    def close(self) -> None:
        """Let go; the worker sees the end of its input and ends the container."""
        self._lose("the sandbox was closed")

    def _opened(self, *kinds: int) -> Channel:
        if self.lost:
            raise self.gone()
        channel = Channel(self, self._next, kinds)
        self._channels[channel.number] = channel
        self._next += 1
        return channel

    def _take_frames(self) -> None:
        size = theirs.HEADER.size
        while len(self._frames) >= size and not self.lost:
            kind, number, length = theirs.HEADER.unpack_from(self._frames)
            if length > _LARGEST:
                self._lose("the worker sent a frame that is too long")
                return
            if len(self._frames) < size + length:
                return
            payload = bytes(self._frames[size : size + length])
            del self._frames[: size + length]
            if not self._take(kind, number, payload):
                self._lose(f"the worker sent a frame of kind {kind} that may not come")

    def _take(self, kind: int, number: int, payload: bytes) -> bool:
        if kind == theirs.READY:
            return number == 0
        if kind == theirs.PONG:
            answer = self._answers.get(number)
            if answer is not None and not answer.done():
                answer.set_result(None)
            return True
        if kind == theirs.ACCEPTED:
            return self._accept(number, payload)
        channel = self._channels.get(number)
        if channel is None or not channel.take(kind, payload):
            return False
        if channel.is_over:
            del self._channels[number]
        return True

    def _accept(self, number: int, payload: bytes) -> bool:
        known = number in self._channels or number <= theirs.ACCEPTED_FROM
        if known or len(payload) != theirs.NUMBER.size:
            return False
        channel = Channel(self, number, (theirs.STDOUT,))
        self._channels[number] = channel
        if self.on_accept is None or len(self._channels) > _MOST_ACCEPTED:
            channel.kill()
        else:
            self.on_accept(channel)
        return True

    def _lose(self, reason: str) -> None:
        if self.lost:
            return
        self.lost, self.reason = True, reason
        if self._transport is not None:
            self._transport.abort()
        error = self.gone()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
        for channel in self._channels.values():
            channel.fail(error)
        self._channels.clear()
        self.gone_event.set()


async def open_wire(attached: socket.socket) -> Wire:
    """Speak over a socket that is attached to a container."""
    loop = asyncio.get_running_loop()
    wire = Wire()
    await loop.create_unix_connection(lambda: wire, sock=attached)
    return wire


def _look(future: "asyncio.Future[Any]") -> None:
    """Take note of an error that perhaps nobody else asks for."""
    if not future.cancelled():
        future.exception()


def _shown(data: bytes) -> str:
    return data.decode(errors="replace").strip()
