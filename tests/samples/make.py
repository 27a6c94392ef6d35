"""Take a sample of a home in which tasks stand at every place where a run can stand.

    python -m tests.samples.make

writes `graph-N.tar.gz` for the version N of the graphs' state. A sample is made once, with the
last code that writes this version, and stays: `tests/app/test_samples.py` goes on with all of them.
"""

import asyncio
import json
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from agents.state import GRAPH_VERSION
from app.callers import DEFAULT_NAMESPACE
from app.wiring import Runtime, open_runtime
from tests.samples.crew import HELD, REQUESTS, Crew
from tests.support.service import settings_for, until

FOLDER = Path(__file__).parent
_STANDS = {"question": "waiting_input", "approval": "waiting_approval", "budget": "waiting_budget"}


def main() -> None:
    """Make the sample of this version."""
    with tempfile.TemporaryDirectory() as folder:
        taken = asyncio.run(_taken(Path(folder)))
        path = FOLDER / f"graph-{GRAPH_VERSION}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(taken, arcname="home")
    print(f"{path}: {path.stat().st_size:,} bytes")  # noqa: T201 - a command


async def _taken(folder: Path) -> Path:
    """Return a copy of a home in the midst of its work, as a power cut would leave it."""
    crew, copy = Crew(holds=True), folder / "copy"
    settings = settings_for(folder / "home", concurrency=8)
    async with open_runtime(settings, model=crew) as runtime:
        ids = {
            name: (await runtime.tasks.submit(request)).task.id
            for name, request in REQUESTS.items()
            if name != "queued"
        }
        for name, status in _STANDS.items():
            await _stands(runtime, ids[name], status)
        await until(lambda: crew.held == {name for name, _ in HELD})
        await runtime.steering.pause(ids["paused"], namespace=DEFAULT_NAMESPACE)
        await asyncio.to_thread(_copied, folder / "home", copy)
    async with open_runtime(settings_for(copy), model=crew, work=False) as runtime:
        ids["queued"] = (await runtime.tasks.submit(REQUESTS["queued"])).task.id
    _noted(copy, ids, crew)
    return copy


async def _stands(runtime: Runtime, task_id: str, status: str) -> None:
    async for event in runtime.tasks.follow(task_id):
        if event.data.get("status") == status:
            return


def _copied(home: Path, copy: Path) -> None:
    """Copy the databases, each at one moment, and what the tasks have written."""
    (copy / "workspaces").mkdir(parents=True)
    for path in home.glob("*.db"):
        with (
            closing(sqlite3.connect(path)) as live,
            closing(sqlite3.connect(copy / path.name)) as to,
        ):
            live.backup(to)
    for path in (home / "workspaces").glob("*/*"):
        beside = copy / path.relative_to(home)
        beside.parent.mkdir(exist_ok=True)
        beside.write_bytes(path.read_bytes())


def _noted(copy: Path, ids: dict[str, str], crew: Crew) -> None:
    """Keep which task stands where, and which calls of the model were answered."""
    held = {(name, *place) for name, *place in crew.asked if name in crew.held}
    notes = {"tasks": ids, "asked": crew.asked, "held": sorted(map(list, held), key=str)}
    (copy / "sample.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
