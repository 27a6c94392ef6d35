import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pydantic import field_validator

from memory.records import ErrorClass
from sandboxes.base import (
    PolicyRefusedError,
    Sandbox,
    SandboxError,
    SandboxGoneError,
    WorkspacePathError,
)
from tests.tools.conftest import MakeToolbox, nobody
from tools.base import Arguments, Tool, ToolContext, ToolError, ToolResult
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio
Run = Callable[["Anything", ToolContext], Awaitable[ToolResult]]


class Anything(Arguments):
    """Arguments of a tool of these tests."""

    text: str = ""


class StopForAPersonError(Exception):
    """Stands for the interrupt by which a graph waits."""


def boxed(
    sandbox: Sandbox,
    run: Run,
    *,
    ask: Callable[[str], Awaitable[str]] = nobody,
    output_chars: int = 8000,
    hang_s: float | None = None,
) -> Toolbox:
    made = Tool(name="odd", doc="Do it.", arguments=Anything, run=run, effect="none")
    context = ToolContext(sandbox=sandbox, ask=ask, output_chars=output_chars)
    return Toolbox({"odd": made}, context, hang_s=hang_s)


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (ToolError("no", "quota"), "quota"),
        (SandboxGoneError("lost"), "sandbox"),
        (SandboxError("broken"), "sandbox"),
        (WorkspacePathError("missing"), "precondition"),
        (PolicyRefusedError("too weak"), "policy"),
        (TimeoutError("slow"), "timeout"),
        (ConnectionResetError("gone"), "network"),
        (RuntimeError("/secret/path"), "unknown"),
        (RecursionError(), "unknown"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_a_tool_raises_becomes_a_typed_outcome(
    sandbox: Sandbox, error: Exception, error_class: ErrorClass
) -> None:
    async def run(args: Anything, context: ToolContext) -> ToolResult:
        raise error

    outcome = await boxed(sandbox, run).call("odd", {})

    assert (outcome.ok, outcome.error_class) == (False, error_class)
    assert "/secret" not in outcome.text


async def test_what_ask_raises_passes_through_untouched(make_toolbox: MakeToolbox) -> None:
    stop = StopForAPersonError("waiting")

    async def ask(question: str) -> str:
        raise stop

    with pytest.raises(StopForAPersonError) as caught:
        await make_toolbox(ask=ask).call("ask_human", {"question": "May I?"})
    assert caught.value is stop


async def test_a_reply_comes_back_as_trusted_text(make_toolbox: MakeToolbox) -> None:
    async def ask(question: str) -> str:
        return f"yes to {question}"

    outcome = await make_toolbox(ask=ask).call("ask_human", {"question": "May I?"})

    assert (outcome.ok, outcome.text, outcome.untrusted) == (True, "yes to May I?", False)


async def test_a_cancellation_passes_through(sandbox: Sandbox) -> None:
    begun = asyncio.Event()

    async def run(args: Anything, context: ToolContext) -> ToolResult:
        begun.set()
        await asyncio.Event().wait()
        return ToolResult(text="never")

    call = asyncio.ensure_future(boxed(sandbox, run).call("odd", {}))
    await begun.wait()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_tool_without_a_limit_of_its_own_is_stopped(sandbox: Sandbox) -> None:
    async def run(args: Anything, context: ToolContext) -> ToolResult:
        await asyncio.Event().wait()
        return ToolResult(text="never")

    outcome = await boxed(sandbox, run, hang_s=0.05).call("odd", {})

    assert outcome.error_class == "timeout"


async def test_a_person_may_think_longer_than_a_tool_may_run(sandbox: Sandbox) -> None:
    async def ask(question: str) -> str:
        loop = asyncio.get_running_loop()
        thought = loop.create_future()
        loop.call_later(0.2, thought.set_result, "done")
        return await thought

    async def run(args: Anything, context: ToolContext) -> ToolResult:
        return ToolResult(text=await context.ask("?"))

    outcome = await boxed(sandbox, run, hang_s=0.05, ask=ask).call("odd", {})

    assert (outcome.ok, outcome.text) == (True, "done")


async def test_the_text_of_any_tool_is_cleaned_and_capped(sandbox: Sandbox) -> None:
    async def run(args: Anything, context: ToolContext) -> ToolResult:
        return ToolResult(text="a\0\ud800" + "x" * 5000)

    outcome = await boxed(sandbox, run, output_chars=400).call("odd", {})

    assert outcome.truncated
    assert len(outcome.text) <= 400
    assert outcome.text.startswith("a\u2400\ufffdx")


async def test_the_output_of_a_failure_is_capped_and_the_message_kept(sandbox: Sandbox) -> None:
    async def run(args: Anything, context: ToolContext) -> ToolResult:
        msg = "exit status 1"
        raise ToolError(msg, "precondition", output="x" * 5000)

    outcome = await boxed(sandbox, run, output_chars=400).call("odd", {})

    assert outcome.text.startswith("exit status 1\nxxx")
    assert len(outcome.text) <= 400
    assert outcome.truncated


class Stubborn(Arguments):
    """Arguments whose check is faulty."""

    @field_validator("*", mode="before")
    @classmethod
    def fail(cls, value: object) -> object:
        raise RuntimeError(value)

    text: str


async def test_a_faulty_check_of_a_plugin_is_an_outcome_too(sandbox: Sandbox) -> None:
    async def run(args: Stubborn, context: ToolContext) -> ToolResult:
        return ToolResult(text="never")

    made = Tool(name="odd", doc="Do it.", arguments=Stubborn, run=run, effect="none")
    toolbox = Toolbox({"odd": made}, ToolContext(sandbox=sandbox, ask=nobody))

    assert (await toolbox.call("odd", {"text": "x"})).error_class == "unknown"


async def test_arguments_of_any_depth_are_refused_without_harm(toolbox: Toolbox) -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]

    outcome = await toolbox.call("read_file", {"path": deep})

    assert outcome.error_class == "bad_arguments"
    assert len(outcome.text) < 1000


async def test_only_the_tools_asked_for_are_described(toolbox: Toolbox) -> None:
    assert [schema.name for schema in toolbox.schemas(["shell", "answer"])] == ["shell", "answer"]
    with pytest.raises(ToolError, match="no tool 'frob'"):
        toolbox.schemas(["frob"])


async def test_the_effect_of_a_tool_is_told(toolbox: Toolbox) -> None:
    assert toolbox.effect("shell") == "at_most_once"
    assert toolbox.effect("nothing") == "none"
