"""The images run as nobody in particular, and what they start with works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import server
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "Dockerfile", *sorted((ROOT / "deploy").glob("*/Dockerfile"))]
PROBE = [sys.executable, "-P", str(ROOT / "app/probe.py")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_image_ends_without_root_and_says_how_it_is_examined(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE)
    assert int(user) > 0
    assert "HEALTHCHECK" in text
    assert re.findall(r"^(?:CMD|ENTRYPOINT) (?!\[)", text, re.MULTILINE) == []
    assert not re.search(r"(?i)(password|token|_key)=\S", text)


def test_the_image_takes_its_packages_from_the_lock() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert all("--frozen" in line for line in re.findall(r"uv sync.*", text))


def test_every_package_of_the_project_is_in_the_image() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (names,) = re.findall(r"^module-name = \[(.*)\]$", project, re.MULTILINE)
    for name in re.findall(r'"(\w+)"', names):
        assert f"COPY {name} {name}/" in text
        assert f"!{name}" in allowed


def test_the_health_check_tells_a_ready_server_from_none(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        port = running.url.rpartition(":")[2]
        # While it still loads what the first task will need, it may take longer than a check waits.
        eventually(lambda: _examined(port) == (0, ""), 60)
    status, said = _examined(port)
    assert status == 1
    assert "does not answer" in said


def test_the_health_check_tells_a_worker_that_has_gone_silent(tmp_path: Path) -> None:
    alive = tmp_path / "working"
    assert _examined(str(alive))[0] == 1
    alive.touch()
    assert _examined(str(alive)) == (0, "")
    for touched in (1, 2**32):  # long ago, and by a clock that was set back since
        os.utime(alive, (touched, touched))
        status, said = _examined(str(alive))
        assert status == 1
        assert "silent" in said


def _examined(what: str) -> tuple[int, str]:
    """Return what a health check ends with, and what it says."""
    done = subprocess.run([*PROBE, what], check=False, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


def test_secrets_in_files_become_variables_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "STROP_DATABASE_URL").write_text("postgresql+psycopg://u:p@h/d\n")
    (tmp_path / "OPENAI_API_KEY").write_text("a $(touch x) key")
    (tmp_path / "PATH").write_text("/nowhere")
    (tmp_path / "postgres_password").write_text("secret")
    text = (ROOT / "deploy/strop.sh").read_text(encoding="utf-8")
    script = tmp_path / "strop.sh"
    script.write_text(text.replace("exec /opt/strop/strop", "exec env -0"))
    environment = {"PATH": os.environ["PATH"], "SECRETS_FOLDER": str(tmp_path)}
    done = subprocess.run(
        ["sh", script], env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert found["STROP_DATABASE_URL"] == "postgresql+psycopg://u:p@h/d"
    assert found["OPENAI_API_KEY"] == "a $(touch x) key"
    assert found["PATH"] == os.environ["PATH"]
    assert not {"postgres_password", "SECRETS_FOLDER"} & set(found)
