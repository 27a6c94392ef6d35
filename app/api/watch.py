"""Give each request an id, count it and time it."""

import re
import time
import uuid
from typing import Any, Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import placed

HEADER = "X-Request-ID"
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Watcher(Protocol):
    """Is told of requests."""

    def answered(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Note a request that is over; a stream has no duration worth noting."""
        ...

    def reading(self, change: int) -> None:
        """Note that an event stream was opened (1) or closed (-1)."""
        ...


class Watch:
    """Measures every request; the outermost layer, so that refusals are counted too."""

    def __init__(self, app: ASGIApp, *, watcher: Watcher) -> None:
        self._app = app
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under an id, which the response names."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watched = _Watched(self._watcher, send, _id(Headers(scope=scope)))
        with placed(request=watched.request_id):
            try:
                await self._app(scope, receive, watched.send)
            finally:
                watched.over(scope)


class _Watched:
    """One request under way."""

    def __init__(self, watcher: Watcher, send: Send, request_id: str) -> None:
        self.request_id = request_id
        self._watcher = watcher
        self._send = send
        self._began = time.monotonic()
        self._status = 0
        self._streams = False

    async def send(self, message: Message) -> None:
        """Send on, with the request's id in the headers."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers[HEADER] = self.request_id
            self._status = message["status"]
            self._streams = headers.get("content-type", "").startswith("text/event-stream")
            if self._streams:
                self._watcher.reading(1)
        await self._send(message)

    def over(self, scope: Scope) -> None:
        """Note how the request ended; 0 stands for a client that left before the answer."""
        seconds = None if self._streams else time.monotonic() - self._began
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._watcher.answered(method, _route(scope), self._status, seconds)
        if self._streams:
            self._watcher.reading(-1)


def _route(scope: Scope) -> str:
    """Return the template of the route, never the path itself: its values know no bound."""
    route: Any = scope.get("route")
    template = scope.get("strop.route") or getattr(route, "path", "")
    if template:
        return str(template)
    return "unmatched" if scope["path"].startswith("/api/") else "page"


def _id(headers: Headers) -> str:
    """Return the id that the client gave, if it is a harmless one, or a new one."""
    given = headers.get(HEADER, "")
    return given if _GOOD_ID.fullmatch(given) else uuid.uuid4().hex
