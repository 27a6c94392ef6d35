"""The service: what can be done with tasks, for the REST API and the command line alike."""

import asyncio
import contextlib
import hashlib
import json
import shutil
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, Protocol

from sqlalchemy import Connection

from app.behalf import on_behalf
from app.callers import DEFAULT_NAMESPACE, LOCAL, Caller
from app.cursors import page_of, position_of
from app.db import claims, events, namespaces, tasks
from app.db.records import EventRow, FileRow, TaskRow
from app.db.tasks import TaskFilter
from app.db.types import now
from app.engine import Engine
from app.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from app.feed import Feed
from app.files import FileShelf, open_artifact
from app.home import Home
from app.making import create, new_task
from app.schemas import EventPage, TaskPage, TaskRequest, TaskView, event_view, task_view
from app.wakes import Wakes
from memory.database import Database

_PAGE = 200
_MAX_KEY_CHARS = 200


class ModelCheck(Protocol):
    """Says whether a model's name can be used."""

    async def check(self, name: str) -> None:
        """Refuse a name that no model has.

        Raises:
            InvalidInputError: nobody knows the name.
        """
        ...


@dataclass(frozen=True)
class Submitted:
    """A task that was submitted now, or before under the same key."""

    task: TaskView
    created: bool


class TaskService:
    """Submit, look at, follow and cancel tasks."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        wakes: Wakes,
        shelf: FileShelf,
        home: Home,
        models: ModelCheck,
        *,
        min_free_bytes: int = 0,
    ) -> None:
        self._database = database
        self._engine = engine
        self._feed = Feed(database, wakes)
        self._shelf = shelf
        self._home = home
        self._models = models
        self._min_free_bytes = min_free_bytes

    @property
    def files(self) -> FileShelf:
        """Where files are handed in."""
        return self._shelf

    async def submit(
        self, request: TaskRequest, *, key: str | None = None, caller: Caller = LOCAL
    ) -> Submitted:
        """Queue a task; the same key and request give the task of the first time.

        Raises:
            InvalidInputError: a file, model or agent is not known, or the key is of no use.
            ConflictError: the key was used with another request, or the agent is paused.
            TooManyError: the namespace or the agent has used up what it may.
            ForbiddenError: the request names a namespace that is not the caller's.
            UnavailableError: the disk is nearly full.
        """
        _check_key(key)
        namespace = caller.place(request.namespace)
        uploaded = await self._shelf.find(namespace, request.files)
        body_hash = _hash(request, uploaded)
        if key:
            known = partial(tasks.known_key, namespace=namespace, key=key)
            if before := await self._database.read(known):
                return await self._again(*before, body_hash, namespace)
        await self._admit(request)
        if request.namespace is not None:
            await self._check_namespace(namespace)
        later = request.schedule.at if request.schedule else None
        task = new_task(request, uploaded, namespace, caller.key_id, not_before=later)
        made = await self._database.run(
            partial(
                _create,
                task=task,
                request=request,
                key=key,
                body_hash=body_hash,
                engine=self._engine,
            )
        )
        if made is not None:
            return await self._again(*made, body_hash, namespace)
        await self._engine.submit(task.id)
        return Submitted(await self.get(task.id, namespace=namespace), created=True)

    async def _again(
        self, known_hash: str, task_id: str, body_hash: str, namespace: str
    ) -> Submitted:
        if known_hash != body_hash:
            message = "this Idempotency-Key was used with another request; take a new one"
            raise ConflictError(message)
        return Submitted(await self.get(task_id, namespace=namespace), created=False)

    async def _admit(self, request: TaskRequest) -> None:
        if request.model:
            await self._models.check(request.model)
        free = (await asyncio.to_thread(shutil.disk_usage, self._home.path)).free
        if free < self._min_free_bytes:
            message = f"only {free >> 20} MiB of disk are free; make room and try again"
            raise UnavailableError(message)

    async def _check_namespace(self, name: str) -> None:
        if await self._database.read(partial(namespaces.get, name=name)) is None:
            message = f"there is no namespace {name!r}"
            raise InvalidInputError.of("namespace", message)

    async def get(self, task_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> TaskView:
        """Return a task.

        Raises:
            NotFoundError: there is none of that id.
        """
        return _view(await self._row(task_id, namespace))

    async def list(self, wanted: TaskFilter, *, cursor: str | None = None) -> TaskPage:
        """Return a page of tasks, newest first.

        Raises:
            InvalidInputError: the cursor is not one that was given out.
        """
        page = replace(wanted, limit=wanted.limit + 1, before=position_of(cursor))
        rows = await self._database.read(partial(tasks.find, wanted=page))
        shown, following = page_of(rows, wanted.limit)
        return TaskPage(items=[_view(row) for row in shown], next_cursor=following)

    async def cancel(self, task_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> TaskView:
        """End a task at once.

        Raises:
            NotFoundError: there is none of that id.
            ConflictError: it ended before, in another way.
        """
        await self._row(task_id, namespace)
        if not await self._database.run(partial(tasks.cancel, task_id=task_id)):
            task = await self._row(task_id, namespace)
            if task.status == "cancelled":
                return _view(task)
            message = f"the task is over already: {task.status}"
            raise ConflictError(message)
        await self._engine.cancel(task_id)
        return await self.get(task_id, namespace=namespace)

    async def events(
        self,
        task_id: str,
        *,
        after: int = 0,
        limit: int = _PAGE,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> EventPage:
        """Return the events that follow number `after`.

        Raises:
            NotFoundError: there is no task of that id.
        """
        task = await self._row(task_id, namespace)
        rows = await self._events(task_id, after, limit)
        reached = rows[-1].seq if rows else after
        ended = bool(rows and rows[-1].kind == "end" and reached >= task.last_seq)
        if not rows and task.over and after >= task.last_seq:
            ended = await self.ended_at(task_id, after, namespace=namespace)
        return EventPage(items=[event_view(row) for row in rows], after=reached, ended=ended)

    async def ended_at(self, task_id: str, seq: int, *, namespace: str = DEFAULT_NAMESPACE) -> bool:
        """Whether the task's last event is number `seq` or before.

        Raises:
            NotFoundError: there is no task of that id.
        """
        task = await self._row(task_id, namespace)
        last = await self._events(task_id, task.last_seq - 1, 1)
        if not last and task.over:
            return True  # its events were removed when they were old
        return bool(last and last[0].kind == "end" and last[0].seq <= seq)

    async def follow(
        self, task_id: str, *, after: int = 0, namespace: str = DEFAULT_NAMESPACE
    ) -> AsyncGenerator[EventRow]:
        """Give the events that follow number `after` as they happen, up to the end.

        Raises:
            NotFoundError: there is no task of that id.
        """
        if await self.ended_at(task_id, after, namespace=namespace):
            return
        async with contextlib.aclosing(self._feed.follow(task_id, after)) as rows:
            async for row in rows:
                yield row
                # A task that was retried goes on after the end of an earlier run.
                if row.kind == "end" and await self.ended_at(task_id, row.seq, namespace=namespace):
                    return

    async def artifact(
        self, task_id: str, name: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> BinaryIO:
        """Open a file that the task's answer handed over.

        Raises:
            NotFoundError: there is no such task or file.
        """
        task = await self._row(task_id, namespace)
        if name not in {artifact["name"] for artifact in task.artifacts}:
            message = f"the task handed over no file {name[:200]!r}"
            raise NotFoundError(message)
        return await asyncio.to_thread(open_artifact, self._home.workspace(task_id), name)

    async def _events(self, task_id: str, after: int, limit: int) -> Sequence[EventRow]:
        return await self._database.read(
            partial(events.after, task_id=task_id, seq=after, limit=limit)
        )

    async def _row(self, task_id: str, namespace: str) -> TaskRow:
        task = await self._database.read(partial(tasks.get, task_id=task_id))
        if task is None or task.namespace != namespace:
            message = f"there is no task {task_id[:100]!r}"
            raise NotFoundError(message)
        return task


def _view(task: TaskRow) -> TaskView:
    return task_view(
        task, worked_s=claims.worked_s(task, now()) if task.owner else task.worked_seconds
    )


def _create(
    connection: Connection,
    task: TaskRow,
    request: TaskRequest,
    key: str | None,
    body_hash: str,
    engine: Engine,
) -> tuple[str, str] | None:
    """Insert the task; return what the key stands for if another request was faster."""
    if key:
        before = tasks.known_key(connection, task.namespace, key)
        if before is not None:
            return before
    create(connection, on_behalf(connection, task, request), engine.enqueue)
    if key:
        tasks.remember_key(connection, task.namespace, key, body_hash, task.id)
    return None


def _check_key(key: str | None) -> None:
    if key is not None and not (0 < len(key) <= _MAX_KEY_CHARS and key.isprintable()):
        message = f"expected 1 to {_MAX_KEY_CHARS} printable characters"
        raise InvalidInputError.of("Idempotency-Key", message)


def _hash(request: TaskRequest, uploaded: Sequence[FileRow]) -> str:
    """Return the digest of a request, in which files count by what they hold."""
    body = request.model_dump(mode="json", exclude={"files", "namespace"})
    body["files"] = [(row.name, row.sha256) for row in uploaded]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
