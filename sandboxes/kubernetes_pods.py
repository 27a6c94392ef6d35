"""A pod of a Kubernetes cluster for each sandbox. Never chosen by itself.

Covered: a pod that passes the standard `restricted`: an ordinary user of its own, no capabilities,
no new privileges, the runtime's system-call filter, a read-only system, no token of a service
account; memory, processor, disk, processes and life bounded; a network policy that lets nothing in
or out. `probe` makes such a pod and looks from inside at its user, its privileges, the filter, the
system, the token and the network: a cluster whose network plug-in ignores policies is refused.
Limits are asked of the cluster and not examined. A command's tree is ended from inside the pod
and, where that fails, with the pod. Sandboxes of servers that died on this machine are removed at
the next start, all others by the cluster after a day. Where the cluster knows
agents.x-k8s.io/v1beta1, a `Sandbox` of kubernetes-sigs/agent-sandbox is made, whose controller
makes the same pod.

Not covered: what the cluster's administrators may do, and the kernel that pods of a machine share,
unless `STROP_KUBERNETES_RUNTIME_CLASS` names a stronger runtime (gVisor, Kata). Domains cannot be
let through and ports are not exposed. A command sees the workspace as it was when it started, and
the host sees its changes when it ended, pipes and sockets left out. It was tried against a server
of our own that speaks the protocol (`tests/support/fake_kubernetes.py`), not on a cluster.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

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
from sandboxes.pods.cluster import Cluster, Right, connect, connected
from sandboxes.pods.manifest import (
    AGENTS_GROUP,
    APP,
    PodOptions,
    agent_sandbox,
    labels_of,
    no_network,
    orphaned,
    pod,
)
from sandboxes.pods.pod_sandbox import PodSandbox
from sandboxes.pods.wire import answer_of

_PREFIX = "kubernetes_"
_READY_S = 180.0
_FIRST_PAUSE_S, _PAUSE_S = 0.02, 0.5
_PROOF_LIMITS = Limits(memory_bytes=128 << 20, disk_bytes=64 << 20)
_ANSWER_BYTES = 1 << 16
RIGHTS = (
    Right("create", "pods"),
    Right("list", "pods"),
    Right("delete", "pods"),
    Right("get", "pods", subresource="exec"),
    Right("create", "pods", subresource="exec"),
    Right("create", "networkpolicies", "networking.k8s.io"),
)
AGENT_RIGHTS = tuple(Right(verb, "sandboxes", AGENTS_GROUP) for verb in ("create", "delete"))
_CLAIMED = Capabilities(
    isolation=Isolation.NAMESPACE,
    tree_memory=True,
    pids=True,
    disk_quota=True,
    tree_kill=True,
    network_none=True,
    syscall_filter=True,
    live_workspace=False,
)
_NOTE = (
    "tried against a server that speaks the protocol of Kubernetes, not on a cluster; "
    "pods share the kernel of their machine unless a runtime class says otherwise"
)


@sandbox("kubernetes")
@dataclass
class KubernetesBackend:
    """Makes pods."""

    options: PodOptions = field(default_factory=PodOptions)
    _proven: tuple[Capabilities, bool] | None = field(default=None, init=False, repr=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    def configured(self, options: Mapping[str, str]) -> Self:
        """Return one for the cluster that `kubernetes_...` options name."""
        named = {
            name.removeprefix(_PREFIX): value
            for name, value in options.items()
            if name.startswith(_PREFIX)
        }
        return type(self)(PodOptions(**named))

    async def probe(self) -> Capabilities:
        """Ask the cluster for the rights, then make a pod and look around in it.

        Raises:
            SandboxUnavailableError: no cluster, a right is missing, or something does not hold.
        """
        return (await self._prove())[0]

    async def create(self, spec: SandboxSpec, *, watch: Watch | None = None) -> Sandbox:
        """Make a pod for the workspace of `spec`; `watch` is told nothing, nothing is reached.

        Raises:
            SandboxUnavailableError: see `probe`, or the pod does not start.
            PolicyRefusedError: `spec` asks for more isolation or for a network.
        """
        del watch
        if spec.network.mode != "none":
            msg = "kubernetes lets no domains through; leave the network out"
            raise PolicyRefusedError(msg)
        capabilities, by_agents = await self._prove()
        if spec.min_isolation > capabilities.isolation:
            asked, given = spec.min_isolation.name, capabilities.isolation.name
            msg = f"the spec asks for isolation {asked}, kubernetes gives {given}"
            raise PolicyRefusedError(msg)
        async with AsyncExitStack() as stack:
            cluster = await connect(self.options)
            stack.push_async_callback(cluster.close)
            made = _Made(cluster, self.options, by_agents)
            stack.push_async_callback(made.remove)
            await made.start(spec.limits)
            place = KubernetesSandbox(cluster, made.pod, spec, capabilities)
            place.ending = stack.pop_all()
            return place

    async def _prove(self) -> tuple[Capabilities, bool]:
        async with self._lock:
            if self._proven is None:
                async with connected(self.options) as cluster:
                    by_agents = await cluster.has_agent_sandboxes()
                    await _demand_rights(cluster, (*RIGHTS, *(AGENT_RIGHTS * by_agents)))
                    await cluster.create_policy(no_network())
                    await _sweep(cluster, by_agents=by_agents)
                    await self._demand_holding(cluster, by_agents=by_agents)
                self._proven = (self._claimed(), by_agents)
            return self._proven

    async def _demand_holding(self, cluster: Cluster, *, by_agents: bool) -> None:
        made = _Made(cluster, self.options, by_agents)
        try:
            await made.start(_PROOF_LIMITS)
            answer = await answer_of(cluster, made.pod, ["prove"], [], _ANSWER_BYTES)
        finally:
            await made.remove()
        try:
            missing = [name for name, holds in json.loads(answer).items() if holds is not True]
        except (ValueError, AttributeError):
            missing = ["a readable answer"]
        if missing:
            msg = f"a pod started, but a program in it did not find {', '.join(missing)}"
            if "no network" in missing:
                msg += (
                    "; the network policy is not enforced: use a network plug-in that does "
                    "(Calico, Cilium)"
                )
            raise SandboxUnavailableError(msg)

    def _claimed(self) -> Capabilities:
        runtime = self.options.runtime_class
        more = (f"the runtime class is {runtime!r}, which was not examined",) if runtime else ()
        return _CLAIMED.model_copy(update={"notes": (_NOTE, *more)})


class KubernetesSandbox(PodSandbox):
    """A pod, which goes with the sandbox."""

    ending: AsyncExitStack

    async def close(self) -> None:
        """Kill what still runs and remove the pod; the workspace stays. May be called twice."""
        if await self.shut():
            await self.ending.aclose()


@dataclass
class _Made:
    """What was made in the cluster for one sandbox."""

    cluster: Cluster
    options: PodOptions
    by_agents: bool
    name: str = field(default_factory=lambda: f"strop-{secrets.token_hex(6)}")
    pod: str = ""

    async def start(self, limits: Limits) -> None:
        """Make it and wait until programs can be started in it."""
        labels = labels_of(self.name)
        if self.by_agents:
            await self.cluster.create_agent_sandbox(
                agent_sandbox(self.name, self.options, limits, labels)
            )
        else:
            await self.cluster.create_pod(pod(self.name, self.options, limits, labels))
        await self._wait()

    async def remove(self) -> None:
        """Remove it; what is gone already is no fault."""
        await _remove(self.cluster, self.name, by_agents=self.by_agents)

    async def _wait(self) -> None:
        trouble, pause = "it was never scheduled", _FIRST_PAUSE_S
        try:
            async with asyncio.timeout(_READY_S):
                while True:
                    for seen in await self.cluster.pods(**{"strop/sandbox": self.name}):
                        trouble = seen.trouble or trouble
                        if seen.ready:
                            self.pod = seen.name
                            return
                        if seen.phase in {"Failed", "Succeeded"}:
                            raise TimeoutError
                    await asyncio.sleep(pause)
                    pause = min(_PAUSE_S, 2 * pause)
        except TimeoutError:
            msg = f"the pod {self.name} (image {self.options.image}) did not start: {trouble}"
            raise SandboxUnavailableError(msg) from None


async def _demand_rights(cluster: Cluster, rights: tuple[Right, ...]) -> None:
    answers = await asyncio.gather(*(cluster.may(right) for right in rights))
    missing = [str(right) for right, held in zip(rights, answers, strict=True) if not held]
    if missing:
        msg = (
            f"the cluster does not let this server {', '.join(missing)}; bind a role with these "
            "rights to it in the namespace of the sandboxes"
        )
        raise SandboxUnavailableError(msg)


async def _sweep(cluster: Cluster, *, by_agents: bool) -> None:
    """Remove what servers of this machine left that are gone."""
    for seen in await cluster.pods(app=APP):
        if orphaned(seen.labels):
            name = seen.labels.get("strop/sandbox", seen.name)
            await _remove(cluster, name, by_agents=by_agents)


async def _remove(cluster: Cluster, name: str, *, by_agents: bool) -> None:
    try:
        await (cluster.delete_agent_sandbox(name) if by_agents else cluster.delete_pod(name))
    except SandboxUnavailableError:
        raise
    except SandboxError as error:
        msg = f"the sandbox {name} could not be removed: {error}"
        raise SandboxError(msg) from error
