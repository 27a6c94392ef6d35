"""A Python interpreter that is kept in a sandbox: names stay from one call to the next.

It works in every sandbox that runs programs, since it is one long command of `start`. Each
call has limits of its own; a call that breaks one ends the interpreter, and the next call
begins a new one and says so.
"""

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

from sandboxes.base import (
    Chunk,
    ExecResult,
    Frozen,
    Limits,
    Outcome,
    Process,
    Sandbox,
    SandboxError,
    SandboxGoneError,
)
from sandboxes.output import Capture, Meter

_HEADER = struct.Struct(">cI")
_MOST_FRAME = 1 << 20
_MOST_END = 200
_START_S = 15.0
_ENDLESS_S = 7 * 24 * 3600.0
_ENDLESS_BYTES = 1 << 50
_PROGRAM = ("python3", "-I", "-B", "-u", "-X", "utf8", "-c")


class Evaluation(Frozen):
    """What a call left behind."""

    result: ExecResult
    """`exit_code` is 1 after an uncaught exception, whose traceback is in `stderr`."""
    lost: bool
    """Whether names of earlier calls were gone, because the interpreter had to be replaced."""


class PythonSession:
    """Runs code in one interpreter of a sandbox, call by call."""

    def __init__(self, sandbox: Sandbox, limits: Limits | None = None) -> None:
        """Begin without an interpreter; `limits` hold for the calls that bring none."""
        self._sandbox = sandbox
        self._limits = limits or Limits()
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._lost = False

    async def warm(self) -> None:
        """Start the interpreter ahead of the first call.

        Raises:
            SandboxError: the sandbox failed, or has no `python3`.
        """
        async with self._turn:
            await self._ready(self._limits)

    async def run(self, code: str, *, limits: Limits | None = None) -> Evaluation:
        """Run `code`; the value of a last expression is printed. Being cancelled ends the names.

        Raises:
            SandboxError: the sandbox failed, or has no `python3`; failing code is a result.
        """
        async with self._turn:
            bounds = limits or self._limits
            started = time.monotonic()
            worker = await self._ready(bounds)
            lost, self._lost = self._lost, False
            try:
                result = await worker.evaluate(code, bounds, started)
            except BaseException:
                await self._drop()
                raise
            if not worker.lives:
                await self._drop()
            return Evaluation(result=self._clean(result), lost=lost)

    async def close(self) -> None:
        """End the interpreter; the next call starts another."""
        async with self._turn:
            await self._drop()

    def _clean(self, result: ExecResult) -> ExecResult:
        """Blot out secrets again: one that was printed in pieces came in several frames."""
        shown = {
            name: self._sandbox.blotted(getattr(result, name)) for name in ("stdout", "stderr")
        }
        return result.model_copy(update=shown)

    async def _ready(self, limits: Limits) -> "_Worker":
        if self._worker is not None and self._worker.has_ended:
            await self._drop()
        if self._worker is None:
            self._worker = await _start(self._sandbox, limits)
        return self._worker

    async def _drop(self) -> None:
        if self._worker is not None:
            worker, self._worker, self._lost = self._worker, None, True
            await worker.end()


class _Worker:
    """One interpreter, asked one thing at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._chunks = aiter(process)
        self._buffer = bytearray()
        self._watching = asyncio.create_task(process.wait())
        self._watching.add_done_callback(_seen)
        self.lives = True

    @property
    def has_ended(self) -> bool:
        """Whether it died between calls."""
        return self._watching.done()

    async def end(self) -> ExecResult | BaseException:
        """Kill it and return how it ended."""
        self.lives = False
        await self._process.__aexit__(None, None, None)
        return (await asyncio.gather(self._watching, return_exceptions=True))[0]

    async def greet(self) -> None:
        """Wait until it is ready to be asked.

        Raises:
            SandboxError: it is not.
        """
        meter = Meter(_MOST_FRAME)
        told = Capture(1 << 12, meter)
        try:
            async with asyncio.timeout(_START_S):
                async for kind, data in self._frames(told):
                    if kind == b"r":
                        return
                    told.feed(data)
            why = "ended"
        except TimeoutError:
            why = "did not answer"
        except ValueError as error:
            why = str(error)
        ended = await self.end()
        if isinstance(ended, SandboxGoneError):
            raise ended
        detail = told.kept().decode(errors="replace").strip()[-500:]
        msg = f"the sandbox's Python {why} before it was ready: {detail or ended!r}"
        raise SandboxError(msg)

    async def evaluate(self, code: str, limits: Limits, started: float) -> ExecResult:
        """Have it run `code` within `limits`."""
        meter = Meter(limits.output_kill_bytes)
        out, err = Capture(limits.stdout_bytes, meter), Capture(limits.stderr_bytes, meter)
        outcome, exit_code = Outcome.EXITED, None
        try:
            async with asyncio.timeout(limits.wall_s):
                exit_code = await self._ask(code, out, err, meter)
        except TimeoutError:
            outcome = Outcome.TIMED_OUT
        except _TooMuchError:
            outcome = Outcome.OUTPUT_LIMIT
        ended = None if exit_code is not None else await self.end()
        if isinstance(ended, SandboxGoneError):
            raise ended
        died = ended if isinstance(ended, ExecResult) and outcome is Outcome.EXITED else None
        return ExecResult(
            outcome=died.outcome if died else outcome,
            exit_code=died.exit_code if died else exit_code,
            signal=died.signal if died else None,
            stdout=out.kept(),
            stderr=err.kept(),
            stdout_total=out.total,
            stderr_total=err.total,
            duration_s=time.monotonic() - started,
            peak_memory_bytes=died.peak_memory_bytes if died else None,
            survivors_killed=died.survivors_killed if died else 0,
        )

    async def _ask(self, code: str, out: Capture, err: Capture, meter: Meter) -> int | None:
        """Return the exit code, or None when the interpreter is gone or talks nonsense."""
        data = code.encode(errors="surrogatepass")
        await self._process.send(_HEADER.pack(b"x", len(data)) + data)
        try:
            async for kind, part in self._frames(err):
                if kind == b"d":
                    return _code(part)
                (out if kind == b"o" else err).feed(part)
                if meter.exceeded.is_set():
                    raise _TooMuchError
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            err.feed(f"\nthe code broke the interpreter's channel: {error}\n".encode())
        return None

    async def _frames(self, stray: Capture) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield frames as they come; what the process itself complains of goes to `stray`."""
        while True:
            while (frame := _cut(self._buffer)) is not None:
                yield frame
            chunk: Chunk | None = await anext(self._chunks, None)
            if chunk is None:
                return
            if chunk.stream == "stdout":
                self._buffer += chunk.data
            else:
                stray.feed(chunk.data)


def _seen(watching: "asyncio.Task[ExecResult]") -> None:
    """Take note of how it ended: the sandbox may be closed while nobody asks anything."""
    if not watching.cancelled():
        watching.exception()


class _TooMuchError(Exception):
    """More was printed than a call may print."""


def _code(end: bytes) -> int:
    """Return the exit code that the last frame of a call tells; code inside may have forged it."""
    if len(end) > _MOST_END:
        msg = f"an end of {len(end)} bytes"
        raise ValueError(msg)
    return int(json.loads(end)["code"])


def _cut(buffer: bytearray) -> tuple[bytes, bytes] | None:
    """Take the first frame out of `buffer`, or return None while it is not whole.

    Raises:
        ValueError: it is longer than any that we would send.
    """
    if len(buffer) < _HEADER.size:
        return None
    kind, size = _HEADER.unpack_from(buffer)
    if size > _MOST_FRAME:
        msg = f"a frame of {size} bytes"
        raise ValueError(msg)
    end = _HEADER.size + size
    if len(buffer) < end:
        return None
    data = bytes(buffer[_HEADER.size : end])
    del buffer[:end]
    return kind, data


async def _start(sandbox: Sandbox, limits: Limits) -> _Worker:
    life = limits.model_copy(
        update={
            "wall_s": _ENDLESS_S,
            "output_kill_bytes": _ENDLESS_BYTES,
            "stdout_bytes": 0,
            "stderr_bytes": 0,
        }
    )
    worker = _Worker(await sandbox.start([*_PROGRAM, _source()], limits=life))
    try:
        await worker.greet()
    except BaseException:
        await worker.end()
        raise
    return worker


@cache
def _source() -> str:
    return Path(__file__).with_name("python_worker.py").read_text(encoding="utf-8")
