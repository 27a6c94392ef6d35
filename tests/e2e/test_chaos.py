"""Processes are killed and frozen while tasks run: each task ends once, and nothing is done twice.

The long form is `python -m benchmarks.chaos`.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.aftermath import Outcome
from tests.support.chaos import Chaos, Wave
from tests.support.crew import Crew
from tests.support.nursery import MODEL_DELAY_S, Nursery

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.anyio
ON_FILES = (Wave(4, "kill"), Wave(3, "kill all"), Wave(3, "cut"))
ON_POSTGRES = (Wave(4, "kill"), Wave(4, "kill"), Wave(3, "cut"))
ENVIRONMENT = {
    "STROP_EMBEDDING": "none",
    "STROP_SANDBOX": "bubblewrap",
    "STROP_KEEP_ALIVE_S": "2",
    "STROP_CONCURRENCY": "12",
    MODEL_DELAY_S: "0.1",
}
_LOG = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


def _assert_sound(outcome: Outcome, waves: Sequence[Wave]) -> None:
    _LOG.warning("%s", outcome)
    assert outcome.wrong == []
    assert outcome.tasks == sum(wave.tasks for wave in waves)
    assert outcome.reclaims > 0
    assert outcome.statuses["succeeded"] > outcome.statuses["cancelled"]


async def test_on_files_with_a_server_and_a_worker(nursery: Nursery, tmp_path: Path) -> None:
    crew = Crew(tmp_path / "home", ENVIRONMENT, server_works=True, nursery=nursery)
    crew.add("work")
    outcome = await Chaos(crew, seed=1, marks=3).run(*ON_FILES)
    _assert_sound(outcome, ON_FILES)


async def test_on_postgres_with_three_workers(
    nursery: Nursery, tmp_path: Path, postgres: "PostgresServer"
) -> None:
    with postgres.fresh() as url:
        own = {**ENVIRONMENT, "STROP_DATABASE_URL": url}
        crew = Crew(tmp_path / "home", own, server_works=False, nursery=nursery)
        for _ in range(3):
            crew.add("work")
        outcome = await Chaos(crew, seed=2, marks=3).run(*ON_POSTGRES)
    _assert_sound(outcome, ON_POSTGRES)
