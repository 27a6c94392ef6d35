"""Execute a Shortcut: a learned sequence of tool calls, run in one go and not by the model."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agents.state import CallRecord
from memory.records import ArgumentRef, Check, ErrorClass, Shortcut
from models.messages import JsonObject, ToolCall, ToolSchema
from sandboxes.base import Sandbox, WorkspacePathError

PREFIX = "shortcut_"
RunCall = Callable[[ToolCall], Awaitable[CallRecord]]


def shortcut_schema(shortcut: Shortcut) -> ToolSchema:
    """Return the Shortcut as a tool that a Solver may call."""
    properties: JsonObject = {
        argument.name: {"type": "string", "description": argument.description}
        for argument in shortcut.arguments
    }
    return ToolSchema(
        name=PREFIX + shortcut.name,
        description=f"{shortcut.description} {shortcut.precondition}".strip(),
        parameters={
            "type": "object",
            "properties": properties,
            "required": [argument.name for argument in shortcut.arguments],
            "additionalProperties": False,
        },
    )


async def run_shortcut(
    shortcut: Shortcut, call: ToolCall, run: RunCall, sandbox: Sandbox
) -> CallRecord:
    """Run every step in order and return one record; the first failure ends it."""
    missing = [a.name for a in shortcut.arguments if a.name not in call.arguments]
    unknown = sorted(set(call.arguments) - {a.name for a in shortcut.arguments})
    if missing or unknown:
        text = f"missing arguments: {missing}; unknown arguments: {unknown}"
        return _record(call, ok=False, text=text, error_class="bad_arguments")
    if not await holds(shortcut.precondition_check, call.arguments, sandbox):
        text = f"precondition does not hold: {shortcut.precondition_check}"
        return _record(call, ok=False, text=text, error_class="precondition")
    texts: list[str] = []
    for inner in shortcut_calls(shortcut, call):
        record = await run(inner)
        texts.append(f"{inner.name}: {record.text}")
        if not record.ok:
            text = "\n".join(texts)
            return _record(call, ok=False, text=text, error_class=record.error_class)
    if not await holds(shortcut.postcondition_check, call.arguments, sandbox):
        texts.append(f"postcondition does not hold: {shortcut.postcondition_check}")
        return _record(call, ok=False, text="\n".join(texts), error_class="precondition")
    return _record(call, ok=True, text="\n".join(texts), error_class=None)


def shortcut_calls(shortcut: Shortcut, call: ToolCall) -> list[ToolCall]:
    """Return the calls that a call of the Shortcut stands for."""
    return [
        ToolCall(
            id=f"{call.id}.s{number}",
            name=step.tool,
            arguments={k: _value(v, call.arguments) for k, v in step.arguments.items()},
        )
        for number, step in enumerate(shortcut.steps)
    ]


async def holds(check: Check | None, arguments: Mapping[str, Any], sandbox: Sandbox) -> bool:
    """Whether a machine-checkable condition is true of the workspace."""
    if check is None or check.file_exists is None:
        return True
    path = check.file_exists
    for name, value in arguments.items():
        path = path.replace("{" + name + "}", str(value))
    try:
        content = await sandbox.read(path)
    except WorkspacePathError:
        return False
    needle = check.file_contains
    return needle is None or needle.encode() in content


def _value(source: object, arguments: Mapping[str, Any]) -> object:
    if isinstance(source, ArgumentRef):
        return arguments.get(source.ref)
    return getattr(source, "const", None)


def _record(call: ToolCall, *, ok: bool, text: str, error_class: ErrorClass | None) -> CallRecord:
    return CallRecord(
        id=call.id,
        tool=call.name,
        arguments=call.arguments,
        ok=ok,
        text=text,
        error_class=error_class,
    )
