"""The part of the exam about an interpreter that is kept: what stays, what dies, what is forged."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from sandboxes.base import Outcome
from sandboxes.check import EXAM_LIMITS, LIVE, Check, Trial, Verdict
from sandboxes.check_contract import HOLD_LOCK, judge, lock_is_free
from sandboxes.exam.field import another, until
from sandboxes.python_session import PythonSession

_SHORT = EXAM_LIMITS.model_copy(update={"wall_s": 0.4})
_FORGE = """
import os, struct, sys
end = b'{"code": 0}'
frames = struct.pack(">cI", b"o", 6) + b"forged" + struct.pack(">cI", b"d", len(end)) + end
for number in range(3, 64):
    try:
        os.write(number, frames * 3)
    except OSError:
        pass
"""


@asynccontextmanager
async def _kept(trial: Trial) -> AsyncGenerator[PythonSession]:
    session = PythonSession(trial.place)
    try:
        yield session
    finally:
        await session.close()


async def _names_stay(trial: Trial) -> Verdict:
    async with _kept(trial) as session:
        await session.run("import os\nnumber = 41")
        seen = (await session.run("number + 1")).result
        await session.run("open('made', 'w').write(str(number))")
    made = await trial.place.read("made")
    return judge(seen.stdout == b"42\n" and made == b"41", seen)


async def _replaced(trial: Trial) -> Verdict:
    async with _kept(trial) as session:
        await session.run("number = 1")
        died = (await session.run("import os; os.kill(os.getpid(), 9)")).result
        after = await session.run("print('number' in globals())")
    holds = not died.ok and after.lost and after.result.stdout == b"False\n"
    return judge(holds, f"{died.outcome}, then {after.result.stdout!r}, said so: {after.lost}")


async def _ended_in_time(trial: Trial) -> Verdict:
    async with _kept(trial) as session:
        await session.run("1")
        late = (await session.run(HOLD_LOCK, limits=_SHORT)).result
        free = lock_is_free(trial.workspace)
        after = (await session.run("print(2)")).result
    holds = late.outcome is Outcome.TIMED_OUT and free and after.stdout == b"2\n"
    return judge(holds, f"{late.outcome}, child dead: {free}, then {after.stdout!r}")


async def _cancelled(trial: Trial) -> Verdict:
    async with _kept(trial) as session:
        task = asyncio.create_task(session.run(HOLD_LOCK))
        await until((trial.workspace / "held").exists)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        free = lock_is_free(trial.workspace)
        after = (await session.run("print(2)")).result
    return judge(free and after.stdout == b"2\n", f"child dead: {free}, then {after.stdout!r}")


async def _forged(trial: Trial) -> Verdict:
    """Write frames of our own making, then look whether another sandbox's calls change."""
    async with another(trial) as (place, _):
        bystander = PythonSession(place)
        async with _kept(trial) as session:
            await bystander.run("number = 1")
            for _ in range(3):
                await session.run(_FORGE)
            beside = (await bystander.run("number")).result
        fresh = PythonSession(trial.place)
        own = (await fresh.run("print('honest')")).result
        await fresh.close()
        await bystander.close()
    holds = beside.stdout == b"1\n" and own.stdout == b"honest\n"
    return judge(holds, f"beside: {beside.stdout!r}, afterwards: {own.stdout!r}")


CHECKS = (
    Check("an interpreter keeps its names", "contract", _names_stay),
    Check("an interpreter that dies is replaced", "contract", _replaced),
    Check("a call of an interpreter ends in time", "contract", _ended_in_time, needs=LIVE),
    Check("cancelling a call ends its interpreter", "contract", _cancelled, needs=LIVE),
    Check("forged answers stay with the forger", "containment", _forged),
)
