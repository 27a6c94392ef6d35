import re
import signal
import subprocess
from pathlib import Path

import pytest

from sandboxes.base import Limits
from sandboxes.cgroup import Groups, GroupV1, GroupV2, find_groups

LIMITS = Limits(memory_bytes=1 << 20, pids=10, cpu_cores=0.5)


@pytest.fixture
def delegated(tmp_path: Path) -> Path:
    """A version 2 tree as systemd delegates it: the own folder has no controllers to give."""
    own = tmp_path / "user.slice" / "app.scope"
    own.mkdir(parents=True)
    for folder in (tmp_path, own.parent, own):
        (folder / "cgroup.procs").touch()
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (own / "cgroup.subtree_control").write_text("\n")
    return tmp_path


@pytest.fixture
def controllers(tmp_path: Path) -> Path:
    for name in ("memory", "pids", "cpu,cpuacct"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    return tmp_path


def test_version_2_uses_the_nearest_folder_that_gives_memory_control(delegated: Path) -> None:
    groups = Groups(delegated, "0::/user.slice/app.scope\n")
    assert groups.parents == [delegated / "user.slice"]
    group = groups.take()
    group.set(LIMITS)
    (door,) = group.doors
    folder = door.parent
    assert (folder / "memory.max").read_text() == "1048576"
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "memory.oom.group").read_text() == "1"
    assert (folder / "cpu.max").read_text() == "50000 100000"
    assert int((folder / "pids.max").read_text()) >= 10


def test_version_1_uses_a_folder_for_each_controller(controllers: Path) -> None:
    membership = "4:memory:/\n3:pids:/\n2:cpu,cpuacct:/\n1:name=systemd:/\n"
    group = Groups(controllers, membership).take()
    group.set(LIMITS)
    folders = {door.parent.parent.name: door.parent for door in group.doors}
    assert set(folders) == {"memory", "pids", "cpu,cpuacct"}
    assert (folders["memory"] / "memory.limit_in_bytes").read_text() == "1048576"
    assert (folders["cpu,cpuacct"] / "cpu.cfs_quota_us").read_text() == "50000"


def test_no_memory_controller_means_no_groups(tmp_path: Path) -> None:
    membership = tmp_path / "self"
    membership.write_text("3:pids:/\n0::/\n")
    assert find_groups(tmp_path, membership) is None


def test_a_missing_file_of_the_kernel_means_no_groups(tmp_path: Path) -> None:
    assert find_groups(tmp_path, tmp_path / "missing") is None


def test_a_group_is_used_again_and_not_by_two_at_once(delegated: Path) -> None:
    groups = Groups(delegated, "0::/user.slice/app.scope\n")
    first, second = groups.take(), groups.take()
    assert first.doors != second.doors
    groups.give(first)
    assert groups.take() is first


NAMESPACE = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))


def test_what_a_dead_server_left_is_removed(delegated: Path) -> None:
    dead = delegated / "user.slice" / f"strop-{NAMESPACE}-999999999-0"
    alive = delegated / "user.slice" / f"strop-{NAMESPACE}-1-0"
    elsewhere = delegated / "user.slice" / "strop-17-999999999-0"
    for folder in (dead, alive, elsewhere):
        folder.mkdir()
    Groups(delegated, "0::/user.slice/app.scope\n").sweep()
    assert not dead.exists()
    assert alive.exists()
    assert elsewhere.exists()


def test_what_still_runs_in_the_group_of_a_dead_server_is_killed(delegated: Path) -> None:
    dead = delegated / "user.slice" / f"strop-{NAMESPACE}-999999999-0"
    dead.mkdir()
    with subprocess.Popen(["sleep", "60"]) as orphan:
        (dead / "cgroup.procs").write_text(f"0\n{orphan.pid}\n")
        Groups(delegated, "0::/user.slice/app.scope\n").sweep()
        assert orphan.wait(10) == -signal.SIGKILL


def test_kills_for_memory_are_read_from_both_versions(tmp_path: Path) -> None:
    second = GroupV2(tmp_path)
    (second.doors[0].parent / "memory.events").write_text("low 0\noom 4\noom_kill 3\n")
    first = GroupV1({"memory": tmp_path})
    (first.doors[0].parent / "memory.oom_control").write_text("under_oom 0\noom_kill 2\n")
    assert (second.oom_kills(), first.oom_kills()) == (3, 2)
