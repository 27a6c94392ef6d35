"""The part of the contract about commands that are talked to while they run, and results."""

import asyncio
from contextlib import suppress

from sandboxes.base import Outcome, Process, SandboxGoneError
from sandboxes.check import EXAM_LIMITS, LIVE, Check, Trial, Verdict
from sandboxes.check_contract import HOLD_LOCK, judge, lock_is_free
from sandboxes.exam.field import until

_ANSWER = """
import sys
for line in sys.stdin:
    print(line.strip().upper(), flush=True)
print("over", flush=True)
"""
_SPLIT = """
import sys, time
for byte in "é€".encode():
    sys.stdout.buffer.write(bytes([byte]))
    sys.stdout.flush()
    time.sleep(0.01)
"""
_MUCH = """
import os
for _ in range(256):
    os.write(1, bytes(1 << 16))
open("done", "w").close()
"""
_MUCH_BYTES = 256 << 16
_SHORT = EXAM_LIMITS.model_copy(update={"wall_s": 0.4})


async def _started(trial: Trial, script: str, *args: str, wall_s: float | None = None) -> Process:
    limits = None if wall_s is None else _SHORT.model_copy(update={"wall_s": wall_s})
    argv = ["python3", "-I", "-u", "-c", script, *args]
    return await trial.place.start(argv, limits=limits)


async def _read_until(process: Process, mark: bytes) -> bytes:
    """Read until something was printed, or the end."""
    seen = b""
    async for chunk in process:
        seen += chunk.data
        if mark in seen:
            break
    return seen


async def _early(trial: Trial) -> Verdict:
    argv = ["sh", "-c", "echo early; read line; echo got $line"]
    async with await trial.place.start(argv) as process:
        first = await _read_until(process, b"early")
        await process.send(b"this\n")
        second = await _read_until(process, b"got")
        result = await process.wait()
    holds = b"early" in first and b"got this" in second and result.ok
    return judge(holds, f"{first!r}, then {second!r}")


async def _conversation(trial: Trial) -> Verdict:
    heard: list[bytes] = []
    async with await _started(trial, _ANSWER) as process:
        for word in (b"one", b"two", b"three"):
            await process.send(word + b"\n")
            heard.append(await _read_until(process, word.upper()))
        await process.close_stdin()
        heard.append(await _read_until(process, b"over"))
        result = await process.wait()
    holds = [part.strip() for part in heard] == [b"ONE", b"TWO", b"THREE", b"over"]
    return judge(holds and result.ok, f"{heard}, {result.outcome}")


async def _bytes_stay_whole(trial: Trial) -> Verdict:
    async with await _started(trial, _SPLIT) as process:
        seen = await _read_until(process, b"never")
        await process.wait()
    return judge(seen.decode(errors="replace") == "é€", f"{seen!r}")


async def _told_apart(trial: Trial) -> Verdict:
    seen = {"stdout": b"", "stderr": b""}
    argv = ["sh", "-c", "echo one; echo two >&2; echo three"]
    async with await trial.place.start(argv) as process:
        async for chunk in process:
            seen[chunk.stream] += chunk.data
        result = await process.wait()
    holds = seen == {"stdout": b"one\nthree\n", "stderr": b"two\n"} and result.ok
    return judge(holds, f"{seen}")


async def _slow_reader(trial: Trial) -> Verdict:
    """Read nothing for a while: the command has to wait, not the memory of the host to grow."""
    done = trial.workspace / "done"
    async with await _started(trial, _MUCH) as process:
        first = await _read_until(process, b"\0")
        waited = not await until(done.exists, 0.3)
        rest = sum([len(chunk.data) async for chunk in process])
        result = await process.wait()
    total = len(first) + rest
    holds = waited and total == _MUCH_BYTES and result.ok
    return judge(holds, f"waited: {waited}, {total} of {_MUCH_BYTES} bytes came")


async def _leaving(trial: Trial) -> Verdict:
    async with await _started(trial, HOLD_LOCK):
        await until((trial.workspace / "held").exists)
    free = lock_is_free(trial.workspace)
    return judge(free, f"child dead: {free}")


async def _cancelled_reader(trial: Trial) -> Verdict:
    async def read() -> None:
        async with await _started(trial, HOLD_LOCK) as process:
            await _read_until(process, b"never")

    task = asyncio.create_task(read())
    await until((trial.workspace / "held").exists)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    free = lock_is_free(trial.workspace)
    return judge(task.cancelled() and free, f"cancelled: {task.cancelled()}, child dead: {free}")


async def _waited_twice(trial: Trial) -> Verdict:
    async with await trial.place.start(["sh", "-c", "echo x; exit 3"]) as process:
        first, second = await process.wait(), await process.wait()
    third = await process.wait()
    holds = first == second == third and first.exit_code == 3
    return judge(holds, f"{first.exit_code}, {second.exit_code}, {third.exit_code}")


async def _stream_timeout(trial: Trial) -> Verdict:
    async with await _started(trial, "print(1)\nwhile True: pass", wall_s=0.4) as process:
        seen = await _read_until(process, b"never")
        result = await process.wait()
    return judge(result.timed_out and seen == b"1\n", f"{result.outcome}, {seen!r}")


async def _stream_closed(trial: Trial) -> Verdict:
    process = await _started(trial, "print(1)\nimport time\ntime.sleep(6)")
    await _read_until(process, b"1")
    await trial.place.close()
    await _read_until(process, b"never")
    try:
        result = await process.wait()
    except SandboxGoneError:
        return judge(holds=True, result="the stream ended and `wait` said why")
    return judge(holds=False, result=f"`wait` returned {result.outcome}")


async def _deaf(trial: Trial) -> Verdict:
    async with await trial.place.start(["sh", "-c", "exec <&-; echo deaf; sleep 0.1"]) as process:
        await _read_until(process, b"deaf")
        for _ in range(3):
            await process.send(bytes(1 << 20))
        await process.close_stdin()
        await process.send(b"late")
        result = await process.wait()
    return judge(result.ok, result)


async def _unknown_port(trial: Trial) -> Verdict:
    async with await trial.place.start(["true"]) as process:
        try:
            found = process.address(1)
        except ValueError as error:
            return judge(holds=True, result=str(error))
    return judge(holds=False, result=f"a port that was not named is at {found}")


async def _side_by_side(trial: Trial) -> Verdict:
    async def ask(number: int) -> bytes:
        async with await trial.place.start(["sh", "-c", "read line; echo $line"]) as process:
            await process.send(f"{number}\n".encode())
            return await _read_until(process, b"\n")

    heard = await asyncio.gather(*map(ask, range(5)))
    return judge(heard == [f"{n}\n".encode() for n in range(5)], f"{heard}")


async def _unread(trial: Trial) -> Verdict:
    """Wait without reading: everything is drained, and counted."""
    async with await _started(trial, _MUCH) as process:
        result = await process.wait()
    holds = result.ok and result.stdout_total == _MUCH_BYTES
    return judge(holds, f"{result.outcome}, {result.stdout_total} bytes counted")


async def _costs(trial: Trial) -> Verdict:
    script = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
    result = await trial.python(script)
    timed = 0.1 <= result.duration_s < EXAM_LIMITS.wall_s
    cpu = result.cpu_s is None or 0.05 <= result.cpu_s <= EXAM_LIMITS.wall_s
    peak = result.peak_memory_bytes is None or 0 < result.peak_memory_bytes < 1 << 30
    detail = f"{result.duration_s:.2f} s, {result.cpu_s} s, {result.peak_memory_bytes} bytes"
    return judge(result.ok and timed and cpu and peak, detail)


async def _how_it_ended(trial: Trial) -> Verdict:
    limits = EXAM_LIMITS.model_copy(update={"wall_s": 0.3})
    late, killed, failed = await asyncio.gather(
        trial.place.exec(["sleep", "5"], limits=limits),
        trial.shell("kill -15 $$"),
        trial.shell("exit 5"),
    )
    told = [
        (late.outcome, late.killed, late.timed_out, late.exit_code),
        (killed.outcome, killed.killed, killed.signal),
        (failed.outcome, failed.killed, failed.exit_code, failed.ok),
    ]
    wanted = [
        (Outcome.TIMED_OUT, True, True, None),
        (Outcome.SIGNALED, False, 15),
        (Outcome.EXITED, False, 5, False),
    ]
    return judge(told == wanted, f"{told}")


CHECKS = (
    Check("output arrives before the end", "contract", _early),
    Check("a command can be talked to", "contract", _conversation),
    Check("split characters come whole", "contract", _bytes_stay_whole),
    Check("a stream tells stdout from stderr", "contract", _told_apart),
    Check("a slow reader makes the command wait", "contract", _slow_reader, needs=LIVE),
    Check("output nobody reads is drained and counted", "contract", _unread),
    Check("leaving a command kills its tree", "contract", _leaving, needs=LIVE),
    Check("cancelling a reader kills the tree", "contract", _cancelled_reader, needs=LIVE),
    Check("waiting twice gives the same result", "contract", _waited_twice),
    Check("a time-out ends a stream", "contract", _stream_timeout),
    Check("closing the sandbox ends streams", "contract", _stream_closed),
    Check("writing to a command that is deaf does nothing", "contract", _deaf),
    Check("a port that was not named has no address", "contract", _unknown_port),
    Check("commands are talked to side by side", "contract", _side_by_side),
    Check("a result tells what it cost", "contract", _costs),
    Check("a result tells how it ended", "contract", _how_it_ended),
)
