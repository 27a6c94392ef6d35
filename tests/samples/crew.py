"""Tasks that stop at places of their own, and the model that works on them without a memory."""

import asyncio
import json
import re
from typing import Any

from app.schemas import Budget, TaskRequest
from models.base import ModelInfo, OnText
from models.messages import Message, Reply, Request, Usage
from models.scripted import SCRIPTED_INFO
from tests.support.service import ACCEPT, FINE, NO_LESSON, PLAN, call

MARKS = "marks.txt"
TWO = '{"thought": "two parts", "subgoals": ["do the first part", "do the second part"]}'
_NAME = re.compile(r"leave marks of (\w+)")
_STEP = re.compile(r"Step (\d+) of at most")
_ASK_READING = {"rules": [{"tool": "list_files", "decision": "ask"}]}

REQUESTS: dict[str, TaskRequest] = {
    name: TaskRequest.model_validate({"instruction": f"leave marks of {name}"} | fields)
    for name, fields in {
        "question": {},
        "approval": {"approval": _ASK_READING},
        "budget": {"budget": Budget(usd=3.5).model_dump(exclude_none=True)},
        "paused": {},
        "running": {},
        "parts": {},
        "learning": {},
        "queued": {},
    }.items()
}
"""A task for each place where one can stand; see `tests.samples.make`."""
HELD = {("paused", "step"), ("running", "step"), ("parts", "final"), ("learning", "lessons")}
"""Where calls of the model are not answered, so that the sample can be taken."""


class Crew:
    """Answers each role from what the request says."""

    def __init__(self, *, holds: bool) -> None:
        self.asked: list[tuple[str, str, int]] = []
        """Every call: the task's name, the purpose, and the Solver's step or 0."""
        self.held: set[str] = set()
        """Names of the tasks whose calls are held."""
        self._holds = holds

    @property
    def info(self) -> ModelInfo:
        """What is known about this model."""
        return SCRIPTED_INFO

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the next turn, or hold the call for good."""
        text = "\n".join(message.content for message in request.messages)
        name, step = _found(_NAME, text), int(_found(_STEP, text) or 0)
        self.asked.append((name, request.purpose, step))
        if self._holds and _place(request.purpose, name, step) in HELD:
            self.held.add(name)
            await asyncio.Event().wait()
        said = _turn(request.purpose, name, step)
        message = said if isinstance(said, Message) else Message(role="assistant", content=said)
        finish = "tool_calls" if message.tool_calls else "stop"
        usage = Usage(calls=1, prompt_tokens=100, completion_tokens=10, usd=1.0)
        return Reply(message=message, usage=usage, finish=finish, model=self.info.name)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def _place(purpose: str, name: str, step: int) -> tuple[str, str]:
    if purpose == "solver.operate" and step == 2:
        return name, "step"
    return name, purpose.partition(".")[2]


def _turn(purpose: str, name: str, step: int) -> Message | str:
    if purpose == "solver.operate":
        return _action(name, step)
    answers: dict[str, str] = {
        "manager.plan": TWO if name == "parts" else PLAN,
        "manager.final": json.dumps({"answer": f"marks of {name}"}),
        "reviewer.step": FINE,
        "reviewer.answer": ACCEPT,
        "refiner.lessons": NO_LESSON,
    }
    return answers[purpose]


def _action(name: str, step: int) -> Message:
    """Leave a mark at odd steps; at the second do what the task is there for; then answer."""
    if name == "parts":
        return call("answer", text="a part") if step in {2, 4} else _mark(name, step)
    if step == 2 and name == "question":
        return call("ask_human", question="Which colour?")
    if step == 2 and name == "approval":
        return call("list_files")
    if step <= 3:
        return _mark(name, step)
    return call("answer", text=f"marks of {name}")


def _mark(name: str, step: int) -> Message:
    return call("shell", command=f"echo {name}-{step} >> {MARKS}")


def expected_marks(name: str) -> list[str]:
    """Return what a task must have left in the end, each line once."""
    steps: dict[str, Any] = {"question": (1, 3), "approval": (1, 3), "parts": (1, 3)}
    return [f"{name}-{step}" for step in steps.get(name, (1, 2, 3))]
