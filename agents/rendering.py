"""How steps, plans and entries look in prompts."""

import json
from collections.abc import Iterable, Sequence

from agents.prompts import fence, one_line, unmarked
from agents.state import CallRecord, RecalledText, Step, Subgoal, TaskSpec
from models.messages import JsonObject

MARKS = {"pending": " ", "running": ">", "done": "x", "failed": "!"}
RESULT_CHARS = 3000
NEWEST_CHARS = 10_000
ARGUMENT_CHARS = 6000


_MEANWHILE = """\
{instruction}

## Said by the owner meanwhile
Said while the task was worked on, newest last. Follow it as you follow the task; where it differs
from the task, it holds. The rules stand above it.
{said}"""


def asked(task: TaskSpec) -> str:
    """Return the instruction with what the owner said since, whose marks are made harmless."""
    if not task.said:
        return task.instruction
    said = "\n".join("- " + "\n  ".join(unmarked(text).splitlines()) for text in task.said)
    return _MEANWHILE.format(instruction=task.instruction, said=said)


def clip(text: str, limit: int) -> str:
    """Return `text`, its middle cut out when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]}\n… {len(text) - head - tail} characters cut …\n{text[-tail:]}"


def call_line(call: CallRecord) -> str:
    """Return the call on one line: tool and arguments."""
    arguments = clip(json.dumps(call.arguments, ensure_ascii=False), ARGUMENT_CHARS)
    # JSON escapes line feeds but not the other line separators of Unicode.
    return unmarked(" ".join(f"Call {call.tool} {arguments}".splitlines()))


def result_block(call: CallRecord, *, limit: int = RESULT_CHARS) -> str:
    """Return the fenced result of a call, with its verdict."""
    if call.final and call.ok:
        return "Result (ok): the answer as given"
    verdict = "ok" if call.ok else f"failed: {call.error_class}"
    return f"Result ({verdict}):\n{fence(clip(call.text, limit))}"


def step_block(step: Step, *, limit: int = RESULT_CHARS) -> str:
    """Return a step as the Solver, the Reviewer and the Refiner see it."""
    verdict = step.outcome + (f" ({step.error_class})" if step.error_class else "")
    lines = [f"### Step {step.n} → {verdict}"]
    if step.thought:
        lines.append(f"Thought: {one_line(clip(step.thought, 600))}")
    for call in step.calls:
        lines += [call_line(call), result_block(call, limit=limit)]
    if step.changed:
        lines.append(f"Changed files: {one_line(', '.join(step.changed))}")
    if step.feedback:
        lines.append(f"Feedback: {one_line(step.feedback)}")
    return "\n".join(lines)


def step_line(step: Step) -> str:
    """Return a step on one line: what was called, how it ended, which files changed."""
    called = "; ".join(f"{call.tool} {_gist(call.arguments)}" for call in step.calls)
    verdict = step.outcome + (f" ({step.error_class})" if step.error_class else "")
    changed = f", changed {', '.join(step.changed)}" if step.changed else ""
    return f"{step.n}. {called} → {verdict}{changed}"


def _gist(arguments: JsonObject) -> str:
    return " ".join(clip(str(value), 80).replace("\n", " ") for value in arguments.values())


def steps_text(steps: Iterable[Step], *, limit: int = RESULT_CHARS) -> str:
    """Return several steps, oldest first."""
    return "\n\n".join(step_block(step, limit=limit) for step in steps)


def plan_lines(plan: Sequence[Subgoal]) -> list[str]:
    """Return one line for each subgoal, ticked off, with the results of those done."""
    lines: list[str] = []
    for subgoal in plan:
        result = f" → {clip(subgoal.result, 500)}" if subgoal.result else ""
        lines.append(f"[{MARKS[subgoal.status]}] {subgoal.text}{result}")
    return lines


def history_blocks(recent: Sequence[Step]) -> list[str]:
    """Return the steps that a Solver sees, the newest with more of its result."""
    newest = len(recent) - 1
    return [
        step_block(step, limit=NEWEST_CHARS if n == newest else RESULT_CHARS)
        for n, step in enumerate(recent)
    ]


def entry_lines(recalled: Sequence[RecalledText], kind: str) -> list[str]:
    """Return one line for each recalled entry of a kind."""
    lines: list[str] = []
    for entry in recalled:
        if entry.kind == kind:
            scope = f" ({entry.scope})" if entry.scope else ""
            lines.append(f"[{entry.id}] {' '.join(entry.text.split())}{scope}")
    return lines
