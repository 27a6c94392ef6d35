"""Write events as Server-Sent Events."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from app.db.records import EventRow
from app.schemas import event_view

KEEP_ALIVE = ": still here\n\n"
_RECHECK_S = 3.0
"""How long a key that was taken back goes on reading at most."""


def event_text(event: EventRow) -> str:
    """Return an event as the stream carries it."""
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {event_view(event).model_dump_json()}\n\n"


async def event_stream(
    events: AsyncGenerator[EventRow],
    *,
    keep_alive_s: float,
    admitted: Callable[[], Awaitable[bool]],
) -> AsyncGenerator[str]:
    """Write events as they come, and a comment whenever it has been silent for a while.

    Args:
        events: what is written.
        keep_alive_s: how long it may be silent.
        admitted: whether the reader may still read; asked every few seconds.
    """
    recheck_s = min(_RECHECK_S, keep_alive_s)
    moment = asyncio.get_running_loop().time
    following = asyncio.ensure_future(anext(events, None))
    spoke = checked = moment()
    try:
        while True:
            wait_s = min(spoke + keep_alive_s, checked + recheck_s) - moment()
            done, _ = await asyncio.wait({following}, timeout=max(0.0, wait_s))
            if moment() >= checked + recheck_s:
                if not await admitted():
                    return
                checked = moment()
            if done:
                event = following.result()
                if event is None:
                    return
                yield event_text(event)
                following = asyncio.ensure_future(anext(events, None))
            elif moment() >= spoke + keep_alive_s:
                yield KEEP_ALIVE
            else:
                continue
            spoke = moment()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await events.aclose()
