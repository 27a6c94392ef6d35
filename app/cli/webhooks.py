"""`strop webhooks`: tell other programs how tasks fare."""

from argparse import Namespace

from app.callers import Caller
from app.cli.exits import Exit
from app.cli.shapes import read_shape
from app.cli.text import note, say, say_either, say_json, table
from app.schemas_webhooks import WebhookRequest, WebhookView
from app.settings import load_settings
from app.wiring import open_runtime


async def add(args: Namespace) -> int:
    """Make a webhook and print its secret, this once."""
    request = read_shape(WebhookRequest, {"url": args.url, "statuses": tuple(args.status)})
    async with open_runtime(load_settings(), work=False) as runtime:
        made = await runtime.webhooks.create(request, caller=Caller(namespace=args.namespace))
    if args.json:
        say_json(made)
        return Exit.DONE
    _tell(made)
    note("its secret, shown this once, with which it checks signatures:")
    say(made.secret)
    return Exit.DONE


async def list_webhooks(args: Namespace) -> int:
    """Print webhooks, newest first."""
    async with open_runtime(load_settings(), work=False) as runtime:
        page = await runtime.webhooks.list(args.namespace, cursor=None, limit=200)
    if args.json:
        say_json(page)
        return Exit.DONE
    rows = [(item.id, _state(item), _statuses(item), item.url) for item in page.items]
    head = ("id", "state", "told of", "url")
    say(table(head, rows) if rows else "no webhooks; see: strop webhooks add --help")
    return Exit.DONE


async def show(args: Namespace) -> int:
    """Print one webhook, without its secret."""
    async with open_runtime(load_settings(), work=False) as runtime:
        item = await runtime.webhooks.get(args.id, namespace=args.namespace)
    if args.json:
        say_json(item)
    else:
        _tell(item)
    return Exit.DONE


async def remove(args: Namespace) -> int:
    """Delete a webhook and what waits for it."""
    async with open_runtime(load_settings(), work=False) as runtime:
        await runtime.webhooks.remove(args.id, namespace=args.namespace)
    words = f"{args.id}  removed, with what waited for it"
    say_either({"removed": args.id}, words, json=args.json)
    return Exit.DONE


async def test(args: Namespace) -> int:
    """Queue a message that tells nothing."""
    async with open_runtime(load_settings(), work=False) as runtime:
        delivery_id = await runtime.webhooks.test(args.id, namespace=args.namespace)
    words = f"{delivery_id}  is sent by the next process that serves or works"
    say_either({"delivery_id": delivery_id}, words, json=args.json)
    return Exit.DONE


async def deliveries(args: Namespace) -> int:
    """Print what was sent to a webhook and what became of it, newest first."""
    async with open_runtime(load_settings(), work=False) as runtime:
        page = await runtime.webhooks.deliveries(
            args.id, namespace=args.namespace, cursor=None, limit=args.limit
        )
    if args.json:
        say_json(page)
        return Exit.DONE
    rows = [
        (
            item.id,
            f"{item.created_at:%Y-%m-%d %H:%M:%S}",
            item.body.get("type", ""),
            item.state,
            item.attempts,
            item.last_error or "",
        )
        for item in page.items
    ]
    head = ("id", "at (UTC)", "tells", "state", "tries", "last error")
    say(table(head, rows) if rows else "nothing was sent to it yet")
    return Exit.DONE


async def redeliver(args: Namespace) -> int:
    """Queue a delivery once more."""
    async with open_runtime(load_settings(), work=False) as runtime:
        item = await runtime.webhooks.redeliver(args.id, args.delivery, namespace=args.namespace)
    words = f"{item.id}  is sent once more by the next process that serves or works"
    say_either(item, words, json=args.json)
    return Exit.DONE


def _state(item: WebhookView) -> str:
    return "on" if item.enabled else f"off: {item.disabled_because}"


def _statuses(item: WebhookView) -> str:
    return ", ".join(item.statuses) or "everything"


def _tell(item: WebhookView) -> None:
    say(f"{item.id}  {item.url}  ({_state(item)})")
    say(f"told of: {_statuses(item)}")
