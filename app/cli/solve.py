"""`strop solve`: submit a task, work on it in this process, show it, print its answer."""

import asyncio
import logging
import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.cli.asking import ask_on_terminal, decide_on_terminal
from app.cli.exits import CliError, Exit
from app.cli.progress import Progress, progress_for
from app.cli.text import note, say, say_json
from app.errors import ConflictError
from app.files import BytesUpload
from app.schemas import Budget, TaskRequest, TaskView
from app.schemas_approvals import DecisionRequest
from app.settings import load_settings
from app.wiring import Runtime, open_runtime

_MISSING_REASONS = {"model_unavailable", "tool_unavailable"}


async def solve(args: Namespace) -> int:
    """Run the verb and return its exit code."""
    # What a person should know is in the task's events; warnings of the log would repeat it.
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.ERROR)
    instruction = await asyncio.to_thread(sys.stdin.read) if args.task == "-" else args.task
    paths = [Path(name) for name in args.file]
    for path in paths:
        if not path.is_file():
            raise CliError(Exit.WRONG_USE, f"--file: expected a file, got {str(path)!r}")
    async with open_runtime(load_settings()) as runtime:
        task = await _submit(runtime, instruction, paths, args)
        return await follow(runtime, task, json=args.json, out=args.out)


async def follow(runtime: Runtime, task: TaskView, *, json: bool, out: str | None = None) -> int:
    """Show a task until its end, print how it ended and return the exit code."""
    progress = progress_for(json=json)
    if not json:
        note(f"task {task.id}")
    try:
        waits = await _watch(runtime, task, progress, json=json)
    except asyncio.CancelledError:
        progress.close()
        note(f"interrupted; cancelling task {task.id}")
        try:
            await runtime.tasks.cancel(task.id, namespace=task.namespace)
        except ConflictError:
            note("it was over already; its answer is kept: strop tasks show " + task.id)
        raise
    finally:
        progress.close()
    task = await runtime.tasks.get(task.id, namespace=task.namespace)
    if out is not None:
        await asyncio.to_thread(_copy_artifacts, runtime, task, Path(out))
    if json:
        say_json(task)
    return Exit.MISSING if waits else exit_code(task)


def exit_code(task: TaskView) -> Exit:
    """Return the exit code that a task's ending means."""
    if task.status == "succeeded":
        return Exit.DONE
    if task.end_reason == "budget":
        return Exit.BUDGET
    return Exit.MISSING if task.end_reason in _MISSING_REASONS else Exit.FAILED


async def _submit(
    runtime: Runtime, instruction: str, paths: list[Path], args: Namespace
) -> TaskView:
    ids: list[str] = []
    for path in paths:
        upload = BytesUpload(await asyncio.to_thread(path.read_bytes))
        ids.append((await runtime.tasks.files.add(args.namespace, path.name, upload)).id)
    try:
        request = TaskRequest(
            instruction=instruction,
            files=tuple(ids),
            model=args.model,
            namespace=args.namespace,
            budget=Budget(usd=args.budget_usd, steps=args.max_steps, on_limit="end"),
        )
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
        raise CliError(Exit.WRONG_USE, wrong) from None
    return (await runtime.tasks.submit(request)).task


async def _watch(runtime: Runtime, task: TaskView, progress: Progress, *, json: bool) -> bool:
    """Show events up to the end; True when the task waits for a person who is not here."""
    async for event in runtime.tasks.follow(task.id, namespace=task.namespace):
        progress.show(event.kind, event.data)
        if event.kind == "question":
            progress.close()
            answer = None if json else await _answer(event.data)
            if answer is None:
                note(f'waiting for an answer: strop tasks answer {task.id} "..."')
                return True
            await runtime.steering.say(task.id, answer, namespace=task.namespace)
        elif event.kind == "approval" and event.data["status"] == "pending":
            progress.close()
            said = None if json else await _decision(event.data)
            if said is None:
                note(f"waiting for a decision: strop approvals approve {event.data['id']}")
                return True
            await runtime.approvals.decide(event.data["id"], said, namespace=task.namespace)
        elif event.kind == "task" and _is_over(event.data) and not json:
            # The answer is not held back by what is learned from it afterwards.
            progress.close()
            done = await runtime.tasks.get(task.id, namespace=task.namespace)
            _print_answer(runtime, done)
    return False


async def _decision(data: dict[str, Any]) -> DecisionRequest | None:
    """Return what the person here decides, None when nobody is here."""
    if not sys.stdin.isatty():
        return None
    try:
        return await decide_on_terminal(data)
    except EOFError:
        return None


async def _answer(data: dict[str, Any]) -> str | None:
    """Return what the person here says, None when nobody is here."""
    if not sys.stdin.isatty():
        return None
    try:
        return await ask_on_terminal(data)
    except EOFError:
        return None


def _is_over(data: dict[str, Any]) -> bool:
    return data.get("status") in {"succeeded", "failed", "cancelled"}


def _print_answer(runtime: Runtime, task: TaskView) -> None:
    if task.result:
        say(task.result)
    for artifact in task.artifacts:
        note(f"file: {runtime.home.workspace(task.id) / artifact['name']}")
    used = task.usage
    note(
        f"{used.steps} steps, {used.calls} model calls, {used.tokens:,} tokens, "
        f"${used.usd:.4f}, {used.seconds:.1f} s"
    )


def _copy_artifacts(runtime: Runtime, task: TaskView, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for artifact in task.artifacts:
        target = folder / artifact["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(runtime.home.workspace(task.id) / artifact["name"], target)
        note(f"copied: {target}")
