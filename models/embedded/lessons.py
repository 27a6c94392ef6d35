"""The Refiner: what a run teaches, notes, and answers worded anew."""

import re
from typing import Any

from models.embedded.dialect import facts, from_tips, plain
from models.embedded.rendering import dialects_of
from models.embedded.sections import PastStep, past_steps, unfenced


def draw_lessons(found: dict[str, str]) -> dict[str, Any]:
    """Return tips about files that had to be read otherwise than plainly."""
    known = unfenced(found.get("Known tips", ""))
    steps = past_steps(found.get("Steps", ""))
    good: dict[str, tuple[int, Any]] = {}
    for step in steps:
        for name, dialect in _assumed(step).items():
            if step.outcome == "success" and not _virtual(name):
                good[name] = (step.n, dialect)
    tips: list[dict[str, Any]] = []
    for name, (n, dialect) in good.items():
        failed = [s.n for s in steps if s.outcome != "success" and s.n < n and name in _assumed(s)]
        text = facts(name, dialect)
        if not failed or not text or from_tips(name, known) == dialect or dialect == plain(name):
            continue
        tips.append(
            {
                "text": text[:300],
                "scope_level": "file",
                "scope_key": name.rsplit("/", 1)[-1],
                "polarity": "do",
                "error_class": "precondition",
                "steps": [failed[0], n],
            }
        )
    return {"tips": tips[:3], "shortcut": None}


def _virtual(name: str) -> bool:
    return name.endswith((".html", ".htm"))


def _assumed(step: PastStep) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for call in step.calls:
        found.update(dialects_of(call.argument("code")))
    return found


def take_notes(found: dict[str, str]) -> dict[str, Any]:
    """Keep the answers and the facts about files that the steps hold."""
    lines = (
        []
        if "(none)" in found.get("Notes so far", "")
        else unfenced(found["Notes so far"]).splitlines()
    )
    for step in past_steps(found.get("Steps", "")):
        for name, dialect in _assumed(step).items():
            if step.outcome == "success" and (said := facts(name, dialect)):
                lines.append(said)
        lines += [
            f"Step {step.n}: {line[:300]}"
            for line in re.findall(r"^ANSWER: (.+)", step.report, re.MULTILINE)
        ]
        if step.outcome != "success" and (
            error := re.search(r"^\w+(?:Problem|Error): .+", step.report, re.MULTILINE)
        ):
            lines.append(f"Step {step.n} failed: {error[0][:200]}")
    return {"notes": "\n".join(list(dict.fromkeys(lines))[-20:])[:4000]}


def repair_answer(found: dict[str, str]) -> dict[str, Any]:
    """Return what the last program printed as its answer."""
    said = re.findall(
        r"^ANSWER: (.+?)(?=^</data>|^### |\Z)", found.get("Evidence", ""), re.DOTALL | re.MULTILINE
    )
    return {
        "answer": said[-1].strip()
        if said
        else unfenced(found.get("Answer", "")) or "No answer was found."
    }
