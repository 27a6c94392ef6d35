import asyncio

import uvloop

from sandboxes.process import feed


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
