"""`strop agents`: standing agents, which wake, work, report and sleep."""

from argparse import Namespace
from collections.abc import Awaitable, Callable
from typing import Any

from app.cli.exits import CliError, Exit
from app.cli.shapes import read_shape
from app.cli.text import one_line, say, say_either, say_json, table
from app.schemas_agents import AgentPatch, AgentRequest, AgentView
from app.settings import load_settings
from app.standing import AgentService
from app.wiring import open_runtime

Verb = Callable[[AgentService], Awaitable[AgentView]]


async def create(args: Namespace) -> int:
    """Make an agent."""
    fields = {"name": one_line(args.instruction, 60)} | _given(args)
    request = read_shape(AgentRequest, fields | {"instruction": args.instruction})
    return await _one(args, lambda agents: agents.create(request, namespace=args.namespace))


async def change(args: Namespace) -> int:
    """Change what was given of an agent."""
    fields = _given(args)
    if args.instruction:
        fields["instruction"] = args.instruction
    if not fields:
        message = "say what is to be other; see: strop agents change --help"
        raise CliError(Exit.WRONG_USE, message)
    patch = read_shape(AgentPatch, fields)
    return await _one(args, lambda agents: agents.change(args.id, patch, namespace=args.namespace))


async def list_agents(args: Namespace) -> int:
    """Print agents, newest first."""
    async with open_runtime(load_settings(), work=False) as runtime:
        page = await runtime.agents.list(args.namespace, cursor=None, limit=200)
    if args.json:
        say_json(page)
        return Exit.DONE
    rows = [
        (
            item.id,
            item.state,
            f"{item.next_at:%Y-%m-%d %H:%M}" if item.next_at else "-",
            item.inbox,
            f"${item.usd_today:.4f}",
            item.last_error or item.name,
        )
        for item in page.items
    ]
    head = ("id", "state", "next (UTC)", "inbox", "today", "name or error")
    say(table(head, rows) if rows else "no standing agents; see: strop agents create --help")
    return Exit.DONE


async def show(args: Namespace) -> int:
    """Print one agent."""
    return await _one(args, lambda agents: agents.get(args.id, namespace=args.namespace))


async def pause(args: Namespace) -> int:
    """Let an agent and its present task sleep."""
    return await _one(args, lambda agents: agents.pause(args.id, namespace=args.namespace))


async def resume(args: Namespace) -> int:
    """Let a paused agent go on."""
    return await _one(args, lambda agents: agents.resume(args.id, namespace=args.namespace))


async def wake(args: Namespace) -> int:
    """Let an agent wake."""
    return await _one(args, lambda agents: agents.wake(args.id, namespace=args.namespace))


async def tell(args: Namespace) -> int:
    """Put a message into an agent's inbox."""
    async with open_runtime(load_settings(), work=False) as runtime:
        told = await runtime.agents.tell(args.id, args.text, namespace=args.namespace)
    say_either(told, f"{args.id}  message {told.seq} waits", json=args.json)
    return Exit.DONE


async def reports(args: Namespace) -> int:
    """Print what an agent's wake-ups came to, newest first."""
    async with open_runtime(load_settings(), work=False) as runtime:
        page = await runtime.agents.reports(
            args.id, namespace=args.namespace, cursor=None, limit=args.limit
        )
    if args.json:
        say_json(page)
        return Exit.DONE
    for report in page.items:
        say(f"{report.woken_at:%Y-%m-%d %H:%M}  {report.task_id}  {report.status}")
        say(report.text or report.question or report.error or "(nothing yet)")
        say()
    if not page.items:
        say("no reports yet")
    return Exit.DONE


async def delete(args: Namespace) -> int:
    """Stop an agent for good."""
    async with open_runtime(load_settings(), work=False) as runtime:
        await runtime.agents.remove(args.id, namespace=args.namespace)
    words = f"{args.id}  removed; the tasks that it made stay"
    say_either({"removed": args.id}, words, json=args.json)
    return Exit.DONE


def _given(args: Namespace) -> dict[str, Any]:
    """Return what the command line says about an agent, as the API takes it."""
    timing = {"cron": args.cron, "interval_s": args.every, "timezone": args.timezone}
    fields: dict[str, Any] = {
        "name": args.name,
        "timing": {name: value for name, value in timing.items() if value is not None} or None,
        "task": {"model": args.model} if args.model else None,
        "usd_per_day": args.usd_per_day,
        "tokens_per_day": args.tokens_per_day,
        "wakes_per_day": args.wakes_per_day,
    }
    return {name: value for name, value in fields.items() if value is not None}


async def _one(args: Namespace, verb: Verb) -> int:
    """Do something with an agent and print it."""
    async with open_runtime(load_settings(), work=False) as runtime:
        item = await verb(runtime.agents)
    if args.json:
        say_json(item)
        return Exit.DONE
    say(f"{item.id}  {item.state}  {item.name}")
    say(f"is there to: {item.instruction}")
    say(f"next: {item.next_at or 'when it is told something or asked to'}")
    used = f"today: ${item.usd_today:.4f}, {item.tokens_today} tokens, {item.wakes_today} wake-ups"
    say(used + (f"; {item.inbox} messages wait" if item.inbox else ""))
    if item.failed_in_a_row:
        say(f"failed in a row: {item.failed_in_a_row}")
    if item.last_error:
        rests = f"; it rests until {item.rest_until}" if item.rest_until else ""
        say(f"last error: {item.last_error}{rests}")
    return Exit.DONE
