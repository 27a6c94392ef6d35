"""Many commands, ended in every way at any moment, leave nothing on the machine."""

import asyncio
import gc
import os
import re
import secrets
import signal
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from sandboxes.base import Isolation, Limits, Sandbox, SandboxError, SandboxSpec
from sandboxes.bubblewrap import BubblewrapBackend
from sandboxes.tree import descendants

pytestmark = pytest.mark.anyio

COMMANDS = (
    "sleep 50",
    "setsid sleep 50 & sleep 50",
    "(trap '' TERM INT HUP; sleep 50) & exec sleep 50",
    "yes",
    "head -c 300000 /dev/zero > file; sleep 0.02",
    "mkfifo pipe; cat pipe",
    "kill -9 $$",
    "true",
)
WAYS = ("cancel", "leave", "time out", "kill", "close", "wait")
RUNS = 18


def left_on(mark: str, base: Path) -> dict[str, object]:
    """What a sandbox could leave behind, as far as the machine shows it."""
    ours = re.compile(rf"strop-\d+-{os.getpid()}-\d+")
    groups = [
        name
        for _, folders, _ in os.walk("/sys/fs/cgroup")
        for name in folders
        if ours.fullmatch(name)
    ]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    sockets = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    return {
        "processes": [line for line in _command_lines() if mark.encode() in line],
        "children": len(descendants(os.getpid())),
        "control groups": sorted(groups),
        "mounts": [line for line in mounts if str(base) in line],
        "sockets": [line for line in sockets if str(base) in line or mark in line],
        "files beside": [path.name for path in base.glob("*/*") if not path.name.isdecimal()],
        "scratch": [path.name for path in Path("/dev/shm").glob(f"*{mark}*")],  # noqa: S108 - looked at
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def _command_lines() -> list[bytes]:
    found: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return found


def _kill_all_with(mark: str) -> None:
    for pid in descendants(os.getpid())[1:]:
        with suppress(OSError):
            if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


async def end(way: str, place: Sandbox, argv: list[str], after_s: float) -> None:
    """Run a command and end it in some way, wherever it is by then."""
    limits = Limits(wall_s=after_s if way == "time out" else 1.0, output_kill_bytes=1 << 20)

    async def run() -> None:
        async with await place.start(argv, limits=limits) as process:
            if way == "leave":
                await asyncio.sleep(after_s)
                return
            await process.wait()

    task = asyncio.create_task(run())
    if way in {"time out", "wait", "leave"}:
        with suppress(SandboxError):
            await task
        return
    await asyncio.sleep(after_s)
    if way == "cancel":
        task.cancel()
    elif way == "kill":
        _kill_all_with(argv[-1])
    else:
        await place.close()
    await asyncio.gather(task, return_exceptions=True)


async def round_of_runs(base: Path, mark: str, seed: int, runs: int) -> None:
    """Run commands of a backend of their own, and see that it could leave something."""
    chance, backend = Random(seed), BubblewrapBackend()  # noqa: S311 - the same draw each time
    few = asyncio.Semaphore(6)

    async def one(number: int) -> None:
        way, script = chance.choice(WAYS), chance.choice(COMMANDS)
        after_s = chance.choice((0.0, 0.005, 0.03, 0.1))
        workspace = base / f"{number}"
        async with few:
            spec = SandboxSpec(workspace=workspace, min_isolation=Isolation.NAMESPACE)
            place = await backend.create(spec)
            argv = ["sh", "-c", f"{script} # {mark}", mark]
            if way == "wait":
                argv = ["sh", "-c", f"sleep {after_s} # {mark}", mark]
            try:
                await end(way, place, argv, after_s)
            finally:
                await place.close()

    await asyncio.gather(*map(one, range(runs)))
    if (await backend.probe()).tree_memory:
        assert left_on(mark, base)["control groups"], "it keeps some for the next command"


async def test_commands_that_end_in_any_way_leave_nothing(tmp_path: Path) -> None:
    mark = f"leak-{secrets.token_hex(6)}"
    await round_of_runs(tmp_path / "first", mark, seed=1, runs=2)
    gc.collect()
    before = left_on(mark, tmp_path)
    await round_of_runs(tmp_path / "many", mark, seed=2, runs=RUNS)
    gc.collect()
    for _ in range(100):
        if left_on(mark, tmp_path) == before:
            break
        await asyncio.sleep(0.02)
    assert left_on(mark, tmp_path) == before
    held = {
        "control groups",
        "children",
        "descriptors",
    }  # by backends of other tests of this process
    assert not any(found for name, found in before.items() if name not in held)
