"""Read the prompts: sections, fenced data, and the steps of a history."""

import json
import re
from dataclasses import dataclass

from models.messages import JsonObject, Request


@dataclass(frozen=True)
class PastCall:
    """One tool call of the history and what it gave."""

    tool: str
    arguments: str
    """As written in the prompt: JSON, or a piece of it when it was shortened."""
    ok: bool
    text: str

    def argument(self, name: str) -> str:
        """Return a text argument; empty when it cannot be read."""
        try:
            value: JsonObject = json.loads(self.arguments)
        except ValueError:
            found = re.search(rf'"{name}": "((?:[^"\\]|\\["\\nrt/])*)', self.arguments)
            return json.loads(f'"{found[1]}"', strict=False) if found else ""
        return str(value.get(name, ""))


@dataclass(frozen=True)
class PastStep:
    """One step of the history."""

    n: int
    outcome: str
    calls: tuple[PastCall, ...]
    feedback: str

    @property
    def report(self) -> str:
        """Everything that was seen in this step."""
        return "\n".join([*(call.text for call in self.calls), self.feedback])


def sections(request: Request) -> dict[str, str]:
    """Return the user's part of the prompt by its headings, which fences cannot forge."""
    text = "\n".join(m.content for m in request.messages if m.role == "user")
    found: dict[str, str] = {}
    name, lines, fenced = "", list[str](), False
    for line in text.splitlines():
        if line in {"<data>", "</data>"}:
            fenced = line == "<data>"
        if line.startswith("## ") and not fenced:
            found[name] = "\n".join(lines).strip()
            name, lines = line[3:].strip(), []
        else:
            lines.append(line)
    found[name] = "\n".join(lines).strip()
    return found


def unfenced(text: str) -> str:
    """Return what stands between the marks of fenced data, or the text itself."""
    found = re.search(r"^<data>\n(.*?)\n?^</data>", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else text


def workspace_files(text: str) -> tuple[str, ...]:
    """Return the paths of the files that the workspace lists."""
    names: list[str] = []
    for line in unfenced(text).splitlines():
        found = re.match(
            r"\s*(?:[-*] )?(?P<a>\S.*?)(?:\s{2,}|\t|\s+\(?)\d[\d,.]* ?(?:bytes|B|[KM]i?B)\b", line
        )
        tabbed = re.match(r"\d+\t(?P<a>.+)", line)
        if (hit := found or tabbed) and not hit["a"].endswith("/"):
            names.append(hit["a"].strip("`"))
    return tuple(dict.fromkeys(names))


def past_steps(text: str) -> tuple[PastStep, ...]:
    """Return the steps that a history shows, oldest first."""
    starts = _lines_outside_fences(text, r"### Step (\d+)\s*(?:→|->)\s*(\w+)")
    steps: list[PastStep] = []
    for index, (at, found) in enumerate(starts):
        end = starts[index + 1][0] if index + 1 < len(starts) else None
        steps.append(_step(found, text.splitlines()[at + 1 : end]))
    return tuple(steps)


def _lines_outside_fences(text: str, pattern: str) -> list[tuple[int, "re.Match[str]"]]:
    hits: list[tuple[int, re.Match[str]]] = []
    fenced = False
    for index, line in enumerate(text.splitlines()):
        if line in {"<data>", "</data>"}:
            fenced = line == "<data>"
        elif not fenced and (found := re.match(pattern, line)):
            hits.append((index, found))
    return hits


def _step(head: "re.Match[str]", lines: list[str]) -> PastStep:
    text = "\n".join(lines)
    calls = _lines_outside_fences(text, r"Call (\w+) ?(.*)")
    results = _lines_outside_fences(text, r"Result \((ok|failed)(?:: (\w+))?\)")
    feedback = _lines_outside_fences(text, r"Feedback: (.*)")
    past: list[PastCall] = []
    for (_, call), (at, result) in zip(calls, results, strict=False):
        body = unfenced("\n".join(lines[at + 1 :])) if at + 1 < len(lines) else ""
        past.append(PastCall(call[1], call[2], result[1] == "ok", body))
    said = "\n".join(lines[feedback[0][0] :]).removeprefix("Feedback: ") if feedback else ""
    return PastStep(int(head[1]), head[2], tuple(past), said)
