"""Tell webhooks that a standing agent needs a person: it rests, or fails again and again."""

from sqlalchemy import Connection, select

from app.db import audit, standing, webhooks
from app.db.standing import AgentRow
from app.db.tables import tasks
from models.messages import JsonObject

MANY = 3
"""Wake-ups that fail in a row, until webhooks are told."""


def rests(connection: Connection, row: AgentRow) -> None:
    """Tell that an agent has no more of its day or of a quota, in the transaction of its rest."""
    until = row.rest_until.isoformat() if row.rest_until else None
    _tell(connection, row, "agent.resting", {"until": until, "reason": row.last_error})
    audit.note(connection, "agent.rested", row.id, namespace=row.namespace, result="refused")


def failed(connection: Connection, task_id: str) -> None:
    """Look at whose task failed; tell if it is an agent's and the third in a row."""
    mine = select(tasks.c.agent_id, tasks.c.namespace).where(tasks.c.id == task_id)
    task = connection.execute(mine.where(tasks.c.agent_id.is_not(None))).first()
    if task is None:
        return
    row = standing.get(connection, task.agent_id, task.namespace)
    before = standing.failures(connection, task.agent_id, MANY, without=task_id)
    if row is not None and before == MANY - 1:
        told = {"task_id": task_id, "failed_in_a_row": MANY}
        _tell(connection, row, "agent.failing", told)


def _tell(connection: Connection, row: AgentRow, kind: str, data: JsonObject) -> None:
    whose = {"agent_id": row.id, "namespace": row.namespace}
    webhooks.tell_news(connection, row.namespace, kind, whose | data)
