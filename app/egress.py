"""Turn what a run's sandbox reaches, and does not reach, into events of the task."""

from collections.abc import Callable

from models.messages import JsonObject
from sandboxes.base import Egress

MOST_EVENTS = 200
"""Of one run; what goes on after that is counted."""


class EgressEvents:
    """Tells each decision while there are few, and how many more there were at the end."""

    def __init__(self, tell: Callable[[str, JsonObject], None]) -> None:
        self._tell = tell
        self._told = 0
        self._allowed = 0
        self._refused = 0

    def __call__(self, egress: Egress) -> None:
        """Take a decision in."""
        if self._told < MOST_EVENTS:
            self._told += 1
            self._tell("egress", egress.model_dump(mode="json"))
        elif egress.allowed:
            self._allowed += 1
        else:
            self._refused += 1

    def close(self) -> None:
        """Tell of those that were only counted."""
        if self._allowed or self._refused:
            self._tell("egress_more", {"allowed": self._allowed, "refused": self._refused})
