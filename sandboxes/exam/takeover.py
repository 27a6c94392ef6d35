"""Attacks on whoever watches a command: its supervisor, its reports, its end."""

import asyncio
import os
from pathlib import Path

from sandboxes.base import Outcome, SandboxError
from sandboxes.check import EXAM_LIMITS, LIVE, Check, Trial, Verdict
from sandboxes.check_contract import HOLD_LOCK, judge, lock_is_free
from sandboxes.exam.field import CALLS, TIGHT, refused, until

_SHORT = EXAM_LIMITS.model_copy(update={"wall_s": 0.5})
_SECONDS = 8.0
"""A command that was to end after half a second is not allowed more, however busy the machine."""

# The streams of the command itself are spared, or what was forged would be its own output.
_FORGE = """
import os, sys
lines = b'{"exit-code": 0}\\n{"child-pid": 1}\\n'
report = b"9999\\n0m0.0s 0m0.0s\\n9999m9.0s 9999m9.0s\\n"
own = {os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)}
for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        continue
    for number in numbers:
        path = f"/proc/{pid}/fd/{number}"
        try:
            target = os.readlink(path)
            if target not in own and target.startswith(("pipe", "anon", "socket", "/memfd")):
                os.write(os.open(path, os.O_WRONLY | os.O_NONBLOCK), report + lines)
        except OSError:
            continue
sys.exit(3)
"""

# Whoever shares the process numbers of the exam, or sees its process, shares the processes of
# this machine, and what follows would kill them all: then the attack has won already.
END_OTHERS = """
import os, signal, sys
number, exam, began, namespace = getattr(signal, sys.argv[1]), *sys.argv[2:]
try:
    seen = os.readlink("/proc/self/ns/pid") == namespace
except OSError:
    seen = True
try:
    with open(f"/proc/{exam}/stat") as file:
        seen = seen or file.read().rpartition(")")[2].split()[19] == began
except OSError:
    pass
if seen or len([name for name in os.listdir("/proc") if name.isdigit()]) > 40:
    print("sees the host")
    sys.exit()
for pid in (os.getppid(), 1):
    try:
        os.kill(pid, number)
    except OSError:
        pass
while number == signal.SIGSTOP:
    pass
try:
    os.kill(-1, number)
except OSError:
    pass
"""

_IGNORE = """
import os, signal, sys
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
os.setsid() if os.getpid() != os.getsid(0) else None
if sys.argv[1] == "stop":
    os.kill(os.getpid(), signal.SIGSTOP)
while True:
    pass
"""

_LIMITS_OF_OTHERS = """
for pid in (1, os.getppid()):
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_WRONLY))
        text = open(f"/proc/{pid}/limits").read()
    except OSError:
        continue
    for line in text.splitlines():
        if line.startswith(("Max processes", "Max file size")) and line.split()[4] == "unlimited":
            allowed.append(f"process {pid} can be taken over and has no {line[:16].strip()}")
        elif line.startswith("Max processes") and int(line.split()[3]) > 1000:
            allowed.append(f"process {pid} can be taken over and may start {line.split()[3]}")
tell()
"""

_TELL_LIMITS = """
import resource
names = ("RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_CORE")
print([resource.getrlimit(getattr(resource, name))[1] for name in names])
"""

_POISON = """
import os, sys
names = "sh bash prlimit python3 env bwrap setpriv mount true timeout tini sleep cat id"
for name in names.split():
    with open(name, "w") as file:
        file.write("#!/bin/sh\\necho poisoned > poisoned\\n")
    os.chmod(name, 0o755)
for name in ("sitecustomize", "usercustomize", "encodings", "os", "json", "signal", "asyncio"):
    with open(name + ".py", "w") as file:
        file.write("open('poisoned', 'w').write('x')\\n")
for name in (".profile", ".bashrc", ".pythonrc", "env.sh"):
    with open(name, "w") as file:
        file.write("echo poisoned > poisoned\\n")
"""

_POISONED_ENV = {
    "PATH": "/work:.:/usr/local/bin:/usr/bin:/bin",
    "ENV": "/work/env.sh",
    "BASH_ENV": "/work/env.sh",
    "PYTHONSTARTUP": "/work/.pythonrc",
    "PYTHONPATH": "/work",
    "PYTHONHOME": "",
    "LD_LIBRARY_PATH": "/work",
    "LD_AUDIT": "",
    "IFS": "/",
    "PS4": "$(echo poisoned > /work/poisoned)",
    "SHELLOPTS": "xtrace",
    "HOME": "/work",
    "CDPATH": "/work",
}

_BOMB = """
import os, time
end = time.monotonic() + 3
lock = open("lock", "w")
import fcntl
fcntl.flock(lock, fcntl.LOCK_SH)
while time.monotonic() < end:
    try:
        os.fork()
    except OSError:
        pass
"""

_ZOMBIES = """
import os
made = 0
for _ in range(2000):
    try:
        if os.fork() == 0:
            os._exit(0)
        made += 1
    except OSError:
        break
os.write(1, str(made).encode())
"""

_THREADS = """
import os, threading, time
made = 0
threading.stack_size(1 << 16)
for _ in range(400):
    try:
        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
        made += 1
    except (RuntimeError, MemoryError):
        break
os.write(1, str(made).encode())
os._exit(0)
"""


async def _forged_report(trial: Trial) -> Verdict:
    result = await trial.python(_FORGE)
    told = (result.outcome, result.exit_code)
    honest = (
        told == (Outcome.EXITED, 3)
        and (result.cpu_s or 0.0) < 60
        and result.survivors_killed < 100
        and b"exit-code" not in result.stdout + result.stderr
    )
    detail = f"{told}, {result.cpu_s} s of processor time, {result.survivors_killed} left over"
    return judge(honest, detail)


async def _supervisor_killed(trial: Trial) -> Verdict:
    """Kill everything from inside; whatever is told, the sandbox must go on working."""
    seen = b""
    try:
        result = await trial.python(END_OTHERS, "SIGKILL", *this_process())
        told, seen = str(result.outcome), result.stdout
    except SandboxError as error:
        told = f"{type(error).__name__}: {error}"
    after = await trial.shell("echo alive")
    holds = after.stdout == b"alive\n" and not seen
    return judge(holds, f"{told[:120]}, {seen!r}, then {after.stdout!r}")


async def _supervisor_stopped(trial: Trial) -> Verdict:
    result = await trial.python(END_OTHERS, "SIGSTOP", *this_process(), limits=_SHORT)
    after = await trial.shell("echo alive")
    holds = result.timed_out and result.duration_s < _SECONDS and after.ok
    return judge(holds, f"{result.outcome} after {result.duration_s:.1f} s, {result.stdout!r}")


def this_process() -> tuple[str, str, str]:
    """Return the number of this process, when it began, and in which namespace it is."""
    status = Path("/proc/self/stat").read_text(encoding="utf-8")
    namespace = str(Path("/proc/self/ns/pid").readlink())
    return str(os.getpid()), status.rpartition(")")[2].split()[19], namespace


async def _ignored_signals(trial: Trial) -> Verdict:
    results = await asyncio.gather(
        trial.python(_IGNORE, "spin", limits=_SHORT), trial.python(_IGNORE, "stop", limits=_SHORT)
    )
    holds = all(result.timed_out and result.duration_s < _SECONDS for result in results)
    return judge(holds, f"{[(str(r.outcome), round(r.duration_s, 1)) for r in results]}")


async def _limits_of_others(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _LIMITS_OF_OTHERS, limits=TIGHT))


async def _poisoned(trial: Trial) -> Verdict:
    """Leave programs and modules in the workspace, and point every search path at them."""
    before = (await trial.python(_TELL_LIMITS)).stdout
    await trial.python(_POISON)
    argv = ["/usr/bin/env", "-i", "/usr/bin/python3", "-I", "-c", _TELL_LIMITS]
    found = await trial.place.exec(["/bin/true"], env=_POISONED_ENV)
    ran = (trial.workspace / "poisoned").exists()
    after = await trial.place.exec(argv, env=_POISONED_ENV)
    plain = await trial.shell("true")
    ran = ran or (trial.workspace / "poisoned").exists()
    same = after.stdout == before or b"No such file" in after.stderr
    holds = found.ok and plain.ok and not ran and same
    return judge(holds, f"planted programs ran: {ran}, limits {before!r} then {after.stdout!r}")


async def _bomb(trial: Trial) -> Verdict:
    limits = TIGHT.model_copy(update={"wall_s": 0.7})
    result = await trial.python(_BOMB, limits=limits)
    free = await until(lambda: lock_is_free(trial.workspace), 0.5)
    holds = free and result.duration_s < _SECONDS
    return judge(holds, f"{result.outcome} after {result.duration_s:.1f} s, all dead: {free}")


async def _zombies(trial: Trial) -> Verdict:
    result = await trial.python(_ZOMBIES, limits=TIGHT)
    made = int(result.stdout or b"0")
    return judge(made < TIGHT.pids + 8, f"{made} dead children kept, at most {TIGHT.pids} allowed")


async def _threads(trial: Trial) -> Verdict:
    result = await trial.python(_THREADS, limits=TIGHT)
    made = int(result.stdout or b"0")
    return judge(made < TIGHT.pids + 8, f"{made} threads made, at most {TIGHT.pids} allowed")


async def _busy_timeout(trial: Trial) -> Verdict:
    """Time out while as many processes spin as are allowed."""
    script = "import os\nfor _ in range(4): os.fork()\nwhile True: pass"
    result = await trial.python(script, limits=_SHORT)
    after = await trial.shell("echo alive")
    holds = result.timed_out and result.duration_s < _SECONDS and after.ok
    return judge(holds, f"{result.outcome} after {result.duration_s:.1f} s")


async def _output_after_end(trial: Trial) -> Verdict:
    """Leave a child that holds the streams open when the command is done."""
    script = "(sleep 6; echo late) & echo soon"
    result = await trial.shell(script)
    holds = result.ok and result.stdout == b"soon\n" and result.duration_s < _SECONDS
    return judge(holds, f"{result.outcome} after {result.duration_s:.1f} s, {result.stdout!r}")


async def _hidden_daemon(trial: Trial) -> Verdict:
    """Hide a daemon behind a changed name, a session of its own and a parent of its own."""
    script = (
        "import ctypes, os, signal\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.prctl(36, 1, 0, 0, 0)\n"
        "libc.prctl(1, 0, 0, 0, 0)\n"
        'libc.prctl(15, b"kworker/0:1", 0, 0, 0)\n'
        "for n in (1, 2, 13, 15): signal.signal(n, signal.SIG_IGN)\n"
    )
    result = await trial.python(script + HOLD_LOCK, "daemon", "leave")
    free = lock_is_free(trial.workspace)
    return judge(result.ok and free, f"{result.outcome}, daemon dead: {free}")


CHECKS = (
    Check("a result cannot be forged from inside", "containment", _forged_report),
    Check("killing the supervisor gains nothing", "containment", _supervisor_killed),
    Check("stopping the supervisor gains no time", "containment", _supervisor_stopped),
    Check("ignoring every signal gains no time", "containment", _ignored_signals),
    Check("taking over the supervisor gains nothing", "containment", _limits_of_others),
    Check("programs planted in the workspace are not run", "containment", _poisoned),
    Check("a bomb that forks at all levels dies whole", "containment", _bomb, needs=LIVE),
    Check("dead children are bounded", "containment", _zombies),
    Check("threads are bounded", "containment", _threads, "anyone"),
    Check("a time-out comes in time under load", "containment", _busy_timeout),
    Check("a child cannot hold the streams open", "containment", _output_after_end),
    Check(
        "a hidden daemon dies with its command", "containment", _hidden_daemon, "anyone", needs=LIVE
    ),
)
