"""Solve one real task twice on a fresh home, and show what the first run taught the second.

Started by `make demo`. Nothing here knows the answer but `reference`, which computes it from
the file in plain Python, apart from the runtime, to check what the runs say.
"""

import argparse
import asyncio
import csv
import logging
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from statistics import mean

from app.callers import DEFAULT_NAMESPACE
from app.cli.exits import Exit
from app.cli.progress import Tally, progress_for
from app.cli.solve import exit_code
from app.cli.text import note, one_line, say, table
from app.files import BytesUpload
from app.schemas import TaskRequest, TaskView
from app.settings import Settings, load_settings
from app.wiring import Runtime, open_runtime

DATA = Path(__file__).parents[1] / "examples" / "air-quality" / "air_quality_week.csv"
COLUMN = "CO(GT)"
REPORT = "report.md"
TASK = (
    f"Which day had the highest mean {COLUMN} in {DATA.name}? "
    f"Write the day and its mean to {REPORT}."
)
INTRO = f"""\
Strop solves the same task twice over {DATA.name}: a week of hourly readings from
an Italian city, with the traps of real data (examples/air-quality/README.md).

  task:  {TASK}
  model: the embedded one, a small deterministic program and no language model. It assumes a
         plain file, stumbles over the traps in the sandbox, and reads what was learned.
  home:  {{home}}
"""


@dataclass(frozen=True)
class Reference:
    """The right answer."""

    day: date
    mean: float
    """Of that day."""

    def agrees_with(self, text: str) -> bool:
        """Whether a text names the day, and the mean to two decimals."""
        numbers = [float(found) for found in re.findall(r"-?\d+\.\d+", text)]
        named = any(abs(number - self.mean) < 0.006 for number in numbers)
        return named and any(shape in text for shape in _shapes(self.day))


@dataclass(frozen=True)
class Run:
    """What one run did."""

    task: TaskView
    tally: Tally
    report: str
    """What the run wrote to its report file."""

    @property
    def recalled(self) -> list[str]:
        """The texts that memory gave to the run."""
        return [item["text"] for item in self.task.recalled if not item.get("withheld")]

    @property
    def learned(self) -> list[str]:
        """The texts that the run put into memory."""
        return [item["text"] for item in self.task.learned if item["outcome"] != "refused"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", metavar="FOLDER", help="use this folder as home and keep it")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.ERROR)
    try:
        if args.keep:
            return asyncio.run(demo(Path(args.keep)))
        with tempfile.TemporaryDirectory(prefix="strop-demo-") as home:
            return asyncio.run(demo(Path(home)))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


async def demo(home: Path) -> int:
    """Solve the task twice and compare."""
    say(INTRO.format(home=home))
    async with open_runtime(_settings(home)) as runtime:
        runs = [await _run(runtime, n) for n in (1, 2)]
    say("\n" + compare(runs))
    for n, run in enumerate(runs, 1):
        for text in run.recalled:
            say(f"\nrun {n} recalled: {one_line(text, 400)}")
        for text in run.learned:
            say(f"\nrun {n} learned:  {one_line(text, 400)}")
    return _verdict(runs, reference(DATA))


def reference(path: Path) -> Reference:
    """Compute the answer from the file, knowing its traps."""
    by_day: dict[date, list[float]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            value = float(row[COLUMN].replace(",", "."))
            if value != -200:
                by_day[datetime.strptime(row["Date"], "%d/%m/%Y").date()].append(value)  # noqa: DTZ007 - a day has no zone
    best = max(by_day, key=lambda day: mean(by_day[day]))
    return Reference(best, mean(by_day[best]))


def compare(runs: Sequence[Run]) -> str:
    """Return the runs side by side."""
    rows = [
        ("steps", *(run.task.usage.steps for run in runs)),
        ("failed steps", *(run.tally.failed_steps for run in runs)),
        ("model calls", *(run.task.usage.calls for run in runs)),
        ("tokens", *(f"{run.task.usage.tokens:,}" for run in runs)),
        ("cost", *(f"${run.task.usage.usd:.4f}" for run in runs)),
        ("seconds", *(f"{run.task.usage.seconds:.1f}" for run in runs)),
        ("recalled", *(len(run.recalled) for run in runs)),
        ("learned", *(len(run.learned) for run in runs)),
    ]
    return table(("", *(f"run {n}" for n in range(1, len(runs) + 1))), rows)


def _verdict(runs: Sequence[Run], right: Reference) -> int:
    """Say whether the demo showed what it is there to show."""
    say(f"\nanswer: {runs[-1].task.result or '-'}")
    expected = f"{right.day:%d %B %Y}, mean {right.mean:.2f}"
    for n, run in enumerate(runs, 1):
        if code := exit_code(run.task):
            note(f"run {n} {run.task.status}: {run.task.end_reason}: {run.task.error}")
            return code
        if not (right.agrees_with(run.task.result or "") and right.agrees_with(run.report)):
            note(f"checked: run {n} did not get it right in its answer and {REPORT}: {expected}")
            return Exit.FAILED
    say(f"checked: correct, twice, in the answer and in {REPORT} ({expected})")
    first, second = (run.task.usage.steps for run in runs)
    if second >= first:
        note(f"but the second run took no fewer steps: {first}, then {second}")
        return Exit.FAILED
    say(f"The second run knew the traps from the first: {second} steps instead of {first}.")
    return Exit.DONE


async def _run(runtime: Runtime, n: int) -> Run:
    say(f"--- run {n}")
    upload = BytesUpload(await asyncio.to_thread(DATA.read_bytes))
    file = await runtime.tasks.files.add(DEFAULT_NAMESPACE, DATA.name, upload)
    request = TaskRequest(instruction=TASK, files=(file.id,))
    task_id = (await runtime.tasks.submit(request)).task.id
    progress, tally = progress_for(json=False), Tally()
    try:
        async for event in runtime.tasks.follow(task_id):
            progress.show(event.kind, event.data)
            tally.add(event.kind, event.data)
    finally:
        progress.close()
    task = await runtime.tasks.get(task_id)
    path = runtime.home.workspace(task_id) / REPORT
    report = path.read_text(encoding="utf-8") if path.is_file() else ""
    return Run(task, tally, report)


def _settings(home: Path) -> Settings:
    """Return settings that nothing around the demo can change, on a home of its own."""
    return load_settings(
        home=home,
        database_url="",
        model="embedded",
        model_base_url="",
        # The demo compares two runs, so nothing is withheld at random; see docs/architecture.md.
        withholding_rate=0.0,
    )


def _shapes(day: date) -> tuple[str, ...]:
    months = f"{day.day} {day:%B} {day.year}", f"{day:%B} {day.day}, {day.year}"
    return (day.isoformat(), f"{day:%d/%m/%Y}", *months)


if __name__ == "__main__":
    sys.exit(main())
