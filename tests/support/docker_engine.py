"""A real Docker engine for the tests: its own socket and folders, gone afterwards."""

import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from sandboxes.base import SandboxError
from sandboxes.docker_engine import IMAGE, Engine

ROOT = Path(__file__).parents[2]
_START_S = 60.0
_BASE_S = 420.0
BASE = "strop-sandbox-base"
_PROGRAMS = {"dockerd": "docker.io", "containerd": "docker.io", "debootstrap": "debootstrap"}
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class DockerEngine:
    """One engine without any network, with the image of the sandboxes in it."""

    def __init__(self) -> None:
        """Start it and build the image; where that cannot be done the test is skipped aloud."""
        base = _base()
        self._folder = Path(tempfile.mkdtemp(prefix="strop-docker-"))
        self.host = f"unix://{self._folder / 'sock'}"
        self._process = self._start()
        try:
            self._wait()
            self._fill(base)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Stop and leave nothing behind."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        subprocess.run(
            ["rm", "-rf", "--one-file-system", str(self._folder)], capture_output=True, check=False
        )

    def _start(self) -> "subprocess.Popen[bytes]":
        options = {
            "data-root": self._folder / "data",
            "exec-root": self._folder / "exec",
            "pidfile": self._folder / "pid",
            "host": self.host,
            "bridge": "none",
            "iptables": "false",
            "ip6tables": "false",
            "ip-forward": "false",
            "userland-proxy": "false",
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        command = ["setpriv", "--pdeathsig", "TERM", _found("dockerd") or "dockerd", *given]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait(self) -> None:
        limit = time.monotonic() + _START_S
        engine = Engine(self.host)
        try:
            while True:
                try:
                    engine.facts()
                except SandboxError:
                    if self._process.poll() is not None or time.monotonic() > limit:
                        told = (self._folder / "log").read_text(errors="replace")[-600:]
                        pytest.skip(f"no Docker engine can be started here; it said: {told}")
                    time.sleep(0.05)  # nothing tells when it takes connections
                else:
                    return
        finally:
            engine.close()

    def _fill(self, base: Path) -> None:
        engine = Engine(self.host)
        try:
            engine.load_base(BASE, base)
            engine.build(IMAGE, BASE, lambda _: None)
        finally:
            engine.close()


def _base() -> Path:
    """Return the base of the image, which takes a minute to make, once on each machine."""
    if os.getuid() != 0 or not Path("/etc/debian_version").exists():
        pytest.skip(
            "the docker backend was not tried: its engine is started by the tests themselves "
            "where they run as root on Debian"
        )
    missing = sorted({package for name, package in _PROGRAMS.items() if not _found(name)})
    if missing:
        pytest.skip(
            f"the docker backend was not tried: `apt-get install {' '.join(missing)}` brings what "
            "it needs, and `sh scripts/setup.sh --dev` does so as root"
        )
    made = subprocess.run(
        ["sh", str(ROOT / "scripts" / "sandbox_base.sh")],
        capture_output=True,
        text=True,
        timeout=_BASE_S,
        check=False,
    )
    if made.returncode:
        pytest.skip(
            "the docker backend was not tried: debootstrap could not make the base of its image "
            f"on this {platform.machine()} machine; it said: {made.stderr.strip()[-400:]}"
        )
    return Path(made.stdout.strip())


def _found(program: str) -> str | None:
    return shutil.which(program, path=_SEARCH)
