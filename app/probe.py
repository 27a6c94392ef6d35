"""Say whether the server of this container takes tasks; what health checks run.

    python app/probe.py 8321

It is run again and again beside what it looks at, so it imports nothing heavy.
"""

import http.client
import json
import sys
from collections.abc import Sequence

_TIMEOUT_S = 4.0
_MAX_BYTES = 64 << 10


def main(arguments: Sequence[str]) -> int:
    """Look, say what is wrong if anything, and return the exit status."""
    match arguments:
        case [port] if port.isdecimal():
            wrong = probe(int(port))
        case _:
            wrong = "usage: python app/probe.py PORT"
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


def _refusal(status: int, body: bytes) -> str:
    try:
        said = json.loads(body).get("detail", "")
    except (ValueError, AttributeError):
        said = ""
    return f"the server answered {status}: {said}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
