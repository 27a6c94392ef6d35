"""`strop memory`: look at what was learned."""

from argparse import Namespace

from app.cli.exits import CliError, Exit
from app.cli.text import one_line, say, say_json, table
from app.settings import load_settings
from app.wiring import open_runtime
from memory.base import EntryNotFoundError
from memory.memory import Memory
from memory.receipts.wording import receipt_text
from memory.records import Entry, Tip

_PAGE = 100


async def list_entries(args: Namespace) -> int:
    """Print what was learned, newest first."""
    async with open_runtime(load_settings(), work=False) as runtime:
        entries = await runtime.memory.list(
            namespace=args.namespace,
            kind=args.kind,
            statuses=(args.status,) if args.status else (),
            limit=args.limit,
        )
    if args.json:
        say_json(entries)
        return Exit.DONE
    rows = [
        (entry.id[:14], entry.kind, entry.status, entry.uses, _scope(entry), entry.text)
        for entry in entries
    ]
    head = ("id", "kind", "status", "uses", "about", "text")
    say(table(head, rows) if rows else "nothing was learned yet")
    return Exit.DONE


async def show(args: Namespace) -> int:
    """Print an entry with where it came from and its versions."""
    async with open_runtime(load_settings(), work=False) as runtime:
        entry = await _find(runtime.memory, args.id, args.namespace)
        versions = await runtime.memory.history(entry.id)
        found = await runtime.memory.receipt(entry.id)
    if args.json:
        say_json({"entry": entry, "versions": versions, "receipt": found})
        return Exit.DONE
    came = entry.provenance
    say(f"{entry.id}  {entry.kind}, {entry.status}, version {entry.version}")
    say(f"text: {entry.text}")
    say(f"about: {_scope(entry)}")
    say(f"learned from: task {came.task_id or '-'}, steps {', '.join(map(str, came.steps)) or '-'}")
    say(f"by: {came.author}" + (f" with the model {came.model}" if came.model else ""))
    say(f"receipt: {found.summary}")
    for version in versions:
        made = f"{version.created_at:%Y-%m-%d %H:%M}"
        say(f"  version {version.version}, {made}: {one_line(version.text)}")
    return Exit.DONE


async def receipt(args: Namespace) -> int:
    """Print what an entry is worth, as far as it is known."""
    async with open_runtime(load_settings(), work=False) as runtime:
        entry = await _find(runtime.memory, args.id, args.namespace)
        found = await runtime.memory.receipt(entry.id)
    if args.json:
        say_json(found)
        return Exit.DONE
    say(f"{entry.id}  {entry.kind}, {entry.status}, version {entry.version}")
    say(f"text: {one_line(entry.text)}")
    say(receipt_text(found))
    return Exit.DONE


async def _find(memory: Memory, start: str, namespace: str) -> Entry:
    try:
        entry = await memory.get(start)
        if entry.namespace != namespace:
            raise EntryNotFoundError(start)
    except EntryNotFoundError:
        found: list[Entry] = []
        after = ""
        while page := await memory.list(namespace=namespace, after=after, limit=_PAGE):
            found += [entry for entry in page if entry.id.startswith(start)]
            after = page[-1].id
        if not found or not start:
            raise
        if len(found) > 1:
            message = f"several ids begin with {start!r}; type more of it"
            raise CliError(Exit.WRONG_USE, message) from None
        return found[0]
    return entry


def _scope(entry: Entry) -> str:
    if not isinstance(entry.body, Tip):
        return "shortcut"
    scope = entry.body.scope
    return f"{scope.level} {scope.key}".strip()
