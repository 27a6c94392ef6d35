"""Standing agents at the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main

Strop = Callable[..., int]


@pytest.fixture
def strop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Strop:
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STROP_MODEL", "embedded")
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(("agents", *words))


def test_an_agent_is_made_told_paused_and_deleted(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    def ran(*words: str) -> str:
        assert strop(*words) == 0
        return capsys.readouterr().out

    assert "no standing agents" in ran("list")
    made = json.loads(ran("create", "Watch the log", "--every", "3600", "--json"))
    assert "Watch the log" in ran("list")
    assert "message 1 waits" in ran("tell", made["id"], "look at Tuesday")
    assert "1 messages wait" in ran("show", made["id"])
    assert "told" not in ran("change", made["id"], "--usd-per-day", "5", "--every", "60")
    assert strop("change", made["id"]) == 2
    assert "what is to be other" in capsys.readouterr().err
    assert json.loads(ran("show", made["id"], "--json"))["usd_per_day"] == 5
    assert "paused" in ran("pause", made["id"])
    assert "asleep" in ran("resume", made["id"])
    assert "asleep" in ran("wake", made["id"])
    assert "no reports" in ran("reports", made["id"])
    assert json.loads(ran("reports", made["id"], "--json"))["items"] == []
    assert "removed" in ran("delete", made["id"])
    assert strop("show", made["id"]) == 2


def test_a_timing_that_makes_no_sense_is_wrong_use_and_explained(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("create", "x", "--cron", "sometimes") == 2
    assert "comes true" in capsys.readouterr().err
