"""Programs in a pod: their streams and their end over the exec protocol of Kubernetes.

Each message has the number of its channel before it; the last one, on the error channel,
says how the program ended. The protocol cannot say that stdin ended, so what is sent is
framed, and `inside.py` understands the frames.
"""

import asyncio
import json
import os
import struct
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from sandboxes.base import SandboxGoneError
from sandboxes.pipes import open_reader, open_writer
from sandboxes.pods.cluster import Cluster
from sandboxes.pods.manifest import SOURCE

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

_T = TypeVar("_T")
_STDIN, _STDOUT, _STDERR, _STATUS = 0, 1, 2, 3
_PIECE = 1 << 15
_HEAD = struct.Struct(">I")
_NOTHING = bytes([_STDIN]) + b"\xff\xff\xff\xff"
"""A frame that means nothing, so that what stands between does not take silence for an end."""
_SILENCE_S = 20.0
_BOOT = f"import os\nexec(os.environ[{SOURCE!r}])"


def inside(*words: str) -> list[str]:
    """Return the command that runs a part of `inside.py`."""
    return ["python3", "-I", "-B", "-X", "utf8", "-c", _BOOT, *words]


def frame(data: bytes) -> bytes:
    """Return a piece of stdin as it is sent; an empty one says that nothing more comes."""
    return bytes([_STDIN]) + _HEAD.pack(len(data)) + data


def exit_code_of(status: bytes) -> int | None:
    """Return the exit code that the error channel tells, None when it tells something else."""
    try:
        told = json.loads(status)
        if told["status"] == "Success":
            return 0
        causes = told["details"]["causes"]
        return next(int(one["message"]) for one in causes if one["reason"] == "ExitCode")
    except (ValueError, KeyError, TypeError, StopIteration):
        return None


async def answer_of(
    cluster: Cluster, pod: str, words: list[str], stdin: list[bytes], most_bytes: int
) -> bytes:
    """Run a part of `inside.py` to its end and return what it printed.

    Raises:
        SandboxGoneError: the pod is gone, or it failed.
    """
    printed, told, status = bytearray(), bytearray(), b""
    async with cluster.execute(pod, inside(*words)) as socket:
        sending = asyncio.create_task(_send_all(socket, stdin))
        try:
            while (message := await _received(socket)) is not None:
                channel, data = message
                if channel == _STDOUT:
                    printed += data
                elif channel == _STDERR:
                    told += data[: 1 << 16]
                elif channel == _STATUS:
                    status = data
                if len(printed) > most_bytes:
                    msg = f"the pod {pod} sent more than {most_bytes} bytes; it was given up"
                    raise SandboxGoneError(msg)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    if exit_code_of(status) != 0:
        end = told[-500:].decode(errors="replace") or status[:500].decode(errors="replace")
        msg = f"the pod {pod} could not {words[0]}: {end or 'the connection was lost'}"
        raise SandboxGoneError(msg)
    return bytes(printed)


async def _send_all(socket: "ClientWebSocketResponse", stdin: list[bytes]) -> None:
    with suppress(ConnectionError):
        for data in stdin:
            for start in range(0, max(1, len(data)), _PIECE):
                await socket.send_bytes(frame(data[start : start + _PIECE]))


async def _received(socket: "ClientWebSocketResponse") -> tuple[int, bytes] | None:
    from aiohttp import WSMsgType  # noqa: PLC0415 - heavy

    while True:
        message = await socket.receive()
        if message.type not in {WSMsgType.BINARY, WSMsgType.TEXT}:
            return None
        data: bytes = message.data if isinstance(message.data, bytes) else message.data.encode()
        if data:
            return data[0], data[1:]


class PodChild:
    """A program in a pod, with pipes as if it were a child of this process."""

    pid = 0

    def __init__(self) -> None:
        """Begin without streams; `open` makes them."""
        self._stack = AsyncExitStack()
        self._status: bytes | None = None
        self._reading: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None

    async def open(self, cluster: Cluster, pod: str, words: list[str], first: bytes) -> None:
        """Start the program and send it `first`."""
        socket = await self._stack.enter_async_context(cluster.execute(pod, inside(*words)))
        await socket.send_bytes(frame(first))
        stdin, self.stdin = await self._pipe()
        self.stdout, out = await self._pipe()
        self.stderr, err = await self._pipe()
        self._sending = asyncio.create_task(_forward(stdin, socket))
        self._reading = asyncio.create_task(self._read(socket, out, err))

    async def _pipe(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        read_end, write_end = os.pipe()
        reader, incoming = await open_reader(read_end)
        writer, outgoing = await open_writer(write_end)
        self._stack.callback(incoming.close)
        self._stack.callback(outgoing.close)
        return reader, writer

    async def _read(
        self,
        socket: "ClientWebSocketResponse",
        out: asyncio.StreamWriter,
        err: asyncio.StreamWriter,
    ) -> None:
        try:
            while (message := await _received(socket)) is not None:
                channel, data = message
                if channel == _STATUS:
                    self._status = data
                    return
                stream = {_STDOUT: out, _STDERR: err}.get(channel)
                if stream is not None and not stream.is_closing():
                    stream.write(data)
                    with suppress(ConnectionError):
                        await stream.drain()
        finally:
            out.close()
            err.close()

    @property
    def returncode(self) -> int | None:
        """Its exit code, None before its end."""
        return None if self._status is None else exit_code_of(self._status)

    async def wait(self) -> int:
        """Wait for its end.

        Raises:
            SandboxGoneError: the connection was lost before.
        """
        if self._reading is not None:
            await asyncio.wait([self._reading])
        code = self.returncode
        if code is None:
            told = (self._status or b"")[:500].decode(errors="replace")
            msg = f"the pod went away while a command ran: {told or 'the connection was lost'}"
            raise SandboxGoneError(msg)
        return code

    def close(self) -> None:
        """Let go of its streams."""
        tasks = [task for task in (self._reading, self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        self.closing = asyncio.create_task(self._close(tasks))

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()


async def _forward(source: asyncio.StreamReader, socket: "ClientWebSocketResponse") -> None:
    """Send what is written to stdin, then that it ended; runs until cancelled."""
    with suppress(ConnectionError):
        while data := await _alive(source.read(_PIECE), socket):
            await socket.send_bytes(frame(data))
        await socket.send_bytes(frame(b""))
        await _alive(asyncio.Event().wait(), socket)


async def _alive(work: Coroutine[Any, Any, _T], socket: "ClientWebSocketResponse") -> _T:
    """Wait for `work`, and show meanwhile that this side lives."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait([task], timeout=_SILENCE_S))[0]:
            await socket.send_bytes(_NOTHING)
        return task.result()
    finally:
        task.cancel()
