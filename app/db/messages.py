"""Keep what a person says to a task that is worked on, in the order of its events."""

from sqlalchemy import Connection, func, insert, select

from app.db import events
from app.db.records import TaskRow
from app.db.steering_tables import messages
from app.db.types import clean, now

MAX_MESSAGES = 20
"""In one run: each is part of every prompt that follows."""
MAX_CHARS = 4000


def count(connection: Connection, run_id: str, task_id: str) -> int:
    """Return how many messages a run got."""
    mine = (messages.c.task_id == task_id) & (messages.c.run_id == run_id)
    statement = select(func.count()).select_from(messages).where(mine)
    return int(connection.execute(statement).scalar_one())


def add(connection: Connection, task: TaskRow, text: str) -> None:
    """Keep a message, and its event, for the run of a task."""
    appended = events.append(connection, task.id, "message", {"text": text})
    connection.execute(
        insert(messages).values(
            task_id=task.id,
            seq=appended.seq,
            run_id=task.run_id,
            text=clean(text),
            created_at=now(),
        )
    )


def after(connection: Connection, task_id: str, run_id: str, seq: int) -> list[tuple[int, str]]:
    """Return number and text of a run's messages that follow number `seq`, oldest first."""
    statement = (
        select(messages.c.seq, messages.c.text)
        .where(messages.c.task_id == task_id, messages.c.run_id == run_id, messages.c.seq > seq)
        .order_by(messages.c.seq)
    )
    return [(row.seq, row.text) for row in connection.execute(statement)]
