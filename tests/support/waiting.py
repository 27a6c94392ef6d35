"""Wait for what another thread or process brings about."""

import time
from collections.abc import Callable


def eventually(done: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not within `limit_s`.
    """
    limit = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > limit:
            msg = f"what a test waited for did not come about within {limit_s} s"
            raise TimeoutError(msg)
        time.sleep(0.005)  # what is waited for lies outside this process
