"""A real Chromium in the policy of a sandbox, driven by a real Playwright."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser as Driven
from playwright.async_api import Error, Page, async_playwright

from sandboxes.base import (
    Egress,
    Isolation,
    Network,
    PolicyRefusedError,
    SandboxSpec,
    SandboxUnavailableError,
)
from sandboxes.browser import browser_in
from sandboxes.bubblewrap import BubblewrapBackend
from sandboxes.process import wait_for_death
from sandboxes.tree import descendants
from tests.support.ordinary_user import run_as_ordinary_user
from tests.support.service import until
from tests.support.web_server import web_server

pytestmark = pytest.mark.anyio
CHROMIUM = Path("/usr/bin/chromium")
MISSING = f"{CHROMIUM} is missing; install it: apt-get install -y chromium"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

DUMP = """
import asyncio
from pathlib import Path
from sandboxes.base import SandboxSpec
from sandboxes.browser import browser_in
from sandboxes.bubblewrap import BubblewrapBackend

async def dump():
    workspace = Path("ws").absolute()
    workspace.mkdir()
    (workspace / "a.html").write_text("<script>document.write(6 * 7)</script>")
    async with browser_in(BubblewrapBackend(), SandboxSpec(workspace=workspace)) as browser:
        process = await asyncio.create_subprocess_exec(
            str(browser.executable), "--headless", "--dump-dom", "file:///work/a.html"
        )
        assert await process.wait() == 0

asyncio.run(dump())
"""

OWN = """
import asyncio, sys
from pathlib import Path
from sandboxes.base import SandboxSpec
from sandboxes.browser import browser_in
from sandboxes.bubblewrap import BubblewrapBackend

async def own():
    spec = SandboxSpec(workspace=Path(sys.argv[1]))
    async with browser_in(BubblewrapBackend(), spec) as browser:
        piped = 'exec "$0" --headless --remote-debugging-pipe about:blank 3<&0 4>&1'
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", piped, str(browser.executable)), stdin=-1, stdout=-1
        )
        print(process.pid, flush=True)
        await process.wait()

asyncio.run(own())
"""


@pytest.fixture(scope="module")
def backend() -> BubblewrapBackend:
    if not CHROMIUM.exists():
        if os.geteuid() == 0:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return BubblewrapBackend()


@asynccontextmanager
async def driven(
    backend: BubblewrapBackend, workspace: Path, *domains: str, told: list[Egress] | None = None
) -> AsyncGenerator[Driven]:
    network = Network(mode="allowlist" if domains else "none", domains=domains)
    spec = SandboxSpec(workspace=workspace, network=network)
    watch = None if told is None else told.append
    async with browser_in(backend, spec, watch=watch) as browser, async_playwright() as playwright:
        # What a driver does when it is not told otherwise: it asks for no sandbox.
        careless: dict[str, Any] = {**browser.launch_options, "chromium_sandbox": False}
        yield await playwright.chromium.launch(**careless)


async def seen(page: Page, url: str) -> str:
    """Return what a page says, or why there is none."""
    try:
        response = await page.goto(url)
    except Error as error:
        return error.message.splitlines()[0]
    status = "" if response is None or response.ok else f"{response.status} "
    return status + await page.inner_text("body")


async def test_a_browser_shows_what_is_in_the_workspace_and_on_listed_hosts_and_nothing_else(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "a.html").write_text("from the workspace")
    told: list[Egress] = []
    async with web_server() as web, web_server() as other:
        listed = web.page("/a", b"from a listed host")
        async with driven(backend, tmp_path / "ws", web.host, told=told) as browser:
            page = await browser.new_page()
            assert await seen(page, "data:text/html,from+the+address") == "from+the+address"
            assert await seen(page, "file:///work/a.html") == "from the workspace"
            assert await seen(page, listed) == "from a listed host"
            for refused in (other.url("/a"), "http://169.254.169.254/"):
                assert (await seen(page, refused)).startswith("403 {"), refused
            assert "ERR_TUNNEL_CONNECTION_FAILED" in await seen(page, "https://example.org/")
            for absent in (Path(__file__).as_uri(), "file:///etc/shadow", "file:///root/"):
                assert "ERR_FILE_NOT_FOUND" in await seen(page, absent), absent
            mine = [pid for pid in descendants(os.getpid()) if _name(pid) == "chromium"]
            groups = {_group(pid) for pid in mine} - {""}
    assert len(mine) > 3
    assert [pid for pid in mine if _name(pid) == "chromium"] == []
    host, _ = await backend.proven()
    assert len(groups) == 1
    assert ("/strop-" in groups.pop()) == host.tree_memory
    assert other.requests == []
    hosts = {(egress.host, egress.allowed) for egress in told}
    asked = {("127.0.0.1", True), ("127.0.0.1", False)}
    assert hosts == asked | {("169.254.169.254", False), ("example.org", False)}


async def test_a_browser_without_a_list_has_no_network_and_keeps_its_own_sandbox(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    async with web_server() as web, driven(backend, tmp_path / "ws") as browser:
        page = await browser.new_page()
        assert "ERR_CONNECTION_REFUSED" in await seen(page, web.url("/a"))
        assert "ERR_INTERNET_DISCONNECTED" in await seen(page, "http://192.0.2.1/")
        own = await seen(await browser.new_page(), "chrome://sandbox")
    assert web.requests == []
    assert "You are adequately sandboxed." in own, own


async def test_a_browser_ends_with_its_owner(backend: BubblewrapBackend, tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWN, str(tmp_path / "killed")), stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    root = int(await owner.stdout.readline())
    await until(lambda: sum(_name(pid) == "chromium" for pid in descendants(root)) > 2)
    tree = descendants(root)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    assert [await wait_for_death(pid, 10) for pid in tree] == [True] * len(tree)


@needs_root
async def test_an_ordinary_user_can_run_a_browser(backend: BubblewrapBackend) -> None:
    done = await asyncio.to_thread(run_as_ordinary_user, DUMP)
    assert done.returncode == 0, done.stderr.decode()
    assert b">42</body>" in done.stdout.replace(b"\n", b"")


async def test_a_browser_that_is_not_there_or_asked_too_much_is_refused(
    backend: BubblewrapBackend, tmp_path: Path
) -> None:
    spec = SandboxSpec(workspace=tmp_path)
    with pytest.raises(SandboxUnavailableError, match="apt-get install chromium"):
        async with browser_in(backend, spec, programs=["/usr/bin/no-such-browser"]):
            pass
    with pytest.raises(PolicyRefusedError, match="isolation VM"):
        async with browser_in(backend, spec.model_copy(update={"min_isolation": Isolation.VM})):
            pass


def _group(pid: int) -> str:
    """Return the control group of a process, nothing once it has ended: then it is the root's."""
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
    return "" if state in "ZX" else group


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
