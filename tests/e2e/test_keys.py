"""The real server, closed by a key that another process makes."""

import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.server import ROOT, Server, server

EMBEDDED = {"STROP_MODEL": "embedded", "STROP_SANDBOX": "unsafe-local"}


def _strop(home: Path, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env={"STROP_HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    ).stdout.strip()


def _closed(running: Server) -> httpx.Response:
    """Wait until the server has seen the key."""
    end = time.monotonic() + 20
    while True:
        response = running.client.get("/api/v1/tasks")
        if response.status_code != 200 or time.monotonic() > end:
            return response


def test_a_key_made_elsewhere_closes_a_running_server_at_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with server(home, **EMBEDDED) as running:
        assert running.client.get("/api/v1/tasks").status_code == 200
        key = _strop(home, "keys", "create", "laptop", "--scope", "admin")
        assert key.startswith("strop_")
        refused = _closed(running)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert running.client.get("/healthz").status_code == 200
        running.client.headers["Authorization"] = f"Bearer {key}"
        task_id = running.submit(instruction="What is 6 times 7?")
        assert running.events(task_id)[-1]["event"] == "end"
        assert "task.submitted" in _strop(home, "audit", "--action", "task")
        _strop(home, "keys", "revoke", key.split("_")[1])
        assert running.client.get("/api/v1/tasks").status_code == 401
    assert key.split("_")[2].encode() not in (home / "strop.db").read_bytes()


def test_with_a_key_the_server_may_listen_for_others(tmp_path: Path) -> None:
    home = tmp_path / "home"
    key = _strop(home, "keys", "create", "proxy")
    others = {"STROP_HOST": "0.0.0.0", "STROP_PUBLIC_HOSTS": "strop.example"}  # noqa: S104 - what is tested
    with server(home, **EMBEDDED, **others) as running:
        place = running.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - see above
        headers = {"Authorization": f"Bearer {key}", "Host": "strop.example"}
        assert httpx.get(f"{place}/api/v1/tasks", headers=headers).status_code == 200
        headers["Host"] = "elsewhere.example"
        assert httpx.get(f"{place}/api/v1/tasks", headers=headers).status_code == 403
