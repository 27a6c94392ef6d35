"""`strop tasks`: look at tasks, follow or cancel them."""

from argparse import Namespace
from typing import get_args

from app.cli.exits import CliError, Exit
from app.cli.narration import narrate
from app.cli.text import one_line, say, say_json, table
from app.db.records import Status
from app.db.tasks import TaskFilter
from app.errors import NotFoundError
from app.schemas import TaskView
from app.settings import load_settings
from app.wiring import Runtime, open_runtime

_PAGE = 100


async def list_tasks(args: Namespace) -> int:
    """Print tasks, newest first."""
    statuses: tuple[Status, ...] = get_args(Status)
    if args.status is not None and args.status not in statuses:
        raise CliError(Exit.WRONG_USE, f"--status: expected one of {', '.join(statuses)}")
    wanted = TaskFilter(
        namespace=args.namespace,
        statuses=(args.status,) if args.status else (),
        text=args.text or "",
        limit=args.limit,
    )
    async with open_runtime(load_settings(), work=False) as runtime:
        page = await runtime.tasks.list(wanted)
    if args.json:
        say_json(page)
        return Exit.DONE
    rows = [
        (
            task.id[:12],
            task.status,
            f"{task.created_at:%Y-%m-%d %H:%M}",
            task.usage.steps,
            f"${task.usage.usd:.4f}",
            one_line(task.instruction, 60),
        )
        for task in page.items
    ]
    head = ("id", "status", "submitted (UTC)", "steps", "cost", "task")
    say(table(head, rows) if rows else 'no tasks yet; try: strop solve "..."')
    return Exit.DONE


async def show(args: Namespace) -> int:
    """Print one task."""
    async with open_runtime(load_settings(), work=False) as runtime:
        task = await find(runtime, args.id, args.namespace)
        workspace = runtime.home.workspace(task.id)
    if args.json:
        say_json(task)
        return Exit.DONE
    say(f"{task.id}  {task.status}" + (f" ({task.end_reason})" if task.end_reason else ""))
    say(f"task: {task.instruction}")
    for subgoal in task.subgoals:
        say(f"  {subgoal.index + 1}. [{subgoal.status}] {one_line(subgoal.text)}")
    if task.question:
        say(f"asks: {task.question}")
    if task.result:
        say(f"answer: {task.result}")
    if task.error:
        say(f"error: {task.error}")
    for artifact in task.artifacts:
        say(f"file: {workspace / artifact['name']} ({artifact['size']} bytes)")
    for kind, items in (("recall", task.recalled), ("learned", task.learned)):
        for line in narrate(kind, {"items": items}):
            say(line)
    used = task.usage
    say(
        f"used: {used.steps} steps, {used.calls} model calls, {used.tokens:,} tokens, "
        f"${used.usd:.4f}, {used.seconds:.1f} s"
    )
    return Exit.DONE


async def events(args: Namespace) -> int:
    """Print what happened, and what happens, until the task's end."""
    async with open_runtime(load_settings(), work=False) as runtime:
        task = await find(runtime, args.id, args.namespace)
        async for event in runtime.tasks.follow(
            task.id, after=args.after, namespace=task.namespace
        ):
            if args.json:
                # One line for each event, so that a program can read them as they come.
                say_json_line(event.seq, event.kind, event.at.isoformat(), event.data)
                continue
            for line in narrate(event.kind, event.data) or [event.kind]:
                say(f"{event.seq:>4} {event.at:%H:%M:%S} {line}")
    return Exit.DONE


async def cancel(args: Namespace) -> int:
    """End a task."""
    async with open_runtime(load_settings(), work=False) as runtime:
        found = await find(runtime, args.id, args.namespace)
        task = await runtime.tasks.cancel(found.id, namespace=found.namespace)
    tell(task, json=args.json)
    return Exit.DONE


async def find(runtime: Runtime, start: str, namespace: str) -> TaskView:
    """Return the task whose id is, or begins with, `start`.

    Raises:
        NotFoundError: there is none.
        CliError: there are several.
    """
    try:
        return await runtime.tasks.get(start, namespace=namespace)
    except NotFoundError:
        if not start.removeprefix("t_"):
            raise
    found: list[TaskView] = []
    cursor: str | None = None
    while True:
        wanted = TaskFilter(namespace=namespace, limit=_PAGE)
        page = await runtime.tasks.list(wanted, cursor=cursor)
        found += [task for task in page.items if task.id.startswith(start)]
        cursor = page.next_cursor
        if cursor is None or len(found) > 1:
            break
    if not found:
        message = f"no task's id begins with {start!r}; see: strop tasks list"
        raise NotFoundError(message)
    if len(found) > 1:
        raise CliError(Exit.WRONG_USE, f"several tasks' ids begin with {start!r}; type more of it")
    return found[0]


def tell(task: TaskView, *, json: bool) -> None:
    """Print a task's status, or the whole of it as JSON."""
    if json:
        say_json(task)
    else:
        say(f"{task.id}  {task.status}")


def say_json_line(seq: int, kind: str, at: str, data: object) -> None:
    """Print an event as one line of JSON."""
    say_json({"seq": seq, "kind": kind, "at": at, "data": data}, indent=None)
