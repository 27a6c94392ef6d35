"""Containers in a real engine: what the exam that every backend sits does not ask."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.cli.main import main
from sandboxes.attacks import EAT_MEMORY
from sandboxes.base import (
    Limits,
    Outcome,
    PolicyRefusedError,
    SandboxGoneError,
    SandboxSpec,
    SandboxUnavailableError,
)
from sandboxes.check import all_checks, run_check
from sandboxes.containers import DEDICATED_USER, DockerBackend
from sandboxes.docker_engine import Bounds, Engine, Recipe
from sandboxes.docker_pool import Pool
from sandboxes.docker_sandbox import DockerSandbox
from sandboxes.docker_sweep import identity, sweep
from tests.support.docker_engine import BASE, DockerEngine
from tests.support.recycled import RecyclingBackend
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
_AT_ONCE = 2

KILL_THE_KEEPER = """
import os, signal, subprocess
subprocess.Popen(["sleep", "600"], start_new_session=True)
os.kill(os.getppid(), signal.SIGKILL)
signal.pause()
"""
STOP_THE_KEEPER = """
import os, signal
if os.fork() == 0:
    while True:
        os.kill(int(os.environ["KEEPER"]), signal.SIGSTOP)
signal.pause()
"""
KILL_ALL = """
import os, signal
os.fork() and os.fork()
os.kill(-1, signal.SIGKILL)
"""
FORGE = """
import os
for number in range(32):
    for folder in ("/proc/1/fd", "/proc/self/fd", f"/proc/{os.getppid()}/fd"):
        try:
            path = f"{folder}/{number}"
            if folder == "/proc/self/fd" and os.readlink(path).startswith("/"):
                continue
            if number > 2 or folder != "/proc/self/fd":
                os.write(os.open(path, os.O_WRONLY), b"X" * 4096)
                print("wrote to", path)
        except OSError:
            pass
"""
SERVE = """
import asyncio, sys
from pathlib import Path
from sandboxes.base import SandboxSpec
from sandboxes.check import all_checks, run_check
from sandboxes.containers import DockerBackend

async def main():
    place = await DockerBackend(host=sys.argv[1]).create(SandboxSpec(workspace=Path(sys.argv[2])))
    running = asyncio.create_task(place.exec(["sleep", "600"]))
    await place.exec(["true"])
    print("running", flush=True)
    await running

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def backend(docker_engine: DockerEngine) -> DockerBackend:
    return DockerBackend(host=docker_engine.host)


@pytest.fixture
def engine(docker_engine: DockerEngine) -> Iterator[Engine]:
    engine = Engine(docker_engine.host)
    yield engine
    engine.close()


@asynccontextmanager
async def sandbox_on(
    workspace: Path, backend: DockerBackend, **limits: float
) -> AsyncGenerator[DockerSandbox]:
    spec = SandboxSpec(workspace=workspace, limits=Limits.model_validate(limits))
    place = await backend.create(spec)
    assert isinstance(place, DockerSandbox)
    try:
        yield place
    finally:
        await place.close()


async def test_containers_pass_the_exam(backend: DockerBackend) -> None:
    """All of it here, in a few containers: one for each check would take minutes."""
    capabilities = await backend.probe()
    checks = [c for c in all_checks() if all(getattr(capabilities, need) for need in c.needs)]
    assert len(checks) == len(all_checks())
    waiting, broken = list(reversed(checks)), list[str]()

    async def sit() -> None:
        recycling = RecyclingBackend(backend)
        try:
            while waiting:
                result = await run_check(recycling, waiting.pop())
                if not result.held:
                    broken.append(f"{result.name}: {result.detail}")
        finally:
            await recycling.close()

    await asyncio.gather(*(sit() for _ in range(_AT_ONCE)))
    assert not broken, "\n".join(broken)


async def test_a_command_that_kills_its_keeper_ends_with_all_it_started(
    backend: DockerBackend, tmp_path: Path
) -> None:
    async with sandbox_on(tmp_path, backend) as place:
        result = await place.exec(["python3", "-I", "-c", KILL_THE_KEEPER])
        left = await place.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])
    assert (result.outcome, result.signal) == (Outcome.SIGNALED, signal.SIGKILL)
    assert result.survivors_killed >= 1
    assert b"sleep 600" not in left.stdout


async def test_a_command_that_kills_all_it_can_ends_itself_only(
    backend: DockerBackend, tmp_path: Path
) -> None:
    async with sandbox_on(tmp_path, backend) as place:
        first = await place.ready()
        result = await place.exec(["python3", "-I", "-c", KILL_ALL])
        after = await place.exec(["echo", "here"])
        assert await place.ready() is first
    assert result.signal == signal.SIGKILL
    assert after.stdout == b"here\n"


async def test_a_keeper_that_is_held_up_does_not_outlast_a_time_out(
    backend: DockerBackend, tmp_path: Path
) -> None:
    script = f"import os; os.environ['KEEPER'] = str(os.getppid())\n{STOP_THE_KEEPER}"
    async with sandbox_on(tmp_path, backend) as place:
        result = await place.exec(["python3", "-I", "-c", script], limits=Limits(wall_s=1.0))
        after = await place.exec(["echo", "here"])
    assert result.timed_out
    assert after.stdout == b"here\n"


async def test_no_command_can_speak_in_the_name_of_the_worker(
    backend: DockerBackend, tmp_path: Path
) -> None:
    async with sandbox_on(tmp_path, backend) as place:
        box = await place.ready()
        result = await place.exec(["python3", "-I", "-c", FORGE])
        assert (result.ok, result.stdout) == (True, b"")
        assert (await place.exec(["echo", "here"])).stdout == b"here\n"
        assert await place.ready() is box


async def test_a_command_is_an_ordinary_user_whose_files_the_server_owns(
    backend: DockerBackend, tmp_path: Path
) -> None:
    async with sandbox_on(tmp_path / "w", backend) as place:
        shown = await place.exec(["sh", "-c", "id -u; touch mine; grep ' /work ' /proc/mounts"])
        await place.write("yours", b"theirs")
        back = await place.exec(["sh", "-c", "echo more >> yours && cat yours"])
    assert shown.stdout.startswith(f"{DEDICATED_USER}\n".encode())
    assert (tmp_path / "w" / "mine").stat().st_uid == DEDICATED_USER
    assert b"nosuid,nodev" in shown.stdout.splitlines()[-1]
    assert back.stdout == b"theirsmore\n"


async def test_tighter_limits_of_one_command_do_not_bind_the_next(
    backend: DockerBackend, tmp_path: Path
) -> None:
    argv = ["python3", "-I", "-c", EAT_MEMORY, "1", "96"]
    async with sandbox_on(tmp_path, backend, memory_bytes=256 << 20) as place:
        tight = await place.exec(argv, limits=Limits(memory_bytes=64 << 20))
        wide = await place.exec(argv)
    assert tight.oom
    assert wide.ok


async def test_output_streams_while_a_command_talks(backend: DockerBackend, tmp_path: Path) -> None:
    async with sandbox_on(tmp_path, backend) as place, await place.start(["cat"]) as process:
        await process.send(b"one\n")
        chunks = aiter(process)
        first = await anext(chunks)
        await process.send(b"two\n")
        second = await anext(chunks)
        await process.close_stdin()
        result = await process.wait()
    assert (first.data, second.data) == (b"one\n", b"two\n")
    assert (result.ok, result.stdout) == (True, b"one\ntwo\n")


async def test_a_command_that_nobody_reads_has_to_wait(
    backend: DockerBackend, tmp_path: Path
) -> None:
    script = (
        "import os\nfor n in range(400):\n os.write(1, b'x' * 65536); open('n', 'w').write(str(n))"
    )
    argv = ["python3", "-I", "-c", script]
    async with sandbox_on(tmp_path, backend) as place, await place.start(argv) as process:
        await anext(aiter(process))
        await place.exec(["sleep", "0.3"])
        written = int(await place.read("n") or b"0")
        result = await process.wait()
    assert written < 200
    assert (result.ok, result.stdout_total) == (True, 400 * 65536)


async def test_a_container_that_is_lost_is_told_and_replaced(
    backend: DockerBackend, engine: Engine, tmp_path: Path
) -> None:
    async with sandbox_on(tmp_path, backend) as place:
        before = {one.number for one in engine.ours()}
        lost = asyncio.create_task(place.exec(["sh", "-c", "touch up; exec sleep 600"]))
        await asyncio.to_thread(eventually, (tmp_path / "up").exists)
        for number in before:
            await engine.ask(engine.remove, number)
        with pytest.raises(SandboxGoneError, match="container"):
            await lost
        assert (await place.exec(["cat", "up"])).ok


def test_what_a_killed_server_left_ends_and_is_swept_up(
    docker_engine: DockerEngine, engine: Engine, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SERVE, docker_engine.host, str(tmp_path / "w")]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"running\n"
    theirs = [one for one in engine.ours() if one.labels["strop.pid"] == str(server.pid)]
    server.kill()
    server.communicate()
    assert theirs
    eventually(lambda: not any(engine.state(one.number).running for one in theirs))
    assert sweep(engine) >= len(theirs)
    assert not {one.number for one in theirs} & {one.number for one in engine.ours()}


def test_a_sweep_takes_what_dead_servers_left_and_nothing_else(
    engine: Engine, docker_engine: DockerEngine
) -> None:
    mine = identity()
    theirs = [
        {**mine, "strop.started": "1"},
        {**mine, "strop.boot": "another"},
        {**mine, "strop.pid-namespace": "pid:[1]"},
    ]
    made = [
        engine.make(Recipe("strop-sandbox", 1000, None, labels), Bounds(64 << 20, 16, 1.0), None)
        for labels in (mine, *theirs)
    ]
    try:
        assert sweep(engine) >= 2
        left = [engine.state(number).running for number, _ in made]
        assert left == [True, False, False, True]
    finally:
        for number, attached in made:
            attached.close()
            engine.remove(number)


async def test_more_isolation_or_network_than_there_is_is_refused(
    backend: DockerBackend, tmp_path: Path
) -> None:
    spec = SandboxSpec.model_validate({"workspace": tmp_path, "min_isolation": 50})
    with pytest.raises(PolicyRefusedError, match="VM"):
        await backend.create(spec)


async def test_without_the_image_it_says_what_to_type(docker_engine: DockerEngine) -> None:
    with pytest.raises(SandboxUnavailableError, match=r"no image 'other'.*docker pull other"):
        await DockerBackend(host=docker_engine.host, image="other").probe()


async def test_without_an_engine_it_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailableError, match=r"apt-get install docker\.io"):
        await DockerBackend(host=f"unix://{tmp_path / 'none'}").probe()


async def test_an_engine_elsewhere_is_refused() -> None:
    with pytest.raises(SandboxUnavailableError, match="on this machine"):
        await DockerBackend(host="tcp://192.0.2.1:2375").probe()


async def test_where_nothing_can_be_mounted_later_containers_are_made_for_their_workspace(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    backend = DockerBackend(host=docker_engine.host, pool_size=0)
    capabilities = await backend.probe()
    assert "when it is asked for" in capabilities.notes[0]
    async with sandbox_on(tmp_path, backend) as place:
        assert (await place.exec(["sh", "-c", "echo hi > f"])).ok
    assert (tmp_path / "f").read_text() == "hi\n"


def test_containers_that_nobody_takes_are_given_up(engine: Engine) -> None:
    recipe = Recipe("strop-sandbox", 1000, None, identity())
    pool = Pool(engine, recipe, size=1, idle_s=0.5)
    assert pool.take(Bounds(64 << 20, 16, 1.0)) is None

    def ready() -> int:
        return sum(one.labels.items() >= recipe.labels.items() for one in engine.ours())

    eventually(lambda: ready() == 1)
    eventually(lambda: ready() == 0)
    pool.close()


async def test_no_sandbox_gets_the_container_of_another(
    backend: DockerBackend, tmp_path: Path
) -> None:
    async with sandbox_on(tmp_path / "a", backend) as one:
        await one.exec(["sh", "-c", "echo mine > /tmp/left"])
        first = (await one.ready()).number
        async with sandbox_on(tmp_path / "b", backend) as beside:
            assert (await beside.ready()).number != first
    async with sandbox_on(tmp_path / "a", backend) as later:
        assert (await later.ready()).number != first
        assert not (await later.exec(["sh", "-c", "cat /tmp/left"])).ok


def test_the_image_is_built_by_a_command(
    docker_engine: DockerEngine,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STROP_DOCKER_HOST", docker_engine.host)
    monkeypatch.setenv("STROP_DOCKER_IMAGE", "another-name")
    assert main(["sandboxes", "build", "--base", BASE]) == 0
    assert "built another-name" in capsys.readouterr().out
    assert engine.has_image("another-name")
    assert main(["sandboxes", "build", "--base", "no-such-base"]) != 0
    assert "--base IMAGE" in capsys.readouterr().err


async def test_closed_sandboxes_leave_no_container(
    backend: DockerBackend, engine: Engine, tmp_path: Path
) -> None:
    async with sandbox_on(tmp_path, backend) as place:
        await place.exec(["true"])
        box = await place.ready()
    eventually(lambda: box.number not in {one.number for one in engine.ours()})


def test_the_filter_allows_nothing_that_escapes_are_made_of() -> None:
    filters = json.loads((ROOT / "sandboxes" / "images" / "seccomp.json").read_text())
    allowed = {
        name
        for rule in filters["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for name in rule["names"]
    }
    risky = "mount unshare setns ptrace bpf io_uring_setup socket clone clone3 keyctl add_key"
    assert not allowed & set(risky.split())
    assert {"read", "execve", "futex", "openat"} <= allowed
