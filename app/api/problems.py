"""Every error as `application/problem+json` (RFC 9457), without a stack trace."""

import errno
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path

from app.errors import AppError, FieldError
from memory.base import EntryNotFoundError
from memory.database import Trouble, trouble
from models.base import ModelError

_LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_SHOWN_CHARS = 100
_RETRY_AFTER_S = 5
_NO_ROOM = "the disk is full, and whoever runs the server must free some space"
_LACKS = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: _NO_ROOM,
    errno.EMFILE: "the server has too many files open",
    errno.ENFILE: "the server has too many files open",
}
_TROUBLES: dict[Trouble, str] = {
    "full": "the disk of the database is full, and whoever runs the server must free some space",
    "locked": "the database is busy: others have written to it for too long",
    "away": "the database does not answer",
}
_SCHEMA = "#/components/schemas/Problem"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
    """Field by field, when fields are wrong."""


def problem(
    status: int,
    detail: str,
    *,
    fields: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error as a response."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=[FieldProblem(field=f.field, message=f.message) for f in fields] or None,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=_waiting(status) | dict(headers or {}),
    )


def _waiting(status: int) -> dict[str, str]:
    """Return the header that says when to try again, where trying again may help."""
    unavailable = status == HTTPStatus.SERVICE_UNAVAILABLE
    return {"Retry-After": str(_RETRY_AFTER_S)} if unavailable else {}


RESPONSES: dict[int | str, dict[str, Any]] = {
    statuses: {"description": meaning, "content": {MEDIA_TYPE: {"schema": {"$ref": _SCHEMA}}}}
    for statuses, meaning in (
        ("4XX", "What is wrong with the request"),
        ("422", "Field by field, what is wrong with the request"),
        ("5XX", "What went wrong in the server"),
    )
}
"""For routers: every error has this shape."""


def install(app: FastAPI) -> None:
    """Let the application answer every error as a problem."""
    app.add_exception_handler(AppError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(EntryNotFoundError, _entry)
    app.add_exception_handler(ModelError, _model)
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(OSError, _system)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _fault)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppError)  # noqa: S101 - registered for this class only
    return problem(error.status, str(error), fields=error.fields, headers=error.headers)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    status, headers = error.status_code, dict(error.headers or {})
    if status == HTTPStatus.BAD_REQUEST:  # a body that cannot be read; 422 like any other
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _methods(request) or headers.get("Allow", "")
    return problem(status, str(error.detail), headers=headers)


def _methods(request: Request) -> str:
    """Return what can be done at the request's path; the router names its first route's only."""
    paths: dict[str, Any] = request.app.openapi()["paths"]
    found: set[str] = set()
    for path, operations in paths.items():
        if compile_path(path)[0].match(request.url.path):
            found |= {name.upper() for name in operations}
    return ", ".join(sorted(found))


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    fields = [_field(item) for item in error.errors()]
    detail = "; ".join(f"{f.field}: {f.message}" if f.field else f.message for f in fields[:3])
    return problem(422, detail or "the request is not valid", fields=fields)


def _field(item: Mapping[str, Any]) -> FieldError:
    """Return what is wrong with a field, in our words and without what was sent in full."""
    place: tuple[str | int, ...] = item.get("loc", ())
    inside = [str(part) for part in place if part not in {"body", "query", "path", "header"}]
    if item.get("type") == "json_invalid":
        reason = item.get("ctx", {}).get("error", "malformed")
        return FieldError("", f"expected JSON; it is malformed: {reason}")
    message = str(item.get("msg", "not valid"))
    got = item.get("input")
    if isinstance(got, str | int | float | bool) and item.get("type") != "missing":
        message += f"; got {_short(got)}"
    return FieldError(".".join(inside), message)


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}… ({len(text)} characters)"


async def _entry(_request: Request, error: Exception) -> JSONResponse:
    return problem(404, str(error))


async def _model(_request: Request, error: Exception) -> JSONResponse:
    return problem(503, str(error))


async def _database(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SQLAlchemyError)  # noqa: S101 - registered for this class only
    _LOG.error("the database failed: %s", error)
    return problem(503, f"{_TROUBLES[trouble(error)]}; try again")


async def _system(request: Request, error: Exception) -> JSONResponse:
    """Say what the machine lacks; any other error of the system is a fault."""
    lack = _LACKS.get(getattr(error, "errno", None) or 0)
    if lack is None:
        return await _fault(request, error)
    _LOG.error("%s %s failed: %s", request.method, request.url.path, lack)
    return problem(503, f"{lack}; try again")


async def _gone(_request: Request, _error: Exception) -> JSONResponse:
    return problem(422, "the request ended before its body did")  # nobody is there to read it


async def _fault(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s failed by a fault of Strop", request.method, request.url.path, exc_info=error)
    return problem(500, "a fault of the server; its log tells more")
