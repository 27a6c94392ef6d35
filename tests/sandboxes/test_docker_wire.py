"""What comes from a container is believed only as far as the protocol goes."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.base import SandboxError, SandboxGoneError
from sandboxes.docker_wire import Channel, Order, Wire, open_wire
from sandboxes.images import worker as theirs

pytestmark = pytest.mark.anyio

ORDER = Order(["true"], {}, [], "/")
ENDED = theirs.EXIT.pack(7, 0, 0, 0, 0, 0, 1)
END_OF_STDOUT = theirs.NUMBER.pack(theirs.STDOUT)
END_OF_STDERR = theirs.NUMBER.pack(theirs.STDERR)


@dataclass
class Worker:
    """The other end, which says what a test wants it to."""

    wire: Wire
    end: socket.socket

    def say(self, kind: int, channel: int, payload: bytes = b"", length: int | None = None) -> None:
        said = len(payload) if length is None else length
        self.say_raw(theirs.HEADER.pack(kind, channel, said) + payload)

    def say_raw(self, data: bytes, stream: int = 1) -> None:
        self.end.sendall(struct.pack(">BxxxI", stream, len(data)) + data)

    async def lost(self) -> str:
        async with asyncio.timeout(10):
            await self.wire.gone_event.wait()
        return str(self.wire.gone())


@asynccontextmanager
async def worker() -> AsyncGenerator[Worker]:
    ours, end = socket.socketpair()
    with end:
        wire = await open_wire(ours)
        yield Worker(wire, end)
        wire.close()
        await asyncio.sleep(0)


async def ended(channel: Channel) -> int:
    async with asyncio.timeout(10):
        return (await channel.ended).exit_code


async def test_a_command_is_followed_to_its_end() -> None:
    async with worker() as other:
        channel = other.wire.start(ORDER)
        other.say(theirs.STDOUT, channel.number, b"one")
        other.say(theirs.STDERR, channel.number, b"two")
        other.say(theirs.OUTPUT_END, channel.number, END_OF_STDOUT)
        other.say(theirs.OUTPUT_END, channel.number, END_OF_STDERR)
        other.say(theirs.ENDED, channel.number, ENDED)
        assert await ended(channel) == 7
        assert await channel.outputs[theirs.STDOUT].read() == b"one"
        assert await channel.outputs[theirs.STDERR].read() == b"two"
        assert not other.wire.lost


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (theirs.START, b"{}"),
        (theirs.ENDED, b"short"),
        (theirs.OUTPUT_END, theirs.NUMBER.pack(99)),
        (theirs.INPUT_CREDIT, theirs.NUMBER.pack(1 << 30)),
        (theirs.READY, b""),
        (255, b""),
    ],
)
async def test_a_frame_that_may_not_come_ends_the_connection(kind: int, payload: bytes) -> None:
    async with worker() as other:
        channel = other.wire.start(ORDER)
        other.say(kind, channel.number, payload)
        assert "may not come" in await other.lost()
        with pytest.raises(SandboxGoneError):
            await ended(channel)


async def test_a_frame_for_a_command_that_never_was_ends_the_connection() -> None:
    async with worker() as other:
        other.say(theirs.STDOUT, 4711, b"hello")
        assert "may not come" in await other.lost()


async def test_a_frame_that_is_too_long_ends_the_connection_before_it_is_there() -> None:
    async with worker() as other:
        channel = other.wire.start(ORDER)
        other.say(theirs.STDOUT, channel.number, length=1 << 31)
        assert "too long" in await other.lost()


async def test_more_output_than_was_asked_for_ends_the_connection() -> None:
    async with worker() as other:
        channel = other.wire.start(ORDER)
        for _ in range(2 * theirs.WINDOW // theirs.CHUNK):
            try:
                await asyncio.to_thread(
                    other.say, theirs.STDOUT, channel.number, bytes(theirs.CHUNK)
                )
            except OSError:
                break
        assert "may not come" in await other.lost()


async def test_a_second_end_ends_the_connection() -> None:
    async with worker() as other:
        channel = other.wire.start(ORDER)
        other.say(theirs.ENDED, channel.number, ENDED)
        other.say(theirs.ENDED, channel.number, ENDED)
        assert "may not come" in await other.lost()
        assert await ended(channel) == 7


async def test_what_the_worker_complains_of_is_told_when_it_is_gone() -> None:
    async with worker() as other:
        channel = other.wire.start(ORDER)
        other.say_raw(b"python3: not found\n", stream=2)
        other.end.close()
        assert "python3: not found" in await other.lost()
        with pytest.raises(SandboxGoneError, match="not found"):
            await ended(channel)
        with pytest.raises(SandboxGoneError):
            other.wire.start(ORDER)


async def test_a_command_for_which_there_is_no_room_fails_alone() -> None:
    async with worker() as other:
        channel, beside = other.wire.start(ORDER), other.wire.start(ORDER)
        other.say(theirs.FAILED, channel.number, b"too many processes")
        with pytest.raises(SandboxError, match="no room for it: too many processes"):
            await ended(channel)
        other.say(theirs.ENDED, beside.number, ENDED)
        assert await ended(beside) == 7


async def test_connections_that_nobody_asked_for_are_closed() -> None:
    async with worker() as other:
        other.say(theirs.ACCEPTED, theirs.ACCEPTED_FROM + 1, theirs.NUMBER.pack(3128))
        expected = theirs.HEADER.pack(theirs.KILL, theirs.ACCEPTED_FROM + 1, 0)
        assert await asyncio.to_thread(other.end.recv, 100) == expected
        assert not other.wire.lost


async def test_input_waits_until_there_is_room() -> None:
    async with worker() as other:
        channel = other.wire.start(ORDER)
        channel.input.write(bytes(1 << 20))
        sent = await asyncio.to_thread(_received, other.end, 1 << 18)
        other.say(theirs.INPUT_CREDIT, channel.number, theirs.NUMBER.pack(sent))
        assert sent + await asyncio.to_thread(_received, other.end, 1 << 18) == 1 << 19


def _received(end: socket.socket, expected: int) -> int:
    """Return how many bytes of input come, when `expected` ought to."""
    end.settimeout(10)
    raw, got = b"", 0
    while got < expected:
        raw += end.recv(1 << 16)
        while len(raw) >= theirs.HEADER.size:
            kind, _, length = theirs.HEADER.unpack_from(raw)
            if len(raw) < theirs.HEADER.size + length:
                break
            got += length if kind == theirs.INPUT else 0
            raw = raw[theirs.HEADER.size + length :]
    return got


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_at_all_break_the_reader(parts: list[bytes]) -> None:
    async def feed() -> None:
        wire = Wire()
        channel = wire.start(ORDER)
        for part in parts:
            wire.data_received(struct.pack(">BxxxI", 1, len(part)) + part)
            wire.data_received(part)
        wire.close()
        assert channel.ended.done()

    asyncio.run(feed())


def test_an_order_carries_what_is_not_utf_8() -> None:
    name = os.fsdecode(b"\xff\xfe")
    assert b"\\u00ff\\u00fe" in Order([name], {}, [], "/").packed()
