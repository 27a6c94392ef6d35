"""Watch a bubblewrap sandbox from outside and end it with everything in it."""

import asyncio
import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field

from sandboxes.base import Limits, Outcome
from sandboxes.files import Workspace
from sandboxes.process import wait_for_death
from sandboxes.tree import descendants, kill_all, tree_memory

_FIRST_LOOK_S = 0.03
_PAUSE_S = 0.05
_MOST_PAUSE_S = 0.2
"""Between two looks at a workspace that does not change."""
_SHARE = 10
"""Looking may take one part in this many of the time."""
_DEATH_S = 5.0
_OURS = 2
"""bubblewrap and the shell that supervises the command inside."""
_TIMES = re.compile(rb"(\d+)m([\d.]+)s (\d+)m([\d.]+)s")


@dataclass(slots=True)
class BubblewrapGuard:
    """Limits that nothing in the kernel enforces for us, and the kill."""

    workspace: Workspace
    limits: Limits
    status: int
    """Descriptor from which bubblewrap's messages can be read without blocking."""
    watch_memory: bool
    disk_before: int = 0
    """A workspace that is over its limit already may shrink, but not grow."""
    helpers: int = 0
    """Processes inside that are ours beside the supervisor."""
    peak_memory: int = 0
    messages: bytes = field(default=b"", init=False)

    async def watch(self, pid: int) -> Outcome:
        """Look at disk and, without a control group, at memory until one is over."""
        pause, still, usage = _FIRST_LOOK_S, _PAUSE_S, -1
        while True:
            await asyncio.sleep(pause)
            before = usage
            outcome, usage, cost = await asyncio.to_thread(self._look, pid)
            if outcome is not None:
                return outcome
            # An interpreter that is kept writes nothing most of the time.
            still = min(2 * still, _MOST_PAUSE_S) if usage == before else _PAUSE_S
            pause = max(still, _SHARE * cost)

    def _look(self, pid: int) -> tuple[Outcome | None, int, float]:
        """Return what is over, the bytes on disk, and the processor seconds this took.

        Not the time that passed: on a busy machine it would make the looks rare.
        """
        started = time.thread_time()
        if self.watch_memory and self._memory_exceeded(pid):
            return Outcome.OOM, 0, 0.0
        usage = self.workspace.usage()
        outcome = Outcome.DISK_LIMIT if self.is_over(usage) else None
        return outcome, usage, time.thread_time() - started

    async def kill(self, pid: int) -> int:
        """Kill bubblewrap, then wait until its pid namespace is empty."""
        living = await asyncio.to_thread(descendants, pid)
        self._collect()
        first = self.field("child-pid")
        # Its namespace dies with bubblewrap; before there is one, each is killed by itself.
        kill_all(living if first is None else living[:1])
        if first is not None and not await wait_for_death(first, _DEATH_S):
            kill_all([first])
            await wait_for_death(first, _DEATH_S)
        return max(0, len(living) - _OURS - self.helpers)

    def is_over(self, usage: int) -> bool:
        """Return whether `usage` is over the limit and more than before the command."""
        return usage > max(self.limits.disk_bytes, self.disk_before)

    def field(self, name: str) -> int | None:
        """Return a number bubblewrap told, such as `child-pid` or `exit-code`."""
        for line in self.messages.splitlines():
            with suppress(ValueError):
                value = json.loads(line).get(name)
                if isinstance(value, int):
                    return value
        return None

    def _collect(self) -> None:
        with suppress(BlockingIOError):
            while part := os.read(self.status, 4096):
                self.messages += part

    def _memory_exceeded(self, pid: int) -> bool:
        held = tree_memory(pid)
        self.peak_memory = max(self.peak_memory, held)
        return held > self.limits.memory_bytes


def parse_report(report: bytes, helpers: int = 0) -> tuple[int, float | None]:
    """Return leftover processes and processor seconds from the supervisor's last words."""
    lines = report.splitlines()
    if not lines or not lines[0].isdigit():
        return 0, None
    leftover = max(0, min(int(lines[0][:6]), 1 << 20) - 1 - helpers)
    times = [_TIMES.fullmatch(line) for line in lines[1:3]]
    if len(times) < 2 or times[1] is None:
        return leftover, None
    minutes, seconds, system_minutes, system_seconds = times[1].groups()
    spent = 60 * (int(minutes) + int(system_minutes)) + float(seconds) + float(system_seconds)
    return leftover, spent
