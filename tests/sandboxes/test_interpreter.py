import sys
from pathlib import Path

import pytest

from sandboxes.base import SandboxSpec
from sandboxes.bubblewrap import BubblewrapBackend
from sandboxes.interpreter import Interpreter, find_interpreter

pytestmark = pytest.mark.anyio


def make_python(folder: Path, name: str = "python3") -> Path:
    folder.mkdir(parents=True)
    (folder / name).touch(mode=0o755)
    return folder / name


async def test_the_system_python_needs_nothing(tmp_path: Path) -> None:
    make_python(tmp_path / "usr" / "bin")
    assert find_interpreter(tmp_path / "usr", tmp_path / "own") == Interpreter()


async def test_a_python_below_usr_local_needs_nothing(tmp_path: Path) -> None:
    make_python(tmp_path / "usr" / "local" / "bin")
    assert find_interpreter(tmp_path / "usr", tmp_path / "own") == Interpreter()


async def test_a_link_out_of_usr_does_not_count(tmp_path: Path) -> None:
    elsewhere = make_python(tmp_path / "own" / "bin")
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "python3").symlink_to(elsewhere)
    found = find_interpreter(tmp_path / "usr", tmp_path / "own")
    assert found == Interpreter(executable=elsewhere, tree=tmp_path / "own")


async def test_a_python_with_only_a_versioned_name_is_linked(tmp_path: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    executable = make_python(tmp_path / "usr" / "local" / "py" / "bin", version)
    found = find_interpreter(tmp_path / "usr", tmp_path / "usr" / "local" / "py")
    assert found == Interpreter(executable=executable, tree=None)


async def test_no_python_at_all_is_told(tmp_path: Path) -> None:
    assert find_interpreter(tmp_path / "usr", tmp_path / "own") is None


async def test_the_python_of_this_server_runs_inside(tmp_path: Path) -> None:
    found = find_interpreter(usr=tmp_path / "empty")
    assert found is not None
    backend = BubblewrapBackend(interpreter=found)
    place = await backend.create(SandboxSpec(workspace=tmp_path / "ws"))
    script = "import sys, ssl, sqlite3; print(sys.base_prefix)"
    result = await place.exec(["/run/bin/python3", "-I", "-c", script])
    await place.close()
    assert result.stdout.decode().strip() == str(found.tree or sys.base_prefix), result.stderr


async def test_python3_is_on_the_path_inside(tmp_path: Path) -> None:
    place = await BubblewrapBackend().create(SandboxSpec(workspace=tmp_path / "ws"))
    result = await place.exec(["python3", "-c", "print('here')"])
    await place.close()
    assert result.stdout == b"here\n"
