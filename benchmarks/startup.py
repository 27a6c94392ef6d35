"""How long it takes until something answers, and what an idle server needs."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.figures import Figure, figure

ROOT = Path(__file__).parents[1]
_IDLE_S = 5.0
_DEADLINE_S = 60.0


def help_time(times: int) -> list[Figure]:
    """Return the time of `./strop --help`, process and all."""
    samples: list[float] = []
    for _ in range(times):
        began = time.monotonic()
        subprocess.run([ROOT / "strop", "--help"], check=True, capture_output=True)
        samples.append(1000 * (time.monotonic() - began))
    return [figure("./strop --help", "ms", samples, aim=500)]


def server_start(times: int) -> list[Figure]:
    """Return the time of a cold server to `/readyz` on a new home, and its memory at rest."""
    ready: list[float] = []
    memory: list[float] = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="strop-bench-") as home:
            seconds, megabytes = _one_server(home)
        ready.append(1000 * seconds)
        memory.append(megabytes)
    return [
        figure("server to /readyz", "ms", ready, aim=3000),
        figure("memory of the idle server", "MB", memory, aim=250),
    ]


def _one_server(home: str) -> tuple[float, float]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STROP_")}
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        cwd=ROOT,
        env=kept | {"STROP_HOME": home, "STROP_MODEL": "embedded"},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            address = _address(server)
            while not _is_ready(address):
                if time.monotonic() - began > _DEADLINE_S:
                    msg = f"the server at {address} was not ready within {_DEADLINE_S} s"
                    raise TimeoutError(msg)
                time.sleep(0.01)
            seconds = time.monotonic() - began
            time.sleep(_IDLE_S)
            return seconds, _resident_mb(server.pid)
        finally:
            server.terminate()


def _address(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if "http://" in line:
            return "http://" + line.split("http://")[1].split()[0]
    msg = "the server ended without saying where it listens"
    raise RuntimeError(msg)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as response:  # noqa: S310 - our own server
            return response.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    msg = f"process {pid} has no resident memory"
    raise RuntimeError(msg)
