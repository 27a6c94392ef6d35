"""A Kubernetes cluster through its official client, and what goes wrong there."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandboxes.base import SandboxError, SandboxGoneError, SandboxUnavailableError
from sandboxes.pods.manifest import (
    AGENTS_GROUP,
    AGENTS_VERSION,
    CONTAINER,
    Manifest,
    PodOptions,
)

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

_CONFLICT, _NOT_FOUND = 409, 404
_TIMEOUT_S = 30.0
_MESSAGE_CHARS = 500
_AGENTS = {"group": AGENTS_GROUP, "version": AGENTS_VERSION, "plural": "sandboxes"}


@dataclass(frozen=True, slots=True)
class Right:
    """Something that the cluster must let this server do."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """Name it as a rule for roles would."""
        place = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.verb} {place}" + (f".{self.group}" if self.group else "")


@dataclass(frozen=True, slots=True)
class Seen:
    """A pod as the cluster describes it."""

    name: str
    labels: dict[str, str]
    phase: str
    ready: bool
    trouble: str
    """Why it does not run yet, where the cluster says so."""


class Cluster:
    """One namespace of a cluster; `connected` makes it."""

    def __init__(self, api: Any, client: Any, sockets: Any, namespace: str) -> None:  # noqa: ANN401 - the client's types are generated and partly unknown
        self._api, self._namespace = api, namespace
        self._client, self._sockets = client, sockets
        self._core = api.CoreV1Api(client)
        self._exec = api.CoreV1Api(sockets)
        self._policies = api.NetworkingV1Api(client)
        self._reviews = api.AuthorizationV1Api(client)
        self._custom = api.CustomObjectsApi(client)

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()
        await self._sockets.close()

    async def may(self, right: Right) -> bool:
        """Return whether this server has a right."""
        attributes = {
            "namespace": self._namespace,
            "verb": right.verb,
            "resource": right.resource,
            "group": right.group,
            "subresource": right.subresource,
        }
        review = self._api.V1SelfSubjectAccessReview.from_dict(
            {"spec": {"resourceAttributes": attributes}}
        )
        found = await _asked(lambda: self._reviews.create_self_subject_access_review(review))
        return bool(found.status and found.status.allowed)

    async def has_agent_sandboxes(self) -> bool:
        """Return whether the cluster knows the resource of kubernetes-sigs/agent-sandbox."""
        try:
            found = await _asked(
                lambda: self._custom.get_api_resources(AGENTS_GROUP, AGENTS_VERSION)
            )
        except SandboxGoneError:
            return False
        return any(resource.name == "sandboxes" for resource in found.resources)

    async def create_pod(self, manifest: Manifest) -> None:
        """Make a pod."""
        body = self._api.V1Pod.from_dict(manifest)
        await _asked(lambda: self._core.create_namespaced_pod(self._namespace, body))

    async def create_agent_sandbox(self, manifest: Manifest) -> None:
        """Make a sandbox of agent-sandbox, whose controller makes the pod."""
        await _asked(
            lambda: self._custom.create_namespaced_custom_object(
                **_AGENTS, namespace=self._namespace, body=manifest
            )
        )

    async def create_policy(self, manifest: Manifest) -> None:
        """Make a network policy; one that is there already stays."""
        body = self._api.V1NetworkPolicy.from_dict(manifest)
        await _asked(
            lambda: self._policies.create_namespaced_network_policy(self._namespace, body),
            unless=_CONFLICT,
        )

    async def pods(self, **labels: str) -> list[Seen]:
        """Return the pods that carry all these labels."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = await _asked(
            lambda: self._core.list_namespaced_pod(self._namespace, label_selector=selector)
        )
        return [_seen(self._client.sanitize_for_serialization(item)) for item in found.items]

    async def delete_pod(self, name: str) -> None:
        """Remove a pod at once; one that is gone already is no fault."""
        await _asked(
            lambda: self._core.delete_namespaced_pod(name, self._namespace, grace_period_seconds=0),
            unless=_NOT_FOUND,
        )

    async def delete_agent_sandbox(self, name: str) -> None:
        """Remove a sandbox of agent-sandbox, and with it its pod."""
        await _asked(
            lambda: self._custom.delete_namespaced_custom_object(
                **_AGENTS, namespace=self._namespace, name=name
            ),
            unless=_NOT_FOUND,
        )

    @asynccontextmanager
    async def execute(
        self, pod: str, argv: Sequence[str]
    ) -> AsyncGenerator["ClientWebSocketResponse"]:
        """Start a program in a pod and hold the connection to its streams."""
        connecting: Any = await _asked(
            lambda: self._exec.connect_get_namespaced_pod_exec_without_preload_content(
                pod,
                self._namespace,
                command=list(argv),
                container=CONTAINER,
                stdin=True,
                stdout=True,
                stderr=True,
                tty=False,
            )
        )
        from aiohttp import ClientError  # noqa: PLC0415 - heavy

        try:
            socket: ClientWebSocketResponse = await connecting
        except (ClientError, OSError) as error:
            msg = f"no program can be started in the pod {pod}: {error}"
            raise SandboxGoneError(msg) from error
        try:
            yield socket
        finally:
            await socket.close()


@asynccontextmanager
async def connected(options: PodOptions) -> AsyncGenerator[Cluster]:
    """Hold a connection to the cluster that `options` name.

    Raises:
        SandboxUnavailableError: no cluster is set up, or it does not answer.
    """
    cluster = await connect(options)
    try:
        yield cluster
    finally:
        await cluster.close()


async def connect(options: PodOptions) -> Cluster:
    """Return a connection that must be closed; see `connected`."""
    _demand_some(options)
    api: Any = await asyncio.to_thread(import_module, "kubernetes.aio.client")
    stream: Any = import_module("kubernetes.aio.stream")
    configuration = await _configured(api.Configuration(), options)
    client = api.ApiClient(configuration)
    return Cluster(api, client, stream.WsApiClient(configuration), options.namespace)


async def _configured(configuration: Any, options: PodOptions) -> Any:  # noqa: ANN401 - see `Cluster`
    config: Any = import_module("kubernetes.aio.config")
    try:
        if not options.config and _in_cluster():
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(
                config_file=options.config or str(_usual_place()),
                context=options.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
    except (config.ConfigException, OSError, ValueError) as error:
        raise _not_set_up(str(error)) from error
    return configuration


def _demand_some(options: PodOptions) -> None:
    """Look for a configuration before the client is loaded, which takes seconds."""
    if not (options.config or _in_cluster() or _usual_place().exists()):
        raise _not_set_up(f"there is no {_usual_place()}")


def _not_set_up(cause: str) -> SandboxUnavailableError:
    msg = (
        f"no Kubernetes cluster is set up ({cause}); name a kubeconfig with "
        "STROP_KUBERNETES_CONFIG, or run the server in the cluster"
    )
    return SandboxUnavailableError(msg)


def _usual_place() -> Path:
    return Path.home() / ".kube" / "config"


def _in_cluster() -> bool:
    return Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()


async def _asked(call: Callable[[], Awaitable[Any]], *, unless: int | None = None) -> Any:  # noqa: ANN401 - see `Cluster`
    """Ask the cluster; an answer with the status `unless` is as good as done."""
    from aiohttp import ClientError  # noqa: PLC0415 - heavy

    exceptions: Any = import_module("kubernetes.aio.client.exceptions")
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await call()
    except exceptions.ApiException as error:
        if error.status == unless:
            return None
        raise _explained(error.status, error.reason, error.body) from error
    except TimeoutError as error:
        msg = f"the Kubernetes API did not answer within {_TIMEOUT_S:g} s"
        raise SandboxUnavailableError(msg) from error
    except (ClientError, OSError) as error:
        msg = f"the Kubernetes API cannot be reached: {error}"
        raise SandboxUnavailableError(msg) from error


def _explained(status: int | None, reason: str | None, body: str | None) -> SandboxError:
    told = reason or "no reason"
    with suppress(ValueError, KeyError, TypeError):
        told = json.loads(body or "")["message"]
    msg = f"the Kubernetes API answered {status}: {str(told)[:_MESSAGE_CHARS]}"
    if status in {401, 403}:
        return SandboxUnavailableError(f"{msg}; give this server the rights that doctor lists")
    return SandboxGoneError(msg) if status == _NOT_FOUND else SandboxError(msg)


def _seen(item: Manifest) -> Seen:
    status: Manifest = item.get("status") or {}
    containers: list[Manifest] = status.get("containerStatuses") or []
    conditions: list[Manifest] = status.get("conditions") or []
    waiting = [
        f"{state.get('reason', '')} {state.get('message', '')}".strip()
        for one in containers
        if (state := _waiting(one))
    ]
    unscheduled = [
        str(one.get("message", ""))
        for one in conditions
        if one.get("type") == "PodScheduled" and one.get("status") == "False"
    ]
    trouble = [status.get("reason", ""), status.get("message", ""), *waiting, *unscheduled]
    return Seen(
        name=item["metadata"]["name"],
        labels=item["metadata"].get("labels") or {},
        phase=status.get("phase", ""),
        ready=bool(containers) and all(one.get("ready") for one in containers),
        trouble="; ".join(part for part in trouble if part)[:_MESSAGE_CHARS],
    )


def _waiting(container: Manifest) -> Manifest:
    state: Manifest = container.get("state") or {}
    return state.get("waiting") or {}
