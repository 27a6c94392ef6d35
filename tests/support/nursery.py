"""Fork servers and workers from a process that has imported everything: they start at once.

    with Nursery() as nursery:
        child = nursery.start(["work"], environment, log)

What runs is `./strop serve` and `./strop work` but for the model, which answers within the
process and takes as long as `MODEL_DELAY_S` in the environment says.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.effects import MarkingModel
from tests.support.server import ROOT

MODEL_DELAY_S = "MODEL_DELAY_S"
_LOOK_S = 0.005
_HEAVY = ("dbos", "app.checkpoints", "app.checkpoints_postgres", "app.main", "app.serving")
_HEAVY_TOO = ("app.cli.work", "app.durable.engine", "app.liveness_postgres", "app.runs", "uvloop")


class Child:
    """A forked process, as far as `subprocess.Popen` shows one."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status; None while it lives."""
        if self._status is None:
            self._status = self._nursery.asked({"ended": self.pid})
        return self._status

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """Wait for its end and return the exit status."""
        limit = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > limit:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(_LOOK_S)
        return status


class Nursery:
    """The process from which the others are forked; use it as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Fork a process that runs a command of Strop."""
        order = {"words": [*words], "environment": {**environment}, "log": str(log)}
        return Child(self, self.asked(order))

    def asked(self, order: dict[str, Any]) -> Any:
        """Return what the process answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _main() -> None:
    # Read at import: what a checkpoint holds becomes objects of listed classes only.
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    for name in (*_HEAVY, *_HEAVY_TOO):
        import_module(name)
    living: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "ended" in order:
            answer = _ended(order["ended"])
            if answer is not None:
                living.discard(order["ended"])
        else:
            answer = os.fork()
            if not answer:
                os._exit(_child(**order))
            living.add(answer)
        print(json.dumps(answer), flush=True)  # noqa: T201 - to the other end of the pipe
    for pid in living:  # the other end is gone, perhaps without a word
        os.kill(pid, signal.SIGKILL)


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _child(words: list[str], environment: dict[str, str], log: str) -> int:
    """Be a process of Strop."""
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, target)
    try:
        return _strop(words, MarkingModel(float(environment.get(MODEL_DELAY_S, "0"))))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the edge of a process
        traceback.print_exc()
        return 1
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()


def _strop(words: list[str], model: MarkingModel) -> int:
    from app.cli.arguments import build_parser  # noqa: PLC0415 - in the children only
    from app.cli.work import work  # noqa: PLC0415 - see above
    from app.serving import run_server  # noqa: PLC0415 - see above
    from app.settings import load_settings  # noqa: PLC0415 - see above

    args = build_parser().parse_args(words)
    if words[0] == "work":
        return asyncio.run(work(args, model=model))
    run_server(load_settings(host=args.host, port=args.port), model=model)
    return 0


if __name__ == "__main__":
    _main()
