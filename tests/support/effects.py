"""A model whose tasks leave marks in the world, so that each can be counted afterwards.

It keeps nothing in mind: what it answers follows from the request, as with a real provider, so it
does not matter which process asks, how often, or how many at once.
"""

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

from models.base import OnText
from models.messages import Message, Reply, Request, Usage
from models.scripted import ScriptedModel, tool_call_message
from tests.support.openai_server import Answer, as_json, tool_call

REPLIES: dict[str, dict[str, Any]] = {
    "Plan": {"thought": "one worker will do", "subgoals": ["do it"]},
    "StepReview": {"outcome": "success", "progress": "well"},
    "AnswerReview": {"accepted": True, "score": 1.0},
    "Lessons": {"tips": [], "shortcut": None},
}
MARKS = "marks.txt"
_ASKED = re.compile(r"leave (\d+) marks of (\w+)(?:, and sleep ([\d.]+) seconds)?")
_SLEEPS_AT = 2
_STEP = re.compile(r"Step (\d+) of at most")


def asked_for(count: int, name: str, *, sleep: str = "") -> str:
    """Return the instruction of a task that leaves `count` marks under its own name.

    Args:
        count: how many; each is one step.
        name: under which.
        sleep: for how many seconds the second step goes on once it has left its mark.
    """
    return f"leave {count} marks of {name}" + (f", and sleep {sleep} seconds" if sleep else "")


class Marking:
    """Answers each role; the Solver leaves one mark a step, then answers."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        """How long each answer takes, as with a model elsewhere."""
        self.holds_at = 0
        """The Solver's step that is not answered until `go_on`; 0 for none."""
        self.held = threading.Event()
        self.go_on = threading.Event()
        self._never = threading.Event()

    def __call__(self, request: dict[str, Any]) -> Answer:
        """Answer a request."""
        self._never.wait(self.delay_s)
        if "tools" not in request:
            return as_json(REPLIES[request["response_format"]["json_schema"]["name"]])
        prompt = "\n".join(str(message["content"]) for message in request["messages"])
        asked, steps = _ASKED.search(prompt), _STEP.search(prompt)
        assert asked is not None
        assert steps is not None
        count, name, step = int(asked[1]), asked[2], int(steps[1])
        if step == self.holds_at:
            self.held.set()
            self.go_on.wait(60)
        if step > count:
            return tool_call("answer", {"text": f"{count} marks of {name}"})
        command = f'echo "{name}-{step} $(date +%s.%N)" >> {MARKS}'
        if asked[3] and step == _SLEEPS_AT:
            command += f"; sleep {asked[3]}"
        return tool_call("shell", {"command": command})


class MarkingModel(ScriptedModel):
    """Answers as `Marking` does, within the process that asks."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(self._line)
        self._delay_s = delay_s
        self._marking = Marking()

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Answer after the delay."""
        await asyncio.sleep(self._delay_s)
        return await super().complete(request, on_text=on_text)

    def _line(self, request: Request) -> Reply:
        sent: dict[str, Any] = {"messages": [{"content": one.content} for one in request.messages]}
        if request.tools:
            sent["tools"] = [tool.name for tool in request.tools]
        if request.output is not None:
            sent["response_format"] = {"json_schema": {"name": request.output.name}}
        answer = self._marking(sent)
        message = Message(role="assistant", content=answer.text)
        if answer.tool_calls:
            message = tool_call_message(*answer.tool_calls[0])
        usage = Usage(prompt_tokens=11, completion_tokens=7, usd=0.001, calls=1)
        return Reply(message=message, usage=usage, finish="stop")


def marks(home: Path, task_id: str) -> list[tuple[str, float]]:
    """Return the marks that a task has left, with the Unix times at which it did."""
    path = home / "workspaces" / task_id / MARKS
    if not path.exists():
        return []
    lines = [line.split(" ") for line in path.read_text().splitlines()]
    return [(name, float(at)) for name, at in lines]
