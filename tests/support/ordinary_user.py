"""Run a script that imports `sandboxes` as a user who is not root."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
import typing_extensions

ORDINARY_USER = 65533
_ROOT = Path(__file__).parents[2]


def run_as_ordinary_user(script: str) -> subprocess.CompletedProcess[bytes]:
    """Run `script`; the test is skipped where there is no Python for that user."""
    python = _python_for_everyone()
    with home_of_an_ordinary_user() as home:
        code = readable_copy(Path(home))
        return subprocess.run(
            [python, "-B", "-c", script],
            user=ORDINARY_USER,
            group=ORDINARY_USER,
            extra_groups=[],
            env={"PYTHONPATH": str(code), "TMPDIR": home},
            cwd=home,
            capture_output=True,
            check=False,
        )


def readable_copy(home: Path) -> Path:
    """Copy what the script imports: the checkout may lie where only root can go."""
    code = home / "code"
    shutil.copytree(_ROOT / "sandboxes", code / "sandboxes")
    for name in ("annotated_types", "pydantic", "pydantic_core", "typing_inspection"):
        shutil.copytree(Path(import_module(name).__file__ or "").parent, code / name)
    shutil.copy(Path(typing_extensions.__file__), code)
    return code


@contextmanager
def home_of_an_ordinary_user() -> Generator[str]:
    """Yield a folder outside those of pytest, which are root's alone."""
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, ORDINARY_USER, ORDINARY_USER)
        yield home


def _python_for_everyone() -> str:
    """The Python of the tests may live where only root can go."""
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        script = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
        try:
            command = [candidate, "-c", script]
            if subprocess.run(command, user=ORDINARY_USER, check=False, cwd="/").returncode == 0:
                return candidate
        except OSError:
            continue
    pytest.skip("no Python of this version can be run by an ordinary user")
