"""Put a task's question to the person at the terminal."""

import asyncio
import sys
from typing import Any

from app.cli.text import clean


async def ask_on_terminal(data: dict[str, Any]) -> str:
    """Return the line a person types; an empty one is asked for again.

    Reading goes through the event loop, so that Ctrl-C needs no further key.
    """
    sys.stderr.write(f"\nThe task asks: {clean(data.get('text', ''))}\n")
    while True:
        sys.stderr.write("> ")
        sys.stderr.flush()
        line = await _line()
        if not line:
            raise EOFError
        if line.strip():
            return line.strip()


async def _line() -> str:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(sys.stdin, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()
