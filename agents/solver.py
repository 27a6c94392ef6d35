"""The Solver chooses the next action towards a subgoal."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from agents.calls import ModelCalls
from agents.ports import StopRun
from agents.prompts import render
from agents.rendering import asked, entry_lines, history_blocks, plan_lines
from agents.state import Action, RunState, TaskSpec
from models.base import BadReplyError
from models.messages import Frozen, JsonObject, Message, Request, ToolCall, ToolSchema
from models.structured import parse_json

_NUDGE = (
    "Your reply held no tool call. Reply with a tool call: the next step, or `answer` when the "
    "subgoal is done or cannot be done."
)


class _TextCall(Frozen):
    name: str
    arguments: JsonObject = Field(default_factory=dict)


class _TextAction(Frozen):
    thought: str = ""
    calls: tuple[_TextCall, ...]


@dataclass(frozen=True)
class Solver:
    """Operate: one action for each call, from a prompt that holds all it may know."""

    calls: ModelCalls

    async def act(self, task: TaskSpec, state: RunState, tools: Sequence[ToolSchema]) -> Action:
        """Return the next action.

        Raises:
            StopRun: the model called no tool, although it was asked twice, or cannot answer.
        """
        native = "tools" in self.calls.model.info.features
        messages = _prompt(task, state, () if native else tools)
        step = state.get("count", 0) + 1
        reply = Message(role="assistant")
        for attempt in range(2):
            request = Request(
                messages=messages,
                tools=tuple(tools) if native else (),
                purpose="solver.operate",
                max_tokens=4096,
            )
            reply = (await self.calls.complete(request)).message
            action = _action(reply, step, attempt)
            if action is not None:
                return action
            messages = (*messages, reply, Message(role="user", content=_NUDGE))
        msg = f"solver.operate: expected a tool call, got text twice: {reply.content[:200]!r}"
        raise StopRun("model_unavailable", msg)


def _prompt(
    task: TaskSpec, state: RunState, text_tools: Sequence[ToolSchema]
) -> tuple[Message, ...]:
    plan = state.get("plan", [])
    return render(
        "solver_operate",
        text_actions=[tool.model_dump_json() for tool in text_tools],
        instruction=asked(task),
        inputs=json.dumps(task.inputs, ensure_ascii=False, indent=1) if task.inputs else "",
        acceptance=task.acceptance,
        plan=plan_lines(plan) if len(plan) > 1 else [],
        subgoal=plan[state.get("current", 0)].text,
        tips=entry_lines(state.get("recalled", []), "tip"),
        shortcuts=entry_lines(state.get("recalled", []), "shortcut"),
        workspace=state.get("workspace", ""),
        progress=state.get("progress", ""),
        notes=state.get("notes", ""),
        history=history_blocks(state.get("recent", [])),
        warning=_warning(state),
        step=state.get("count", 0) + 1,
        max_steps=task.limits.max_steps,
    )


def _warning(state: RunState) -> str:
    failures = state.get("failures", 0)
    if failures < 2:
        return ""
    return f"The last {failures} steps failed. Try another way; do not repeat what failed."


def _action(reply: Message, step: int, attempt: int) -> Action | None:
    calls = reply.tool_calls
    thought = reply.content.strip()
    if not calls:
        parsed = _parse_text(reply.content)
        if parsed is None:
            return None
        thought = parsed.thought
        calls = tuple(ToolCall(id="", name=c.name, arguments=c.arguments) for c in parsed.calls)
    if not calls:
        return None
    # Own ids: unique in the run, whatever the model sends, and the same after a recovery.
    numbered = tuple(
        call.model_copy(update={"id": f"{step}.{attempt}.{n}"}) for n, call in enumerate(calls)
    )
    return Action(thought=thought[:4000], calls=numbered)


def _parse_text(text: str) -> _TextAction | None:
    try:
        return _TextAction.model_validate(parse_json(text))
    except (BadReplyError, ValueError):
        return None
