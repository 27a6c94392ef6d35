"""Show an exam as it goes: a bar on a terminal, plain lines elsewhere."""

from typing import TYPE_CHECKING, Protocol

from app.cli.text import clean, one_line, say
from sandboxes.check import CheckResult, parts

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {True: "held", False: "BROKEN", None: "not tried"}
_COLOURS = {True: "green", False: "bold red", None: "yellow"}


class Progress(Protocol):
    """Is told every answer of an exam."""

    def begin(self, name: str, total: int) -> None:
        """Start with the backend `name`, which is asked `total` questions."""
        ...

    def show(self, result: CheckResult) -> None:
        """Take an answer in."""
        ...

    def close(self) -> None:
        """Leave the screen in order; may be called twice."""
        ...


class NoProgress:
    """Shows nothing, for output that machines read."""

    def begin(self, name: str, total: int) -> None:
        """Ignore the start."""

    def show(self, result: CheckResult) -> None:
        """Ignore an answer."""

    def close(self) -> None:
        """Do nothing."""


class LineProgress:
    """Writes a line for each answer."""

    def begin(self, name: str, total: int) -> None:
        """Ignore the start."""

    def show(self, result: CheckResult) -> None:
        """Write the answer."""
        verdict = f"{MARKS[result.held]:<9} {result.group:<11} {result.name}"
        say(f"{verdict}: {one_line(result.detail)}")

    def close(self) -> None:
        """Do nothing."""


class BarProgress:
    """Scrolls the answers and keeps a bar with the counts below them."""

    def __init__(self, console: "Console", *, quiet: bool) -> None:
        from rich.progress import (  # noqa: PLC0415 - only terminals need it
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._broken, self._part = 0, ""
        self._parts = {check.name: title for title, found in parts().items() for check in found}

    def begin(self, name: str, total: int) -> None:
        """Start a bar."""
        self._name, self._broken = name, 0
        self._task = self._bar.add_task(name, total=total)
        self._bar.start()

    def show(self, result: CheckResult) -> None:
        """Write the answer above the bar and move it on."""
        from rich.text import Text  # noqa: PLC0415 - only terminals need it

        self._broken += result.held is False
        told = self._name + (f", {self._broken} broken" if self._broken else "")
        self._bar.update(self._task, advance=1, description=told)
        if self._quiet and result.held is True:
            return
        part = self._parts.get(result.name, "")
        if part != self._part:
            self._bar.console.print(Text(part, style="bold"))
            self._part = part
        line = Text(f"{MARKS[result.held]:<9} ", style=_COLOURS[result.held])
        line.append(one_line(clean(result.name), 60), style="default")
        line.append(f"  {one_line(result.detail, 80)}", style="dim")
        self._bar.console.print(line, soft_wrap=False, overflow="ellipsis", no_wrap=True)

    def close(self) -> None:
        """Take the bar off the screen."""
        self._bar.stop()
        for task in self._bar.task_ids:
            self._bar.remove_task(task)


def progress_for(*, lines: bool) -> Progress:
    """Return what fits: `lines` says whether the answers themselves are the output."""
    from rich.console import Console  # noqa: PLC0415 - only this command needs it

    console = Console(stderr=not lines)
    if console.is_terminal and not console.is_dumb_terminal:
        return BarProgress(console, quiet=not lines)
    return LineProgress() if lines else NoProgress()
