"""Let requests wait for the database as long as a client may be kept waiting, and no longer."""

from starlette.types import ASGIApp, Receive, Scope, Send

from memory.database import patience


class Patience:
    """Bounds how long a request's transactions wait for other writers."""

    def __init__(self, app: ASGIApp, *, wait_s: float) -> None:
        self._app = app
        self._wait_s = wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what works on tasks begins elsewhere and waits longer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with patience(self._wait_s):
            await self._app(scope, receive, send)
