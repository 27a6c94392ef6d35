import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandboxes.base import Address, Egress, Network, Sandbox, SandboxSpec
from sandboxes.bubblewrap import BubblewrapBackend
from sandboxes.relay import Relay, proxy_env
from tests.support.web_server import WebServer, web_server

pytestmark = pytest.mark.anyio

FETCH = """
import sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try:
        print(len(urllib.request.urlopen(url, timeout=10).read()))
    except urllib.error.HTTPError as error:
        print(error.code, error.headers["X-Strop-Egress"])
    except urllib.error.URLError as error:
        print(error.reason)
"""
ECHO = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
while True:
    client, _ = listening.accept()
    while piece := client.recv(65536):
        client.sendall(piece)
    client.close()
"""
PYTHON_IGNORES = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
KILL_THE_RELAY = """
import os, signal
for name in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{name}/cmdline", "rb") as file:
        if file.read().split(b"\\0")[3:4] == [b"/run/strop/relay.py"]:
            os.kill(int(name), signal.SIGKILL)
            print("killed")
"""


@pytest.fixture(scope="module")
def backend() -> BubblewrapBackend:
    return BubblewrapBackend()


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    async with web_server() as serving:
        yield serving


@asynccontextmanager
async def sandbox_on(
    backend: BubblewrapBackend, workspace: Path, *domains: str
) -> AsyncGenerator[tuple[Sandbox, list[Egress]]]:
    told: list[Egress] = []
    network = Network(mode="allowlist" if domains else "none", domains=domains)
    place = await backend.create(
        SandboxSpec(workspace=workspace, network=network), watch=told.append
    )
    try:
        yield place, told
    finally:
        await place.close()


async def echoed(address: Address, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    try:
        return await reader.read(-1)
    finally:
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def test_a_command_reaches_what_is_listed_and_nothing_else(
    backend: BubblewrapBackend, web: WebServer, tmp_path: Path
) -> None:
    big = web.page("/big", b"a" * 3_000_000)
    urls = [big, "http://169.254.169.254/", "https://other.test/", "http://localhost:1/"]
    async with sandbox_on(backend, tmp_path / "ws", web.host, "listed.test") as (place, told):
        result = await place.exec(["python3", "-I", "-c", FETCH, *urls])
    lines = result.stdout.decode().splitlines()
    assert lines[0] == "3000000", result
    assert lines[1] == "403 host_not_allowed"
    assert lines[2].startswith("Tunnel connection failed: 403 Forbidden By Policy (host_not_all")
    assert result.survivors_killed == 0
    assert [(egress.host, egress.port, egress.allowed) for egress in told][:3] == [
        ("127.0.0.1", web.port, True),
        ("169.254.169.254", 80, False),
        ("other.test", 443, False),
    ]
    assert told[0].received_bytes > 3_000_000


async def test_without_a_list_there_is_no_proxy(backend: BubblewrapBackend, tmp_path: Path) -> None:
    async with sandbox_on(backend, tmp_path / "ws") as (place, _):
        result = await place.exec(["sh", "-c", "env; ls /run"])
    assert b"proxy" not in result.stdout.lower()
    assert b"strop" not in result.stdout


async def test_a_rule_that_cannot_be_kept_to_is_refused_before_anything_runs(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    spec = SandboxSpec(workspace=tmp_path, network=Network(mode="allowlist", domains=("10.0.0.1",)))
    with pytest.raises(ValueError, match="with its port"):
        await backend.create(spec)


async def test_a_command_may_set_the_proxy_itself(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    async with sandbox_on(backend, tmp_path / "ws", "listed.test") as (place, _):
        result = await place.exec(
            ["sh", "-c", "echo $http_proxy $HTTPS_PROXY"], env={"http_proxy": "x"}
        )
    assert result.stdout == b"x http://127.0.0.1:3128\n"


async def test_the_folder_of_sockets_cannot_be_changed_from_inside(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    async with sandbox_on(backend, tmp_path / "ws", "listed.test") as (place, _):
        result = await place.exec(
            [
                "sh",
                "-c",
                "rm /run/strop/proxy; mv /run/strop /run/x; touch /run/strop/x; ls /run/strop",
            ]
        )
    assert result.stdout.split() == [b"proxy", b"relay.py"]
    assert result.stderr.count(b"Read-only file system") + result.stderr.count(b"busy") == 3


async def test_a_command_that_kills_the_relay_has_cut_itself_off(
    backend: BubblewrapBackend, web: WebServer, tmp_path: Path
) -> None:
    url = web.page("/a", b"hello")
    async with sandbox_on(backend, tmp_path / "ws", web.host) as (place, told):
        result = await place.exec(["python3", "-I", "-c", KILL_THE_RELAY + FETCH, url])
        again = await place.exec(["python3", "-I", "-c", FETCH, url])
    assert result.stdout.splitlines() == [b"killed", b"[Errno 111] Connection refused"]
    assert again.stdout == b"5\n"
    assert len(told) == 1


async def test_a_command_behind_the_relay_is_as_it_would_be_without_it(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "plain").write_text("no program")
    async with sandbox_on(backend, tmp_path / "ws", "listed.test") as (place, _):
        missing = await place.exec(["no-such-program"])
        unfit = await place.exec(["/work/plain"])
        looked = await place.exec(
            ["sh", "-c", "ls /proc/$$/fd; grep SigIgn /proc/$$/status; ulimit -n; wait"]
        )
    assert (missing.exit_code, unfit.exit_code) == (127, 126)
    assert b"no-such-program" in missing.stderr
    zero, one, two, _, ignored, files = looked.stdout.split()
    assert (zero, one, two, files) == (b"0", b"1", b"2", b"1024")
    assert int(ignored, 16) & PYTHON_IGNORES == 0


async def test_an_exposed_port_is_reached_from_the_host_until_the_command_ends(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    data = os.urandom(2_000_000)
    async with sandbox_on(backend, tmp_path / "ws") as (place, _):
        argv = ["python3", "-I", "-c", ECHO, "8000"]
        async with (
            await place.start(argv, ports=[8000, 8001]) as first,
            await place.start(argv, ports=[8000]) as second,
        ):
            for process in (first, second):
                async for chunk in process:
                    assert chunk.data == b"up\n"
                    break
            addresses = [first.address(8000), second.address(8000)]
            assert await asyncio.gather(*[echoed(each, data) for each in addresses]) == [data, data]
            assert await echoed(first.address(8001), b"nobody listens") == b""
            with pytest.raises(ValueError, match=r"named at the start \(8000, 8001\), got 9000"):
                first.address(9000)
        for address in addresses:
            with pytest.raises(ConnectionRefusedError):
                await echoed(address, b"")


async def test_a_port_that_cannot_be_is_refused(backend: BubblewrapBackend, tmp_path: Path) -> None:
    async with sandbox_on(backend, tmp_path / "ws") as (place, _):
        with pytest.raises(ValueError, match="from 1 to 65535, got 70000"):
            await place.start(["true"], ports=[70_000])


async def test_nothing_is_left_when_the_sandbox_is_closed(tmp_path: Path) -> None:
    left = tmp_path / "strop-relay-left"
    left.mkdir()
    os.utime(left, (0, 0))
    relay = Relay(Network(), parent=tmp_path)
    held = Relay(Network(), parent=tmp_path)
    lines = [await relay.line([80]), await held.line([80])]
    assert relay.folder.parent == tmp_path
    assert not left.exists()
    for line in lines:
        assert line is not None
        await line.close()
    await relay.close()
    assert held.folder.exists()
    await held.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing blocks here


def test_programs_ask_the_proxy_for_their_own_machine_only_if_the_host_s_is_listed() -> None:
    assert proxy_env(Network()) == {}
    usual = proxy_env(Network(mode="allowlist", domains=("a.test",)))
    assert usual["no_proxy"] == usual["NO_PROXY"] == "localhost,127.0.0.1,::1"
    listed = proxy_env(Network(mode="allowlist", domains=("127.0.0.1:80",)))
    assert listed["no_proxy"] == "localhost"
