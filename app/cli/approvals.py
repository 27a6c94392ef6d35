"""`strop approvals`: see what tasks ask to be allowed, and decide it."""

import json
from argparse import Namespace
from typing import cast

from pydantic import ValidationError

from app.cli.exits import CliError, Exit
from app.cli.text import one_line, say, say_json, table
from app.db.approvals import ApprovalFilter
from app.schemas_approvals import ApprovalView, DecisionRequest
from app.settings import load_settings
from app.wiring import open_runtime
from models.messages import JsonObject


async def list_approvals(args: Namespace) -> int:
    """Print approvals, newest first."""
    statuses = () if args.all else ("pending",)
    wanted = ApprovalFilter(namespace=args.namespace, statuses=statuses, limit=args.limit)
    async with open_runtime(load_settings(), work=False) as runtime:
        page = await runtime.approvals.list(wanted)
    if args.json:
        say_json(page)
        return Exit.DONE
    rows = [
        (row.id, row.status, row.risk, row.task_id[:12], row.tool, _arguments(row.arguments))
        for row in page.items
    ]
    head = ("id", "status", "risk", "task", "tool", "arguments")
    say(table(head, rows) if rows else "nothing waits for a decision")
    return Exit.DONE


async def show(args: Namespace) -> int:
    """Print one approval, its arguments whole."""
    async with open_runtime(load_settings(), work=False) as runtime:
        row = await runtime.approvals.get(args.id, namespace=args.namespace)
    _tell(row, json_=args.json)
    return Exit.DONE


async def decide(args: Namespace) -> int:
    """Write a decision down; the task goes on."""
    edited = _parsed(args.edit) if getattr(args, "edit", None) is not None else None
    decision = "edit" if edited is not None else args.decision
    try:
        said = DecisionRequest(decision=decision, note=args.note, edited=edited)
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
        raise CliError(Exit.WRONG_USE, wrong) from None
    async with open_runtime(load_settings(), work=False) as runtime:
        row = await runtime.approvals.decide(args.id, said, namespace=args.namespace)
    _tell(row, json_=args.json)
    return Exit.DONE


def _parsed(text: str) -> JsonObject:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CliError(Exit.WRONG_USE, f"--edit: expected a JSON object, got {text[:100]!r}")
    return cast("JsonObject", value)


def _tell(row: ApprovalView, *, json_: bool) -> None:
    if json_:
        say_json(row)
        return
    say(f"{row.id}  {row.status}  task {row.task_id}")
    asked = "may have been made already; make it again?" if row.kind == "repeat" else "asks to call"
    say(f"{asked} {row.tool} (risk: {row.risk})")
    say(json.dumps(row.arguments, ensure_ascii=False, indent=2))
    if row.edited is not None:
        say("called instead with: " + json.dumps(row.edited, ensure_ascii=False))
    if row.note:
        say(f"note: {row.note}")


def _arguments(arguments: JsonObject) -> str:
    return one_line(json.dumps(arguments, ensure_ascii=False), 80)
