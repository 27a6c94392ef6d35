import asyncio
import os
import signal

import pytest
import uvloop

from sandboxes.base import Limits, Outcome
from sandboxes.process import Launch, feed, run


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


async def _fed_too_late() -> bool:
    process = await asyncio.create_subprocess_exec(
        "true", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    await process.communicate()
    assert process.stdin is not None
    assert process.stdin.is_closing()
    await feed(process.stdin, b"too late")
    return True


def test_a_command_that_ended_before_it_was_fed_is_no_fault() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(_fed_too_late())


@pytest.mark.anyio
async def test_whoever_is_cancelled_twice_leaves_no_process_behind() -> None:
    guard = SlowGuard()
    launch = Launch(["/bin/sleep", "60"], env={})
    running = asyncio.create_task(run(launch, b"", Limits(), guard))
    await guard.watching.wait()
    running.cancel()
    await guard.killing.wait()
    running.cancel()
    guard.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert guard.killed
