"""Homes that older versions left in the midst of their work are gone on with, to the end.

The samples are made by `python -m tests.samples.make`, one for each version of the graphs' state.
"""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from agents.state import READABLE_GRAPHS
from app.callers import DEFAULT_NAMESPACE as NAMESPACE
from app.db.approvals import ApprovalFilter
from app.schemas import Budget
from app.schemas_approvals import DecisionRequest
from app.wiring import Runtime, open_runtime
from tests.samples.crew import MARKS, Crew, expected_marks
from tests.support.service import settings_for

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parents[1] / "samples"


def test_every_version_that_can_be_read_has_a_sample() -> None:
    samples = {path.name for path in FOLDER.glob("graph-*.tar.gz")}
    assert samples == {f"graph-{version}.tar.gz" for version in READABLE_GRAPHS}


@pytest.mark.parametrize("version", sorted(READABLE_GRAPHS))
async def test_tasks_of_an_older_version_go_on_where_they_stood(
    version: int, tmp_path: Path
) -> None:
    home = _unpacked(FOLDER / f"graph-{version}.tar.gz", tmp_path)
    sample = json.loads((home / "sample.json").read_text())
    ids, crew = sample["tasks"], Crew(holds=False)
    async with open_runtime(settings_for(home), model=crew) as runtime:
        await _let_go_on(runtime, ids)
        for name, task_id in ids.items():
            async for _ in runtime.tasks.follow(task_id):
                pass
            task = await runtime.tasks.get(task_id)
            assert (task.status, task.result) == ("succeeded", f"marks of {name}"), name
    for name, task_id in ids.items():
        left = (home / "workspaces" / task_id / MARKS).read_text().split()
        assert left == expected_marks(name)
    assert _asked(crew.asked) & (_asked(sample["asked"]) - _asked(sample["held"])) == set()


async def _let_go_on(runtime: Runtime, ids: dict[str, str]) -> None:
    """Do what those tasks wait for that a person has to do."""
    await runtime.steering.resume(ids["paused"], namespace=NAMESPACE)
    await runtime.steering.rebudget(ids["budget"], Budget(usd=100), namespace=NAMESPACE)
    await runtime.steering.say(ids["question"], "blue", namespace=NAMESPACE)
    [asked] = (await runtime.approvals.list(ApprovalFilter(namespace=NAMESPACE))).items
    said = DecisionRequest(decision="approve")
    await runtime.approvals.decide(asked.id, said, namespace=NAMESPACE)


def _unpacked(sample: Path, folder: Path) -> Path:
    with tarfile.open(sample) as archive:
        archive.extractall(folder, filter="data")
    return folder / "home"


def _asked(calls: list[Any]) -> set[tuple[str, ...]]:
    """Return the Manager's and the Solver's calls, each of which is made once for a task."""
    once = ("manager.plan", "solver.operate")
    return {(name, purpose, str(step)) for name, purpose, step in calls if purpose in once}
