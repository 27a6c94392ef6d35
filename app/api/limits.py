"""Bound what a request may hold, and how long it may take, while it is read and not after."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem

_CLOSE = {"Connection": "close"}
_LEAST_RATE = 4096
"""Bytes a second, below which a body counts as too slow."""
_WITH_FILES = ("multipart/form-data", "application/octet-stream")


class BodyLimit:
    """Refuses a body as soon as it is seen to be too large, or to come too slowly."""

    def __init__(
        self, app: ASGIApp, *, json_bytes: int, upload_bytes: int, wait_s: float = 30.0
    ) -> None:
        self._app = app
        self._json_bytes = json_bytes
        self._upload_bytes = upload_bytes
        self._wait_s = wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(headers)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            response = problem(413, _message(limit), headers=_CLOSE)
            await response(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit, self._wait_s), send)

    def _limit(self, headers: Headers) -> int:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return self._upload_bytes if kind in _WITH_FILES else self._json_bytes


def _counted(receive: Receive, limit: int, wait_s: float) -> Receive:
    read = 0
    complete = False
    began: float | None = None

    async def counted() -> Message:
        nonlocal read, complete, began
        if complete:  # what comes now is that the client has left, whenever it does
            return await receive()
        moment = time.monotonic()
        began = began or moment
        left_s = began + wait_s + read / _LEAST_RATE - moment
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                message = await receive()
        except TimeoutError:
            detail = f"expected the body within {wait_s:g} seconds and one for every 4 KiB"
            raise HTTPException(408, detail, _CLOSE) from None
        read += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if read > limit:
            raise HTTPException(413, _message(limit), _CLOSE)
        return message

    return counted


def _message(limit: int) -> str:
    return f"expected a request of at most {limit} bytes"
