"""Show others on this machine that a process without a port still works: touch a file.

Its reader is `app/probe.py`, which health checks run.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from app.errors import SettingsError

EVERY_S = 5.0
"""The reader waits for six times as long before it says that the process hangs."""


@asynccontextmanager
async def shown_alive(path: Path) -> AsyncGenerator[None]:
    """Touch the file for as long as the event loop turns, and remove it at the end.

    Raises:
        SettingsError: the file cannot be written.
    """
    try:
        _touch(path)
    except OSError as error:
        msg = f"--alive-file: expected a file that can be written, got {error}"
        raise SettingsError(msg) from None
    touching = asyncio.create_task(_keep_touching(path))
    try:
        yield
    finally:
        touching.cancel()
        await asyncio.gather(touching, return_exceptions=True)
        await asyncio.to_thread(path.unlink, missing_ok=True)


async def _keep_touching(path: Path) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        with suppress(OSError):  # the file grows old, which says it
            _touch(path)


def _touch(path: Path) -> None:
    path.touch(mode=0o600)
