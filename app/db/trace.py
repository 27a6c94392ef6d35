"""Write what happens in a run, each fact with its event in one transaction, fenced."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from agents.state import CallRecord, Step
from app.db import claims, events
from app.db.records import Claim, TaskRow
from app.db.tables import model_calls, steps, tasks, tool_calls
from app.db.types import clean, now, plain
from models.messages import JsonObject, Usage


def emit(connection: Connection, claim: Claim, kind: str, data: Mapping[str, Any]) -> None:
    """Append an event and let the task show what it tells."""
    bump = None
    if kind in _SHOWN:
        bump = events.bumping(**_changes(claims.own(connection, claim), kind, plain(data)))
    events.append(connection, claim.task_id, kind, data, epoch=claim.epoch, bump=bump)


_SHOWN = frozenset({"recall", "plan", "subgoal"})
"""Kinds of events that change what the task itself shows."""


def _changes(task: TaskRow, kind: str, data: JsonObject) -> JsonObject:
    """Return what an event changes in its task."""
    if kind == "recall":
        return {"recalled": data.get("items", [])}
    if kind == "plan":
        return {"plan": _replanned(task.plan, data)}
    if kind == "subgoal":
        return {"plan": _advanced(task.plan, data)}
    return {}


def _replanned(plan: JsonObject, data: JsonObject) -> JsonObject:
    """Return the new plan; subgoals that stay keep what came of them."""
    done = {s["text"]: s for s in plan.get("subgoals", []) if s["status"] == "done"}
    subgoals = [
        done.get(text, {"text": text, "status": "pending", "result": ""})
        for text in data.get("subgoals", [])
    ]
    return {"thought": data.get("thought", ""), "subgoals": subgoals}


def _advanced(plan: JsonObject, data: JsonObject) -> JsonObject:
    """Return the plan with one subgoal as it stands now."""
    subgoals = list(plan.get("subgoals", []))
    index = int(data["index"])
    if index < len(subgoals):
        kept = ("text", "status", "result")
        subgoals[index] = subgoals[index] | {k: data[k] for k in kept if k in data}
    return {**plan, "subgoals": subgoals}


def add_step(connection: Connection, claim: Claim, step: Step) -> None:
    """Append a finished step; the same step of a recovered run replaces itself."""
    data = plain(step)
    same = {"b_run": claim.run_id, "b_n": step.n, "data": data}
    if connection.execute(_REPLACE_STEP, same).rowcount:
        claims.fence(connection, claim)
        return
    row = {"run_id": claim.run_id, "n": step.n, "task_id": claim.task_id, "data": data}
    connection.execute(_INSERT_STEP, row)
    events.append(connection, claim.task_id, "step", data, epoch=claim.epoch, bump=_COUNT_STEP)


_COUNT_STEP = events.bumping(steps=tasks.c.steps + 1, reply=None)
_ADD_USAGE = events.bumping(
    prompt_tokens=tasks.c.prompt_tokens + bindparam("b_prompt"),
    completion_tokens=tasks.c.completion_tokens + bindparam("b_completion"),
    usd=tasks.c.usd + bindparam("b_usd"),
    model_seconds=tasks.c.model_seconds + bindparam("b_seconds"),
    model_calls=tasks.c.model_calls + bindparam("b_calls"),
)
_REPLACE_STEP = update(steps).where(
    steps.c.run_id == bindparam("b_run"), steps.c.n == bindparam("b_n")
)
_INSERT_STEP = insert(steps)
_INSERT_MODEL_CALL = insert(model_calls)


def trajectory(connection: Connection, run_id: str) -> list[Step]:
    """Return the steps of a run, oldest first."""
    statement = select(steps.c.data).where(steps.c.run_id == run_id).order_by(steps.c.n)
    return [Step.model_validate(data) for data in connection.execute(statement).scalars()]


def charge(connection: Connection, claim: Claim, purpose: str, model: str, usage: Usage) -> Usage:
    """Add what a model call cost to the task and return the total."""
    figures = {
        "purpose": purpose[:80],
        "model": model[:200],
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "usd": usage.usd,
        "seconds": usage.seconds,
    }
    values = {
        "b_prompt": usage.prompt_tokens,
        "b_completion": usage.completion_tokens,
        "b_usd": usage.usd,
        "b_seconds": usage.seconds,
        "b_calls": usage.calls,
    }
    appended = events.append(
        connection,
        claim.task_id,
        "model",
        figures,
        epoch=claim.epoch,
        bump=_ADD_USAGE,
        values=values,
    )
    row = {"task_id": claim.task_id, "seq": appended.seq, "run_id": claim.run_id, "at": now()}
    connection.execute(_INSERT_MODEL_CALL, row | figures)
    return appended.usage


def begin_call(
    connection: Connection, claim: Claim, key: str, tool: str, arguments: Mapping[str, Any]
) -> CallRecord | bool:
    """Write down the intent of a tool call; see `agents.ports.Recorder`."""
    claims.fence(connection, claim)
    row = connection.execute(
        select(tool_calls.c.settled, tool_calls.c.record).where(
            tool_calls.c.run_id == claim.run_id, tool_calls.c.key == key
        )
    ).first()
    if row is not None:
        return CallRecord.model_validate(row.record) if row.settled else True
    connection.execute(
        insert(tool_calls).values(
            run_id=claim.run_id,
            key=key,
            task_id=claim.task_id,
            tool=clean(tool)[:200],
            arguments=plain(arguments),
            settled=False,
            began_at=now(),
        )
    )
    return False


def settle_call(connection: Connection, claim: Claim, key: str, record: CallRecord) -> None:
    """Write down the result of a tool call; a question's answer is taken in with it."""
    claims.fence(connection, claim)
    connection.execute(
        update(tool_calls)
        .where(tool_calls.c.run_id == claim.run_id, tool_calls.c.key == key)
        .values(settled=True, record=plain(record), settled_at=now())
    )
    if record.tool == "ask_human":
        connection.execute(update(tasks).where(tasks.c.id == claim.task_id).values(reply=None))
