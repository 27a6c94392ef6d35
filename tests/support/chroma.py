"""A real Chroma server for the tests, on loopback."""

import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.ports import free_port

_START_S = 60.0


class ChromaProcess:
    """A server on a folder of its own, which can go away and come back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start and wait until it takes connections."""
        program = str(Path(sys.executable).parent / "chroma")
        options = ["--path", str(self._folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [program, "run", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        limit = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > limit:
                    raise
                time.sleep(0.05)  # nothing tells when a server takes connections
            else:
                return

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None
