"""The verbs that look, on a home of their own, in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main

Strop = Callable[..., int]


@pytest.fixture
def strop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Strop:
    """Run the command line on a fresh home, whatever the environment says."""
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STROP_MODEL", "embedded")
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(words)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    return lambda: json.loads(capsys.readouterr().out)


def test_a_new_home_has_no_tasks_and_says_how_to_begin(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("tasks", "list") == 0
    assert "strop solve" in capsys.readouterr().out


def test_lists_are_json_when_asked(strop: Strop, shown: Callable[[], Any]) -> None:
    assert strop("tasks", "list", "--json") == 0
    assert shown()["items"] == []
    assert strop("memory", "list", "--json") == 0
    assert shown() == []


@pytest.mark.parametrize("verb", ["show", "events", "cancel"])
def test_an_unknown_task_is_wrong_use_and_named(
    verb: str, strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("tasks", verb, "t_nope") == 2
    assert "'t_nope'" in capsys.readouterr().err


def test_an_unknown_entry_is_wrong_use_and_named(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("memory", "show", "e_nope") == 2
    assert "e_nope" in capsys.readouterr().err


def test_an_unknown_status_is_answered_with_the_known_ones(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("tasks", "list", "--status", "sleeping") == 2
    assert "queued, running" in capsys.readouterr().err


def test_a_wrong_setting_is_named(
    strop: Strop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_PORT", "many")
    assert strop("doctor") == 2
    assert "STROP_PORT" in capsys.readouterr().err


def test_the_doctor_names_each_part_and_what_is_chosen(
    strop: Strop, shown: Callable[[], Any]
) -> None:
    code = strop("doctor", "--json")
    report = shown()
    found = {finding["name"]: finding for finding in report["findings"]}
    assert set(found) == {"python", "home", "sandbox", "model", "servers", "embedder"}
    assert found["model"]["detail"].startswith("embedded: ")
    assert "not a language model" in found["model"]["remedy"]
    assert code == (0 if report["ok"] else 3)


def test_the_doctor_shows_where_each_setting_came_from_and_no_secret(
    strop: Strop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_MODEL_API_KEY", "sk-very-secret")
    assert strop("doctor", "--settings") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("STROP_HOME" in line and line.endswith("environment") for line in lines)
    assert any("STROP_PORT" in line and line.endswith("default") for line in lines)
    assert "sk-very-secret" not in "\n".join(lines)


def test_the_doctor_calls_a_home_that_cannot_be_written_missing(
    strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Callable[[], Any]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("STROP_HOME", str(blocked))
    assert strop("doctor", "--json") == 3
    home = next(one for one in shown()["findings"] if one["name"] == "home")
    assert home["state"] == "missing"
    assert "STROP_HOME" in home["detail"]


def test_the_chosen_model_leads_the_list(strop: Strop, shown: Callable[[], Any]) -> None:
    assert strop("models", "list", "--json") == 0
    listed = shown()
    assert listed["chosen"] == "embedded"
    assert listed["models"][0]["name"] == "embedded"


def test_an_unknown_model_is_wrong_use(strop: Strop, capsys: pytest.CaptureFixture[str]) -> None:
    assert strop("models", "test", "no-such-model") == 2
    assert "no-such-model" in capsys.readouterr().err


def test_a_command_in_a_sandbox_prints_what_it_prints(
    strop: Strop, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert strop("sandboxes", "run", "--", "python3", "-c", "print(6 * 7)") == 0
    assert capfdbinary.readouterr().out == b"42\n"


def test_a_command_in_a_sandbox_reaches_what_tasks_may_reach_and_it_is_said(
    strop: Strop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_SANDBOX", "bubblewrap")
    monkeypatch.setenv("STROP_SANDBOX_HOSTS", "listed.invalid")
    ask = "import urllib.request; urllib.request.urlopen('http://169.254.169.254/')"
    assert strop("sandboxes", "run", "--", "python3", "-c", ask) == 1
    told = capfd.readouterr().err
    assert "kept from 169.254.169.254:80: host_not_allowed: " in told
    assert "HTTP Error 403: Forbidden By Policy" in told


def test_a_command_that_fails_in_a_sandbox_fails_here(
    strop: Strop, shown: Callable[[], Any]
) -> None:
    assert strop("sandboxes", "run", "--json", "--", "sh", "-c", "echo no >&2; exit 7") == 1
    result = shown()
    assert (result["exit_code"], result["stderr"]) == (7, "no\n")


def test_a_backend_nobody_knows_is_answered_with_the_known_ones(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("sandboxes", "check", "castle") == 3
    assert "bubblewrap" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused_before_any_task(
    strop: Strop, capsys: pytest.CaptureFixture[str], shown: Callable[[], Any]
) -> None:
    assert strop("solve", "count", "--file", "gone.csv") == 2
    assert "'gone.csv'" in capsys.readouterr().err
    assert strop("tasks", "list", "--json") == 0
    assert shown()["items"] == []


def test_a_task_without_words_is_refused(strop: Strop, capsys: pytest.CaptureFixture[str]) -> None:
    assert strop("solve", "   ") == 2
    assert "instruction" in capsys.readouterr().err
