"""What tasks ask to be allowed is seen and decided at the command line."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from app.schemas import TaskRequest
from app.wiring import open_runtime
from tests.support.service import RoleModel, call, settings_for

ROOT = Path(__file__).parents[2]
ASK = {"rules": [{"tool": "shell", "decision": "ask"}]}
Strop = Callable[..., int]
DECIDE = """
import asyncio
from app.cli.asking import decide_on_terminal
asked = {"tool": "shell", "arguments": {"command": "rm \\x1b[2J x"}, "kind": "call"}
print(asyncio.run(decide_on_terminal(asked)).model_dump_json())
"""


async def _ask(home: Path) -> str:
    """Leave a task that waits for a decision, and return its id."""
    model = RoleModel(call("shell", command="true"), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        request = TaskRequest.model_validate({"instruction": "add up", "approval": ASK})
        task = (await runtime.tasks.submit(request)).task
        async for event in runtime.tasks.follow(task.id):
            if event.data.get("status") == "waiting_approval":
                break
    return task.id


@pytest.fixture
def strop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Strop:
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STROP_MODEL", "embedded")
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(words)


def test_an_approval_is_listed_shown_and_decided(
    tmp_path: Path, strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    task_id = asyncio.run(_ask(tmp_path / "home"))
    assert strop("approvals", "list", "--json") == 0
    [asked] = json.loads(capsys.readouterr().out)["items"]
    assert asked["task_id"] == task_id
    assert strop("approvals", "list") == 0
    assert "shell" in capsys.readouterr().out
    assert strop("approvals", "approve", asked["id"], "--edit", "no json") == 2
    assert strop("approvals", "reject", asked["id"], "--note", "not now") == 0
    assert "note: not now" in capsys.readouterr().out
    assert strop("approvals", "approve", asked["id"]) != 0
    assert "rejected already" in capsys.readouterr().err
    assert strop("approvals", "list") == 0
    assert "nothing waits" in capsys.readouterr().out
    assert strop("tasks", "budget", task_id) == 2
    assert strop("tasks", "budget", task_id, "--usd", "5") == 0


@pytest.mark.parametrize(
    ("typed", "decision", "note"),
    [(b"y\n", "approve", ""), (b"\n", "reject", ""), (b"use the copy\n", "reject", "use the copy")],
)
def test_at_a_terminal_yes_allows_and_other_words_refuse_with_their_reason(
    typed: bytes, decision: str, note: str
) -> None:
    ours, theirs = os.openpty()
    try:
        os.write(ours, typed)
        done = subprocess.run(
            [sys.executable, "-c", DECIDE],
            cwd=ROOT,
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    said = json.loads(done.stdout)
    assert (said["decision"], said["note"]) == (decision, note)
    assert "\x1b" not in done.stderr
