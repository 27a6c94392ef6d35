"""The embedded model behind the Model port: it recognises its role and replies in its form."""

import json
from collections.abc import Callable
from typing import Any

from models.base import ModelInfo, ModelRequestError, OnText
from models.embedded import lessons, managing, reviewing
from models.embedded.sections import sections
from models.embedded.solving import next_move
from models.messages import Message, Reply, Request, ToolCall, Usage

INFO = ModelInfo(
    name="embedded",
    model_id="strop/embedded",
    features=frozenset({"chat", "tools", "json_schema"}),
    context_tokens=128_000,
    local=True,
    note=(
        "A small deterministic program behind the model port, not a language model. It "
        "answers questions"
        " over tables, reckons with numbers, units and dates, searches and edits text files and"
        " reads single pages, and declines everything else. Connect a real model for "
        "more: STROP_MODEL."
    ),
)

_ROLES: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "Plan": managing.plan,
    "FinalAnswer": managing.final,
    "StepReview": reviewing.review_step,
    "AnswerReview": reviewing.review_answer,
    "Lessons": lessons.draw_lessons,
    "Notes": lessons.take_notes,
    "RepairedAnswer": lessons.repair_answer,
}
"""By the fields that the wanted structure requires or has."""
_MARKS = {
    "Plan": "subgoals",
    "StepReview": "outcome",
    "AnswerReview": "accepted",
    "Lessons": "tips",
    "Notes": "notes",
}


class EmbeddedModel:
    """Answers from the request alone: no state, no clock, no randomness."""

    @property
    def info(self) -> ModelInfo:
        """What is known about this model."""
        return INFO

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the reply that the role in the prompt calls for.

        Raises:
            ModelRequestError: the wanted structure is none of those that it can fill.
        """
        message = _reply(request)
        if on_text and message.content:
            on_text(message.content)
        usage = Usage(
            prompt_tokens=sum(len(m.content) for m in request.messages) // 4,
            completion_tokens=len(message.model_dump_json()) // 4,
            calls=1,
        )
        finish = "tool_calls" if message.tool_calls else "stop"
        return Reply(message=message, usage=usage, finish=finish, model=INFO.name)


def _reply(request: Request) -> Message:
    found = sections(request)
    if request.output is not None:
        content = json.dumps(_role(request)(found), ensure_ascii=False)
        return Message(role="assistant", content=content)
    if request.tools:
        move = next_move(found, request)
        call = ToolCall(id="call_1", name=move.tool, arguments=move.arguments)
        return Message(role="assistant", content=move.thought, tool_calls=(call,))
    return Message(role="assistant", content=INFO.note)


def _role(request: Request) -> Callable[[dict[str, str]], dict[str, Any]]:
    wanted = request.output
    fields = set((wanted.schema_ if wanted else {}).get("properties", {}))
    for role, mark in _MARKS.items():
        if mark in fields:
            return _ROLES[role]
    if "answer" in fields:
        system = next((m.content for m in request.messages if m.role == "system"), "")
        return _ROLES[
            "RepairedAnswer" if system.startswith("You are the Refiner") else "FinalAnswer"
        ]
    msg = (
        f"expected the structure of a plan, review, answer, notes or lessons, got fields "
        f"{sorted(fields)}; connect a real model for other uses"
    )
    raise ModelRequestError(msg)


def embedded_model() -> EmbeddedModel:
    """Return the embedded model."""
    return EmbeddedModel()
