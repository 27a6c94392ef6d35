"""The backend for Kubernetes against a server that speaks its protocol; see the fake's docstring.

What is judged here is what this backend does, not what a cluster contains.
"""

import asyncio
import io
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from sandboxes.base import (
    Isolation,
    Limits,
    Network,
    Outcome,
    PolicyRefusedError,
    Process,
    Sandbox,
    SandboxGoneError,
    SandboxSpec,
    SandboxUnavailableError,
)
from sandboxes.check import Check, all_checks, run_check
from sandboxes.kubernetes_pods import KubernetesBackend
from sandboxes.pods.inside import read_frame
from sandboxes.pods.manifest import PodOptions, agent_sandbox, labels_of, no_network, pod
from sandboxes.pods.wire import frame
from sandboxes.python_session import PythonSession
from tests.support.fake_kubernetes import FakeCluster, kubeconfig, violations
from tests.support.served import served

pytestmark = pytest.mark.anyio
VERSION = "1.33"
ASKED = {
    "a signal is told from an exit",
    "a missing program is a result",
    "stdin arrives whole",
    "stdin may stay unread",
    "arguments pass unchanged",
    "the environment is passed",
    "endless output is stopped",
    "commands run side by side",
}
"""What the tests above do not try. Others look into the workspace while a command runs, when a
pod's is elsewhere, or into pipes, which are not brought back."""
CONTRACT = [check for check in all_checks() if check.name in ASKED]


@dataclass
class Fake:
    """A running fake, and a backend that was set up for it."""

    cluster: FakeCluster
    config: str

    def backend(self, **options: str) -> KubernetesBackend:
        given = {"kubernetes_config": self.config}
        given |= {f"kubernetes_{name}": value for name, value in options.items()}
        return KubernetesBackend().configured(given)


def started(folder: Path, cluster: FakeCluster) -> Iterator[Fake]:
    if shutil.which("bwrap") is None:
        pytest.skip("the fake cluster runs programs with bubblewrap; apt-get install bubblewrap")
    with served(cluster.application()) as server:
        cluster.port = server.port
        config = folder / "config"
        config.write_text(kubeconfig(server.port))
        yield Fake(cluster, str(config))
    cluster.remove()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fake, KubernetesBackend]]:
    for fake in started(tmp_path_factory.mktemp("fake"), FakeCluster()):
        yield fake, fake.backend()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Fake]:
    yield from started(tmp_path, FakeCluster())


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
async def place(shared: tuple[Fake, KubernetesBackend], workspace: Path) -> AsyncIterator[Sandbox]:
    made = await shared[1].create(SandboxSpec(workspace=workspace))
    yield made
    await made.close()
    assert not shared[0].cluster.pods


async def line_of(command: Process) -> bytes:
    """Return the first line that a command prints."""
    seen = b""
    async for chunk in command:
        seen += chunk.data
        if b"\n" in seen:
            break
    return seen


def own_processes() -> str:
    """Return the name of the namespace whose processes this process sees."""
    return str(Path("/proc/self/ns/pid").readlink())


def running(mark: str) -> bool:
    """Return whether any process of this machine has this word in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


async def test_it_claims_what_it_found_in_a_pod(shared: tuple[Fake, KubernetesBackend]) -> None:
    found = await shared[1].probe()
    assert found.isolation is Isolation.NAMESPACE
    assert found.network_none
    assert not found.ports
    assert "not on a cluster" in found.notes[0]
    assert [one["metadata"]["name"] for one in shared[0].cluster.policies] == [
        "strop-sandbox-no-network"
    ]


async def test_without_a_cluster_it_says_what_to_set(tmp_path: Path) -> None:
    missing = KubernetesBackend().configured({"kubernetes_config": str(tmp_path / "none")})
    with pytest.raises(SandboxUnavailableError, match="STROP_KUBERNETES_CONFIG"):
        await missing.probe()


async def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(kubeconfig(9))
    silent = KubernetesBackend().configured({"kubernetes_config": str(tmp_path / "config")})
    with pytest.raises(SandboxUnavailableError, match="cannot be reached"):
        await silent.probe()


async def test_rights_that_are_missing_are_listed(own: Fake) -> None:
    own.cluster.denied = {"create pods/exec", "create networkpolicies"}
    with pytest.raises(SandboxUnavailableError, match=r"create pods/exec, create networkpolicies"):
        await own.backend().probe()
    assert not own.cluster.pods


async def test_a_network_that_stays_open_is_refused(own: Fake) -> None:
    own.cluster.enforces_policies = False
    with pytest.raises(SandboxUnavailableError, match=r"did not find no network; .*Calico"):
        await own.backend().probe()
    assert not own.cluster.pods


async def test_a_pod_that_does_not_start_says_why(own: Fake) -> None:
    own.cluster.pull_error = "no such image"
    with pytest.raises(SandboxUnavailableError, match=r"nothing/here.*ErrImagePull no such image"):
        await own.backend(image="nothing/here").probe()
    assert not own.cluster.pods


async def test_more_isolation_networks_and_ports_are_refused(
    shared: tuple[Fake, KubernetesBackend], place: Sandbox, workspace: Path
) -> None:
    backend = shared[1]
    network = Network(mode="allowlist", domains=("example.org",))
    with pytest.raises(PolicyRefusedError, match="domains"):
        await backend.create(SandboxSpec(workspace=workspace, network=network))
    with pytest.raises(PolicyRefusedError, match="USERKERNEL"):
        await backend.create(SandboxSpec(workspace=workspace, min_isolation=Isolation.USERKERNEL))
    with pytest.raises(PolicyRefusedError, match="ports"):
        await place.start(["true"], ports=[8000])


def options_and_manifest(runtime: str) -> dict[str, Any]:
    options = PodOptions(runtime_class=runtime)
    return pod("strop-1", options, Limits(), labels_of("strop-1"))


@pytest.mark.parametrize("runtime", ["", "gvisor"])
def test_a_pod_follows_the_schema_and_the_strictest_standard(runtime: str) -> None:
    made = options_and_manifest(runtime)
    assert kubernetes_validate.validate(made, VERSION, strict=True)
    assert violations(made["spec"]) == []
    assert made["spec"].get("runtimeClassName", "") == runtime
    assert kubernetes_validate.validate(no_network(), VERSION, strict=True)


def test_an_agent_sandbox_holds_the_same_pod_and_an_end() -> None:
    made = agent_sandbox("strop-1", PodOptions(), Limits(), labels_of("strop-1"))
    assert made["apiVersion"] == "agents.x-k8s.io/v1beta1"
    assert set(made["spec"]) == {"podTemplate", "service", "shutdownTime", "shutdownPolicy"}
    assert violations(made["spec"]["podTemplate"]["spec"]) == []


async def test_the_workspace_goes_in_and_comes_back(place: Sandbox, workspace: Path) -> None:
    await place.write("in/a.txt", b"one")
    (workspace / "gone.txt").write_text("x")
    script = "cat in/a.txt; rm gone.txt; mkdir out; ln -s ../in/a.txt out/link; echo two > out/b"
    result = await place.exec(["sh", "-c", script])
    assert (result.ok, result.stdout, result.stderr) == (True, b"one", b"")
    assert not (workspace / "gone.txt").exists()
    assert (workspace / "out" / "link").is_symlink()
    assert await place.read("out/b") == b"two\n"


async def test_what_the_host_changes_between_commands_is_seen(
    place: Sandbox, workspace: Path
) -> None:
    await place.exec(["sh", "-c", "echo old > a; mkdir d; echo x > d/x"])
    await place.write("a", b"new")
    shutil.rmtree(workspace / "d")
    result = await place.exec(["sh", "-c", "cat a; ls"])
    assert result.stdout == b"newa\n"


async def test_a_program_can_be_talked_to_while_it_runs(place: Sandbox) -> None:
    async with await place.start(["python3", "-u", "-c", "print(input()); print(input())"]) as one:
        await one.send(b"first\n")
        assert (await line_of(one)) == b"first\n"
        await one.send(b"second\n")
        await one.close_stdin()
        result = await one.wait()
    assert result.ok
    assert result.stdout == b"first\nsecond\n"


def test_frames_that_mean_nothing_are_passed_over() -> None:
    alive = b"\xff\xff\xff\xff"
    sent = b"".join([alive, frame(b"one")[1:], alive, alive, frame(b"")[1:], b"\x00\x00"])
    source = io.BytesIO(sent)
    assert [read_frame(source) for _ in range(3)] == [b"one", b"", None]


async def test_an_interpreter_can_be_kept(place: Sandbox) -> None:
    session = PythonSession(place)
    try:
        await session.run("kept = 20")
        assert (await session.run("print(kept + 1)")).result.stdout == b"21\n"
    finally:
        await session.close()


async def test_a_time_out_ends_the_whole_tree_in_the_pod(place: Sandbox) -> None:
    mark = f"71{os.getpid()}"
    script = f"(setsid sleep {mark} &) ; sleep {mark}"
    result = await place.exec(["sh", "-c", script], limits=Limits(wall_s=1.0))
    assert result.timed_out
    assert result.survivors_killed >= 2
    assert not running(mark)
    assert (await place.exec(["echo", "on"])).stdout == b"on\n"


async def test_what_a_command_leaves_behind_is_ended(place: Sandbox) -> None:
    mark = f"72{os.getpid()}"
    result = await place.exec(["sh", "-c", f"(setsid sleep {mark} >/dev/null 2>&1 &)"])
    assert result.ok
    assert result.survivors_killed == 1
    assert not running(mark)


async def test_a_command_that_kills_all_it_sees_reaches_its_pod_only(place: Sandbox) -> None:
    outside = await asyncio.create_subprocess_exec("sleep", "60")
    # It looks first: where it sees the processes of this machine it ends none.
    script = """
import os, sys
if os.readlink("/proc/self/ns/pid") == sys.argv[1] or len(os.listdir("/proc")) > 500:
    sys.exit("it sees the whole machine")
os.kill(-1, 9)
"""
    result = await place.exec(["python3", "-c", script, own_processes()])
    assert result.stderr == b""
    assert not result.ok
    assert outside.returncode is None
    outside.kill()
    await outside.wait()
    assert (await place.exec(["echo", "on"])).stdout == b"on\n"


async def test_cancelling_and_closing_end_it_too(place: Sandbox) -> None:
    marks = [f"73{os.getpid()}", f"74{os.getpid()}"]
    script = "echo begun; sleep $0"
    commands = [await place.start(["sh", "-c", script, mark]) for mark in marks]
    for command in commands:
        await line_of(command)
    first, second = (asyncio.create_task(command.wait()) for command in commands)
    await asyncio.wait([first, second], timeout=0.05)
    assert all(running(mark) for mark in marks)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not running(marks[0])
    await place.close()
    with pytest.raises(SandboxGoneError):
        await second
    assert not running(marks[1])


async def test_a_pod_in_which_nothing_can_be_ended_is_removed(own: Fake, workspace: Path) -> None:
    place = await own.backend().create(SandboxSpec(workspace=workspace))
    own.cluster.kill_fails = True
    result = await place.exec(["sleep", "1"], limits=Limits(wall_s=0.3))
    assert result.timed_out
    assert not own.cluster.pods
    with pytest.raises(SandboxGoneError, match="was removed"):
        await place.exec(["true"])
    await place.close()


async def test_a_workspace_that_grows_too_big_ends_the_command(place: Sandbox) -> None:
    script = "dd if=/dev/zero of=big bs=1M count=8 2>/dev/null; sleep 20"
    result = await place.exec(["sh", "-c", script], limits=Limits(disk_bytes=4 << 20))
    assert result.outcome is Outcome.DISK_LIMIT


async def test_where_the_cluster_has_agent_sandboxes_they_are_used(
    own: Fake, workspace: Path
) -> None:
    own.cluster.with_agents = True
    place = await own.backend().create(SandboxSpec(workspace=workspace))
    assert len(own.cluster.agents) == 1
    assert (await place.exec(["echo", "hello"])).stdout == b"hello\n"
    await place.close()
    assert not own.cluster.agents
    assert not own.cluster.pods


async def test_what_a_dead_server_left_is_removed_and_nothing_else(own: Fake) -> None:
    dead = await asyncio.create_subprocess_exec("true")
    await dead.wait()
    for name, changed in (
        ("dead", {"strop/pid": str(dead.pid)}),
        ("living", {}),
        ("elsewhere", {"strop/pid": str(dead.pid), "strop/host": "another"}),
    ):
        own.cluster.pods[name] = pod(name, PodOptions(), Limits(), labels_of(name) | changed)
    await own.backend().probe()
    assert sorted(own.cluster.pods) == ["elsewhere", "living"]


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.name)
async def test_it_keeps_the_contract(check: Check, shared: tuple[Fake, KubernetesBackend]) -> None:
    result = await run_check(shared[1], check)
    assert result.held is True, result.detail
