"""A sandbox that protects from nothing: commands run as this user, in a folder."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandboxes.base import (
    Capabilities,
    ExecResult,
    FileInfo,
    Isolation,
    Limits,
    Outcome,
    WorkspacePathError,
)


class DirectorySandbox:
    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(isolation=Isolation.NONE)

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> ExecResult:
        limits = limits or Limits()
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._workspace,
            env={"PATH": "/usr/bin:/bin", **(env or {})},
            start_new_session=True,
        )
        outcome = Outcome.EXITED
        reading = asyncio.ensure_future(process.communicate(stdin))
        done, _ = await asyncio.wait({reading}, timeout=limits.wall_s)
        if not done:
            outcome = Outcome.TIMED_OUT
            os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = await reading
        code = process.returncode or 0
        if code < 0 and outcome is Outcome.EXITED:
            outcome = Outcome.SIGNALED
        return ExecResult(
            outcome=outcome,
            exit_code=code if outcome is Outcome.EXITED else None,
            signal=-code if outcome is Outcome.SIGNALED else None,
            stdout=stdout[: limits.stdout_bytes],
            stderr=stderr[: limits.stderr_bytes],
            stdout_total=len(stdout),
            stderr_total=len(stderr),
            duration_s=time.monotonic() - started,
        )

    def _inside(self, path: str) -> Path:
        full = (self._workspace / path).resolve()
        if not full.is_relative_to(self._workspace.resolve()):
            msg = f"{path!r} leaves the workspace"
            raise WorkspacePathError(msg)
        return full

    async def read(self, path: str, *, offset: int = 0, max_bytes: int = 1 << 20) -> bytes:
        full = self._inside(path)
        if not full.is_file():
            msg = f"{path!r} is missing or no file"
            raise WorkspacePathError(msg)
        with full.open("rb") as handle:
            handle.seek(offset)
            return handle.read(max_bytes)

    async def write(self, path: str, data: bytes) -> None:
        full = self._inside(path)
        if full.is_dir():
            msg = f"{path!r} is a folder"
            raise WorkspacePathError(msg)
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(data)

    async def list(self, path: str = ".", *, max_entries: int = 10_000) -> "list[FileInfo]":
        full = self._inside(path)
        if not full.exists():
            msg = f"{path!r} is missing"
            raise WorkspacePathError(msg)
        found: list[FileInfo] = []
        for entry in sorted(full.rglob("*")):
            kind = "symlink" if entry.is_symlink() else "dir" if entry.is_dir() else "file"
            status = entry.lstat()
            name = entry.relative_to(self._workspace.resolve()).as_posix()
            found.append(FileInfo(path=name, kind=kind, size=status.st_size, mtime=status.st_mtime))
        return found[:max_entries]

    async def close(self) -> None:
        return
