"""The Manager: cut a task into subgoals and join their results."""

import re
from typing import Any

from models.embedded.sections import unfenced, workspace_files
from models.embedded.solving import ANOTHER_WAY
from models.embedded.understanding import parts_of, understand


def plan(found: dict[str, str]) -> dict[str, Any]:
    """Return the parts of the task that are left to do."""
    task = found.get("Task", "")
    files = workspace_files(found.get("Workspace", ""))
    parts = parts_of(task)
    if len(parts) > 1 and any(understand(part, files) is None for part in parts):
        parts = [" ".join(task.split())]
    done = re.findall(
        r"^(?:- )?\[x\] (.+?)(?: → .*)?$", unfenced(found.get("Plan so far", "")), re.MULTILINE
    )
    left = [
        part
        for part in parts
        if " ".join(part.split())
        not in {" ".join(d.removeprefix(ANOTHER_WAY).split()) for d in done}
    ] or parts[-1:]
    if found.get("What failed"):
        left = [ANOTHER_WAY + " ".join(left[0].split()), *left[1:]]
        return {
            "thought": "Something failed; the real errors tell how to read the data.",
            "subgoals": left,
        }
    one = len(left) == 1
    return {
        "thought": "One worker can do this." if one else f"{len(left)} parts, one after another.",
        "subgoals": left,
    }


def final(found: dict[str, str]) -> dict[str, Any]:
    """Return the results of the subgoals, one below the other."""
    results = re.split(r"\n→ ", "\n" + unfenced(found.get("Results", "")))[1:]
    texts = [
        result.rsplit("\n\n", 1)[0] if i < len(results) - 1 else result
        for i, result in enumerate(results)
    ]
    return {
        "answer": "\n".join(text.strip() for text in texts)
        or unfenced(found.get("Results", ""))
        or "(nothing)"
    }
