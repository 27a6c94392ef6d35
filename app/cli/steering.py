"""`strop tasks pause|resume|retry|say|answer|budget`: steer a task that any process works on."""

from argparse import Namespace
from collections.abc import Awaitable, Callable

from app.cli.exits import CliError, Exit
from app.cli.tasks import find, tell
from app.schemas import Budget, TaskView
from app.settings import load_settings
from app.steering import SteeringService
from app.wiring import open_runtime

Verb = Callable[[SteeringService, TaskView], Awaitable[TaskView]]


async def pause(args: Namespace) -> int:
    """Stop a task where it stands."""
    return await _steer(args, lambda hands, task: hands.pause(task.id, namespace=task.namespace))


async def resume(args: Namespace) -> int:
    """Let a paused task go on."""
    return await _steer(args, lambda hands, task: hands.resume(task.id, namespace=task.namespace))


async def retry(args: Namespace) -> int:
    """Begin a new run of a failed or cancelled task."""
    return await _steer(args, lambda hands, task: hands.retry(task.id, namespace=task.namespace))


async def say(args: Namespace) -> int:
    """Answer a task's question, or tell it something."""
    text: str = args.text
    return await _steer(
        args, lambda hands, task: hands.say(task.id, text, namespace=task.namespace)
    )


async def budget(args: Namespace) -> int:
    """Change what a task may use."""
    given = Budget(usd=args.usd, tokens=args.tokens, steps=args.steps, seconds=args.seconds)
    if not given.model_dump(exclude_none=True):
        raise CliError(Exit.WRONG_USE, "expected one of --usd, --tokens, --steps, --seconds")
    return await _steer(
        args, lambda hands, task: hands.rebudget(task.id, given, namespace=task.namespace)
    )


async def _steer(args: Namespace, verb: Verb) -> int:
    async with open_runtime(load_settings(), work=False) as runtime:
        task = await verb(runtime.steering, await find(runtime, args.id, args.namespace))
    tell(task, json=args.json)
    return Exit.DONE
