"""A browser inside the policy of a sandbox: for whatever drives it, a program to start.

Covered: Chromium runs in the namespaces of bubblewrap, as an unprivileged user, without network
but for the hosts that the spec lists, seeing the workspace and a read-only system and no other
file, within limits on memory and processes where control groups can be made. Its own sandbox
for pages stays on. It is driven through two inherited descriptors, so no port is open. When the
`async with` block or the driver ends, all its processes end.

Not covered: the system-call filter lets it make user, process and network namespaces, which its
own sandbox is made of, so it sees a little more of the kernel than commands do. Files that it
downloads stay inside, unless it saves them to `/work`. The size of the workspace is not watched.
"""

import asyncio
import base64
import json
import shlex
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandboxes import browser_start, relay_inside
from sandboxes.base import Limits, SandboxSpec, SandboxUnavailableError, Watch
from sandboxes.bubblewrap import BubblewrapBackend, demand
from sandboxes.confinement import inner_python, options_for, packed
from sandboxes.files import Workspace
from sandboxes.held_folder import hold_folder
from sandboxes.namespace import Host
from sandboxes.places import Place
from sandboxes.process import to_its_end, wait_for_death
from sandboxes.relay import Line, Relay
from sandboxes.seccomp import build_filter
from sandboxes.tree import descendants, kill_all

PROGRAMS = ("/usr/lib/chromium/chromium", "/usr/bin/chromium", "/usr/bin/google-chrome")
BROWSER_LIMITS = Limits(memory_bytes=2 << 30, pids=1024, cpu_cores=2.0)
"""Of all its processes together; threads count as processes."""
_PREFIX = "strop-browser-"
_FIRST_DATA = 100
"""Descriptors above those that a driver passes."""
_DEATH_S = 5.0
_STARTED = "started"
_LIMITED = 'ulimit -c 0; ulimit -n 4096; exec "$@"'
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
)
_NOWHERE = f"{relay_inside.HOST}:1"
_PROXIED = (
    f"--proxy-server=http://{relay_inside.HOST}:{relay_inside.PORT}",
    f"--proxy-bypass-list=<-loopback>;{_NOWHERE}",
    # Told to update nothing it asks all the same, and what a page wanted drowns in that.
    f"--component-updater=url-source=http://{_NOWHERE}/",
)


@dataclass(frozen=True, slots=True)
class Browser:
    """What a driver needs to start the browser."""

    executable: Path
    """Stands for the browser; Playwright's `executable_path`."""

    @property
    def launch_options(self) -> dict[str, Any]:
        """The arguments of Playwright's `chromium.launch`."""
        return {"executable_path": self.executable, "chromium_sandbox": True}


@asynccontextmanager
async def browser_in(
    backend: BubblewrapBackend,
    spec: SandboxSpec,
    *,
    watch: Watch | None = None,
    limits: Limits = BROWSER_LIMITS,
    programs: Sequence[str] = PROGRAMS,
) -> AsyncGenerator[Browser]:
    """Give a browser on the workspace of `spec`; all its processes end with the block.

    Args:
        backend: what makes its namespaces.
        spec: its workspace, environment and network; `limits` there are of commands.
        watch: is told what it reaches and does not reach.
        limits: memory, processes and processors of the browser.
        programs: where a browser may be, in `/usr`.

    Raises:
        SandboxUnavailableError: bubblewrap cannot work here, or there is no browser.
        PolicyRefusedError: the spec asks for more than bubblewrap gives here.
        ValueError: the list of hosts says something that cannot be kept to.
    """
    program = _found(programs)
    host, capabilities = await backend.proven()
    demand(spec, capabilities)
    async with AsyncExitStack() as stack:
        workspace = await asyncio.to_thread(
            Workspace, spec.workspace.absolute(), owner=host.launcher.user
        )
        stack.callback(workspace.close)
        relay = Relay(spec.network, watch, owner=host.launcher.user)
        stack.push_async_callback(relay.close)
        line = await relay.line()
        folder = await asyncio.to_thread(hold_folder, _PREFIX)
        stack.callback(folder.remove)
        place = host.places.take(limits)
        stack.push_async_callback(_end, folder.path / _STARTED, place, host)
        plan = _plan(host, spec, program, line, relay.folder if line else None)
        plan |= {"started": str(folder.path / _STARTED)}
        plan |= {"doors": [str(door) for door in (place.group.doors if place.group else ())]}
        yield Browser(await asyncio.to_thread(_written, folder.path, plan))


def _found(programs: Sequence[str]) -> str:
    for path in programs:
        if Path(path).exists():
            return path
    msg = f"none of {', '.join(programs)} is here; type: apt-get install chromium"
    raise SandboxUnavailableError(msg)


def _plan(
    host: Host, spec: SandboxSpec, program: str, line: Line | None, shown: Path | None
) -> dict[str, Any]:
    """Return what `sandboxes.browser_start` is to do."""
    data: list[bytes] = []

    def readable(text: bytes) -> int:
        data.append(text)
        return _FIRST_DATA + len(data) - 1

    view, mounts = host.view(spec.workspace.absolute(), shown)
    inner = ["/bin/sh", "-c", _LIMITED, "sh", program, *_ARGUMENTS]
    env = dict(spec.env)
    if line is not None:
        inner = [inner_python(host.interpreter), *line.prefix, *inner, *_PROXIED]
        env = {**line.env, **env}
    options = options_for(
        host.tools,
        replace(view, browser=True),
        env=env,
        program=build_filter(browser=True),
        readable=readable,
    )
    argv = [host.tools.bwrap, "--args", str(readable(packed(options))), "--", *inner]
    held = {_FIRST_DATA + n: base64.b64encode(text).decode() for n, text in enumerate(data)}
    return {"argv": argv, "data": held, "mounts": list(mounts), "user": host.launcher.user}


def _written(folder: Path, plan: dict[str, Any]) -> Path:
    """Write the plan and the program that follows it; only the one who starts it may read it."""
    planned, program = folder / "plan.json", folder / "browser"
    planned.write_text(json.dumps(plan), encoding="utf-8")
    words = [sys.executable, "-I", "-S", browser_start.__file__, str(planned)]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    return program


async def _end(started: Path, place: Place, host: Host) -> None:
    """Kill what was started, however often whoever waits is cancelled meanwhile."""
    await to_its_end(_killed(started))
    place.slot.close()
    host.places.give(place)


async def _killed(started: Path) -> None:
    for pid in await asyncio.to_thread(_living, started):
        tree = await asyncio.to_thread(descendants, pid)
        kill_all(tree)
        for each in tree:
            await wait_for_death(each, _DEATH_S)


def _living(started: Path) -> list[int]:
    """Return the processes that were started and still are the ones that were."""
    found: list[int] = []
    with suppress(FileNotFoundError):
        for line in started.read_text(encoding="ascii").splitlines():
            pid, _, since = line.partition(" ")
            with suppress(FileNotFoundError, ProcessLookupError):
                if browser_start.start_time(int(pid)) == since:
                    found.append(int(pid))
    return found
