"""`strop work`: a worker without a face, beside any number of others on the same database."""

import asyncio
import logging
import signal
from argparse import Namespace

from app.cli.exits import Exit
from app.cli.text import note, say_json
from app.settings import load_settings
from app.wiring import open_runtime


async def work(args: Namespace) -> int:
    """Work on tasks until a signal, then let running ones go on for a moment and hand them over."""
    settings = load_settings(concurrency=args.concurrency)
    logging.basicConfig(level=logging.WARNING)
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    async with open_runtime(settings):
        if args.json:
            say_json({"concurrency": settings.concurrency, "home": str(settings.home_path)})
        else:
            note(f"working on up to {settings.concurrency} tasks at once; Ctrl-C stops")
        await asked_to_stop.wait()
        note("stopping: running tasks may end, the rest is handed over")
    return Exit.DONE
