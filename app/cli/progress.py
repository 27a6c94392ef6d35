"""Show a task as it goes: a live display on a terminal, plain lines elsewhere."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from app.cli.narration import narrate
from app.cli.text import clean, note, one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


@dataclass
class Tally:
    """What a task has used so far, counted from its events."""

    steps: int = 0
    failed_steps: int = 0
    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    model: str = ""
    started: float = field(default_factory=time.monotonic)

    def add(self, kind: str, data: dict[str, Any]) -> None:
        """Count an event."""
        if kind == "step":
            self.steps += 1
            self.failed_steps += data.get("outcome") != "success"
        elif kind == "model":
            self.calls += 1
            self.tokens += data.get("prompt_tokens", 0) + data.get("completion_tokens", 0)
            self.usd += data.get("usd", 0.0)
            self.model = data.get("model", self.model)

    def line(self) -> str:
        """Return it as one line."""
        seconds = time.monotonic() - self.started
        return (
            f"{self.steps} steps · {self.calls} model calls · {self.tokens:,} tokens · "
            f"${self.usd:.4f} · {seconds:.0f} s" + (f" · {self.model}" if self.model else "")
        )


class Progress(Protocol):
    """Is told every event of a task."""

    def show(self, kind: str, data: dict[str, Any]) -> None:
        """Take an event in."""
        ...

    def close(self) -> None:
        """Leave the screen in order, until the next event; may be called twice."""
        ...


class NoProgress:
    """Shows nothing, for output that machines read."""

    def show(self, kind: str, data: dict[str, Any]) -> None:
        """Ignore an event."""

    def close(self) -> None:
        """Do nothing."""


class LineProgress:
    """Writes plain lines to stderr."""

    def show(self, kind: str, data: dict[str, Any]) -> None:
        """Write what the event is worth."""
        for line in narrate(kind, data):
            note(line)

    def close(self) -> None:
        """Do nothing."""


class LiveProgress:
    """Scrolls the lines and keeps the plan and the cost below them, redrawn in place."""

    def __init__(self, console: "Console") -> None:
        from rich.live import Live  # noqa: PLC0415 - only terminals need it

        self._plan: list[tuple[str, str]] = []
        self._tally = Tally()
        self._live = Live(self, console=console, refresh_per_second=4, transient=True)

    def show(self, kind: str, data: dict[str, Any]) -> None:
        """Write what the event is worth and redraw; begins anew after `close`."""
        if not self._live.is_started:
            self._live.start()
        self._tally.add(kind, data)
        if kind == "plan":
            self._plan = [(text, "pending") for text in data.get("subgoals", [])]
        elif kind == "subgoal" and 0 <= data.get("index", -1) < len(self._plan):
            self._plan[data["index"]] = (data["text"], data["status"])
        for line in narrate(kind, data):
            self._live.console.print(clean(line), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the display off the screen."""
        self._live.stop()

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.spinner import Spinner  # noqa: PLC0415 - only terminals need it
        from rich.text import Text  # noqa: PLC0415 - see above

        marks = {"done": "✓", "failed": "✗", "running": "▸"}
        for text, status in self._plan:
            yield Text(f" {marks.get(status, '·')} {one_line(text, console.width - 4)}")
        yield Spinner("dots", Text(self._tally.line(), style="dim"))


def progress_for(*, json: bool) -> Progress:
    """Return what fits where stderr goes."""
    if json:
        return NoProgress()
    from rich.console import Console  # noqa: PLC0415 - not needed for JSON

    console = Console(stderr=True)
    return (
        LiveProgress(console)
        if console.is_terminal and not console.is_dumb_terminal
        else LineProgress()
    )
