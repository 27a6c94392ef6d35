"""Tell the events of a task in plain lines, for terminals, logs and people alike."""

from collections.abc import Callable
from typing import Any

from app.cli.text import one_line

Data = dict[str, Any]


def narrate(kind: str, data: Data) -> list[str]:
    """Return the lines that an event is worth; none for most of them."""
    tell = _TELLERS.get(kind)
    return tell(data) if tell else []


def _task(data: Data) -> list[str]:
    reason = data.get("end_reason")
    told = [f"task: {data['status']}" + (f" ({reason})" if reason and reason != "done" else "")]
    if data.get("error"):
        told.append(f"  {one_line(data['error'], 300)}")
    return told


def _recall(data: Data) -> list[str]:
    lines = [
        f"recalled {_entry(item)}" for item in data.get("items", []) if not item.get("withheld")
    ]
    withheld = sum(bool(item.get("withheld")) for item in data.get("items", []))
    if withheld:
        lines.append(f"recalled, but withheld to measure what it is worth: {withheld}")
    if data.get("degraded"):
        lines.append(f"recall is weaker than it could be: {one_line(data['degraded'])}")
    return lines


def _plan(data: Data) -> list[str]:
    title = "new plan:" if data.get("replan") else "plan:"
    return [
        title,
        *(f"  {n}. {one_line(text)}" for n, text in enumerate(data.get("subgoals", []), 1)),
    ]


def _action(data: Data) -> list[str]:
    tools = ", ".join(call.get("tool", call.get("name", "?")) for call in data.get("calls", []))
    return [f"step {data.get('step', '?')}: {tools}: {one_line(data.get('thought', ''))}"]


def _step(data: Data) -> list[str]:
    if data.get("outcome") == "success":
        return []
    reason = data.get("error_class") or data.get("outcome", "")
    return [
        f"  step {data.get('n', '?')} failed ({reason}): {one_line(data.get('feedback', ''), 160)}"
    ]


def _retry(data: Data) -> list[str]:
    return [
        f"  the model {data.get('model', '')} is asked again: {one_line(data.get('error', ''))}"
    ]


def _fallback(data: Data) -> list[str]:
    return [
        f"  going on without the model {data.get('model', '')}: {one_line(data.get('error', ''))}"
    ]


def _queued(data: Data) -> list[str]:
    return [f"  waited {data.get('waited_s', 0):.0f} s for a place at {data.get('model', '')}"]


def _review(data: Data) -> list[str]:
    score = f"(score {data.get('score', 0):.2f})"
    if data.get("accepted"):
        return [f"answer accepted {score}"]
    return [f"answer refused {score}: {one_line(data.get('feedback', ''), 160)}"]


def _learned(data: Data) -> list[str]:
    kept = [item for item in data.get("items", []) if item.get("outcome") != "refused"]
    refused = [item for item in data.get("items", []) if item.get("outcome") == "refused"]
    return [f"learned {_entry(item)}" for item in kept] + [
        f"not learned, {one_line(item.get('reason', ''))}: {one_line(item.get('text', ''))}"
        for item in refused
    ]


def _entry(item: Data) -> str:
    return f"{item.get('kind', 'entry')}: {one_line(item.get('text', ''), 160)}"


def _approval(data: Data) -> list[str]:
    if data.get("status") == "pending":
        return [f"asks to call {data.get('tool', '?')} (risk: {data.get('risk', '?')})"]
    return [f"{data.get('tool', '?')}: {data.get('status', '?')} by a person"]


def _egress(data: Data) -> list[str]:
    place = f"{data.get('host') or '?'}:{data.get('port', 0)}"
    if data.get("allowed"):
        return [f"  the sandbox reached {one_line(place)} ({one_line(data.get('method', ''))})"]
    return [f"  the sandbox was kept from {one_line(place)}: {one_line(data.get('reason', ''))}"]


def _more_egress(data: Data) -> list[str]:
    allowed, refused = data.get("allowed", 0), data.get("refused", 0)
    return [f"  the sandbox made more connections: {allowed} allowed, {refused} refused"]


_TELLERS: dict[str, Callable[[Data], list[str]]] = {
    "task": _task,
    "recall": _recall,
    "plan": _plan,
    "action": _action,
    "step": _step,
    "model_retry": _retry,
    "model_fallback": _fallback,
    "model_queued": _queued,
    "egress": _egress,
    "egress_more": _more_egress,
    "review": _review,
    "question": lambda data: [f"question: {one_line(data.get('text', ''), 500)}"],
    "learned": _learned,
    "approval": _approval,
    "budget": lambda data: [f"budget spent: {one_line(data.get('text', ''), 300)}"],
}
