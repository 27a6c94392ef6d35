"""One container for many sandboxes, one after the other: what costs most in an exam is making it.

Each sandbox has its own workspace, mounted when it is made and unmounted at its end.
"""

import subprocess
from dataclasses import dataclass, field

from sandboxes.base import Capabilities, Sandbox, SandboxSpec, Watch
from sandboxes.containers import DockerBackend
from sandboxes.docker_box import Box, bounds_of
from sandboxes.docker_mount import mount_into
from sandboxes.docker_pool import make_raw
from sandboxes.docker_sandbox import Yard, open_sandbox
from sandboxes.docker_wire import open_wire
from sandboxes.files import MOUNT_POINT


class KeptBox(Box):
    """A container that outlives its sandboxes."""

    pid = 0
    free = True

    def discard(self) -> None:
        """Stay for the next sandbox; what will be removed from the host must not be mounted."""
        leave = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "umount", "-l", MOUNT_POINT]
        subprocess.run(leave, capture_output=True, check=self.usable)
        self.wire.on_accept = None
        self.free = True


@dataclass(frozen=True)
class KeepingYard(Yard):
    """Hands out containers that no sandbox uses any more."""

    kept: list[KeptBox] = field(default_factory=list[KeptBox])

    async def box(self, spec: SandboxSpec) -> Box:
        """Mount the workspace of `spec` into a container."""
        box = next((box for box in self.kept if box.free and box.usable), None)
        if box is None:
            bounds = bounds_of(spec.limits)
            raw = await self.engine.ask(make_raw, self.engine, self.recipe, bounds)
            box = KeptBox(self.engine, raw, await open_wire(raw.attached))
            box.pid = raw.pid
            self.kept.append(box)
        box.free = False
        await self.engine.ask(mount_into, box.number, box.pid, spec.workspace, MOUNT_POINT)
        return box


@dataclass
class RecyclingBackend:
    """The docker backend, but for the containers."""

    backend: DockerBackend
    _yard: KeepingYard | None = None

    async def probe(self) -> Capabilities:
        """Say what the backend says."""
        return await self.backend.probe()

    async def create(self, spec: SandboxSpec, *, watch: Watch | None = None) -> Sandbox:
        """Make a sandbox in the container that is there already."""
        if self._yard is None:
            yard = await self.backend.yard()
            self._yard = KeepingYard(yard.engine, yard.recipe, yard.owner, yard.capabilities)
        return await open_sandbox(self._yard, spec, watch)

    async def close(self) -> None:
        """Give the container up."""
        for box in self._yard.kept if self._yard else ():
            await box.destroy()
