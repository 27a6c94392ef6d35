"""Keep what happens in one run: `agents.ports.Recorder` over SQL.

Every write is fenced: once another process has claimed the task, or it was cancelled, each
method raises `app.errors.Fenced` and nothing is written.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from agents.approvals import Kind, Verdict
from agents.state import CallRecord, Step
from app.db import approvals, claims, messages, trace, waits
from app.db.records import Claim
from app.wakes import Wakes
from memory.database import Database
from models.messages import Usage

T = TypeVar("T")


class SqlRecorder:
    """Writes for one claim of one task."""

    def __init__(self, database: Database, claim: Claim, wakes: Wakes) -> None:
        self._database = database
        self._claim = claim
        self._wakes = wakes

    async def emit(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append an event."""
        await self._write(partial(trace.emit, claim=self._claim, kind=kind, data=data))

    async def step(self, step: Step) -> None:
        """Append a finished step, and its event."""
        await self._write(partial(trace.add_step, claim=self._claim, step=step))

    async def trajectory(self) -> list[Step]:
        """Return every step of the run, oldest first."""
        return await self._database.read(partial(trace.trajectory, run_id=self._claim.run_id))

    async def charge(self, purpose: str, model: str, usage: Usage) -> Usage:
        """Add what a model call cost and return the task's total."""
        return await self._write(
            partial(trace.charge, claim=self._claim, purpose=purpose, model=model, usage=usage)
        )

    async def spent(self) -> Usage:
        """Return the task's total so far."""
        task = await self._database.run(partial(claims.own, claim=self._claim))
        return task.usage

    async def elapsed_s(self) -> float:
        """Return the time the task has been worked on, in seconds, waiting excluded."""
        task = await self._database.run(partial(claims.own, claim=self._claim))
        return claims.own_s(task, self._claim)

    async def said(self, *, after: int) -> list[tuple[int, str]]:
        """Return what the owner said after message number `after`: numbers and texts."""
        claim = self._claim
        return await self._database.read(
            partial(messages.after, task_id=claim.task_id, run_id=claim.run_id, seq=after)
        )

    async def verdict(self, key: str, kind: Kind) -> Verdict | None:
        """Return what a person decided about a call, or None while it is undecided."""
        return await self._database.read(
            partial(approvals.verdict, run_id=self._claim.run_id, key=key, kind=kind)
        )

    async def spend(self, key: str) -> None:
        """Use up the verdict that a call may be repeated: it holds for one try."""
        await self._database.run(partial(waits.spend, claim=self._claim, key=key))

    async def begin_call(
        self, key: str, tool: str, arguments: Mapping[str, Any]
    ) -> CallRecord | bool:
        """Write down the intent of a tool call; see the port for what is returned."""
        return await self._database.run(
            partial(trace.begin_call, claim=self._claim, key=key, tool=tool, arguments=arguments)
        )

    async def settle_call(self, key: str, record: CallRecord) -> None:
        """Write down the result of a tool call."""
        await self._database.run(
            partial(trace.settle_call, claim=self._claim, key=key, record=record)
        )

    async def _write(self, work: Callable[[Connection], T]) -> T:
        result = await self._database.run(work)
        self._wakes.wake(self._claim.task_id)
        return result
