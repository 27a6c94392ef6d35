"""Webhooks at the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main

Strop = Callable[..., int]
URL = "https://example.org/hook"


@pytest.fixture
def strop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Strop:
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STROP_MODEL", "embedded")
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(("webhooks", *words))


def test_a_webhook_is_made_tried_out_sent_to_again_and_removed(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    def ran(*words: str) -> str:
        assert strop(*words) == 0
        return capsys.readouterr().out

    assert "no webhooks" in ran("list")
    made = json.loads(ran("add", URL, "--status", "failed", "--json"))
    assert made["secret"].startswith("whsec_")
    shown = ran("list") + ran("show", made["id"])
    assert URL in shown
    assert "failed" in shown
    assert made["secret"] not in shown
    assert "nothing was sent" in ran("deliveries", made["id"])
    delivery = json.loads(ran("test", made["id"], "--json"))["delivery_id"]
    assert "pending" in ran("deliveries", made["id"])
    assert delivery in ran("redeliver", made["id"], delivery)
    assert strop("redeliver", made["id"], "d_none") == 2
    assert "no delivery" in capsys.readouterr().err
    assert json.loads(ran("show", made["id"], "--namespace", "default", "--json"))["enabled"]
    assert "removed" in ran("remove", made["id"])
    assert "no webhooks" in ran("list")


def test_a_place_or_status_that_makes_no_sense_is_wrong_use_and_explained(
    strop: Strop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("add", "http://127.0.0.1/x") == 2
    assert "not on the public internet" in capsys.readouterr().err
    assert strop("add", URL, "--status", "splendid") == 2
    assert "succeeded" in capsys.readouterr().err
