import asyncio
import struct
from collections.abc import AsyncGenerator
from functools import cache
from pathlib import Path

import pytest

from sandboxes.base import (
    Isolation,
    Limits,
    Outcome,
    Sandbox,
    SandboxBackend,
    SandboxError,
    SandboxGoneError,
    SandboxSpec,
    discover,
)
from sandboxes.python_session import PythonSession

pytestmark = pytest.mark.anyio

QUICK = Limits(wall_s=10.0)


@cache
def backend_called(name: str) -> SandboxBackend:
    return discover()[name]()


@pytest.fixture(params=["bubblewrap", "unsafe-local"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Sandbox]:
    (tmp_path / "token").write_text("a-planted-secret")
    spec = SandboxSpec(
        workspace=tmp_path / "ws",
        min_isolation=Isolation.NONE,
        secrets={"TOKEN": f"file:{tmp_path}/token"},
    )
    made = await backend_called(request.param).create(spec)
    yield made
    await made.close()


@pytest.fixture
def session(place: Sandbox) -> PythonSession:
    return PythonSession(place, QUICK)


async def test_names_stay_from_one_call_to_the_next(session: PythonSession) -> None:
    await session.run("import math\nanswer = 42")
    evaluation = await session.run("print(answer)")
    assert evaluation.result.ok
    assert evaluation.result.stdout == b"42\n"
    assert not evaluation.lost


async def test_the_value_of_a_last_expression_is_shown(session: PythonSession) -> None:
    evaluation = await session.run("x = [1]\nx * 2")
    assert evaluation.result.stdout == b"[1, 1]\n"


async def test_an_exception_keeps_the_names_and_shows_the_line(session: PythonSession) -> None:
    await session.run("kept = 1")
    failed = (await session.run("def f():\n    return 1 / 0\nf()")).result
    assert failed.exit_code == 1
    assert b"return 1 / 0" in failed.stderr
    assert b"python_worker" not in failed.stderr
    assert b"evaluate" not in failed.stderr
    assert (await session.run("kept")).result.stdout == b"1\n"


async def test_code_that_cannot_be_parsed_is_a_failed_call(session: PythonSession) -> None:
    failed = (await session.run("print('x'")).result
    assert failed.exit_code == 1
    assert b"SyntaxError" in failed.stderr


async def test_an_exit_ends_the_call_but_not_the_interpreter(session: PythonSession) -> None:
    await session.run("kept = 1")
    assert (await session.run("raise SystemExit(3)")).result.exit_code == 3
    assert (await session.run("kept")).result.stdout == b"1\n"


async def test_what_child_processes_print_is_kept_in_its_stream(session: PythonSession) -> None:
    code = "import subprocess\nsubprocess.run(['sh', '-c', 'echo out; echo err >&2'])\nNone"
    result = (await session.run(code)).result
    assert (result.stdout, result.stderr) == (b"out\n", b"err\n")


async def test_a_call_over_its_time_is_ended_and_the_next_is_told(session: PythonSession) -> None:
    await session.run("kept = 1")
    endless = await session.run("while True: pass", limits=Limits(wall_s=0.3))
    assert endless.result.timed_out
    after = await session.run("kept")
    assert after.lost
    assert b"NameError" in after.result.stderr
    assert not (await session.run("1")).lost


async def test_a_call_that_prints_for_ever_is_ended(session: PythonSession) -> None:
    limits = Limits(wall_s=10.0, output_kill_bytes=1 << 20, stdout_bytes=1000)
    result = (await session.run("while True: print('x' * 1000)", limits=limits)).result
    assert result.outcome is Outcome.OUTPUT_LIMIT
    assert len(result.stdout) <= 1000
    assert result.stdout_total > 1 << 20


async def test_an_interpreter_that_kills_itself_is_replaced(session: PythonSession) -> None:
    killed = (await session.run("import os\nos.kill(os.getpid(), 9)")).result
    assert (killed.outcome, killed.signal) == (Outcome.SIGNALED, 9)
    assert (await session.run("2")).lost


async def test_an_interpreter_that_died_between_calls_is_replaced(session: PythonSession) -> None:
    code = "import os, threading\nthreading.Timer(0.05, os._exit, (5,)).start()"
    await session.run(code)
    seen = [await session.run("1")]
    while not seen[-1].lost:
        seen.append(await session.run("import time; time.sleep(0.01)"))
    assert (await session.run("2")).result.stdout == b"2\n"


FORGED = {
    "noise": b"\xff" * 64,
    "a frame without end": struct.pack(">cI", b"o", 1 << 30),
    "an end that is no JSON": struct.pack(">cI", b"d", 3) + b"{{{",
    "an end without a code": struct.pack(">cI", b"d", 2) + b"{}",
    "a code that is no number": struct.pack(">cI", b"d", 14) + b'{"code": [[]]}',
    "a code without end": struct.pack(">cI", b"d", 15) + b'{"code": 1e999}',
    "JSON of great depth": struct.pack(">cI", b"d", 100_000) + b"[" * 100_000,
}


@pytest.mark.parametrize("name", FORGED)
async def test_code_that_forges_frames_breaks_only_itself(
    session: PythonSession, name: str
) -> None:
    code = f"""
import os
for number in range(3, 20):
    try:
        data = {FORGED[name]!r}
        while data:
            data = data[os.write(number, data):]
    except OSError:
        pass
"""
    forged = (await session.run(code)).result
    assert not forged.ok
    assert (await session.run("3")).result.stdout == b"3\n"


async def test_calls_at_once_wait_for_each_other(session: PythonSession) -> None:
    await session.run("seen = []")
    await asyncio.gather(*(session.run(f"seen.append({n})") for n in range(5)))
    assert (await session.run("seen")).result.stdout == b"[0, 1, 2, 3, 4]\n"


async def test_a_cancelled_call_ends_its_interpreter(session: PythonSession) -> None:
    await session.warm()
    running = asyncio.create_task(session.run("while True: pass"))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await session.run("4")).result.stdout == b"4\n"


async def test_modules_of_the_workspace_can_be_imported(
    session: PythonSession, place: Sandbox
) -> None:
    await place.write("mine.py", b"value = 7")
    await place.write("csv.py", b"raise SystemExit('not the library')")
    result = (await session.run("import csv, mine\nprint(mine.value, csv.reader)")).result
    assert result.stdout.startswith(b"7 <built-in")


async def test_secrets_are_there_but_are_not_shown_even_in_pieces(session: PythonSession) -> None:
    code = """
import os, sys
token = os.environ["TOKEN"]
print(len(token), token)
for letter in token:
    sys.stdout.write(letter)
    sys.stdout.flush()
"""
    result = (await session.run(code)).result
    assert result.stdout == b"16 " + b"*" * 16 + b"\n" + b"*" * 16


async def test_a_closed_sandbox_has_no_interpreter(session: PythonSession, place: Sandbox) -> None:
    await session.run("1")
    await place.close()
    with pytest.raises(SandboxGoneError):
        await session.run("1")


@pytest.mark.parametrize("name", ["bubblewrap", "unsafe-local"])
async def test_a_sandbox_without_python_says_so(name: str, tmp_path: Path) -> None:
    spec = SandboxSpec(
        workspace=tmp_path / "ws", min_isolation=Isolation.NONE, env={"PATH": "/nowhere"}
    )
    place = await backend_called(name).create(spec)
    with pytest.raises(SandboxError, match=r"before it was ready: .*python3"):
        await PythonSession(place, QUICK).run("1")
    await place.close()
