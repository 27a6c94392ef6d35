"""Let DBOS's pollers be woken, so that they may poll seldom and start at once all the same."""

import threading
from collections.abc import Callable, Iterable

_POLLER = "queue-worker"
"""In the names of DBOS's threads that give turns out; the others have nothing to look for."""


class Waking:
    """Stands in for the waits of DBOS's threads, which know only a pause and a stop."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wakes = 0
        self._seen = threading.local()

    def attach(self, stops: Iterable[threading.Event]) -> None:
        """Let the threads that pause on these events be woken; the next pause can be cut short."""
        for stop in stops:
            for name, stand_in in (("wait", self._wait_on(stop)), ("set", self._set_of(stop))):
                setattr(stop, name, stand_in)

    def wake(self) -> None:
        """Let every poller look now, also one that is about to pause."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def _wait_on(self, stop: threading.Event) -> Callable[[float | None], bool]:
        plain = stop.wait

        def wait(timeout: float | None = None) -> bool:
            if _POLLER not in threading.current_thread().name:
                return plain(timeout)
            with self._changed:
                before: int = getattr(self._seen, "wakes", 0)
                self._changed.wait_for(
                    lambda: stop.is_set() or self._wakes != before, timeout=timeout
                )
                self._seen.wakes = self._wakes
            return stop.is_set()

        return wait

    def _set_of(self, stop: threading.Event) -> Callable[[], None]:
        plain = stop.set

        def set_() -> None:
            plain()
            self.wake()

        return set_
