"""Bound what a request may hold, while it is read and not after."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem

_WITH_FILES = ("multipart/form-data", "application/octet-stream")


class BodyLimit:
    """Refuses a body as soon as it is seen to be too large."""

    def __init__(self, app: ASGIApp, *, json_bytes: int, upload_bytes: int) -> None:
        self._app = app
        self._json_bytes = json_bytes
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(headers)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            response = problem(413, _message(limit), headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)

    def _limit(self, headers: Headers) -> int:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return self._upload_bytes if kind in _WITH_FILES else self._json_bytes


def _counted(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, _message(limit))
        return message

    return counted


def _message(limit: int) -> str:
    return f"expected a request of at most {limit} bytes"
