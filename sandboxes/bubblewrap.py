"""Commands in fresh Linux namespaces, made by the `bwrap` program. The default on Linux.

Covered: every namespace is new, so there is no network, no host process and no host file
but a read-only `/usr` and a few public settings; only the workspace at `/work` and 64 MiB
of scratch space can be written. Hosts that a spec lists are reached through a proxy of this
process that keeps to the list; ports are exposed to the host on request. The command runs
without privileges, as a user that is not root outside either, behind a system-call filter,
with an environment of its own. Memory, processes, processor time, open files, file size,
output and disk are bounded. When the command ends, however it ends, every process it left
is killed.

Not covered: it shares the host's kernel, so a flaw there is a way out; hostile tenants
need a virtual machine. Processor caches and load are shared. The size of a workspace is
looked at many times a second, not enforced by the file system, so a fast writer gets past
its limit before it is killed. Without a control group, memory is watched likewise, and
what no process maps (unnamed files, buffers of pipes and sockets) is not counted. What `/usr`
holds is visible.
"""

import asyncio
import platform
import subprocess
import tempfile
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
from sandboxes.cgroup import find_groups
from sandboxes.confinement import Tools
from sandboxes.diagnosis import explain
from sandboxes.interpreter import Interpreter, find_interpreter
from sandboxes.launcher import find_program, make_launcher
from sandboxes.namespace import Host, NamespaceSandbox
from sandboxes.places import Places
from sandboxes.proof import not_held
from sandboxes.relay_proof import PROOF_NETWORK, is_connected
from sandboxes.seccomp import build_filter

DEDICATED_USER = 60600
"""In a range that neither distributions nor systemd hand out."""
_PROOF_LIMITS = Limits(wall_s=15.0, memory_bytes=256 << 20)
_NEEDED = ("--json-status-fd", "--args", "--clearenv", "--seccomp")

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
    "a system-call filter": status["Seccomp"].strip() == "2",
    "no new privileges": status["NoNewPrivs"].strip() == "1",
    "no capabilities": int(status["CapEff"], 16) == 0,
    "no network": [name for _, name in socket.if_nameindex()] in ([], ["lo"]),
    "no new namespaces": libc.unshare(0x10000000) != 0,
    "a read-only system": refused(lambda: open("/usr/strop", "w")),
    "read-only kernel settings": not os.access("/proc/sys/kernel/core_pattern", os.W_OK),
    "a writable workspace": not refused(lambda: open("/work/proof", "w")),
}))
"""


@sandbox("bubblewrap")
@dataclass
class BubblewrapBackend:
    """Makes sandboxes out of namespaces."""

    user: int = DEDICATED_USER
    """What a server that is root drops to."""
    interpreter: Interpreter | None = None
    """The Python inside; found if not given."""
    control_groups: bool = True
    """Whether to use them where possible."""
    _proven: tuple[Host, Capabilities] | None = field(default=None, init=False, repr=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def probe(self) -> Capabilities:
        """Run a real command and return what is enforced here.

        Raises:
            SandboxUnavailableError: it cannot work here; says why and what to do.
        """
        return (await self.proven())[1]

    async def create(self, spec: SandboxSpec, *, watch: Watch | None = None) -> Sandbox:
        """Make a sandbox on the workspace of `spec`.

        Raises:
            SandboxUnavailableError: see `probe`.
            PolicyRefusedError: `spec.min_isolation` is above what namespaces give, or hosts are
                listed and the way to them does not work here.
            ValueError: the list of hosts says something that cannot be kept to.
        """
        host, capabilities = await self.proven()
        demand(spec, capabilities)
        return await asyncio.to_thread(NamespaceSandbox, host, spec, capabilities, watch)

    async def proven(self) -> tuple[Host, Capabilities]:
        """Return what this machine offers, and what was proven of it.

        Raises:
            SandboxUnavailableError: see `probe`.
        """
        async with self._lock:
            if self._proven is None:
                host = await asyncio.to_thread(self._find_host)
                self._proven = await _prove_with_or_without_groups(host)
            return self._proven

    def _find_host(self) -> Host:
        bwrap = find_program("bwrap")
        if platform.system() != "Linux" or bwrap is None:
            raise SandboxUnavailableError(explain(None))
        launcher = make_launcher(self.user)
        interpreter = self.interpreter or find_interpreter()
        if interpreter is None:
            msg = "no Python can be shown inside a sandbox; type: apt-get install python3"
            raise SandboxUnavailableError(msg)
        groups = find_groups() if self.control_groups else None
        return Host(
            tools=Tools(bwrap, _understood(bwrap)),
            launcher=launcher,
            interpreter=interpreter,
            program=build_filter(),
            places=Places(launcher, groups),
            tree_memory=groups is not None,
        )


def demand(spec: SandboxSpec, capabilities: Capabilities) -> None:
    """Raise PolicyRefusedError if `spec` asks for more than was proven."""
    if spec.min_isolation > capabilities.isolation:
        asked, given = spec.min_isolation.name, capabilities.isolation.name
        msg = f"the spec asks for isolation {asked}, bubblewrap gives {given}"
        raise PolicyRefusedError(msg)
    if spec.network.mode != "none" and not capabilities.network_allowlist:
        msg = "the spec lists hosts to reach, but bubblewrap cannot connect to them here"
        raise PolicyRefusedError(msg)


def _understood(bwrap: str) -> frozenset[str]:
    shown = subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False)  # noqa: S603 - a fixed program
    options = frozenset(word for word in shown.stdout.split() if word.startswith("--"))
    missing = [option for option in _NEEDED if option not in options]
    if missing:
        msg = f"{bwrap} is too old, it lacks {', '.join(missing)}; install bubblewrap 0.8 or newer"
        raise SandboxUnavailableError(msg)
    return options


async def _prove_with_or_without_groups(host: Host) -> tuple[Host, Capabilities]:
    try:
        return host, await _proven(host)
    except SandboxUnavailableError:
        if not host.tree_memory:
            raise
        without = replace(host, places=Places(host.launcher, None), tree_memory=False)
        return without, await _proven(without)


async def _proven(host: Host) -> Capabilities:
    claimed = _claimed(host)
    with tempfile.TemporaryDirectory(prefix="strop-proof-") as folder:
        spec = SandboxSpec(workspace=Path(folder), limits=_PROOF_LIMITS)
        place = await asyncio.to_thread(NamespaceSandbox, host, spec, claimed)
        linked = spec.model_copy(update={"network": PROOF_NETWORK})
        other = await asyncio.to_thread(NamespaceSandbox, host, linked, claimed)
        try:
            result, connected = await asyncio.gather(
                place.exec(["python3", "-I", "-c", _PROOF]), is_connected(other)
            )
        except (SandboxError, OSError) as error:
            raise SandboxUnavailableError(explain(str(error))) from error
        finally:
            await asyncio.gather(place.close(), other.close())
    missing = not_held(result)
    if missing:
        msg = f"bubblewrap started, but a command in it did not find {', '.join(missing)}"
        raise SandboxUnavailableError(msg)
    if connected:
        return claimed
    note = "the relay to the host did not work: no listed hosts can be reached, no ports exposed"
    weaker = {"network_allowlist": False, "ports": False, "notes": (*claimed.notes, note)}
    return claimed.model_copy(update=weaker)


def _claimed(host: Host) -> Capabilities:
    notes: list[str] = []
    if not host.tree_memory:
        notes.append(
            "no writable control group: memory of the tree is measured 20 times a second and "
            "per process by the kernel; delegate a cgroup to bound it exactly"
        )
    if "--size" not in host.tools.options:
        notes.append("this bubblewrap cannot bound the size of /tmp; install 0.8 or newer")
    return Capabilities(
        isolation=Isolation.NAMESPACE,
        tree_memory=host.tree_memory,
        pids=True,
        disk_quota=True,
        tree_kill=True,
        network_none=True,
        syscall_filter=True,
        network_allowlist=True,
        ports=True,
        notes=tuple(notes),
    )
