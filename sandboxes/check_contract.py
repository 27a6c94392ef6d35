"""The part of the exam that asks whether a backend does what the port says."""

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from sandboxes.base import (
    ExecResult,
    Limits,
    Outcome,
    SandboxGoneError,
    WorkspacePathError,
)
from sandboxes.check import EXAM_LIMITS, LIVE, Check, Trial, Verdict

HOLD_LOCK = """
import fcntl, os, sys, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
if os.fork() == 0:
    if "daemon" in sys.argv:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
    open("held", "w").close()
    time.sleep(6)
    os._exit(0)
if "leave" in sys.argv:
    while not os.path.exists("held"):
        time.sleep(0.01)
    os._exit(0)
time.sleep(6)
"""
"""A child keeps a lock that the host can look at; it lets go by itself after six seconds."""

_PAUSE_S = 0.01
_SHORT = EXAM_LIMITS.model_copy(update={"wall_s": 1.0})


def judge(holds: bool, result: ExecResult | str) -> Verdict:
    """Return a verdict that says what came back."""
    if isinstance(result, str):
        return Verdict(held=holds, detail=result)
    out = result.stdout[-120:].decode(errors="replace").strip()
    err = result.stderr[-120:].decode(errors="replace").strip()
    detail = f"{result.outcome}, exit code {result.exit_code}, stdout {out!r}, stderr {err!r}"
    return Verdict(held=holds, detail=detail)


def lock_is_free(workspace: Path) -> bool:
    """Return whether nobody holds the lock of `HOLD_LOCK` any more."""
    with (workspace / "lock").open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


async def _exit_code(trial: Trial) -> Verdict:
    result = await trial.shell("exit 7")
    return judge(result.outcome is Outcome.EXITED and result.exit_code == 7, result)


async def _signal(trial: Trial) -> Verdict:
    result = await trial.shell("kill -9 $$")
    return judge(result.outcome is Outcome.SIGNALED and result.signal == 9, result)


async def _missing_program(trial: Trial) -> Verdict:
    result = await trial.place.exec(["no-such-program-anywhere"])
    return judge(result.outcome is Outcome.EXITED and result.exit_code == 127, result)


async def _streams_apart(trial: Trial) -> Verdict:
    result = await trial.shell("echo one; echo two >&2")
    return judge((result.stdout, result.stderr) == (b"one\n", b"two\n"), result)


async def _stdin(trial: Trial) -> Verdict:
    data = os.urandom(300_000)
    result = await trial.place.exec(["cat"], stdin=data)
    return judge(result.stdout == data, f"{len(result.stdout)} of {len(data)} bytes came back")


async def _stdin_unread(trial: Trial) -> Verdict:
    result = await trial.place.exec(["true"], stdin=b"x" * 300_000)
    return judge(result.ok, result)


async def _not_utf8(trial: Trial) -> Verdict:
    result = await trial.shell("printf '\\377\\000\\376'")
    return judge(result.stdout == b"\xff\x00\xfe", result)


async def _arguments(trial: Trial) -> Verdict:
    hostile = ["$HOME", "a b", "'\"", "--help", "*", "\n", "é"]
    result = await trial.python("import sys; print(sys.argv[1:])", *hostile)
    return judge(result.stdout.decode().strip() == repr(hostile), result)


async def _environment(trial: Trial) -> Verdict:
    env = {"STROP_EXAM": "a=b c"}
    result = await trial.place.exec(["sh", "-c", 'printf %s "$STROP_EXAM"'], env=env)
    return judge(result.stdout == b"a=b c", result)


async def _python(trial: Trial) -> Verdict:
    script = "import ssl, sqlite3, json, sys; print(sys.stdout.encoding, 'é')"
    result = await trial.python(script)
    return judge(result.ok and result.stdout.decode().lower() == "utf-8 é\n", result)


async def _timeout(trial: Trial) -> Verdict:
    result = await trial.python(HOLD_LOCK, limits=_SHORT)
    free = lock_is_free(trial.workspace)
    return judge(result.timed_out and free, f"{result.outcome}, child dead: {free}")


async def _spin(trial: Trial) -> Verdict:
    result = await trial.python("while True: pass", limits=_SHORT)
    return judge(result.timed_out, result)


async def _output_cap(trial: Trial) -> Verdict:
    limits = EXAM_LIMITS.model_copy(update={"stdout_bytes": 1000, "stderr_bytes": 10})
    result = await trial.shell("seq 100000; seq 100000 >&2", limits=limits)
    capped = len(result.stdout) <= 1000 and len(result.stderr) <= 10
    counted = result.stdout_total == result.stderr_total == 588_895
    return judge(
        result.ok and capped and counted and result.truncated,
        f"kept {len(result.stdout)} and {len(result.stderr)} of {result.stdout_total} bytes",
    )


async def _big_output(trial: Trial) -> Verdict:
    limits = EXAM_LIMITS.model_copy(update={"stdout_bytes": 16 << 20})
    result = await trial.shell("head -c 8388608 /dev/zero", limits=limits)
    return judge(result.stdout == bytes(8 << 20), f"{len(result.stdout)} of {8 << 20} bytes")


async def _output_kill(trial: Trial) -> Verdict:
    limits = EXAM_LIMITS.model_copy(update={"output_kill_bytes": 1 << 20})
    result = await trial.place.exec(["yes"], limits=limits)
    return judge(result.outcome is Outcome.OUTPUT_LIMIT, f"ended as {result.outcome}")


async def _binary_file(trial: Trial) -> Verdict:
    data = bytes(range(256)) * 300
    await trial.place.write("a/b/data.bin", data)
    copied = await trial.shell("cp a/b/data.bin copy.bin && rm a/b/data.bin && echo x >> copy.bin")
    back = await trial.place.read("copy.bin")
    part = await trial.place.read("copy.bin", offset=256, max_bytes=4)
    holds = copied.ok and back == data + b"x\n" and part == bytes(range(4))
    return judge(holds, f"{len(back)} bytes came back, {copied.stderr!r}")


async def _workspace_stays(trial: Trial) -> Verdict:
    await trial.shell("mkdir -p kept && echo kept > kept/file && chmod 700 kept")
    result = await trial.shell("cat kept/file")
    here = (trial.workspace / "kept" / "file").read_text()
    return judge(result.stdout == b"kept\n" and here == "kept\n", result)


async def _listing(trial: Trial) -> Verdict:
    await trial.shell("mkdir d; echo hi > d/f; ln -s /etc e; mkfifo p")
    found = [(info.path, info.kind) for info in await trial.place.list()]
    expected = [("d", "dir"), ("d/f", "file"), ("e", "symlink"), ("p", "other")]
    return judge(found == expected, f"{found}")


async def _missing_file(trial: Trial) -> Verdict:
    try:
        await trial.place.read("nothing/here")
    except WorkspacePathError as error:
        return judge(holds=True, result=str(error))
    return judge(holds=False, result="a missing file was read")


async def _until_held(trial: Trial, task: asyncio.Task[ExecResult]) -> None:
    for _ in range(int(EXAM_LIMITS.wall_s / _PAUSE_S)):
        if task.done() or (trial.workspace / "held").exists():
            return
        await asyncio.sleep(_PAUSE_S)


async def _cancel(trial: Trial) -> Verdict:
    task = asyncio.create_task(trial.python(HOLD_LOCK))
    await _until_held(trial, task)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    free = lock_is_free(trial.workspace)
    return judge(task.cancelled() and free, f"cancelled: {task.cancelled()}, child dead: {free}")


async def _concurrent(trial: Trial) -> Verdict:
    results = await asyncio.gather(*(trial.shell(f"echo {n}; exit {n}") for n in range(6)))
    seen = [(result.exit_code, result.stdout) for result in results]
    return judge(seen == [(n, f"{n}\n".encode()) for n in range(6)], f"{seen}")


async def _close(trial: Trial) -> Verdict:
    task = asyncio.create_task(trial.python(HOLD_LOCK))
    await _until_held(trial, task)
    await trial.place.close()
    await trial.place.close()
    await asyncio.gather(task, return_exceptions=True)
    free = lock_is_free(trial.workspace)
    try:
        await trial.shell("true")
    except SandboxGoneError:
        return judge(free, f"closed; child dead: {free}")
    return judge(holds=False, result="a closed sandbox ran a command")


async def _own_limits(trial: Trial) -> Verdict:
    result = await trial.shell("sleep 5", limits=Limits(wall_s=0.3))
    return judge(result.timed_out, result)


CHECKS = (
    Check("exit codes come back", "contract", _exit_code),
    Check("a signal is told from an exit", "contract", _signal),
    Check("a missing program is a result", "contract", _missing_program),
    Check("stdout and stderr stay apart", "contract", _streams_apart),
    Check("stdin arrives whole", "contract", _stdin),
    Check("stdin may stay unread", "contract", _stdin_unread),
    Check("output need not be UTF-8", "contract", _not_utf8),
    Check("arguments pass unchanged", "contract", _arguments),
    Check("the environment is passed", "contract", _environment),
    Check("python3 runs and speaks UTF-8", "contract", _python),
    Check("a time-out kills the children too", "contract", _timeout, needs=LIVE),
    Check("a busy loop is stopped", "contract", _spin),
    Check("a command can have limits of its own", "contract", _own_limits),
    Check("output is capped and counted", "contract", _output_cap),
    Check("big output is drained", "contract", _big_output),
    Check("endless output is stopped", "contract", _output_kill),
    Check("binary files go in and out", "contract", _binary_file),
    Check("the workspace outlives commands", "contract", _workspace_stays),
    Check("a listing tells kinds and follows no link", "contract", _listing, needs=LIVE),
    Check("a missing file is an error", "contract", _missing_file, needs=()),
    Check("cancelling kills the tree", "contract", _cancel, needs=LIVE),
    Check("commands run side by side", "contract", _concurrent),
    Check("closing kills and is final", "contract", _close, needs=LIVE),
)
