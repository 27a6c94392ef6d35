"""Carry bytes between two connections within limits."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter, Timeout
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from sandboxes.egress.refusals import Reason, RefusedError

PIECE = 64 << 10
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_MAX_CHUNK_LINE = 10


@dataclass(slots=True)
class Traffic:
    """What one connection moved, and may move."""

    upload_limit: int
    download_limit: int
    idle_s: float
    timer: Timeout
    """Ends the connection; put off by each piece that moves."""
    sent: int = 0
    received: int = 0

    def send(self, count: int) -> None:
        """Count bytes towards the network.

        Raises:
            RefusedError: they are too many.
        """
        self.sent += count
        if self.sent > self.upload_limit:
            detail = f"a connection may send {self.upload_limit} bytes at most"
            raise RefusedError(Reason.UPLOAD, detail)
        self._put_off()

    def receive(self, count: int) -> None:
        """Count bytes towards the sandbox.

        Raises:
            RefusedError: they are too many.
        """
        self.received += count
        if self.received > self.download_limit:
            detail = f"a connection may receive {self.download_limit} bytes at most"
            raise RefusedError(Reason.DOWNLOAD, detail)
        self._put_off()

    def _put_off(self) -> None:
        self.timer.reschedule(asyncio.get_running_loop().time() + self.idle_s)


async def pump(reader: StreamReader, writer: StreamWriter, count: Callable[[int], None]) -> None:
    """Carry what comes until it ends, then say so onwards."""
    while piece := await reader.read(PIECE):
        count(len(piece))
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof() and not writer.is_closing():
        writer.write_eof()


async def both(first: Coroutine[None, None, None], second: Coroutine[None, None, None]) -> None:
    """Wait for two; if one fails the other is stopped."""
    tasks = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def send_body(
    reader: StreamReader, writer: StreamWriter, length: int, traffic: Traffic
) -> None:
    """Carry exactly `length` bytes."""
    left = length
    while left:
        piece = await reader.read(min(left, PIECE))
        if not piece:
            raise RefusedError(Reason.BAD_REQUEST, "the body ended too early")
        left -= len(piece)
        traffic.send(len(piece))
        writer.write(piece)
        await writer.drain()


async def send_chunks(reader: StreamReader, writer: StreamWriter, traffic: Traffic) -> None:
    """Carry a body in chunks; each is read strictly and written anew."""
    while size := await _chunk_size(reader):
        writer.write(b"%x\r\n" % size)
        await send_body(reader, writer, size, traffic)
        await _expect_line_end(reader)
        writer.write(b"\r\n")
    await _expect_line_end(reader)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _chunk_size(reader: StreamReader) -> int:
    line = b""
    while not line.endswith(b"\r\n") and len(line) < _MAX_CHUNK_LINE:
        line += await _exactly(reader, 1)
    if not line.endswith(b"\r\n") or not _CHUNK_LINE.fullmatch(line[:-2]):
        raise RefusedError(Reason.BAD_REQUEST, "a chunk does not begin with its length alone")
    return int(line, 16)


async def _expect_line_end(reader: StreamReader) -> None:
    if await _exactly(reader, 2) != b"\r\n":
        raise RefusedError(Reason.BAD_REQUEST, "a chunk is longer than it says, or has trailers")


async def _exactly(reader: StreamReader, count: int) -> bytes:
    try:
        return await reader.readexactly(count)
    except asyncio.IncompleteReadError as error:
        raise RefusedError(Reason.BAD_REQUEST, "the body ended too early") from error
