"""Become a browser in a sandbox; run in place of the browser by whatever drives it.

A driver such as Playwright starts a program, passes arguments, and talks to it by descriptors
3 and 4. This script is that program: it makes of itself what `sandboxes.browser` planned, keeps
these two descriptors, and becomes bubblewrap with the browser in it. Only the standard library
is loaded. Called as `browser_start.py PLAN ARGUMENTS...`.
"""

import base64
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_NOT_PASSED = ("--no-sandbox", "--disable-setuid-sandbox", "--remote-debugging-port")
"""A driver's habits: the browser's own sandbox stays on, and nothing listens."""


def main(plan_path: str, arguments: Sequence[str]) -> None:
    """Enter what is planned and become the browser."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from sandboxes.launch_server import enter, show_and_drop  # noqa: PLC0415 - found by the line before

    plan = json.loads(Path(plan_path).read_bytes())
    with Path(plan["started"]).open("a", encoding="ascii") as started:
        started.write(f"{os.getpid()} {start_time(os.getpid())}\n")
    enter(plan["doors"], private=plan["user"] is not None)
    show_and_drop(plan["mounts"], plan["user"])
    for number, data in plan["data"].items():
        _hold(int(number), base64.b64decode(data))
    passed = [each for each in arguments if each.partition("=")[0] not in _NOT_PASSED]
    os.execve(plan["argv"][0], [*plan["argv"], *passed], {})  # noqa: S606 - what it is for


def start_time(pid: int) -> str:
    """Return when a process began, which tells it from a later one of the same number."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]


def _hold(number: int, data: bytes) -> None:
    """Let the next program read `data` from a descriptor."""
    unnamed = os.memfd_create("strop", 0)
    view = memoryview(data)
    while view:
        view = view[os.write(unnamed, view) :]
    os.lseek(unnamed, 0, os.SEEK_SET)
    os.dup2(unnamed, number)
    os.close(unnamed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
