"""The interpreter holds against what programs try in it, and refuses what it is not for."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from sandboxes.base import (
    Isolation,
    Limits,
    Network,
    Outcome,
    PolicyRefusedError,
    Sandbox,
    SandboxGoneError,
    SandboxSpec,
)
from sandboxes.monty import MontyBackend, program_of
from sandboxes.selection import select
from tests.support.service import until

pytestmark = pytest.mark.anyio

LIMITS = Limits(wall_s=1.0, memory_bytes=64 << 20, output_kill_bytes=4 << 20)


@cache
def backend() -> MontyBackend:
    return MontyBackend()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Sandbox]:
    spec = SandboxSpec(
        workspace=tmp_path / "workspace", limits=LIMITS, min_isolation=Isolation.INTERPRETER
    )
    made = await backend().create(spec)
    yield made
    await made.close()


async def test_it_proves_what_it_claims() -> None:
    found = await backend().probe()
    assert found.isolation is Isolation.INTERPRETER
    assert not found.shell
    assert not found.ports


async def test_auto_never_chooses_it() -> None:
    assert (await select("auto")).name != "monty"
    assert (await select("monty")).capabilities.isolation < Isolation.NAMESPACE


@pytest.mark.parametrize(
    "argv", [["python3", "-c", "print(6 * 7)"], ["/usr/bin/python3", "-I", "-X", "utf8", "-"]]
)
async def test_a_program_runs_and_prints(argv: list[str], place: Sandbox) -> None:
    result = await place.exec(argv, stdin=b"" if "-c" in argv else b"print(6 * 7)")
    assert (result.ok, result.stdout, result.stderr) == (True, b"42\n", b"")


async def test_an_exception_ends_it_with_a_traceback(place: Sandbox) -> None:
    result = await place.exec(["python3", "-c", "print('begun')\n1 / 0"])
    assert (result.outcome, result.exit_code) == (Outcome.EXITED, 1)
    assert result.stdout == b"begun\n"
    assert result.stderr.endswith(b"ZeroDivisionError: division by zero\n")


async def test_each_program_starts_afresh_with_the_environment_it_is_given(place: Sandbox) -> None:
    script = "import os\nprint(os.getenv('A'), os.environ.get('HOME'))\nkept = 1"
    assert (await place.exec(["python3", "-c", script], env={"A": "1"})).stdout == b"1 None\n"
    assert not (await place.exec(["python3", "-c", "print(kept)"])).ok


@pytest.mark.parametrize(
    "argv",
    [
        ["sh", "-c", "echo"],
        ["python3", "script.py"],
        ["python3", "-m", "http.server"],
        ["python3", "-c", "print(1)", "argument"],
        ["pip", "install", "numpy"],
    ],
)
async def test_what_is_not_a_program_in_python_is_refused(argv: list[str], place: Sandbox) -> None:
    with pytest.raises(PolicyRefusedError, match="only evaluates Python"):
        await place.exec(argv)
    with pytest.raises(PolicyRefusedError, match="cannot be talked to"):
        await place.start(argv)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(PolicyRefusedError, match="UTF-8"):
        program_of(["python3", "-"], b"\xff")


async def test_more_isolation_a_network_and_secrets_are_refused(tmp_path: Path) -> None:
    plain = SandboxSpec(workspace=tmp_path, min_isolation=Isolation.INTERPRETER)
    network = Network(mode="allowlist", domains=("example.org",))
    for change in (
        {"min_isolation": Isolation.NAMESPACE},
        {"network": network},
        {"secrets": {"TOKEN": "env:TOKEN"}},
    ):
        with pytest.raises(PolicyRefusedError):
            await backend().create(plain.model_copy(update=change))


@pytest.mark.parametrize(
    "script",
    [
        "print(open({file!r}).read())",
        "import pathlib\nprint(pathlib.Path({file!r}).read_text())",
        "import os\nprint(os.listdir({folder!r}))",
        "import os\nos.system('cat ' + {file!r})",
        "import subprocess\nprint(subprocess.check_output(['cat', {file!r}]))",
        "print(__import__('os').popen('cat ' + {file!r}).read())",
        "eval(\"__import__('os')\").system('cat ' + {file!r})",
        "import ctypes\nctypes.CDLL(None).system(b'id')",
        "print(().__class__.__bases__[0].__subclasses__())",
        "print([f.__globals__ for f in [print]])",
        "import importlib\nimportlib.import_module('os').system('id')",
        "import os\nos.kill(1, 0)",
        "import os\nos.fork()",
        "import socket\nsocket.create_connection(('127.0.0.1', {port}))",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}')",
        "open({written!r}, 'w').write('x')",
    ],
)
async def test_nothing_of_the_host_is_reached(script: str, tmp_path: Path, place: Sandbox) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a word that nobody told")
    written = tmp_path / "written.txt"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        code = script.format(
            file=str(secret), folder=str(tmp_path), written=str(written), port=port
        )
        result = await place.exec(["python3", "-c", code])
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert not result.ok
    assert b"a word that nobody told" not in result.stdout + result.stderr
    assert not written.exists()


async def test_the_environment_of_the_server_is_not_there(place: Sandbox) -> None:
    result = await place.exec(["python3", "-c", "import os\nprint(dict(os.environ))"])
    assert result.stdout == b"{}\n"


@pytest.mark.parametrize(
    "script",
    [
        "x = [0]\nwhile True: x = x + x",
        "'a' * 10**10",
        "10 ** 10**9",
        "3 ** 3**18",
        "sorted([5, 3, 1] * 10**7)",
        "x = []\nfor i in range(10**8): x.append(str(i))",
        "x = {}\nfor i in range(10**8): x[i] = [i] * 100",
    ],
)
async def test_memory_is_bounded(script: str, place: Sandbox) -> None:
    limits = LIMITS.model_copy(update={"wall_s": 20.0})
    result = await place.exec(["python3", "-c", script], limits=limits)
    assert result.outcome is Outcome.OOM


@pytest.mark.parametrize(
    "script",
    [
        "while True: pass",
        "sum(range(10**11))",
        "import time\ntime.sleep(30)",
        "import time\nwhile True:\n try: time.sleep(0.01)\n except BaseException: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    ],
)
async def test_time_is_bounded_and_sleep_counts(script: str, place: Sandbox) -> None:
    limits = LIMITS.model_copy(update={"wall_s": 0.3})
    result = await place.exec(["python3", "-c", script], limits=limits)
    assert result.timed_out


@pytest.mark.parametrize(
    "script",
    [
        "def f(): f()\nf()",
        "(" * 20_000 + ")" * 20_000,
        "class A:\n    def __repr__(self): return repr(self)\nprint(A())",
    ],
)
async def test_depth_is_bounded(script: str, place: Sandbox) -> None:
    result = await place.exec(["python3", "-c", script])
    assert not result.ok
    assert (await place.exec(["python3", "-c", "print(1)"])).ok


async def test_a_value_of_great_depth_is_shown_in_part(place: Sandbox) -> None:
    script = "x = []\nfor i in range(10**5): x = [x]\nprint(x)"
    assert len((await place.exec(["python3", "-c", script])).stdout) < 10_000


async def test_an_expression_that_backtracks_for_ever_ends(place: Sandbox) -> None:
    script = "import re\nprint(re.match('(a+)+$', 'a' * 40 + 'b'))"
    assert (await place.exec(["python3", "-c", script])).stdout == b"None\n"


async def test_output_without_end_is_cut_and_stopped(place: Sandbox) -> None:
    limits = LIMITS.model_copy(update={"stdout_bytes": 1000, "wall_s": 20.0})
    result = await place.exec(["python3", "-c", "while True: print('x' * 999)"], limits=limits)
    assert result.outcome is Outcome.OUTPUT_LIMIT
    assert len(result.stdout) <= 1000


def workers() -> set[str]:
    """Return the processes of this process that wait for programs."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {pid for listed in children for pid in listed.read_text().split()}


def ticks() -> dict[str, int]:
    """Return the processor time that each of them has used, in hundredths of a second."""
    used: dict[str, int] = {}
    for pid in workers():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used[pid] = int(fields[11])
    return used


async def test_who_stops_waiting_kills_the_worker(place: Sandbox) -> None:
    started = time.monotonic()
    await place.exec(["python3", "-c", "print(1)"])
    idle = ticks()
    endless = asyncio.create_task(
        place.exec(["python3", "-c", "while True: pass"], limits=Limits(wall_s=60))
    )
    await until(lambda: any(used > idle.get(pid, 0) + 10 for pid, used in ticks().items()))
    before = workers()
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    await until(lambda: not before <= workers())
    assert time.monotonic() - started < 30


async def test_closing_ends_what_runs(place: Sandbox) -> None:
    endless = asyncio.create_task(
        place.exec(["python3", "-c", "while True: pass"], limits=Limits(wall_s=60))
    )
    await place.exec(["python3", "-c", "print(1)"])
    await place.close()
    with pytest.raises(SandboxGoneError):
        await endless
    with pytest.raises(SandboxGoneError):
        await place.exec(["python3", "-c", "print(1)"])


async def test_the_workspace_is_the_hosts_and_no_program_sees_it(place: Sandbox) -> None:
    await place.write("notes/a.txt", b"kept")
    assert await place.read("notes/a.txt") == b"kept"
    assert not (await place.exec(["python3", "-c", "print(open('notes/a.txt').read())"])).ok
