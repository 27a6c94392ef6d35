"""The Refiner mends answers, keeps notes and draws lessons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from agents.calls import ModelCalls
from agents.prompts import render
from agents.rendering import asked, clip, entry_lines, steps_text
from agents.state import Notes, RecalledText, RepairedAnswer, RunState, Said, Step, TaskSpec
from memory.records import ErrorClass, Scope, ShortcutArgument, ShortcutStep, Tip
from models.messages import Request

MAX_TIPS = 3
STEPS_CHARS = 24_000


class TipProposal(Said):
    """A tip as the Refiner words it."""

    text: str = Field(min_length=8, max_length=400)
    scope_level: Literal["global", "family", "tool", "file", "role"] = "global"
    scope_key: str = Field(default="", max_length=200)
    polarity: Literal["do", "avoid"] = "do"
    error_class: ErrorClass | None = None
    steps: tuple[int, ...] = ()

    def tip(self) -> Tip:
        """Return the record to be proposed to memory."""
        level = self.scope_level if self.scope_key or self.scope_level == "global" else "global"
        key = self.scope_key if level != "global" else ""
        return Tip(
            text=" ".join(self.text.split()),
            scope=Scope(level=level, key=key),
            polarity=self.polarity,
            error_class=self.error_class,
        )


class ShortcutProposal(Said):
    """A shortcut as the Refiner words it."""

    name: str
    description: str
    arguments: tuple[ShortcutArgument, ...] = ()
    precondition: str = ""
    steps: tuple[ShortcutStep, ...]


class Lessons(Said):
    """What a run teaches."""

    tips: tuple[TipProposal, ...] = ()
    shortcut: ShortcutProposal | None = None


@dataclass(frozen=True)
class Refiner:
    """Repair what is hard and keep what was learned."""

    calls: ModelCalls

    async def repair_answer(self, task: TaskSpec, answer: str, feedback: str, evidence: str) -> str:
        """Return the answer worded anew from the same evidence."""
        messages = render(
            "refiner_answer",
            instruction=asked(task),
            acceptance=task.acceptance,
            answer=answer,
            feedback=feedback,
            evidence=evidence,
        )
        request = Request(messages=messages, purpose="refiner.answer", max_tokens=4096)
        return (await self.calls.ask(request, RepairedAnswer)).answer

    async def take_notes(self, task: TaskSpec, state: RunState, steps: Sequence[Step]) -> str:
        """Return the notes, written anew to cover `steps` before they leave the window."""
        messages = render(
            "refiner_notes",
            instruction=asked(task),
            subgoal=state.get("plan", [])[state.get("current", 0)].text,
            notes=state.get("notes", "") or "(none)",
            steps=steps_text(steps),
        )
        request = Request(messages=messages, purpose="refiner.notes", max_tokens=2048)
        return (await self.calls.ask(request, Notes)).notes

    async def draw_lessons(
        self,
        task: TaskSpec,
        ending: str,
        steps: Sequence[Step],
        recalled: Sequence[RecalledText],
        tools: Sequence[str],
    ) -> Lessons:
        """Return what a later run should know."""
        messages = render(
            "refiner_lessons",
            instruction=asked(task),
            ending=ending,
            max_tips=MAX_TIPS,
            tips=entry_lines(recalled, "tip"),
            tools=tools,
            steps=clip(steps_text(steps, limit=1500), STEPS_CHARS),
        )
        request = Request(messages=messages, purpose="refiner.lessons", max_tokens=2048)
        return await self.calls.ask(request, Lessons)
