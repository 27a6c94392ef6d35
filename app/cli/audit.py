"""`strop audit`: who did what."""

from argparse import Namespace

from app.cli.exits import Exit
from app.cli.text import say, say_json, table
from app.db.audit import AuditFilter
from app.settings import load_settings
from app.wiring import open_runtime


async def audit(args: Namespace) -> int:
    """Print the newest lines of the audit log."""
    wanted = AuditFilter(
        namespace=args.namespace, action=args.action or "", key_id=args.key or "", limit=args.limit
    )
    async with open_runtime(load_settings(), work=False) as runtime:
        rows = await runtime.namespaces.audit(wanted)
    if args.json:
        say_json({"items": [vars(row) for row in rows]})
        return Exit.DONE
    lines = [
        (
            f"{row.at:%Y-%m-%d %H:%M:%S}",
            row.key_id or "-",
            row.address or "-",
            row.namespace,
            row.action,
            row.object,
            row.result,
        )
        for row in rows
    ]
    head = ("at (UTC)", "key", "from", "namespace", "action", "object", "result")
    say(table(head, lines) if lines else "nothing was done yet")
    return Exit.DONE
