"""The Manager plans, replans and writes the final answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from agents.calls import ModelCalls
from agents.prompts import fence, render
from agents.rendering import asked, clip, entry_lines, plan_lines, steps_text
from agents.state import FinalAnswer, Plan, RunState, Subgoal, TaskSpec
from models.messages import Request


@dataclass(frozen=True)
class Manager:
    """Cut a task into subgoals; code, not the Manager, decides on budgets and staff."""

    calls: ModelCalls

    async def plan(self, task: TaskSpec, state: RunState, tools: Sequence[str]) -> Plan:
        """Return the plan for what is left to do.

        Failed attempts are shown only on a replan, as Mobile-Agent-E does.
        """
        recalled = state.get("recalled", [])
        messages = render(
            "manager_plan",
            max_subgoals=task.limits.max_subgoals,
            instruction=asked(task),
            inputs=json.dumps(task.inputs, ensure_ascii=False, indent=1) if task.inputs else "",
            acceptance=task.acceptance,
            workspace=state.get("workspace", ""),
            tools=tools,
            tips=entry_lines(recalled, "tip"),
            shortcuts=entry_lines(recalled, "shortcut"),
            plan=plan_lines(state.get("plan", [])),
            failed=_failures(state),
        )
        replan = bool(state.get("plan"))
        purpose = "manager.replan" if replan else "manager.plan"
        plan = await self.calls.ask(Request(messages=messages, purpose=purpose), Plan)
        return plan.model_copy(update={"subgoals": plan.subgoals[: task.limits.max_subgoals]})

    async def finalise(self, task: TaskSpec, plan: Sequence[Subgoal]) -> str:
        """Return the answer composed from the results of the subgoals."""
        results = "\n\n".join(f"{s.text}\n→ {s.result}" for s in plan if s.result)
        messages = render(
            "manager_final",
            instruction=asked(task),
            acceptance=task.acceptance,
            results=clip(results, 20_000),
        )
        request = Request(messages=messages, purpose="manager.final", max_tokens=4096)
        return (await self.calls.ask(request, FinalAnswer)).answer


def _failures(state: RunState) -> str:
    parts: list[str] = []
    review = state.get("review")
    if review is not None and not review.accepted:
        parts.append(f"The Reviewer refused this answer:\n{fence(state.get('answer', ''))}")
        parts.append(f"Because:\n{fence(review.feedback)}")
    failed = [step for step in state.get("recent", []) if step.failed]
    if failed and state.get("failures", 0):
        parts.append(steps_text(failed[-state.get("failures", 0) :], limit=1500))
    return "\n\n".join(parts)
