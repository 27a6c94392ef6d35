"""The Reviewer: judge steps and answers by what their results hold."""

import re
from typing import Any

from models.embedded.sections import unfenced

_FIGURE = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?")


def review_step(found: dict[str, str]) -> dict[str, Any]:
    """Return the judgement of one step: errors and impossible values are wrong states."""
    result = unfenced(found.get("Result", ""))
    body = "\n".join(line for line in result.splitlines() if not re.match(r"Result \(", line))
    odd = re.findall(r"^odd: (.+)", body, re.MULTILINE)
    error = re.search(r"^(?:\w+Problem|\w+Error|\w+Exception): .+", body, re.MULTILINE)
    if re.search(r"^Result \(failed", result, re.MULTILINE) or (error and "Traceback" in body):
        said = error[0] if error else " ".join(body.split())[:300]
        return _verdict("wrong_state", "precondition", f"The step failed: {said[:600]}")
    if odd:
        feedback = (
            f"odd: {odd[0]}\nA figure of that kind cannot be a measurement beside the "
            f"others: it stands for a"
            " missing value. Leave it out."
        )
        return _verdict(
            "wrong_state", "precondition", "\n".join([*(f"odd: {o}" for o in odd[1:]), feedback])
        )
    if re.search(r"^rows used: 0 of [1-9]", body, re.MULTILINE) and not found.get("Progress"):
        return _verdict("success", None, "", "No row fits the conditions; the count is 0.")
    if "(the program printed nothing)" in body or not body.strip():
        return _verdict("no_change", "unknown", "Nothing was printed; print what was computed.")
    answer = re.search(r"^ANSWER: (.*)", body, re.MULTILINE)
    done = (
        f"The program computed: {answer[1][:400]}"
        if answer
        else "The step showed what it was to show."
    )
    return _verdict("success", None, "", done)


def _verdict(
    outcome: str, error_class: str | None, feedback: str, progress: str = ""
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "error_class": error_class,
        "feedback": feedback,
        "progress": progress,
    }


def review_answer(found: dict[str, str]) -> dict[str, Any]:
    """Accept an answer whose figures all stand in the evidence."""
    answer, evidence = unfenced(found.get("Answer", "")), found.get("Evidence", "")
    if "The embedded model is a small program" in answer:
        return {"accepted": True, "score": 0.0, "feedback": "", "mend": "nothing"}
    known = figures(evidence) | figures(found.get("Task", ""))
    strange = sorted(figures(answer) - known)
    wanted = [
        n
        for n in re.findall(r"[\w/-]+\.(?:md|csv|tsv|txt|json|html)\b", found.get("Task", ""))
        if re.search(
            rf"\b(?:write|save|store|export|put)\b[^.]*{re.escape(n)}", found["Task"], re.IGNORECASE
        )
    ]
    handed = unfenced(found.get("Files handed over", "")) + evidence
    lost = [name for name in wanted if name not in handed]
    if strange:
        text = f"These figures do not stand in the evidence: {', '.join(strange)}."
        return {"accepted": False, "score": 0.2, "feedback": text, "mend": "wording"}
    if lost:
        text = f"These files were asked for and not made: {', '.join(lost)}."
        return {"accepted": False, "score": 0.4, "feedback": text, "mend": "work"}
    return {"accepted": True, "score": 1.0, "feedback": "", "mend": "nothing"}


def figures(text: str) -> set[str]:
    """Return the figures of a text in one form."""
    return {m.replace(",", "").rstrip(".") for m in _FIGURE.findall(text)}
