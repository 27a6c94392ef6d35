"""Containers that were started before anybody asked for them; each serves one sandbox only."""

import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from sandboxes.base import SandboxError
from sandboxes.docker_box import Raw
from sandboxes.docker_engine import Bounds, Engine, Recipe

SIZE = 2
IDLE_S = 600.0
"""A container that nobody took in this time is given up."""


@dataclass
class _Stock:
    """What a pool holds, apart from it so that it can be emptied when the pool is gone."""

    engine: Engine
    lock: threading.Lock = field(default_factory=threading.Lock)
    ready: "deque[tuple[float, Raw]]" = field(default_factory=deque["tuple[float, Raw]"])
    filling: bool = False
    closed: bool = False

    def empty(self) -> None:
        """Give up what is ready and take nothing in any more."""
        with self.lock:
            self.closed = True
            left = [raw for _, raw in self.ready]
            self.ready.clear()
        for raw in left:
            give_up(self.engine, raw)


class Pool:
    """Keeps some containers ready, alike but for the workspace that each will be given."""

    def __init__(self, engine: Engine, recipe: Recipe, size: int = SIZE) -> None:
        """Hold nothing yet; the first `take` begins to fill it."""
        self._recipe = recipe
        self._size = size
        self._stock = _Stock(engine)
        self._bounds: Bounds | None = None
        self.close = weakref.finalize(self, self._stock.empty)
        """Also called at the end of the process."""

    def take(self, bounds: Bounds) -> Raw | None:
        """Return one that is ready, if any, and have it replaced some time."""
        stock, oldest = self._stock, time.monotonic() - IDLE_S
        self._bounds = bounds
        stale: list[Raw] = []
        taken: Raw | None = None
        with stock.lock:
            while stock.ready and taken is None:
                made, raw = stock.ready.popleft()
                if made < oldest:
                    stale.append(raw)
                else:
                    taken = raw
        for raw in stale:
            stock.engine.submit(give_up, stock.engine, raw)
        self.fill()
        return taken

    def fill(self) -> None:
        """Begin to make what is missing, one after the other."""
        with self._stock.lock:
            if self._stock.filling or self._stock.closed or self._bounds is None:
                return
            self._stock.filling = True
        self._stock.engine.submit(_fill, self._stock, self._recipe, self._bounds, self._size)


def make_raw(engine: Engine, recipe: Recipe, bounds: Bounds, workspace: str | None = None) -> Raw:
    """Make a container and start it.

    Raises:
        SandboxError: the engine would not.
    """
    number, attached = engine.make(recipe, bounds, workspace)
    try:
        return Raw(number, attached, engine.state(number).pid, bounds)
    except BaseException:
        attached.close()
        engine.remove(number)
        raise


def _fill(stock: _Stock, recipe: Recipe, bounds: Bounds, size: int) -> None:
    try:
        while not stock.closed and len(stock.ready) < size:
            raw = make_raw(stock.engine, recipe, bounds)
            with stock.lock:
                late = stock.closed
                if not late:
                    stock.ready.append((time.monotonic(), raw))
            if late:
                give_up(stock.engine, raw)
    except SandboxError:
        # Whoever needs a container meets the same trouble and is told.
        return
    finally:
        stock.filling = False


def give_up(engine: Engine, raw: Raw) -> None:
    """Let go of a container and remove it."""
    raw.attached.close()
    with suppress(SandboxError):
        engine.remove(raw.number)
