"""`strop keys`: make keys, list them, take them back."""

from argparse import Namespace
from datetime import timedelta

from app.cli.exits import Exit
from app.cli.text import note, say, say_json, table
from app.db.keys import KeyRow
from app.db.types import now
from app.settings import load_settings
from app.wiring import open_runtime


async def create(args: Namespace) -> int:
    """Make a key and print it, this once."""
    expires = now() + timedelta(days=args.days) if args.days else None
    async with open_runtime(load_settings(), work=False) as runtime:
        first = not await runtime.access.locked()
        made = await runtime.access.create(
            args.name,
            args.namespace,
            args.scope or ["tasks:read", "tasks:write"],
            expires_at=expires,
        )
    if args.json:
        say_json({**_shown(made.row), "key": made.token})
        return Exit.DONE
    note(f"key {made.row.id}; it is shown this once, keep it somewhere safe:")
    say(made.token)
    if first:
        note("from now on every request to the server needs a key, on this machine too")
    return Exit.DONE


async def list_keys(args: Namespace) -> int:
    """Print every key without its secret."""
    async with open_runtime(load_settings(), work=False) as runtime:
        rows = await runtime.access.keys()
    if args.json:
        say_json({"items": [_shown(row) for row in rows]})
        return Exit.DONE
    lines = [
        (
            row.id,
            row.name,
            row.namespace,
            " ".join(row.scopes),
            f"{row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never",
            _state(row),
        )
        for row in rows
    ]
    head = ("id", "name", "namespace", "scopes", "last used (UTC)", "state")
    say(table(head, lines) if lines else "no keys yet; the server listens on loopback only")
    return Exit.DONE


async def revoke(args: Namespace) -> int:
    """Take a key back."""
    async with open_runtime(load_settings(), work=False) as runtime:
        row = await runtime.access.revoke(args.id)
    if args.json:
        say_json(_shown(row))
    else:
        say(f"{row.id}  revoked")
    return Exit.DONE


def _shown(row: KeyRow) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "hash"}


def _state(row: KeyRow) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "usable" if row.usable(now()) else "expired"
