"""`strop work`: a worker without a face, beside any number of others on the same database."""

import asyncio
import signal
from argparse import Namespace
from contextlib import AsyncExitStack
from pathlib import Path

from app import logs
from app.alive import shown_alive
from app.cli.exits import Exit
from app.cli.text import note, say_json
from app.settings import load_settings
from app.wiring import open_runtime
from models.base import Model


async def work(args: Namespace, *, model: Model | None = None) -> int:
    """Work on tasks until a signal, then let running ones go on for a moment and hand them over.

    Args:
        args: of the command line.
        model: answers instead of the model that the settings name.
    """
    settings = load_settings(concurrency=args.concurrency)
    logs.set_up(settings.log_level, settings.log_format)
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(settings, model=model))
        if args.alive_file:
            await stack.enter_async_context(shown_alive(Path(args.alive_file)))
        if args.json:
            told = {"concurrency": settings.concurrency, "home": str(settings.home_path)}
            say_json(told, indent=None)
        else:
            note(f"working on up to {settings.concurrency} tasks at once; Ctrl-C stops")
        await asked_to_stop.wait()
        note("stopping: running tasks may end, the rest is handed over")
        await runtime.engine.stop(settings.drain_s)
    return Exit.DONE
