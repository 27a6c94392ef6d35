"""One pod, and the folder of the host that is its workspace.

The folder is what survives. What changed in it is sent to the pod before a command, and
what the command changed is brought back after it; while a command runs, neither sees what
the other does.
"""

import asyncio
import json
import os
import secrets
import signal
import stat
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sandboxes.archives import Packer
from sandboxes.base import (
    Capabilities,
    ExecResult,
    Limits,
    Outcome,
    PolicyRefusedError,
    SandboxError,
    SandboxGoneError,
    SandboxSpec,
)
from sandboxes.command import Command
from sandboxes.files import Workspace
from sandboxes.host_sandbox import HostSandbox
from sandboxes.namespace import check_argv
from sandboxes.pods.cluster import Cluster
from sandboxes.pods.wire import PodChild, answer_of
from sandboxes.process import Finished, Live
from sandboxes.running import Running
from sandboxes.workspace_files import SNAPSHOT_LIMITS

_SMALL = 1 << 16
_HEADROOM = 64 << 20
_SIGNAL_BASE = 128
_SIGNALS = frozenset(int(number) for number in signal.Signals)
_KILL_S = 15.0
_DEFAULT_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    "HOME": "/tmp",  # noqa: S108 - a volume of the pod
    "TMPDIR": "/tmp",  # noqa: S108 - a volume of the pod
    "LANG": "C.UTF-8",
    "USER": "sandbox",
    "PYTHONDONTWRITEBYTECODE": "1",
}

Known = dict[str, tuple[int, int, int, int]]
"""What a tree was like: mode, size, time and number of each path."""


class PodSandbox(HostSandbox):
    """Runs commands in a pod."""

    def __init__(
        self, cluster: Cluster, pod: str, spec: SandboxSpec, capabilities: Capabilities
    ) -> None:
        """Open the workspace of `spec`; `cluster` is closed with the sandbox."""
        super().__init__(Workspace(spec.workspace), Running(), spec)
        self._cluster, self._pod = cluster, pod
        self._capabilities = capabilities
        self._known: Known = {}
        self._digest = ""
        self._syncing = asyncio.Lock()
        self.lost = False
        """Whether the pod was removed because something in it could not be ended."""

    @property
    def capabilities(self) -> Capabilities:
        """What this sandbox enforces."""
        return self._capabilities

    async def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        ports: Sequence[int] = (),
    ) -> Command:
        """Start `argv` in `/work`.

        Raises:
            SandboxError: the pod or the cluster failed.
            ValueError: `argv` cannot be passed to a program.
            PolicyRefusedError: ports are asked for.
        """
        check_argv(argv)
        if ports:
            msg = "kubernetes exposes no ports of a sandbox"
            raise PolicyRefusedError(msg)
        merged = {**_DEFAULT_ENV, **self._environment(env)}
        bounds = limits or self._spec.limits
        return await self._running.start(partial(self._start, argv, merged, bounds))

    async def shut(self) -> bool:
        """Kill what still runs; return whether this was the first time."""
        if not await self._running.close():
            return False
        self._files.close()
        return True

    async def _start(self, argv: Sequence[str], env: Mapping[str, str], limits: Limits) -> Command:
        if self.lost:
            msg = f"the pod {self._pod} was removed, a command in it did not end; create another"
            raise SandboxGoneError(msg)
        async with self._syncing:
            await self._send_changes()
        token = secrets.token_hex(16)
        told = {"argv": list(argv), "env": dict(env), "limits": limits.model_dump()}
        child = PodChild()
        try:
            first = json.dumps(told).encode()
            await child.open(self._cluster, self._pod, ["run", token], first)
        except BaseException:
            child.close()
            raise
        guard = _PodGuard(self, child, token)
        conclude = partial(self._conclude, token=token)
        return Command(Live(child, limits, guard, self._blot), conclude)

    async def _conclude(self, finished: Finished, *, token: str) -> ExecResult:
        report: dict[str, Any] = {}
        if not self.lost:
            async with self._syncing:
                report = await self._bring_back(token)
        return _result(finished, report)

    async def end(self, token: str) -> int:
        """Kill the command of `token` with everything below it; else remove the pod."""
        try:
            async with asyncio.timeout(_KILL_S):
                words = ["kill", token]
                told = json.loads(await answer_of(self._cluster, self._pod, words, [], _SMALL))
            if told["gone"] is True:
                return int(told["killed"])
        except (SandboxError, TimeoutError, ValueError, KeyError, TypeError):
            pass
        self.lost = True
        await self._cluster.delete_pod(self._pod)
        return 1

    async def _send_changes(self) -> None:
        """Make the pod's workspace what the host's is."""
        with tempfile.TemporaryFile() as file:
            known = await asyncio.to_thread(self._pack_changes, file.fileno())
            removed = sorted(set(self._known) - set(known))
            if known == self._known:
                return
            file.seek(0)
            archive = await asyncio.to_thread(file.read)
        stdin = [json.dumps(removed).encode(), b"", archive, b""]
        answer = await answer_of(self._cluster, self._pod, ["unpack"], stdin, _SMALL)
        self._known, self._digest = known, answer.decode().strip()

    def _pack_changes(self, target: int) -> Known:
        known: Known = {}
        changed: set[str] = set()
        with self._files.walk() as found:
            for path, _, status in found:
                known[path] = _print_of(status)
                if self._known.get(path) != known[path]:
                    changed.add(path)
        with open(target, "wb", closefd=False) as file, self._files.walk() as found:
            Packer(file, SNAPSHOT_LIMITS.total_bytes, self._running.demand_open).run(
                entry for entry in found if entry[0] in changed
            )
        return known

    async def _bring_back(self, token: str) -> dict[str, Any]:
        """Make the host's workspace what the pod's is; return the report of a command."""
        most = self._spec.limits.disk_bytes * 2 + _HEADROOM
        words = ["pack", token, self._digest]
        answer = await answer_of(self._cluster, self._pod, words, [], most)
        line, _, archive = answer.partition(b"\n")
        try:
            told = json.loads(line)
            report, changed = dict(told["report"]), bool(told["changed"])
            self._digest = str(told["digest"])
        except (ValueError, KeyError, TypeError) as error:
            msg = f"the pod {self._pod} gave no readable answer: {line[:200]!r}"
            raise SandboxError(msg) from error
        if changed:
            await self._take(archive)
        return report

    async def _take(self, archive: bytes) -> None:
        with tempfile.NamedTemporaryFile(prefix="strop-pod-") as file:
            file.write(archive)
            file.flush()
            await self.restore(Path(file.name))
        self._known = await asyncio.to_thread(self._look)

    def _look(self) -> Known:
        with self._files.walk() as found:
            return {path: _print_of(status) for path, _, status in found}


class _PodGuard:
    """Ends a command from outside; its limits are watched in the pod."""

    def __init__(self, place: PodSandbox, child: PodChild, token: str) -> None:
        self._place, self._child, self._token = place, child, token

    async def watch(self, pid: int) -> Outcome:
        """Wait to be cancelled."""
        await asyncio.Event().wait()
        raise AssertionError(pid)

    async def kill(self, pid: int) -> int:
        """Kill it, unless it ended: then nothing of it is left."""
        del pid
        return 0 if self._child.returncode is not None else await self._place.end(self._token)


def _print_of(status: os.stat_result) -> tuple[int, int, int, int]:
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    times = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
    return status.st_mode, size, times, status.st_ino


def _result(finished: Finished, report: Mapping[str, Any]) -> ExecResult:
    code = finished.returncode
    outcome, number = finished.outcome, None
    if outcome is None and report.get("disk"):
        outcome = Outcome.DISK_LIMIT
    elif outcome is None and report.get("oom") and code != 0:
        outcome = Outcome.OOM
    elif outcome is None:
        number = code - _SIGNAL_BASE if code - _SIGNAL_BASE in _SIGNALS else None
        outcome = Outcome.EXITED if number is None else Outcome.SIGNALED
    return ExecResult(
        outcome=outcome,
        exit_code=code if finished.outcome is None else None,
        signal=number,
        stdout=finished.stdout,
        stderr=finished.stderr,
        stdout_total=finished.stdout_total,
        stderr_total=finished.stderr_total,
        duration_s=finished.duration_s,
        cpu_s=_number(report.get("cpu_s")),
        survivors_killed=finished.killed or int(_number(report.get("left")) or 0),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
