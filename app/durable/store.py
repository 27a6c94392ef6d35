"""Open DBOS's own tables, which lie in the same database as ours, and queue turns in them.

DBOS is imported here and in `app.durable.worker` only, at first use.
"""

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine.interfaces import DBAPIConnection

from app.db.records import Phase, Turn
from app.db.types import now
from memory.database import Database
from memory.postgres import postgres_engine

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions, Serializer

APPLICATION = "strop"
SCHEMA = "dbos"
"""Of DBOS's tables on Postgres; SQLite knows no schemas."""
VERSION = "1"
"""One for all: DBOS would strand the turns of another version, and ours are `graph_version`."""
WORKFLOW = "turn"
QUEUES: dict[Phase, str] = {"run": "strop-runs", "learn": "strop-learning"}
_MIDDLE = 1000
"""DBOS's lowest numbers come first and start at 1; ours are higher for what is more urgent.

Each of ours is two of DBOS's: what was begun comes first, since somebody has waited for it longer.
"""
_PRAGMAS = ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL")
_AT_ONCE = 500


@dataclass(frozen=True)
class Queued:
    """A turn as DBOS knows it."""

    workflow_id: str
    task_id: str
    number: int
    phase: Phase


class TurnStore:
    """DBOS's tables as a client sees them: any process may queue, look and tidy up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._client: DBOSClient | None = None

    @property
    def engine(self) -> Engine:
        """A pool of connections for DBOS, which sets them up in its own way."""
        if self._engine is None:
            self._engine = _engine(self._database.engine)
        return self._engine

    def prepare(self) -> None:
        """Make or change DBOS's tables; call it under a lock that only one process holds."""
        schema = None if self.engine.dialect.name == "sqlite" else SCHEMA
        if inspect(self.engine).has_table("workflow_status", schema=schema):
            return
        keep_dbos_quiet()
        from dbos import DBOS  # noqa: PLC0415 - takes half a second to import, and is rarely needed

        DBOS.migrate(self._database.engine.url.render_as_string(hide_password=False), schema=SCHEMA)

    def enqueue(self, connection: Connection, turn: Turn) -> None:
        """Queue a turn in the transaction that makes it."""
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUES[turn.phase],
            "workflow_id": workflow_id(turn.task_id, turn.number, turn.phase),
            "queue_partition_key": turn.namespace,
            "priority": 2 * (_MIDDLE - turn.priority) - turn.begun,
        }
        if turn.not_before is not None:
            wait_s = (turn.not_before - now()).total_seconds()
            if wait_s > 0:
                options["delay_seconds"] = wait_s
        self.client.enqueue_in_transaction(
            connection, options, turn.task_id, turn.number, turn.phase
        )

    def taken_by(self, executor_id: str) -> list[Queued]:
        """Return the turns that a process took and has not ended."""
        rows = self.client.list_workflows(
            status="PENDING", executor_id=executor_id, load_input=False, load_output=False
        )
        return [queued(row.workflow_id) for row in rows]

    def takers(self) -> set[str]:
        """Return the processes that took turns which have not ended."""
        rows = self.client.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {row.executor_id for row in rows if row.executor_id}

    def alive(self, workflow_ids: Sequence[str]) -> set[str]:
        """Return those of the turns that are queued, delayed or taken."""
        found: set[str] = set()
        for start in range(0, len(workflow_ids), _AT_ONCE):
            rows = self.client.list_workflows(
                workflow_ids=list(workflow_ids[start : start + _AT_ONCE]),
                status=["ENQUEUED", "DELAYED", "PENDING"],
                load_input=False,
                load_output=False,
            )
            found |= {row.workflow_id for row in rows}
        return found

    def drop(self, workflow_ids: Sequence[str]) -> None:
        """Take turns that nobody will work on out of the queue."""
        if workflow_ids:
            self.client.cancel_workflows(list(workflow_ids))

    def forget_ended(self, before: str, limit: int = 1000) -> int:
        """Delete turns that ended before a moment (ISO 8601); return how many."""
        rows = self.client.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            completed_before=before,
            limit=limit,
            load_input=False,
            load_output=False,
        )
        if rows:
            self.client.delete_workflows([row.workflow_id for row in rows])
        return len(rows)

    @property
    def client(self) -> "DBOSClient":
        """DBOS's client, opened at first use."""
        with self._lock:
            if self._client is None:
                keep_dbos_quiet()
                from dbos import DBOSClient  # noqa: PLC0415 - see prepare

                self._client = DBOSClient(
                    system_database_engine=self.engine,
                    dbos_system_schema=SCHEMA,
                    serializer=json_only(),
                    application_name=APPLICATION,
                    lazy=True,
                    retry_connection_errors=False,
                )
            return self._client

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def workflow_id(task_id: str, number: int, phase: Phase) -> str:
    """Return the name of a turn."""
    return f"{task_id}:{number}:{phase}"


def queued(name: str) -> Queued:
    """Return the turn of that name."""
    task_id, number, phase = name.rsplit(":", 2)
    return Queued(name, task_id, int(number), "learn" if phase == "learn" else "run")


def keep_dbos_quiet() -> None:
    """Let DBOS log like every library; without a handler it would take one of its own."""
    log = logging.getLogger("dbos")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def json_only() -> "Serializer":
    """Return what writes and reads DBOS's values: JSON; a forged pickle is refused, not loaded.

    DBOS chooses the reader by a label in the row, so its own reader of pickles is taken out too.
    """
    from dbos import Serializer  # noqa: PLC0415 - see TurnStore.prepare
    from dbos._serialization import DefaultSerializer  # noqa: PLC0415 - see above

    class JsonOnly(Serializer):
        def serialize(self, data: Any) -> str:  # noqa: ANN401 - DBOS's signature
            return json.dumps(data)

        def deserialize(self, serialized_data: str) -> Any:  # noqa: ANN401 - DBOS's signature
            return json.loads(serialized_data)

        def name(self) -> str:
            return "strop_json"

    for name in ("serialize", "deserialize"):
        setattr(DefaultSerializer, name, _refuse)
    return JsonOnly()


def _refuse(*_value: object) -> Any:  # noqa: ANN401 - stands where DBOS pickles
    message = "pickled values are neither written nor read"
    raise ValueError(message)


def _engine(ours: Engine) -> Engine:
    if ours.dialect.name != "sqlite":
        return postgres_engine(ours.url)
    made = create_engine(ours.url, pool_size=5, hide_parameters=True)
    event.listen(made, "connect", _set_up)
    return made


def _set_up(connection: DBAPIConnection, _record: object) -> None:
    """Let the driver begin transactions as DBOS expects, and queue writers like ours."""
    connection.isolation_level = "IMMEDIATE"
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
