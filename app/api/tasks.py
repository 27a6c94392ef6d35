"""`/api/v1/tasks`: submit, look at, follow, cancel."""

import json
import mimetypes
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from app.api.caller import Reader, Writer
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.api.stream import event_stream
from app.api.times import Moment, zoned
from app.callers import Caller
from app.db.records import Status
from app.db.tasks import TaskFilter
from app.errors import InvalidInputError
from app.files import chunks
from app.schemas import (
    ArtifactView,
    EventPage,
    TaskPage,
    TaskRequest,
    TaskView,
    Text,
)
from app.wiring import Runtime

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], responses=RESPONSES)
_MAX_SEQ = 2**53
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/TaskRequest"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "task": {"type": "string", "description": "the JSON of a TaskRequest"},
                        "instruction": {"type": "string"},
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
        },
    }
}


class ListQuery(BaseModel):
    """What `GET /tasks` understands."""

    model_config = ConfigDict(extra="forbid")

    status: list[Status] = []
    created_after: Moment | None = None
    created_before: Moment | None = None
    agent: Text = Field(default="", max_length=100)
    """Id of the standing agent that made the tasks."""
    text: Text = Field(default="", max_length=1000)
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=200)


@dataclass(frozen=True)
class Submission:
    """A task as it came in."""

    task: TaskRequest
    uploads: tuple[str, ...] = ()
    """Ids of the files that came in the same request."""


async def submitted_request(request: Request, runtime: RuntimeOf, caller: Writer) -> Submission:
    """Return the task of a JSON or multipart request, its files taken in."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(request, runtime, caller)
    if kind not in {"application/json", ""}:
        raise InvalidInputError.of("Content-Type", f"expected application/json, got {kind[:100]!r}")
    return Submission(_parsed(await request.body()))


async def _from_form(request: Request, runtime: Runtime, caller: Caller) -> Submission:
    fields: dict[str, object] = {}
    uploads: list[UploadFile] = []
    async with request.form(max_files=50, max_fields=50) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                uploads.append(value)
            elif name == "task":
                fields |= _parsed(value.encode()).model_dump(exclude_unset=True)
            else:
                fields[name] = value
        request_ = _checked(fields)
        ids = await _taken_in(runtime, caller.place(request_.namespace), uploads)
    return Submission(request_.model_copy(update={"files": (*request_.files, *ids)}), ids)


async def _taken_in(runtime: Runtime, namespace: str, uploads: list[UploadFile]) -> tuple[str, ...]:
    ids: list[str] = []
    try:
        for upload in uploads:
            row = await runtime.tasks.files.add(namespace, upload.filename or "", upload)
            ids.append(row.id)
    except BaseException:
        await runtime.tasks.files.discard(ids)
        raise
    return tuple(ids)


def _parsed(body: bytes) -> TaskRequest:
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        place = {"type": "json_invalid", "loc": ("body",), "ctx": {"error": str(error)[:200]}}
        raise RequestValidationError([place]) from None
    return _checked(value)


def _no_number(name: str) -> None:
    message = f"{name} is no JSON value"
    raise ValueError(message)


def _checked(value: object) -> TaskRequest:
    try:
        return TaskRequest.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


_LOCATION = {"Location": {"description": "Where the task is", "schema": {"type": "string"}}}


@router.post(
    "",
    status_code=202,
    openapi_extra=_BODY,
    responses={
        202: {"description": "The task is new", "headers": _LOCATION},
        200: {
            "model": TaskView,
            "description": "The Idempotency-Key brought it before",
            "headers": _LOCATION,
        },
    },
)
async def submit(
    came: Annotated[Submission, Depends(submitted_request)],
    response: Response,
    runtime: RuntimeOf,
    caller: Writer,
    idempotency_key: Annotated[str | None, Header()] = None,
    traceparent: Annotated[str | None, Header()] = None,
) -> TaskView:
    """Submit a task: 202 when it is new, 200 when the Idempotency-Key brought it before."""
    created = False
    try:
        submitted = await runtime.tasks.submit(came.task, key=idempotency_key, caller=caller)
        created = submitted.created
    finally:
        if came.uploads and not created:
            await runtime.tasks.files.discard(came.uploads)
    if not created:
        response.status_code = 200
    elif traceparent:
        runtime.tracing.submitted(submitted.task.id, traceparent)
    response.headers["Location"] = f"/api/v1/tasks/{submitted.task.id}"
    return submitted.task


@router.get("")
async def list_tasks(
    query: Annotated[ListQuery, Query()], runtime: RuntimeOf, caller: Reader
) -> TaskPage:
    """List tasks, newest first."""
    wanted = TaskFilter(
        namespace=caller.namespace,
        statuses=tuple(query.status),
        created_after=zoned("created_after", query.created_after),
        created_before=zoned("created_before", query.created_before),
        text=query.text,
        agent_id=query.agent or None,
        limit=query.limit,
    )
    return await runtime.tasks.list(wanted, cursor=query.cursor)


@router.get("/{task_id}")
async def get(task_id: str, runtime: RuntimeOf, caller: Reader) -> TaskView:
    """Return a task as it stands."""
    return await runtime.tasks.get(task_id, namespace=caller.namespace)


@router.get(
    "/{task_id}/events",
    response_model=EventPage,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "Server-Sent Events up to the end, or a page of events as JSON",
        },
        204: {"description": "There is nothing after that event, and nothing will come"},
    },
)
async def events(
    task_id: str,
    request: Request,
    runtime: RuntimeOf,
    caller: Reader,
    after: Annotated[int | None, Query(ge=0, le=_MAX_SEQ)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    last_event_id: Annotated[int | None, Header(ge=0, le=_MAX_SEQ)] = None,
) -> Response:
    """Follow a task as Server-Sent Events, or get a page with `Accept: application/json`."""
    start = last_event_id if last_event_id is not None else after or 0
    accepted = request.headers.get("accept", "").lower()
    if "application/json" in accepted and "text/event-stream" not in accepted:
        page = await runtime.tasks.events(
            task_id, after=start, limit=limit, namespace=caller.namespace
        )
        return Response(page.model_dump_json(), media_type="application/json")
    if await runtime.tasks.ended_at(task_id, start, namespace=caller.namespace):
        # The one answer that makes a browser's EventSource stop coming back.
        return Response(status_code=204)
    return StreamingResponse(
        event_stream(
            runtime.tasks.follow(task_id, after=start, namespace=caller.namespace),
            keep_alive_s=runtime.settings.keep_alive_s,
            admitted=partial(runtime.access.still_admits, caller),
        ),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post("/{task_id}/cancel")
async def cancel(task_id: str, runtime: RuntimeOf, caller: Writer) -> TaskView:
    """End a task at once."""
    return await runtime.tasks.cancel(task_id, namespace=caller.namespace)


@router.get("/{task_id}/artifacts")
async def artifacts(task_id: str, runtime: RuntimeOf, caller: Reader) -> list[ArtifactView]:
    """List the files that the task's answer handed over."""
    task = await runtime.tasks.get(task_id, namespace=caller.namespace)
    return [
        ArtifactView(
            name=artifact["name"],
            size=artifact["size"],
            url=f"/api/v1/tasks/{task_id}/artifacts/{quote(artifact['name'])}",
        )
        for artifact in task.artifacts
    ]


_FILE = {"description": "The file", "content": {"*/*": {"schema": {"type": "string"}}}}


@router.get(
    "/{task_id}/artifacts/{name:path}",
    response_class=StreamingResponse,
    responses={200: _FILE},
)
async def artifact(
    task_id: str, name: str, runtime: RuntimeOf, caller: Reader
) -> StreamingResponse:
    """Return a file that the task's answer handed over, never to be shown as a page."""
    file = await runtime.tasks.artifact(task_id, name, namespace=caller.namespace)
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    plain = guessed.startswith(("text/csv", "text/plain", "image/png", "image/jpeg"))
    return StreamingResponse(
        chunks(file),
        media_type=guessed if plain else "application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.rpartition('/')[2])}",
            "Content-Security-Policy": "sandbox",
        },
    )
