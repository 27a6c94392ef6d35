"""The part of the exam that attacks the host, in ways that cannot hurt it."""

import asyncio
import os
import stat
from contextlib import suppress

from sandboxes import attacks
from sandboxes.base import SandboxError, WorkspacePathError
from sandboxes.check import EXAM_LIMITS, LIVE, Check, Trial, Verdict
from sandboxes.check_contract import HOLD_LOCK, judge, lock_is_free
from sandboxes.exam.field import TIGHT, bystander, not_leaked, note, served

_MOST_FORKS = 400


async def _shadow(trial: Trial) -> Verdict:
    result = await trial.shell("cat /etc/shadow")
    return judge(not result.ok and not result.stdout, f"exit code {result.exit_code}")


async def _planted_file(trial: Trial) -> Verdict:
    planted = trial.outside / "secret.txt"
    planted.write_text(trial.secret)
    planted.chmod(0o644)
    result = await trial.python(attacks.READ_FILE, str(planted), trial.outside.name)
    return not_leaked(trial, result)


async def _planted_environment(trial: Trial) -> Verdict:
    async with bystander({"STROP_EXAM_SECRET": trial.secret}):
        result = await trial.python(attacks.READ_ENVIRONMENTS)
    return not_leaked(trial, result)


async def _own_environment(trial: Trial) -> Verdict:
    result = await trial.shell("env")
    shown = result.stdout.decode(errors="replace")
    inherited = [n for n, v in os.environ.items() if len(v) > 24 and v in shown]
    return judge(result.ok and not inherited, f"variables that came along: {inherited}")


async def _tcp(trial: Trial) -> Verdict:
    hits: list[str] = []
    server = await asyncio.start_server(note(hits), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await trial.python(attacks.CONNECT_TCP, str(port))
        await served(hits, result)
    return judge(not hits, f"connections: {len(hits)}, {result.stdout[-80:]!r}")


async def _unix_socket(trial: Trial) -> Verdict:
    hits: list[str] = []
    path = trial.outside / "s"
    server = await asyncio.start_unix_server(note(hits), path)
    path.chmod(0o777)
    async with server:
        result = await trial.python(attacks.CONNECT_UNIX, str(path))
        await served(hits, result)
    return judge(not hits, f"connections: {len(hits)}, {result.stdout[-80:]!r}")


async def _write_outside(trial: Trial) -> Verdict:
    target = trial.outside / "written"
    result = await trial.python(attacks.WRITE_FILES, str(target), trial.outside.name)
    found = [str(path) for path in trial.outside.rglob("*")]
    return judge(not found, f"left outside: {found}, {result.stdout[-80:]!r}")


async def _system_read_only(trial: Trial) -> Verdict:
    result = await trial.python(attacks.OPEN_FOR_WRITING, "/usr", "/etc", "/bin", "/dev", "/")
    return judge(result.stdout.strip() == b"refused", result)


async def _kernel_settings(trial: Trial) -> Verdict:
    pattern = "/proc/sys/kernel/core_pattern"
    result = await trial.python(attacks.OPEN_SETTING, pattern, "/proc/sysrq-trigger")
    return judge(result.stdout.strip() == b"refused", result)


async def _bystander_killed(trial: Trial) -> Verdict:
    async with bystander({}) as process:
        await trial.python(attacks.KILL, str(process.pid))
        alive = True
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.3)
            alive = False
    return judge(alive, f"a process of the host lives: {alive}")


async def _links_in_api(trial: Trial) -> Verdict:
    (trial.outside / "secret.txt").write_text(trial.secret)
    await trial.python(attacks.PLANT_LINKS, str(trial.outside))
    leaks: list[str] = []
    for path in ("link", "folder/secret.txt", "magic", "../outside/secret.txt", "pipe", "loop"):
        with suppress(WorkspacePathError):
            async with asyncio.timeout(5):
                data = await trial.place.read(path)
            leaks.append(f"read {path}: {len(data)} bytes")
        with suppress(WorkspacePathError):
            async with asyncio.timeout(5):
                await trial.place.write(path, b"changed")
            leaks.append(f"wrote {path}")
        with suppress(WorkspacePathError):
            leaks += [info.path for info in await trial.place.list(path)]
    listed = [info.path for info in await trial.place.list() if "secret" in info.path]
    intact = (trial.outside / "secret.txt").read_text() == trial.secret
    return judge(not leaks and not listed and intact, f"leaks: {leaks + listed}, intact: {intact}")


async def _race_in_api(trial: Trial) -> Verdict:
    (trial.outside / "file").write_text(trial.secret)
    (trial.outside / "file").chmod(0o644)
    attack = asyncio.create_task(trial.python(attacks.SWAP_FOLDER, str(trial.outside)))
    tries, leaks = 0, 0
    while not attack.done():
        with suppress(SandboxError):
            leaks += trial.secret.encode() in await trial.place.read("swap/file")
        tries += 1
    return judge(
        leaks == 0, f"{leaks} leaks in {tries} reads while a folder was swapped for a link"
    )


async def _fork_bomb(trial: Trial) -> Verdict:
    result = await trial.python(attacks.FORK, str(_MOST_FORKS), limits=TIGHT)
    made = len(result.stdout)
    return judge(made < TIGHT.pids + 8, f"{made} processes made, at most {TIGHT.pids} allowed")


async def _memory_bomb(trial: Trial) -> Verdict:
    result = await trial.python(attacks.EAT_MEMORY, "1", "192", limits=TIGHT)
    return judge(b"ate it all" not in result.stdout, result)


async def _memory_of_many(trial: Trial) -> Verdict:
    result = await trial.python(attacks.EAT_MEMORY, "4", "48", limits=TIGHT)
    return judge(b"ate it all" not in result.stdout, result)


async def _disk_fill(trial: Trial) -> Verdict:
    result = await trial.python(attacks.FILL_DISK, "16", "16", limits=TIGHT)
    return judge(b"filled it all" not in result.stdout and result.killed, result)


async def _big_file(trial: Trial) -> Verdict:
    result = await trial.python(attacks.FILL_DISK, "1", "48", limits=TIGHT)
    sizes = [info.size for info in await trial.place.list() if info.kind == "file"]
    return judge(max(sizes, default=0) <= TIGHT.file_bytes, result)


async def _daemon(trial: Trial) -> Verdict:
    result = await trial.python(HOLD_LOCK, "daemon", "leave")
    free = lock_is_free(trial.workspace)
    return judge(result.ok and free, f"{result.outcome}, daemon dead: {free}")


async def _daemon_after_timeout(trial: Trial) -> Verdict:
    limits = EXAM_LIMITS.model_copy(update={"wall_s": 1.0})
    result = await trial.python(HOLD_LOCK, "daemon", limits=limits)
    free = lock_is_free(trial.workspace)
    return judge(result.timed_out and free, f"{result.outcome}, daemon dead: {free}")


async def _new_namespace(trial: Trial) -> Verdict:
    result = await trial.python(attacks.NEW_NAMESPACES)
    return judge(result.stdout.strip() == b"refused", result)


async def _risky_calls(trial: Trial) -> Verdict:
    result = await trial.python(attacks.RISKY_CALLS)
    return judge(result.stdout.strip() == b"refused", result)


async def _setuid(trial: Trial) -> Verdict:
    result = await trial.python(attacks.SETUID)
    gained = b"gained" in result.stdout
    left = [info.path for info in await trial.place.list() if _is_root_setuid(trial, info.path)]
    return judge(not gained and not left, f"gained: {gained}, root's setuid files left: {left}")


def _is_root_setuid(trial: Trial, path: str) -> bool:
    status = (trial.workspace / path).lstat()
    return bool(status.st_mode & stat.S_ISUID) and status.st_uid == 0


CHECKS = (
    Check("the host's /etc/shadow stays unread", "containment", _shadow, "root"),
    Check("a file outside stays unread", "containment", _planted_file, "anyone"),
    Check("the host's environments stay unread", "containment", _planted_environment, "anyone"),
    Check("nothing of the environment is inherited", "containment", _own_environment),
    Check("the host's TCP ports are out of reach", "containment", _tcp, "anyone"),
    Check("the host's Unix sockets are out of reach", "containment", _unix_socket, "anyone"),
    Check("nothing is written outside", "containment", _write_outside, "anyone"),
    Check("the system is read-only", "containment", _system_read_only),
    Check("kernel settings cannot be written", "containment", _kernel_settings, "root"),
    Check("the host's processes cannot be killed", "containment", _bystander_killed, "anyone"),
    Check("file access follows no link and blocks on no pipe", "containment", _links_in_api),
    Check("file access cannot be raced", "containment", _race_in_api),
    Check("a fork bomb is bounded", "containment", _fork_bomb),
    Check("a memory bomb is stopped", "containment", _memory_bomb, "anyone"),
    Check("many processes share one memory limit", "containment", _memory_of_many, "anyone"),
    Check("filling the disk is stopped", "containment", _disk_fill),
    Check("a file cannot outgrow its limit", "containment", _big_file),
    Check("a daemon dies with its command", "containment", _daemon, "anyone", needs=LIVE),
    Check("a daemon dies with a time-out", "containment", _daemon_after_timeout, needs=LIVE),
    Check("new namespaces are refused", "containment", _new_namespace, "root"),
    Check("risky system calls are refused", "containment", _risky_calls),
    Check("setuid gains nothing", "containment", _setuid, "root"),
)
