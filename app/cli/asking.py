"""Put a task's question to the person at the terminal."""

import asyncio
import json
import sys
from typing import Any

from app.cli.text import clean
from app.schemas_approvals import DecisionRequest


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


async def decide_on_terminal(data: dict[str, Any]) -> DecisionRequest:
    """Return whether the person lets a call be made; words that are neither yes nor no reject it.

    Raises:
        EOFError: nobody types any more.
    """
    arguments = clean(json.dumps(data.get("arguments", {}), ensure_ascii=False, indent=2))
    again = "may have been made already; make again" if data.get("kind") == "repeat" else "wants"
    sys.stderr.write(f"\nThe task {again}: {clean(data['tool'])} {arguments}\n")
    sys.stderr.write("Allow it? y, n, or words to the model instead of it\n> ")
    sys.stderr.flush()
    line = await _line()
    if not line:
        raise EOFError
    words = line.strip()
    if words.lower() in {"y", "yes"}:
        return DecisionRequest(decision="approve")
    note = "" if words.lower() in {"", "n", "no"} else words[:4000]
    return DecisionRequest(decision="reject", note=note)


async def _line() -> str:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(sys.stdin, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()
