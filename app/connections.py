"""Bound what one connection, and all of them together, may take of the server.

Uvicorn waits without end for a request's head and for a reader that does not read, and lets its
fast parser collect heads of any size. Here each wait has a deadline, and each head a limit.
"""

import json
import resource
from asyncio import TimerHandle
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_HEAD_BYTES = 64 << 10
_SPARE_FILES = 256
"""Descriptors that are kept for the database, sandboxes and files."""
_ENOUGH_FILES = 65_536


@dataclass(frozen=True)
class Bounds:
    """How long clients may take, and how many may come."""

    wait_s: float
    """For a request's head to come, and for a reader to take in what waits for it."""
    connections: int


def protocol(bounds: Bounds) -> type[Any]:
    """Return the class of connections for uvicorn."""
    # The base is one of two classes, which uvicorn chooses by what is installed.
    base: Any = AutoHTTPProtocol

    class Bounded(_Deadlines, base):
        """A connection of uvicorn with deadlines."""

    Bounded.bounds = bounds
    return Bounded


def allow_files() -> int:
    """Let this process open as many files as it may; return how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    wanted = max(soft, _ENOUGH_FILES if unlimited else min(hard, _ENOUGH_FILES))
    if soft not in {wanted, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(16, wanted - _SPARE_FILES)


class _Deadlines:
    """What is laid over uvicorn's protocol, which has no types of use here."""

    bounds: Bounds
    cycle: Any
    """The request that came last, and its response."""
    transport: Any
    loop: Any
    connections: set[Any]

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's signature
        """Refuse what is too much; wait for the first head of the others."""
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None
        self._stall_timer: TimerHandle | None = None
        self._up.connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self._refuse(503, "the server has as many connections as it takes; try again")
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on; count what belongs to a head, and see when one is complete."""
        before = self.cycle
        in_body = before is not None and before.more_body
        self._up.data_received(data)
        if self.transport.is_closing():
            return
        if self.cycle is not before:
            self._head_bytes = 0
            self._stop(self._head_timer)
            self._head_timer = None
            return
        if not in_body:
            self._head_bytes += len(data)
        if self._head_bytes > _HEAD_BYTES:
            self._refuse(431, f"expected a request line and headers of at most {_HEAD_BYTES} bytes")
        elif before is None or self._head_bytes or before.response_complete:
            self._await_head()

    def pause_writing(self) -> None:
        """Give a reader that is behind a moment to catch up."""
        self._up.pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.bounds.wait_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the reader has caught up."""
        self._stop(self._stall_timer)
        self._stall_timer = None
        self._up.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind."""
        self._stop(self._head_timer)
        self._stop(self._stall_timer)
        self._up.connection_lost(exc)

    @property
    def _up(self) -> Any:  # noqa: ANN401 - uvicorn's class
        return super()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.bounds.wait_s, self._late)

    def _late(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # what has begun to come is for later; the answer comes first
        elif self._head_bytes:
            self._refuse(408, f"expected the whole head within {self.bounds.wait_s:g} seconds")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer without the application, unless a response is under way, and hang up."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_refusal(status, detail))
        self.transport.close()

    @staticmethod
    def _stop(timer: TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def _refusal(status: int, detail: str) -> bytes:
    title = HTTPStatus(status).phrase
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Retry-After: 5\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
