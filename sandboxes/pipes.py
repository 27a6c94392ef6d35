"""Pipes of the operating system as streams of asyncio."""

import asyncio
import os


async def open_reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    """Return a stream that reads `descriptor` and owns it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 17)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb", 0))
    return reader, transport


async def open_writer(descriptor: int) -> tuple[asyncio.StreamWriter, asyncio.BaseTransport]:
    """Return a stream that writes to `descriptor` and owns it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(descriptor, "wb", 0))
    return asyncio.StreamWriter(transport, protocol, reader, loop), transport
