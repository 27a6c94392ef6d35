"""What the way out of a sandbox costs, and a browser in its policy: python -m benchmarks.egress.

Cases take turns, so that other work on the machine hits all alike.
"""

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, as_table, figure
from sandboxes.base import Network, Sandbox, SandboxSpec
from sandboxes.browser import browser_in
from sandboxes.bubblewrap import BubblewrapBackend

_ROUNDS = 30
_REQUESTS = 10
_BROWSERS = 5
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

# Each request on a connection of its own, as the proxy wants it; prints milliseconds.
_ASK = """
import json, socket, sys, time
host, port, target, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
taken = []
for _ in range(count + 1):
    began = time.perf_counter()
    with socket.create_connection((host, port)) as server:
        server.sendall(f"GET {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n".encode())
        while server.recv(65536):
            pass
    taken.append(1000 * (time.perf_counter() - began))
print(json.dumps(taken[1:]))
"""


async def main() -> None:
    """Measure and print a table."""
    backend = BubblewrapBackend()
    await backend.probe()
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="strop-bench-") as folder:
        network = Network(mode="allowlist", domains=(f"127.0.0.1:{port}",))
        listed = SandboxSpec(workspace=Path(folder, "listed"), network=network)
        plain = SandboxSpec(workspace=Path(folder, "plain"))
        sandboxes = [await backend.create(spec) for spec in (listed, plain)]
        figures = await _requests(sandboxes[0], port) + await _starts(*sandboxes)
        for place in sandboxes:
            await place.close()
        figures += await _browsers(backend, listed)
    server.close()
    machine = (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    )
    print(as_table(figures, machine))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(_ANSWER)
    await writer.drain()
    writer.close()


async def _requests(place: Sandbox, port: int) -> list[Figure]:
    direct: list[float] = []
    proxied: list[float] = []
    argv = ["-I", "-c", _ASK]
    url = f"http://127.0.0.1:{port}/"
    for _ in range(_ROUNDS):
        bare = await asyncio.create_subprocess_exec(
            *(sys.executable, *argv, "127.0.0.1", str(port), "/", str(_REQUESTS)),
            stdout=asyncio.subprocess.PIPE,
        )
        direct += json.loads((await bare.communicate())[0])
        inside = ["python3", *argv, "127.0.0.1", "3128", url, str(_REQUESTS)]
        proxied += json.loads((await place.exec(inside)).stdout)
    return [
        figure("request from a bare process", "ms", direct),
        figure("request from a sandbox, by relay and proxy", "ms", proxied),
    ]


async def _starts(listed: Sandbox, plain: Sandbox) -> list[Figure]:
    taken: dict[str, list[float]] = {"without hosts": [], "with hosts, relay included": []}
    for _ in range(_ROUNDS):
        for name, place in zip(taken, (plain, listed), strict=True):
            began = time.perf_counter()
            await place.exec(["true"])
            taken[name].append(1000 * (time.perf_counter() - began))
    return [figure(f"`true` in a sandbox {name}", "ms", times) for name, times in taken.items()]


async def _browsers(backend: BubblewrapBackend, spec: SandboxSpec) -> list[Figure]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only here

    outside: list[float] = []
    inside: list[float] = []
    bare: dict[str, Any] = {
        "executable_path": "/usr/bin/chromium",
        "args": ["--no-sandbox", "--disable-gpu"],
    }
    async with async_playwright() as playwright:
        for _ in range(_BROWSERS):
            async with browser_in(backend, spec) as browser:
                for options, taken in ((bare, outside), (browser.launch_options, inside)):
                    began = time.perf_counter()
                    driven = await playwright.chromium.launch(**options)
                    page = await driven.new_page()
                    await page.goto("data:text/html,hello")
                    taken.append(1000 * (time.perf_counter() - began))
                    await driven.close()
    return [
        figure("Chromium to its first page, outside", "ms", outside),
        figure("Chromium to its first page, in the policy", "ms", inside),
    ]


if __name__ == "__main__":
    asyncio.run(main())
