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
_SETTLE_S = 0.2
"""Making one is work: whoever was just given one is to be served first."""
IDLE_S = 600.0
"""Once nobody has taken a container for so long, none is kept ready."""


@dataclass
class _Stock:
    """What a pool holds, apart from it so that it can be emptied when the pool is gone."""

    engine: Engine
    idle_s: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    ready: deque[Raw] = field(default_factory=deque[Raw])
    filling: bool = False
    closed: bool = False
    timer: threading.Timer | None = None

    def put_off(self) -> None:
        """Give up what is ready once nobody has come for long."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = threading.Timer(self.idle_s, self.empty)
        self.timer.daemon = True
        self.timer.start()

    def close(self) -> None:
        """Give up what is ready and take nothing in any more."""
        with self.lock:
            self.closed = True
            if self.timer is not None:
                self.timer.cancel()
        self.empty()

    def empty(self) -> None:
        """Give up what is ready; the next who comes has it filled again."""
        with self.lock:
            left = list(self.ready)
            self.ready.clear()
        for raw in left:
            give_up(self.engine, raw)


class Pool:
    """Keeps some containers ready, alike but for the workspace that each will be given."""

    def __init__(
        self, engine: Engine, recipe: Recipe, size: int = SIZE, idle_s: float = IDLE_S
    ) -> None:
        """Hold nothing yet; the first `take` begins to fill it."""
        self._recipe = recipe
        self._size = size
        self._stock = _Stock(engine, idle_s)
        self._bounds: Bounds | None = None
        self.close = weakref.finalize(self, self._stock.close)
        """Also called at the end of the process."""

    def take(self, bounds: Bounds) -> Raw | None:
        """Return one that is ready, if any, and have it replaced some time."""
        self._bounds = bounds
        with self._stock.lock:
            taken = self._stock.ready.popleft() if self._stock.ready else None
            self._stock.put_off()
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
        time.sleep(_SETTLE_S)
        while not stock.closed and len(stock.ready) < size:
            raw = make_raw(stock.engine, recipe, bounds)
            with stock.lock:
                late = stock.closed
                if not late:
                    stock.ready.append(raw)
                    stock.put_off()
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
