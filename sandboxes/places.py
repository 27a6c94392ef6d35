"""Where commands start: a launched child that waits inside its control group.

Both are made ahead of time, since making them costs as much as the start of an interpreter.
"""

import time
import weakref
from contextlib import suppress
from dataclasses import dataclass

from sandboxes.base import Limits, SandboxError
from sandboxes.cgroup import Group, Groups
from sandboxes.launcher import Launcher, Slot

_KEPT = 2
"""Places that wait while nothing runs."""
_REMOVAL_S = 0.5
_PAUSE_S = 0.005


@dataclass(slots=True)
class Place:
    """A waiting child, with the control group it is in, if any."""

    slot: Slot
    group: Group | None
    oom_kills_before: int = 0

    def ran_out_of_memory(self) -> bool:
        """Return whether something was killed here for memory since it was taken."""
        return self.group is not None and self.group.oom_kills() > self.oom_kills_before


class Places:
    """Hands places out and makes new ones while their commands run."""

    def __init__(self, launcher: Launcher, groups: Groups | None) -> None:
        self._launcher, self._groups = launcher, groups
        self._ready: list[Place] = []
        weakref.finalize(self, _remove_all, self._ready)

    def take(self, limits: Limits) -> Place:
        """Return a place under `limits` that nobody else has.

        Raises:
            SandboxError: none can be made.
        """
        place = self._ready.pop() if self._ready else self._made()
        if place.group is not None:
            try:
                place.group.set(limits)
            except OSError as error:
                place.slot.close()
                msg = f"the control group of the command could not be set up: {error}"
                raise SandboxError(msg) from error
            place.oom_kills_before = place.group.oom_kills()
        return place

    def give(self, place: Place) -> None:
        """Take back a place whose command ended, and prepare it for another."""
        group = place.group
        if len(self._ready) >= _KEPT:
            if group is not None:
                group.remove()
            return
        with suppress(SandboxError):
            self._ready.append(Place(self._prepared(group), group))

    def _made(self) -> Place:
        group: Group | None = None
        if self._groups is not None:
            try:
                group = self._groups.take()
            except OSError as error:
                msg = f"the control group of the command could not be made: {error}"
                raise SandboxError(msg) from error
        return Place(self._prepared(group), group)

    def _prepared(self, group: Group | None) -> Slot:
        return self._launcher.prepare(group.doors if group else ())


def _remove_all(ready: list[Place]) -> None:
    """Send the waiting children home and remove their groups."""
    for place in ready:
        place.slot.close()
    until = time.monotonic() + _REMOVAL_S
    while ready:
        group = ready[-1].group
        if group is None or group.remove() or time.monotonic() > until:
            ready.pop()
        else:
            time.sleep(_PAUSE_S)
