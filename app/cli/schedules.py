"""`strop schedules`: tasks that come by themselves."""

from argparse import Namespace
from typing import Any

from app.callers import Caller
from app.cli.exits import Exit
from app.cli.shapes import read_shape
from app.cli.text import one_line, say, say_either, say_json, table
from app.schemas_schedules import SchedulePatch, ScheduleRequest, ScheduleView
from app.settings import load_settings
from app.wiring import open_runtime


async def create(args: Namespace) -> int:
    """Make a schedule."""
    timing = {"cron": args.cron, "interval_s": args.every, "at": args.at, "timezone": args.timezone}
    fields: dict[str, Any] = {
        "name": args.name or one_line(args.task, 60),
        "timing": {name: value for name, value in timing.items() if value is not None},
        "task": {"instruction": args.task},
        "missed": args.missed,
        "overlap": args.overlap,
    }
    request = read_shape(ScheduleRequest, fields)
    async with open_runtime(load_settings(), work=False) as runtime:
        made = await runtime.schedules.create(request, caller=Caller(namespace=args.namespace))
    _tell(made, json=args.json)
    return Exit.DONE


async def list_schedules(args: Namespace) -> int:
    """Print schedules, newest first."""
    async with open_runtime(load_settings(), work=False) as runtime:
        page = await runtime.schedules.list(args.namespace, cursor=None, limit=200)
    if args.json:
        say_json(page)
        return Exit.DONE
    rows = [
        (
            item.id,
            item.name,
            _timing(item),
            f"{item.next_at:%Y-%m-%d %H:%M:%S}" if item.next_at and item.enabled else "-",
            item.last_task_id or "-",
            item.last_error or "",
        )
        for item in page.items
    ]
    head = ("id", "name", "when", "next (UTC)", "last task", "last error")
    say(table(head, rows) if rows else "no schedules; see: strop schedules create --help")
    return Exit.DONE


async def show(args: Namespace) -> int:
    """Print one schedule."""
    async with open_runtime(load_settings(), work=False) as runtime:
        item = await runtime.schedules.get(args.id, namespace=args.namespace)
    _tell(item, json=args.json)
    return Exit.DONE


async def switch(args: Namespace) -> int:
    """Hold a schedule, or let it be due again."""
    patch = SchedulePatch(enabled=args.enabled)
    async with open_runtime(load_settings(), work=False) as runtime:
        item = await runtime.schedules.change(args.id, patch, namespace=args.namespace)
    _tell(item, json=args.json)
    return Exit.DONE


async def run(args: Namespace) -> int:
    """Make the task now."""
    async with open_runtime(load_settings(), work=False) as runtime:
        task_id = await runtime.schedules.run(args.id, namespace=args.namespace)
    say_either({"task_id": task_id}, task_id, json=args.json)
    return Exit.DONE


async def remove(args: Namespace) -> int:
    """Delete a schedule; the tasks that it made stay."""
    async with open_runtime(load_settings(), work=False) as runtime:
        await runtime.schedules.remove(args.id, namespace=args.namespace)
    words = f"{args.id}  removed; the tasks that it made stay"
    say_either({"removed": args.id}, words, json=args.json)
    return Exit.DONE


def _timing(item: ScheduleView) -> str:
    timing = item.timing
    if timing.at is not None:
        return f"once {timing.at:%Y-%m-%d %H:%M:%S %Z}"
    return (
        f"every {timing.interval_s} s"
        if timing.cron is None
        else f"{timing.cron} {timing.timezone}"
    )


def _tell(item: ScheduleView, *, json: bool) -> None:
    if json:
        say_json(item)
        return
    say(f"{item.id}  {item.name}: {_timing(item)}" + ("" if item.enabled else "  (held)"))
    say(f"task: {item.task.instruction}")
    say(f"next: {item.next_at or 'never again'}")
    if item.last_error:
        say(f"last error: {item.last_error}")
