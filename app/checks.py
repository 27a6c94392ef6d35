"""Say what works here and what does not."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from app.callers import DEFAULT_NAMESPACE
from app.db.tables import tasks
from app.home import Home
from app.models import ModelDesk
from app.sandboxing import SandboxDesk
from memory.base import MemoryStoreError
from memory.database import Database
from memory.memory import Memory
from memory.records import RecallQuery
from models.base import ModelError
from models.messages import Frozen
from sandboxes.base import SandboxError, SandboxUnavailableError


class Check(Frozen):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    """What was found, or what is wrong and what to do."""


class Worked(Protocol):
    """Something that can say whether it takes tasks."""

    @property
    def running(self) -> bool:
        """Whether it takes tasks."""
        ...


@dataclass(frozen=True)
class Checks:
    """Looks at the parts of a runtime."""

    database: Database
    home: Home
    engine: Worked
    models: ModelDesk
    sandboxes: SandboxDesk
    memory: Memory
    memory_note: str
    """Which embedder and index were taken, and why."""
    min_free_bytes: int = 0
    works: bool = True
    """Whether this process is to work on tasks."""

    async def ready(self) -> list[Check]:
        """Return what has to hold for tasks to be taken; quick."""
        return [await self._database(), await self._disk(), self._engine()]

    async def all(self) -> list[Check]:
        """Return everything, which takes a moment: a sandbox and the model are tried."""
        rest = [await self._sandbox(), await self._model(), await self._memory()]
        return [*await self.ready(), *rest]

    async def _database(self) -> Check:
        try:
            await self.database.read(_answers)
        except SQLAlchemyError as error:
            detail = f"the database does not answer: {type(error).__name__}"
            return Check(name="database", ok=False, detail=detail)
        return Check(name="database", ok=True, detail="it answers")

    async def _disk(self) -> Check:
        usage = await asyncio.to_thread(shutil.disk_usage, self.home.path)
        ok = usage.free >= self.min_free_bytes
        detail = f"{usage.free >> 20} MiB are free"
        if not ok:
            detail += (
                f", expected {self.min_free_bytes >> 20}; whoever runs it must free some space"
            )
        return Check(name="disk", ok=ok, detail=detail)

    def _engine(self) -> Check:
        if not self.works:
            return Check(name="engine", ok=True, detail="this process only submits")
        detail = "it takes tasks" if self.engine.running else "it is stopping or was not started"
        return Check(name="engine", ok=self.engine.running, detail=detail)

    async def _memory(self) -> Check:
        query = RecallQuery(text="what helps", namespace=DEFAULT_NAMESPACE, run_id="")
        try:
            degraded = (await self.memory.preview(query)).degraded
        except (SQLAlchemyError, MemoryStoreError) as error:
            degraded = f"nothing can be recalled: {type(error).__name__}"
        detail = f"{self.memory_note}; {degraded}" if degraded else self.memory_note
        return Check(name="memory", ok=not degraded, detail=detail)

    async def _sandbox(self) -> Check:
        async def look() -> str:
            selected = await self.sandboxes.selected()
            if self.sandboxes.network.domains and not selected.capabilities.network_allowlist:
                msg = (
                    f"STROP_SANDBOX_HOSTS is set, but {selected.name} cannot let listed hosts "
                    "through here, so no task can run; unset it or choose another STROP_SANDBOX"
                )
                raise SandboxUnavailableError(msg)
            notes = " ".join(selected.capabilities.notes)
            return f"{selected.name}: {selected.reason}. {notes}".strip()

        return await _tried("sandbox", look)

    async def _model(self) -> Check:
        async def look() -> str:
            chosen = await self.models.chosen()
            return f"{chosen.info.name}: {chosen.reason}"

        return await _tried("model", look)


async def _tried(name: str, look: Callable[[], Awaitable[str]]) -> Check:
    try:
        return Check(name=name, ok=True, detail=await look())
    except (ModelError, SandboxError) as error:
        return Check(name=name, ok=False, detail=str(error))


def _answers(connection: Connection) -> None:
    connection.execute(select(tasks.c.id).limit(1))
