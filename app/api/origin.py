"""Keep pages of other sites from driving a server that listens on this machine.

A page elsewhere can make a browser send requests here (CSRF), and can let its own name point
here (DNS rebinding). The first shows in `Origin` and `Sec-Fetch-Site`, the second in `Host`.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SameOrigin:
    """Refuses requests that come from, or for the sake of, another site."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = LOOPBACK) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            refusal = self._refusal(Headers(scope=scope))
            if refusal:
                await problem(403, refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> str:
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if _host_name(host) not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            return f"expected one of {known} as Host, got {host[:100]!r}"
        for origin in headers.getlist("origin"):
            if _place(origin) != host.lower():
                return f"requests from pages of {origin[:100]!r} are refused"
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"} and (
            headers.get("sec-fetch-mode") != "navigate"
        ):
            return "requests from pages of other sites are refused"
        return ""


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
