"""What a reader that does not read may cost, and what one that reads slowly may."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.connections import Bounds, protocol

pytestmark = pytest.mark.anyio
LIMIT_S = 30.0
PART = b"x" * 65_536


class Endless:
    """Answers without end, until nobody takes it in."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.create_task(_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": PART, "more_body": True})
            await asyncio.wait({gone}, timeout=0)
        self.left.set()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def _reader(application: Endless) -> AsyncGenerator[asyncio.StreamReader]:
    """Give the answer of the application to a reader who takes in little at once."""
    listener = socket.create_server(("127.0.0.1", 0))
    bounds = Bounds(wait_s=0.3, connections=10)
    config = uvicorn.Config(
        application, http=protocol(bounds), lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    try:
        yield reader
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def test_a_reader_that_does_not_read_is_hung_up_on() -> None:
    application = Endless()
    async with _reader(application) as reader, asyncio.timeout(LIMIT_S):
        await application.left.wait()
        while await reader.read(65_536):
            pass  # what was under way still comes, then the end


async def test_a_reader_that_is_slow_but_reads_is_served_on() -> None:
    application = Endless()
    async with _reader(application) as reader, asyncio.timeout(LIMIT_S):
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - began < 1.0:
            assert await reader.readexactly(1 << 20)
        assert not application.left.is_set()
