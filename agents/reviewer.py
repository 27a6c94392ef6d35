"""The Reviewer judges steps and answers; where code can decide, no model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.calls import ModelCalls
from agents.hints import hint
from agents.prompts import render
from agents.rendering import NEWEST_CHARS, asked, call_line, result_block, step_line
from agents.state import AnswerReview, RunState, Step, StepReview, TaskSpec
from models.messages import Request


@dataclass(frozen=True)
class Reviewer:
    """Compare what a step or an answer was to do with what it did."""

    calls: ModelCalls

    async def review_step(self, task: TaskSpec, state: RunState, step: Step) -> Step:
        """Return the step with outcome, error class and feedback filled in."""
        decided = decide(step, state.get("recent", []))
        if decided is not None:
            return _judged(step, decided, by_model=False)
        messages = render(
            "reviewer_step",
            instruction=asked(task),
            subgoal=state.get("plan", [])[state.get("current", 0)].text,
            acceptance=task.acceptance,
            earlier=[step_line(one) for one in state.get("recent", [])],
            progress=state.get("progress", ""),
            thought=step.thought,
            action="\n".join(call_line(call) for call in step.calls),
            result="\n".join(result_block(call, limit=NEWEST_CHARS) for call in step.calls),
            changed=", ".join(step.changed),
        )
        request = Request(messages=messages, purpose="reviewer.step", max_tokens=1024)
        return _judged(step, await self.calls.ask(request, StepReview), by_model=True)

    async def review_answer(
        self, task: TaskSpec, state: RunState, *, solved: bool, evidence: str, heads: str = ""
    ) -> AnswerReview:
        """Return whether the answer may go out.

        Args:
            task: what was asked.
            state: holds the answer, its artifacts and the workspace.
            solved: whether the Solver says that it did what was asked.
            evidence: the steps, rendered.
            heads: how the files that are handed over begin, each fenced.
        """
        messages = render(
            "reviewer_answer",
            instruction=asked(task),
            acceptance=task.acceptance,
            answer=state.get("answer", ""),
            solved=solved,
            artifacts="\n".join(state.get("artifacts", [])) or "(none)",
            workspace=state.get("workspace", ""),
            heads=heads,
            evidence=evidence,
        )
        request = Request(messages=messages, purpose="reviewer.answer", max_tokens=1024)
        return await self.calls.ask(request, AnswerReview)


def decide(step: Step, recent: Sequence[Step]) -> StepReview | None:
    """Return the judgement where code can make it, else None.

    A failed call is a wrong state; a call that repeats an earlier one with an equal result and
    changes no file is no change; a call whose success is certain is a success.
    """
    failed = [call for call in step.calls if not call.ok]
    if failed:
        return StepReview(
            outcome="wrong_state",
            error_class=failed[0].error_class or "unknown",
            feedback=" ".join(f"{call.tool} failed. {hint(call)}" for call in failed),
        )
    if any(call.final for call in step.calls):
        return StepReview(outcome="success")
    if not step.changed and any(_same(step, earlier) for earlier in recent):
        return StepReview(
            outcome="no_change",
            feedback="An earlier step did the same with the same result; do something else.",
        )
    if all(call.certain for call in step.calls):
        return StepReview(outcome="success")
    return None


def _same(step: Step, earlier: Step) -> bool:
    def gist(one: Step) -> list[tuple[str, str, str]]:
        return [(call.tool, repr(call.arguments), call.text) for call in one.calls]

    return step.subgoal == earlier.subgoal and gist(step) == gist(earlier)


def _judged(step: Step, review: StepReview, *, by_model: bool) -> Step:
    success = review.outcome == "success"
    return step.model_copy(
        update={
            "outcome": review.outcome,
            "error_class": None if success else review.error_class or "unknown",
            "feedback": "" if success else review.feedback,
            "progress": review.progress,
            "decided_by": "model" if by_model else "code",
        }
    )
