"""`./strop` finds its own folder and environment from anywhere."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(*command: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_it_works_through_links_from_a_folder_with_a_package_of_our_name(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit('the wrong app')\n")
    (tmp_path / "first").symlink_to(ROOT / "strop")
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "second").symlink_to("../first")
    done = _run(tmp_path / "a folder" / "second", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: strop ")


def test_without_an_environment_it_says_how_to_make_one(tmp_path: Path) -> None:
    folder = tmp_path / "a fresh clone"
    folder.mkdir()
    shutil.copy(ROOT / "strop", folder / "strop")
    done = _run(folder / "strop", "doctor", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == (
        f"strop: {folder} has no environment yet; run: make -C '{folder}' setup\n"
    )


@pytest.mark.parametrize("script", ["strop", "scripts/setup.sh", "scripts/test.sh"])
def test_the_scripts_are_plain_shell(script: str) -> None:
    done = _run("sh", "-n", script, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
