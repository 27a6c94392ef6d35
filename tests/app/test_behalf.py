"""Tasks that are submitted in the name of a standing agent keep to its rules and its day."""

import uuid
from typing import Any

import pytest
from sqlalchemy import insert

from app.behalf import on_behalf
from app.db import standing, tasks
from app.db.records import TaskRow
from app.db.standing import AgentRow
from app.db.tables import model_calls
from app.db.types import now
from app.errors import ConflictError, InvalidInputError, TooManyError
from app.making import new_task
from app.schemas import TaskRequest
from memory.database import Database

RULES: dict[str, Any] = {
    "model": "m",
    "acceptance": ["it is short"],
    "budget": {"usd": 0.5, "steps": 7},
    "approval": {"rules": [{"tool": "shell", "decision": "ask"}]},
    "priority": 5,
}


def _agent(database: Database, **given: Any) -> str:
    fields: dict[str, Any] = {
        "id": f"ag_{uuid.uuid4().hex}",
        "namespace": "default",
        "name": "watch",
        "instruction": "Watch it.",
        "task": RULES,
        "created_at": now(),
    }
    row = AgentRow(**(fields | given))
    database.run_sync(lambda connection: standing.add(connection, row))
    return row.id


def _made(
    database: Database, agent: str | None, namespace: str = "default", **said: Any
) -> TaskRow:
    request = TaskRequest.model_validate({"instruction": "Look.", "agent": agent} | said)
    task = new_task(request, (), namespace, None)
    return database.run_sync(lambda connection: on_behalf(connection, task, request))


def test_what_a_task_leaves_out_it_has_from_its_agent(database: Database) -> None:
    agent = _agent(database)
    task = _made(database, agent)
    assert (task.agent_id, task.instruction, task.model, task.priority) == (agent, "Look.", "m", 5)
    assert task.acceptance == ["it is short"]
    assert task.budget == {"on_limit": "end", "usd": 0.5, "steps": 7}
    assert task.approval is not None
    assert task.approval["rules"][0]["tool"] == "shell"


def test_what_a_task_says_itself_counts(database: Database) -> None:
    task = _made(database, _agent(database), model="n", priority=-1, budget={"steps": 2})
    assert (task.model, task.priority) == ("n", -1)
    assert task.budget == {"on_limit": "end", "steps": 2}


def test_it_may_spend_what_is_left_of_the_agents_day_and_no_more(database: Database) -> None:
    agent = _agent(database, usd_per_day=1.0)
    _spend(database, agent, 0.75)
    assert _made(database, agent, budget={"usd": 3}).budget["usd"] == pytest.approx(0.25)
    _spend(database, agent, 0.25)
    with pytest.raises(TooManyError, match=r"\$1 a day"):
        _made(database, agent)


def test_without_an_agent_a_task_is_as_it_was_submitted(database: Database) -> None:
    task = _made(database, None)
    assert (task.agent_id, task.model, task.budget) == (None, "", {})


def test_agents_of_others_and_paused_ones_do_nothing(database: Database) -> None:
    agent = _agent(database)
    with pytest.raises(InvalidInputError, match="there is no agent"):
        _made(database, agent, namespace="elsewhere")
    with pytest.raises(InvalidInputError, match="there is no agent"):
        _made(database, "ag_nobody")
    with pytest.raises(ConflictError, match="paused"):
        _made(database, _agent(database, paused=True))


def _spend(database: Database, agent: str, usd: float) -> None:
    """Let a task of the agent have cost something today."""
    request = TaskRequest(instruction="Look.", agent=agent)
    task = new_task(request, (), "default", None)

    def work(connection: Any) -> None:
        tasks.create(connection, on_behalf(connection, task, request))
        fields = {
            "task_id": task.id,
            "seq": 1,
            "run_id": task.run_id,
            "purpose": "solver",
            "model": "m",
        }
        counts = {"prompt_tokens": 1, "completion_tokens": 1, "usd": usd, "seconds": 0.1}
        connection.execute(insert(model_calls).values(**fields, **counts, at=now()))

    database.run_sync(work)
