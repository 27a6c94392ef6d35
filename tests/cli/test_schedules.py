"""Schedules at the command line."""

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
    return lambda *words: main(words)


def test_a_schedule_is_made_listed_held_run_and_deleted(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def ran(*words: str) -> str:
        assert strop("schedules", *words) == 0
        said.append(capsys.readouterr().out)
        return said[-1]

    made = json.loads(
        ran("create", "add up", "--cron", "0 7 * * *", "--timezone", "Asia/Tokyo", "--json")
    )
    assert "0 7 * * * Asia/Tokyo" in ran("list")
    assert "(held)" in ran("hold", made["id"])
    assert "(held)" not in ran("resume", made["id"])
    assert ran("run", made["id"]).startswith("t_")
    assert "task: add up" in ran("show", made["id"])
    assert "removed" in ran("delete", made["id"])
    assert "no schedules" in ran("list")


def test_a_time_that_makes_no_sense_is_wrong_use_and_explained(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("schedules", "create", "x", "--cron", "sometimes") == 2
    assert "comes true" in capsys.readouterr().err
    assert strop("schedules", "create", "x") == 2
