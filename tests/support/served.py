"""Serve an application from a thread, so that a browser in this process can use it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI


class Served:
    """An application on a loopback port, with an event loop of its own."""

    def __init__(self, application: FastAPI, *, port: int = 0) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen()  # from here on, connections wait instead of being refused
        self.port: int = self._listener.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        config = uvicorn.Config(application, log_level="critical", timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the address of its first page."""
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        """Stop serving and wait for the end."""
        self._server.should_exit = True
        self._thread.join(timeout=20)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        with self._listener, contextlib.closing(self.loop):
            self.loop.run_until_complete(self._server.serve(sockets=[self._listener]))


@contextmanager
def served(application: FastAPI) -> Generator[Served]:
    """Serve while the block runs."""
    running = Served(application)
    try:
        yield running
    finally:
        running.stop()
