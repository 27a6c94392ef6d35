"""`strop tidy`: remove what is older than the settings and namespaces say."""

from argparse import Namespace
from collections import Counter

from app.cli.exits import Exit
from app.cli.text import note, say, say_json
from app.settings import load_settings
from app.wiring import open_runtime


async def tidy(args: Namespace) -> int:
    """Remove what is old and say how much it was."""
    async with open_runtime(load_settings(), work=False) as runtime:
        done = await runtime.retention.run(None if args.json else _tell)
    if args.json:
        say_json({"removed": dict(done)})
    else:
        say(f"removed: {_text(done)}" if done else "nothing is old enough to be removed")
    return Exit.DONE


def _tell(done: Counter[str]) -> None:
    note(f"so far: {_text(done)}")


def _text(done: Counter[str]) -> str:
    named = {"tasks": "what was left of tasks"}
    return ", ".join(f"{number} {named.get(what, what)}" for what, number in done.items())
