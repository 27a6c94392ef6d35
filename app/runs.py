"""Do the work of one claim: run a task, or learn from one that has ended."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from agents.ports import Memory
from agents.run import AgentRuntime, Policy, RunContext, RunEnd, RunWaits, ask_person
from agents.state import RunLimits, TaskSpec
from app.db import claims, endings, waits
from app.db.records import Claim, Phase, TaskRow
from app.egress import EgressEvents
from app.errors import Fenced
from app.fences import Fences
from app.files import artifact_views, place_files
from app.home import Home
from app.logs import placed
from app.models import ModelDesk
from app.policies import NamespaceRules, no_rules, policies_of
from app.recorder import SqlRecorder
from app.tracing import NoTracing, Tracing, TurnTrace
from app.wakes import Wakes
from memory.database import Database
from models.base import ModelError
from models.messages import JsonObject
from sandboxes.base import Isolation, Network, SandboxBackend, SandboxError, SandboxSpec
from tools.base import AnyTool, ToolContext

_LOG = logging.getLogger(__name__)

_GRACE_S = 1.0
"""The agents look at the time before each call; only a call that hangs needs more."""

BackendSource = Callable[[], Awaitable[SandboxBackend]]
"""Gives the sandbox backend of this process, probed once."""


@dataclass(frozen=True)
class Parts:
    """Everything that runs are made of."""

    database: Database
    home: Home
    wakes: Wakes
    memory: Memory
    models: ModelDesk
    backend: BackendSource
    min_isolation: Isolation
    tools: Mapping[str, AnyTool]
    limits: RunLimits
    enqueue: claims.Enqueue
    """Queues what is to be done next, in the transaction that says so."""
    allowed_hosts: tuple[str, ...] = ()
    network: Network = field(default_factory=Network)
    """What commands in the sandbox may reach."""
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    """Granted to commands in the sandbox, by reference."""
    policy: Policy = field(default_factory=Policy)
    """The operator's rules for approvals."""
    namespace_rules: NamespaceRules = no_rules
    tracing: Tracing = field(default_factory=NoTracing)


Forget = Callable[[str], Awaitable[None]]
"""Drops the graphs' state of a run that is over and learned from."""


class Relay:
    """Passes events on from code that cannot wait, in order."""

    def __init__(self, recorder: SqlRecorder) -> None:
        self._recorder = recorder
        self._queue: asyncio.Queue[tuple[str, JsonObject] | None] = asyncio.Queue()

    def __call__(self, kind: str, data: JsonObject) -> None:
        """Take an event in."""
        self._queue.put_nowait((kind, data))

    def close(self) -> None:
        """Take nothing more in: `run` ends after what it has."""
        self._queue.put_nowait(None)

    async def run(self) -> None:
        """Write the events until `close`, or until another process owns the task."""
        while (item := await self._queue.get()) is not None:
            try:
                await self._recorder.emit(*item)
            except Fenced:
                return


class RunWorker:
    """Runs tasks and learns from them; see `app.engine.Worker`."""

    def __init__(self, parts: Parts, runtime: AgentRuntime, fences: Fences, forget: Forget) -> None:
        self._parts = parts
        self._runtime = runtime
        self._fences = fences
        self._forget = forget

    async def work(self, claim: Claim) -> None:
        """Work until the claim is settled.

        Raises:
            Fenced: another process has taken the task over, or it was cancelled.
        """
        with placed(run=claim.run_id, task=claim.task_id):
            await self._work(claim)

    async def _work(self, claim: Claim) -> None:
        task = await self._parts.database.run(partial(claims.own, claim=claim))
        with self._fences.holding(claim), self._parts.tracing.turn(claim, task) as trace:
            if claim.phase == "run":
                await self._run(claim, task, trace)
            else:
                await self._learn(claim, task, trace)
                await self._forget(claim.run_id)

    async def _run(self, claim: Claim, task: TaskRow, trace: TurnTrace) -> None:
        end = await self._ended(claim, task, trace)
        if isinstance(end, RunWaits):
            trace.ended("waiting", "")
            await self._write(claim, _waiting(claim, end))
            return
        trace.ended(end.status, end.end_reason)
        workspace = self._parts.home.workspace(task.id)
        artifacts = await asyncio.to_thread(artifact_views, workspace, end.artifacts)
        ending = endings.Ending(
            status=end.status,
            end_reason=end.end_reason,
            answer=end.answer,
            artifacts=tuple(artifacts),
            error=end.error,
        )
        enqueue = self._parts.enqueue
        await self._write(
            claim, partial(endings.finish, claim=claim, ending=ending, enqueue=enqueue)
        )

    async def _ended(self, claim: Claim, task: TaskRow, trace: TurnTrace) -> RunEnd | RunWaits:
        """Let the agents work, and say how it ended when they cannot."""
        left_s = _left_s(task, limits_of(task.budget, self._parts.limits))
        timer = asyncio.timeout(left_s)
        try:
            async with timer, self._context(claim, task, trace) as context:
                return await self._runtime.run(context, answer=task.reply)
        except ModelError as error:
            return RunEnd(status="failed", end_reason="model_unavailable", error=str(error))
        except SandboxError as error:
            return RunEnd(status="failed", end_reason="tool_unavailable", error=str(error))
        except TimeoutError:
            if not timer.expired():
                raise
            error = "the time allowed was over while a call was under way; it was stopped"
            return RunEnd(status="failed", end_reason="timeout", error=error)

    async def _learn(self, claim: Claim, task: TaskRow, trace: TurnTrace) -> None:
        if task.status == "cancelled" or task.end_reason is None:
            await self._write(claim, partial(endings.learned, claim=claim, items=()))
            return
        end = RunEnd(
            status="succeeded" if task.status == "succeeded" else "failed",
            end_reason=task.end_reason,
            answer=task.answer or "",
            artifacts=tuple(artifact["name"] for artifact in task.artifacts),
            error=task.error or "",
        )
        try:
            async with self._context(claim, task, trace) as context:
                learned = await self._runtime.learn(context, end)
        except (ModelError, SandboxError) as error:
            _LOG.warning("nothing was learned from run %s: %s", claim.run_id, error)
            learned = ()
        await self._write(claim, partial(endings.learned, claim=claim, items=learned))

    @contextlib.asynccontextmanager
    async def _context(
        self, claim: Claim, task: TaskRow, trace: TurnTrace
    ) -> AsyncGenerator[RunContext]:
        """Give what the agents work with; the sandbox and the relay end with it."""
        parts = self._parts
        recorder = SqlRecorder(parts.database, claim, parts.wakes)
        policies = await parts.database.read(
            partial(
                policies_of,
                task=task,
                operator=parts.policy,
                of_namespace=parts.namespace_rules,
            )
        )
        relay = Relay(recorder)
        model = await parts.models.get(task.model, on_event=relay)
        workspace = await asyncio.to_thread(place_files, parts.home, task.id, task.files)
        watch = EgressEvents(relay)
        sandbox = await (await parts.backend()).create(self._spec(claim, workspace), watch=watch)
        relaying = asyncio.create_task(relay.run())
        try:
            context = ToolContext(
                sandbox=sandbox, ask=ask_person, allowed_hosts=parts.allowed_hosts
            )
            yield RunContext(
                task=_spec(task, parts.limits, claim.phase),
                model=trace.model(model),
                toolbox=trace.toolbox(parts.tools, context),
                sandbox=sandbox,
                memory=parts.memory,
                recorder=recorder,
                policies=policies,
            )
        finally:
            await asyncio.gather(sandbox.close(), return_exceptions=True)
            watch.close()
            relay.close()
            await asyncio.gather(relaying, return_exceptions=True)

    def _spec(self, claim: Claim, workspace: Path) -> SandboxSpec:
        return SandboxSpec(
            workspace=workspace,
            min_isolation=self._parts.min_isolation,
            network=self._parts.network,
            secrets=self._parts.secrets,
            labels={"task": claim.task_id, "run": claim.run_id},
        )

    async def _write(self, claim: Claim, work: Callable[[Connection], None]) -> None:
        await self._parts.database.run(work)
        self._parts.wakes.wake(claim.task_id)


def _waiting(claim: Claim, end: RunWaits) -> Callable[[Connection], None]:
    """Return what lets a task wait for what its run needs."""
    if end.approvals:
        return partial(waits.for_approval, claim=claim, wanted=end.approvals)
    if end.budget:
        return partial(waits.for_budget, claim=claim, spent=end.budget)
    return partial(endings.wait, claim=claim, question=end.question)


def _spec(task: TaskRow, limits: RunLimits, phase: Phase) -> TaskSpec:
    """Return a task as the agents know it; learning never waits for more budget."""
    bounds = limits_of(task.budget, limits)
    if phase == "learn":
        bounds = bounds.model_copy(update={"on_limit": "end"})
    return TaskSpec(
        task_id=task.id,
        run_id=task.run_id,
        namespace=task.namespace,
        instruction=task.instruction,
        acceptance=tuple(task.acceptance),
        inputs=task.inputs,
        files=tuple(file["name"] for file in task.files),
        family=task.family,
        limits=bounds,
    )


def _left_s(task: TaskRow, limits: RunLimits) -> float | None:
    """Return after how long even a call that hangs is stopped."""
    if limits.seconds is None:
        return None
    return max(0.0, limits.seconds - task.worked_seconds) + _GRACE_S


def limits_of(budget: JsonObject, limits: RunLimits) -> RunLimits:
    """Return the server's limits with what the task's budget says instead."""
    said = {_LIMITS[name]: value for name, value in budget.items() if value is not None}
    return limits.model_copy(update={"on_limit": "ask"} | said)


_LIMITS = {
    "usd": "usd",
    "seconds": "seconds",
    "tokens": "tokens",
    "steps": "max_steps",
    "on_limit": "on_limit",
}
