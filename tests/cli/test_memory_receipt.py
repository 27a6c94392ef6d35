"""`strop memory receipt`, and the same over REST, on an entry that was used in some runs."""

import asyncio
import json
from pathlib import Path

import pytest

from app.callers import DEFAULT_NAMESPACE
from app.cli.main import main
from app.settings import load_settings
from app.wiring import open_runtime
from memory.records import Provenance, RecallQuery, RunOutcome, Tip

TEXT = "Sort the table by its date first."


@pytest.fixture
def entry_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an entry of a home of its own that two runs were shown; one of them failed."""
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STROP_MODEL", "embedded")
    monkeypatch.setenv("STROP_EMBEDDING", "hashing")
    monkeypatch.setenv("STROP_WITHHOLDING_RATE", "0")
    monkeypatch.chdir(tmp_path)
    return asyncio.run(_use_an_entry())


async def _use_an_entry() -> str:
    async with open_runtime(load_settings(), work=False) as runtime:
        memory = runtime.memory
        remembered = await memory.propose(
            Tip(text=TEXT), namespace=DEFAULT_NAMESPACE, provenance=Provenance(run_id="r0")
        )
        for number, text in enumerate((TEXT, TEXT, "something else")):
            run_id = f"r{number}"
            query = RecallQuery(
                text=text, namespace=DEFAULT_NAMESPACE, run_id=run_id, family="sort csv"
            )
            await memory.recall(query)
            await memory.finish(
                RunOutcome(
                    run_id=run_id,
                    task_id=f"t{number}",
                    namespace=DEFAULT_NAMESPACE,
                    family="sort csv",
                    success=number != 1,
                    end_reason="done" if number != 1 else "max_steps",
                    steps=4,
                    failures=0,
                    tokens=10,
                    usd=0.0,
                    seconds=1.0,
                )
            )
        assert remembered.entry is not None
        return remembered.entry.id


def test_a_receipt_is_printed_with_its_harm_cases(
    entry_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["memory", "receipt", entry_id]) == 0
    shown = capsys.readouterr().out
    assert TEXT in shown
    assert "shown in 2 runs, withheld in none; success with 50 %" in shown
    assert "not yet known" in shown
    assert "failed with it: task t1, run r1 (max_steps); its like succeeded without: r2" in shown


def test_a_receipt_is_json_when_asked(entry_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "receipt", entry_id, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["entry_id"], found["note"], found["effect"]) == (entry_id, "not yet known", None)
    assert found["shown"] == {"runs": 2, "successes": 1, "mean_steps": 4.0}
    assert [effect["metric"] for effect in found["metrics"]] == [
        "success",
        "steps",
        "tokens",
        "usd",
        "seconds",
    ]
    assert found["harm_cases"][0]["peers"] == ["r2"]


def test_an_entry_shows_its_receipt_in_a_sentence(
    entry_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["memory", "show", entry_id]) == 0
    assert "receipt: shown in 2 runs" in capsys.readouterr().out


def test_the_receipt_of_an_unknown_entry_is_wrong_use_and_named(
    entry_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry_id
    assert main(["memory", "receipt", "e_nope"]) == 2
    assert "e_nope" in capsys.readouterr().err
