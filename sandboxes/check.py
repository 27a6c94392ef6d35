"""The exam every backend can sit: does it keep the port's contract, does it contain?

Verdicts come from the host: a listener that was reached, a file that is there, a lock that
is still held, a planted secret that came back. Attacks are bounded and aim only at things
the exam made itself. `held` is None where something could not be tried, with the reason.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sandboxes.base import (
    ExecResult,
    Frozen,
    Isolation,
    Limits,
    Sandbox,
    SandboxBackend,
    SandboxError,
    SandboxSpec,
)
from sandboxes.swapping import remove_tree

Group = Literal["contract", "containment"]
LIVE = ("shell", "live_workspace")
"""What it takes to look into the workspace while a command runs."""
EXAM_LIMITS = Limits(wall_s=20.0, memory_bytes=256 << 20, disk_bytes=256 << 20)


class Verdict(Frozen):
    """What one check found."""

    held: bool | None
    detail: str


class CheckResult(Frozen):
    """One line of the report."""

    name: str
    group: Group
    held: bool | None
    """None when it could not be tried here; `detail` says why."""
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What a check works with."""

    place: Sandbox
    workspace: Path
    outside: Path
    """A folder of the host that anyone may read and write, but no sandbox may see."""
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    """Never to come out of the sandbox, unless the sandbox leaks."""
    backend: SandboxBackend | None = None
    """What made the sandbox, for checks that make another."""

    async def python(
        self, script: str, *args: str, limits: Limits | None = None, stdin: bytes = b""
    ) -> ExecResult:
        """Run a script with arguments in the sandbox."""
        argv = ["python3", "-I", "-c", script, *args]
        return await self.place.exec(argv, limits=limits, stdin=stdin)

    async def shell(self, script: str, *, limits: Limits | None = None) -> ExecResult:
        """Run a shell command in the sandbox."""
        return await self.place.exec(["sh", "-c", script], limits=limits)


@dataclass(frozen=True, slots=True)
class Check:
    """A named question to a backend."""

    name: str
    group: Group
    ask: Callable[[Trial], Awaitable[Verdict]]
    control: Literal["anyone", "root", "none"] = "none"
    """Who may run it unprotected without harm and then sees it fail: the proof it bites."""
    needs: tuple[str, ...] = ("shell",)
    """What the backend must be able to, by the names in `Capabilities`, for it to be asked."""


async def run_check(backend: SandboxBackend, check: Check) -> CheckResult:
    """Ask one question in a sandbox made for it."""
    started = time.monotonic()
    with _ground() as (workspace, outside):
        verdict = await _verdict(backend, check, workspace, outside)
    return CheckResult(
        name=check.name,
        group=check.group,
        held=verdict.held,
        detail=verdict.detail,
        seconds=time.monotonic() - started,
    )


async def run_checks(
    backend: SandboxBackend, checks: Sequence[Check] | None = None
) -> AsyncIterator[CheckResult]:
    """Ask every question, one after the other, and yield the answers as they come."""
    for check in all_checks() if checks is None else checks:
        yield await run_check(backend, check)


def all_checks() -> tuple[Check, ...]:
    """Return the whole exam."""
    return tuple(check for checks in parts().values() for check in checks)


def parts() -> dict[str, tuple[Check, ...]]:
    """Return the exam by what it is about."""
    from sandboxes import check_containment, check_contract  # noqa: PLC0415 - they import this file
    from sandboxes.exam import (  # noqa: PLC0415 - see above
        belongings,
        interpreters,
        kernel,
        network,
        planted,
        reach,
        resources,
        streams,
        takeover,
    )

    return {
        "Commands": check_contract.CHECKS,
        "Streams and results": streams.CHECKS,
        "Interpreters that are kept": interpreters.CHECKS,
        "Copies, snapshots, secrets": belongings.CHECKS,
        "The host's files and processes": check_containment.CHECKS,
        "Networks, secrets, other sandboxes": reach.CHECKS,
        "The kernel and the machine": kernel.CHECKS,
        "The supervisor and the end": takeover.CHECKS,
        "Memory, disk, names, patience": resources.CHECKS,
        "The way out and the ports": network.CHECKS,
        "Things planted in the workspace": planted.CHECKS,
    }


@contextmanager
def apart() -> Generator[Path]:
    """Yield a folder that any user may enter, and remove what hostile code made of it."""
    base = Path(tempfile.mkdtemp(prefix="strop-check-"))
    try:
        base.chmod(0o755)
        yield base
    finally:
        remove_tree(base)


@contextmanager
def _ground() -> Generator[tuple[Path, Path]]:
    """Yield the place for a workspace and a folder outside that any user may write."""
    with apart() as base:
        outside = base / "outside"
        outside.mkdir()
        outside.chmod(0o777)
        yield base / "workspace", outside


def _would_hurt(check: Check, place: Sandbox) -> bool:
    """Return whether an attack would be loose on the host: some kill all they can reach."""
    bare = place.capabilities.isolation < Isolation.PROCESS
    return bare and check.group == "containment" and check.control == "none"


async def _verdict(
    backend: SandboxBackend, check: Check, workspace: Path, outside: Path
) -> Verdict:
    spec = SandboxSpec(workspace=workspace, limits=EXAM_LIMITS, min_isolation=Isolation.NONE)
    try:
        place = await backend.create(spec)
    except SandboxError as error:
        return Verdict(held=None, detail=f"no sandbox could be made: {error}")
    try:
        lacking = [need for need in check.needs if not getattr(place.capabilities, need)]
        if lacking:
            return Verdict(held=None, detail=f"this backend does not offer {', '.join(lacking)}")
        if _would_hurt(check, place):
            return Verdict(held=None, detail="nothing would protect this machine from the attack")
        async with asyncio.timeout(3 * EXAM_LIMITS.wall_s):
            return await check.ask(Trial(place, workspace, outside, backend=backend))
    except TimeoutError:
        return Verdict(held=False, detail="the backend did not come back in time")
    except (SandboxError, OSError) as error:
        return Verdict(held=False, detail=f"the backend failed: {type(error).__name__}: {error}")
    finally:
        await place.close()
