"""A full disk under a real server: clear errors meanwhile, and nothing accepted is lost."""

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, server

TASK = "What is 17 times 23?"
MIB = 1 << 20


@contextmanager
def _on_a_small_disk(home: Path) -> Generator[tuple[Server, Path]]:
    """Give a server on a disk of its own, and the way to that disk."""
    mount = 'mount -t tmpfs -o size=32m tmpfs "$0" && exec "$@"'
    within = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(home)]
    if not shutil.which("unshare") or subprocess.run([*within, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk (unshare --map-root-user)")
    with server(
        home,
        within=within,
        STROP_MODEL="embedded",
        STROP_EMBEDDING="none",
        STROP_SANDBOX="unsafe-local",
        STROP_POLL_S="0.05",
        STROP_MIN_FREE_BYTES=str(MIB),
    ) as running:
        yield running, Path(f"/proc/{running.process.pid}/root{home}")


def _fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 65_536):
            pass
    return filler


def _refused(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"]
    assert "disk" in response.json()["detail"]


def test_a_full_disk_is_told_refuses_what_is_new_and_goes_on_once_there_is_room(
    tmp_path: Path,
) -> None:
    with _on_a_small_disk(tmp_path) as (running, disk):
        accepted = [running.submit(instruction=TASK) for _ in range(2)]
        filler = _fill(disk)
        _refused(running.client.get("/readyz"))
        _refused(running.client.post("/api/v1/tasks", json={"instruction": TASK}))
        _refused(running.client.post("/api/v1/files", files={"file": ("a", b"x" * (2 * MIB))}))
        for task_id in accepted:
            assert running.client.get(f"/api/v1/tasks/{task_id}").status_code == 200
        filler.unlink()
        assert running.client.get("/readyz").status_code == 200
        accepted.append(running.submit(instruction=TASK))
        for task_id in accepted:
            assert running.events(task_id)[-1]["event"] == "end"
            assert running.task(task_id)["status"] == "succeeded", running.task(task_id)
