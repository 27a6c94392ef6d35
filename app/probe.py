"""Say whether the server or worker of this container is well; what health checks run.

    python app/probe.py 8321             a server that takes tasks
    python app/probe.py /tmp/working     a worker that was started with --alive-file /tmp/working

It is run again and again beside what it looks at, so it imports nothing heavy.
"""

import http.client
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_TIMEOUT_S = 4.0
_MAX_BYTES = 64 << 10
_STALE_S = 30.0
"""Six times as long as a worker takes to touch its file again."""


def main(arguments: Sequence[str]) -> int:
    """Look, say what is wrong if anything, and return the exit status."""
    match arguments:
        case [port] if port.isdecimal():
            wrong = probe(int(port))
        case [path] if path.startswith("/"):
            wrong = age(Path(path), time.time())
        case _:
            wrong = "usage: python app/probe.py PORT|/PATH/OF/ALIVE/FILE"
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


def probe(port: int) -> str:
    """Return why the server on loopback is not ready, or nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        return f"the server on port {port} does not answer: {error}"
    finally:
        connection.close()
    return "" if response.status == http.HTTPStatus.OK else _refusal(response.status, body)


def age(path: Path, now: float) -> str:
    """Return why the worker that touches the file is not well, or nothing."""
    try:
        silent_s = now - path.stat().st_mtime
    except OSError as error:
        return f"no worker shows itself: {error}"
    # A file of a time to come was touched before the clock was set back, and not since.
    stale = abs(silent_s) >= _STALE_S
    return f"the worker has been silent for {abs(silent_s):.0f} s" if stale else ""


def _refusal(status: int, body: bytes) -> str:
    try:
        said = json.loads(body).get("detail", "")
    except (ValueError, AttributeError):
        said = ""
    return f"the server answered {status}: {said}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
