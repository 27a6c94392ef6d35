"""Commands in Docker containers, from an image of your choice; `STROP_SANDBOX=docker`.

Covered: each sandbox has a container of its own that served no other. It has no network but
what a proxy of the server lets through, no privileges, no capabilities, a read-only system
and a system-call filter without new namespaces, io_uring and odd sockets; only the workspace
at `/work` and 64 MiB of scratch space can be written, and commands are a user that is not
root outside either. The kernel bounds memory, processes and processor time of the container,
and of each process the size of files, open files and processor time. A worker inside, which
commands can neither trace nor kill, ends whatever a command leaves behind; where it cannot,
the container is destroyed. Where gVisor (`runsc`) is installed in the engine it is used, and
then the host's kernel is out of reach, too. Containers are made ahead of time where the
server is root.

Not covered: the engine runs as root, and whoever reaches its socket owns the machine; the
server does, the commands do not. Without gVisor containers share the host's kernel, so a
flaw there is a way out. Commands that run side by side in one sandbox share its limits and
may kill each other. The size of a workspace is looked at many times a second, not enforced.
The engine must be on this machine, because workspaces are shown to it by their paths. What
the image holds is visible; nobody but you vouches for it.
"""

import asyncio
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandboxes.base import (
    Capabilities,
    Isolation,
    Limits,
    PolicyRefusedError,
    Sandbox,
    SandboxError,
    SandboxSpec,
    SandboxUnavailableError,
    Watch,
    sandbox,
)
from sandboxes.docker_engine import IMAGE, Engine, Facts, Recipe
from sandboxes.docker_mount import can_mount
from sandboxes.docker_pool import SIZE, Pool
from sandboxes.docker_sandbox import Yard, open_sandbox
from sandboxes.docker_sweep import identity, sweep
from sandboxes.proof import not_held
from sandboxes.relay_proof import PROOF_NETWORK, is_connected

DEDICATED_USER = 60600
"""As whom commands run when the server is root; no distribution hands it out."""
_GVISOR = "runsc"
_PROOF_LIMITS = Limits(wall_s=15.0, memory_bytes=256 << 20)
_LIMITS_OF_ENGINE = {
    "MemoryLimit": "memory",
    "PidsLimit": "processes",
    "CpuCfsQuota": "processor time",
}

_BY_THE_FILTER = ("a system-call filter", "no new namespaces")
"""What does not hold where the runtime needs no filter of ours."""
# Runs inside and tells what holds there; what it prints is a claim of our own code.
_PROOF = """
import ctypes, json, os, socket
def refused(call):
    try:
        call()
    except OSError:
        return True
    return False
libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "a system-call filter": status.get("Seccomp", "").strip() == "2",
    "no new privileges": status.get("NoNewPrivs", "1").strip() == "1",
    "no capabilities": int(status["CapEff"], 16) == 0,
    "an ordinary user": os.getuid() != 0,
    "no network": [name for _, name in socket.if_nameindex()] in ([], ["lo"]),
    "no new namespaces": libc.unshare(0x10000000) != 0,
    "a read-only system": refused(lambda: open("/usr/strop", "w")),
    "read-only kernel settings": not os.access("/proc/sys/kernel/core_pattern", os.W_OK),
    "a supervisor out of reach": refused(lambda: open("/proc/1/environ", "rb").read()),
    "a writable workspace": not refused(lambda: open("/work/proof", "w")),
}))
"""


@sandbox("docker")
@dataclass
class DockerBackend:
    """Makes sandboxes out of containers."""

    host: str = "unix:///var/run/docker.sock"
    image: str = IMAGE
    """Anything with Python 3; `./strop sandboxes build` makes the default one."""
    runtime: str = ""
    """Empty for gVisor's if the engine has it, else the engine's default."""
    pool_size: int = SIZE
    """Containers kept ready; 0 for none."""
    _proven: Yard | None = field(default=None, init=False, repr=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    def configured(self, options: Mapping[str, str]) -> "DockerBackend":
        """Return one that uses the engine, image and runtime that an operator named."""
        return DockerBackend(
            host=options.get("docker_host", self.host),
            image=options.get("docker_image", self.image),
            runtime=options.get("docker_runtime", self.runtime),
            pool_size=self.pool_size,
        )

    async def probe(self) -> Capabilities:
        """Run a real command and return what is enforced here.

        Raises:
            SandboxUnavailableError: it cannot work here; says why and what to do.
        """
        return (await self.yard()).capabilities

    async def create(self, spec: SandboxSpec, *, watch: Watch | None = None) -> Sandbox:
        """Make a sandbox on the workspace of `spec`.

        Raises:
            SandboxUnavailableError: see `probe`.
            PolicyRefusedError: `spec` asks for isolation or for a network that is not had here.
        """
        yard = await self.yard()
        capabilities = yard.capabilities
        if spec.min_isolation > capabilities.isolation:
            asked, given = spec.min_isolation.name, capabilities.isolation.name
            msg = f"the spec asks for isolation {asked}, docker gives {given}"
            raise PolicyRefusedError(msg)
        if spec.network.mode != "none" and not capabilities.network_allowlist:
            msg = "the docker backend lets nothing through to the network here; see its notes"
            raise PolicyRefusedError(msg)
        return await open_sandbox(yard, spec, watch)

    async def yard(self) -> Yard:
        """Return what makes containers here, after it was seen to.

        Raises:
            SandboxUnavailableError: see `probe`.
        """
        async with self._lock:
            if self._proven is None:
                self._proven = await self._found()
            return self._proven

    async def _found(self) -> Yard:
        engine = Engine(self.host)
        try:
            facts = await engine.ask(engine.facts)
            if not await engine.ask(engine.has_image, self.image):
                raise SandboxUnavailableError(_no_image(self.image))
            await engine.ask(sweep, engine)
            return await self._proven_with(engine, facts)
        except SandboxUnavailableError:
            engine.close()
            raise
        except SandboxError as error:
            engine.close()
            msg = f"the Docker engine at {self.host} makes no sandboxes: {error}"
            raise SandboxUnavailableError(msg) from error

    async def _proven_with(self, engine: Engine, facts: Facts) -> Yard:
        root = os.geteuid() == 0
        runtime = self.runtime or (_GVISOR if _GVISOR in facts.runtimes else "")
        user = DEDICATED_USER if root else os.geteuid()
        recipe = Recipe(self.image, user, runtime or None, identity())
        yard = Yard(engine, recipe, user if root else None, _claimed(facts, runtime))
        why = (
            "each container is made when it is asked for, which takes some hundred milliseconds; "
            "only a server that is root can make them ahead of time"
        )
        if can_mount() and runtime != _GVISOR and self.pool_size:
            try:
                proven = await _proven_in(replace(yard, pool=Pool(engine, recipe, 0)))
            except SandboxError as error:
                why = f"each container is made when it is asked for ({error})"
            else:
                return replace(proven, pool=Pool(engine, recipe, self.pool_size))
        return _noted(await _proven_in(yard), why)


async def _proven_in(yard: Yard) -> Yard:
    """Return the yard with what a real command found to hold.

    Raises:
        SandboxUnavailableError: something that protects the host does not.
    """
    claimed = yard.capabilities
    with tempfile.TemporaryDirectory(prefix="strop-proof-") as folder:
        workspace = Path(folder) / "workspace"
        spec = SandboxSpec(workspace=workspace, limits=_PROOF_LIMITS, network=PROOF_NETWORK)
        place = await open_sandbox(yard, spec)
        try:
            result = await place.exec(["python3", "-I", "-c", _PROOF])
            missing = not_held(result, () if claimed.syscall_filter else _BY_THE_FILTER)
            connected = not missing and await is_connected(place)
        finally:
            await place.close()
        if not (workspace / "proof").exists():
            missing.append("the host's workspace")
    if missing:
        msg = f"a container started, but a command in it did not find {', '.join(missing)}"
        raise SandboxUnavailableError(msg)
    if connected:
        return yard
    weaker = {"network_allowlist": False, "ports": False}
    weak = replace(yard, capabilities=claimed.model_copy(update=weaker))
    return _noted(weak, "commands cannot be connected to the proxy, nor to exposed ports")


def _noted(yard: Yard, note: str) -> Yard:
    notes = (*yard.capabilities.notes, note)
    return replace(yard, capabilities=yard.capabilities.model_copy(update={"notes": notes}))


def _claimed(facts: Facts, runtime: str) -> Capabilities:
    gvisor = runtime == _GVISOR
    missing = [name for key, name in _LIMITS_OF_ENGINE.items() if not facts.limits[key]]
    notes = [f"this engine cannot bound {name}; give it control groups" for name in missing]
    return Capabilities(
        isolation=Isolation.USERKERNEL if gvisor else Isolation.NAMESPACE,
        tree_memory=facts.limits["MemoryLimit"],
        pids=facts.limits["PidsLimit"],
        disk_quota=True,
        tree_kill=True,
        network_none=True,
        syscall_filter=not gvisor,
        network_allowlist=True,
        ports=True,
        notes=tuple(notes),
    )


def _no_image(image: str) -> str:
    remedy = "./strop sandboxes build" if image == IMAGE else f"docker pull {image}"
    return f"the engine has no image {image!r}; type: {remedy}"
