import asyncio
import os
import signal
from pathlib import Path

import pytest
import uvloop

from sandboxes.base import Chunk, Isolation, Limits, Outcome, SandboxSpec
from sandboxes.local import LocalBackend
from sandboxes.process import Finished, Live, feed, shut


class SlowGuard:
    """Takes its time to kill."""

    def __init__(self) -> None:
        self.watching, self.killing, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.killed = 0

    async def watch(self, pid: int) -> Outcome:
        self.watching.set()
        await asyncio.Event().wait()
        raise AssertionError(pid)

    async def kill(self, pid: int) -> int:
        self.killing.set()
        await self.go_on.wait()
        os.kill(pid, signal.SIGKILL)
        self.killed = pid
        return 1


class Program:
    """A program of the host, as the port of this file wants it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def wait(self) -> int:
        return await self._process.wait()

    def close(self) -> None:
        pass


async def started(*argv: str) -> Program:
    pipe = asyncio.subprocess.PIPE
    return Program(
        await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    )


async def _fed_too_late() -> bool:
    program = await started("true")
    assert program.stdin is not None
    program.stdin.close()
    await program.wait()
    await feed(program.stdin, b"too late")
    await shut(program.stdin)
    return True


def test_a_command_that_ended_before_it_was_fed_is_no_fault() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(_fed_too_late())


@pytest.mark.anyio
async def test_whoever_is_cancelled_twice_leaves_no_process_behind() -> None:
    guard = SlowGuard()
    live = Live(await started("/bin/sleep", "60"), Limits(), guard)
    ending: asyncio.Task[Finished] = asyncio.create_task(live.end())
    await guard.watching.wait()
    ending.cancel()
    await guard.killing.wait()
    ending.cancel()
    guard.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert guard.killed


@pytest.mark.anyio
async def test_a_slow_reader_loses_nothing_and_holds_the_command_up(tmp_path: Path) -> None:
    spec = SandboxSpec(workspace=tmp_path, min_isolation=Isolation.NONE)
    place = await LocalBackend().create(spec)
    script = (
        "import sys; [sys.stdout.write(f'{n:063}\\n') for n in range(1 << 16)]; open('done', 'w')"
    )
    read = bytearray()
    async with await place.start(["python3", "-c", script]) as process:
        async for chunk in process:
            if not read:  # 4 MiB do not fit into what may wait for a reader
                assert not (tmp_path / "done").exists()
            assert chunk == Chunk("stdout", chunk.data)
            read += chunk.data
        result = await process.wait()
    await place.close()
    assert result.ok
    assert (tmp_path / "done").exists()
    assert len(read) == result.stdout_total == 64 << 16
    assert bytes(read).splitlines()[-1] == f"{(1 << 16) - 1:063}".encode()
