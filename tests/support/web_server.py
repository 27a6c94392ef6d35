"""A web server on loopback that sends exactly the bytes it is told to."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class WebServer:
    """What it serves, and what it was asked."""

    pages: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Whole raw answers by path."""
    hanging: set[str] = field(default_factory=set[str])
    """Paths after whose bytes the connection stays open."""
    requests: list[tuple[str, dict[str, str]]] = field(
        default_factory=list[tuple[str, dict[str, str]]]
    )
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def page(
        self,
        path: str,
        body: bytes,
        content_type: str = "text/html; charset=utf-8",
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Serve a page and return its address."""
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.pages[path] = "\r\n".join([*lines, "", ""]).encode() + body
        return self.url(path)

    def redirect(self, path: str, to: str) -> str:
        """Serve a redirect and return its address."""
        return self.page(path, b"", status=302, headers={"Location": to})

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            self.requests.append((path, {name.lower(): text for name, text in fields.items()}))
            missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            writer.write(self.pages.get(path, missing))
            await writer.drain()
            if path in self.hanging:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def web_server(host: str = "127.0.0.1") -> AsyncGenerator[WebServer, None]:
    """Run a server on a free port."""
    serving = WebServer()
    listening = await asyncio.start_server(serving.answer, host, 0)
    serving.port = listening.sockets[0].getsockname()[1]
    try:
        yield serving
    finally:
        listening.close()
        await listening.wait_closed()
