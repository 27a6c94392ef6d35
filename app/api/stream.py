"""Write events as Server-Sent Events."""

import asyncio
from collections.abc import AsyncGenerator

from app.db.records import EventRow
from app.schemas import event_view

KEEP_ALIVE = ": still here\n\n"


def event_text(event: EventRow) -> str:
    """Return an event as the stream carries it."""
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {event_view(event).model_dump_json()}\n\n"


async def event_stream(
    events: AsyncGenerator[EventRow], *, keep_alive_s: float
) -> AsyncGenerator[str]:
    """Write events as they come, and a comment whenever it has been silent for a while."""
    following = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=keep_alive_s)
            if not done:
                yield KEEP_ALIVE
                continue
            event = following.result()
            if event is None:
                return
            yield event_text(event)
            following = asyncio.ensure_future(anext(events, None))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await events.aclose()
