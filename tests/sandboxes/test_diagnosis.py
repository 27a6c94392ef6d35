from pathlib import Path

import pytest

from sandboxes.diagnosis import explain


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/user").mkdir()
    return tmp_path


def test_a_missing_bubblewrap_says_what_to_type(linux: Path) -> None:
    assert "apt-get install bubblewrap" in explain(None, linux)


def test_another_system_is_told_from_a_missing_program(tmp_path: Path) -> None:
    assert "needs Linux" in explain(None, tmp_path)


def test_apparmor_is_named_with_its_profile(linux: Path) -> None:
    switch = linux / "proc/sys/kernel/apparmor_restrict_unprivileged_userns"
    switch.write_text("1\n")
    told = explain("setting up uid map: Permission denied", linux)
    assert "/etc/apparmor.d/bwrap" in told
    assert "setting up uid map" in told


@pytest.mark.parametrize("name", ["kernel/unprivileged_userns_clone", "user/max_user_namespaces"])
def test_a_switch_that_is_off_is_named(linux: Path, name: str) -> None:
    (linux / "proc/sys" / name).write_text("0\n")
    assert f"sysctl -w {name.replace('/', '.')}=" in explain("no", linux)


def test_a_container_is_recognized(linux: Path) -> None:
    (linux / ".dockerenv").touch()
    assert "container" in explain("no", linux)


def test_what_happened_is_always_told(linux: Path) -> None:
    assert "the very words" in explain("the very words", linux)
