"""Recorded runs of a thinking reader still come to the same end."""

from pathlib import Path

import pytest

from models.recording import ReplayModel
from tests.replays.cases import CASES
from tests.replays.harness import pages, play

RECORDINGS = Path(__file__).parent / "recordings"
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDINGS.glob("*.jsonl")))
async def test_a_recorded_run_still_comes_to_its_end(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = ReplayModel(RECORDINGS / f"{name}.jsonl", match="order")

    with pages(case):
        played = await play(case, model, tmp_path)

    assert played.end.status == case.status, played.end
    for piece in case.answer_has:
        assert piece in played.end.answer
    for piece in case.answer_lacks:
        assert piece not in played.end.answer
    for path, piece in (case.makes or {}).items():
        assert piece in (tmp_path / path).read_text()
    assert model.unused() == ()


def test_every_case_is_recorded() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.jsonl")} == set(CASES)
