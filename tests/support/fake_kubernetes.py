"""An API server that speaks as much of Kubernetes as the backend uses; no cluster.

Pods are folders, and processes of this machine in namespaces that bubblewrap makes; see
`fake_pods.py`. So what a command of the backend does and how it ends is real here, and what
contains it is not a cluster's.
"""

import asyncio
import json
import shutil
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from tests.support.fake_pods import Pod, Program, start_pod

Object = dict[str, Any]

PROTOCOL = "v4.channel.k8s.io"
_CORE = "/api/v1/namespaces/{namespace}"
_AGENTS = "/apis/agents.x-k8s.io/v1beta1"
_PIECE = 1 << 15


@dataclass
class FakeCluster:
    """What the cluster holds, and how it behaves."""

    with_agents: bool = False
    """Whether kubernetes-sigs/agent-sandbox is installed."""
    enforces_policies: bool = True
    """Whether the network plug-in cares for policies."""
    denied: set[str] = field(default_factory=set[str])
    """Rights that reviews deny, as `verb resource` or `verb resource/subresource`."""
    pull_error: str = ""
    """Why no image can be pulled."""
    kill_fails: bool = False
    """Whether programs that are to end others cannot be started."""
    pods: dict[str, Object] = field(default_factory=dict[str, Object])
    policies: list[Object] = field(default_factory=list[Object])
    agents: dict[str, Object] = field(default_factory=dict[str, Object])
    executed: list[list[str]] = field(default_factory=list[list[str]])
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="strop-fake-")))
    port: int = 0
    """Where this server listens, for pods that can reach it."""
    _pods_running: dict[str, Pod] = field(default_factory=dict[str, Pod])
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def application(self) -> FastAPI:
        """Return the server."""
        app = FastAPI()
        self._reviews(app)
        self._pods(app)
        self._sandboxes(app)

        @app.post("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies")
        async def _(request: Request) -> JSONResponse:
            policy = await request.json()
            if any(_name(one) == _name(policy) for one in self.policies):
                return _status(409, f'networkpolicies "{_name(policy)}" already exists')
            self.policies.append(policy)
            return JSONResponse(policy, 201)

        @app.websocket(f"{_CORE}/pods/{{name}}/exec")
        async def _(socket: WebSocket, name: str) -> None:
            await self._execute(socket, name)

        return app

    def remove(self) -> None:
        """Remove the folders of the pods."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _reviews(self, app: FastAPI) -> None:
        @app.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        async def _(request: Request) -> JSONResponse:
            review = await request.json()
            asked = review["spec"]["resourceAttributes"]
            place = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            allowed = f"{asked['verb']} {place}" not in self.denied
            return JSONResponse(review | {"status": {"allowed": allowed}}, 201)

    def _pods(self, app: FastAPI) -> None:
        @app.post(f"{_CORE}/pods")
        async def _(request: Request) -> JSONResponse:
            return self._add(await request.json())

        @app.get(f"{_CORE}/pods")
        async def _(labelSelector: str = "") -> JSONResponse:  # noqa: N803 - the API's name
            wanted = dict(part.split("=") for part in labelSelector.split(",") if part)
            found = [
                self._seen(pod)
                for pod in self.pods.values()
                if wanted.items() <= pod["metadata"].get("labels", {}).items()
            ]
            return JSONResponse({"apiVersion": "v1", "kind": "PodList", "items": found})

        @app.delete(f"{_CORE}/pods/{{name}}")
        async def _(name: str) -> JSONResponse:
            pod = await self._removed(name)
            return _status(404, f'pods "{name}" not found') if pod is None else JSONResponse(pod)

    def _sandboxes(self, app: FastAPI) -> None:
        @app.get(_AGENTS + "/")
        async def _() -> JSONResponse:
            if not self.with_agents:
                return _status(404, "the server could not find the requested resource")
            one = {"name": "sandboxes", "kind": "Sandbox", "namespaced": True}
            return JSONResponse(
                {
                    "kind": "APIResourceList",
                    "groupVersion": "agents.x-k8s.io/v1beta1",
                    "resources": [one | {"singularName": "sandbox", "verbs": ["create"]}],
                }
            )

        @app.post(_AGENTS + "/namespaces/{namespace}/sandboxes")
        async def _(request: Request) -> JSONResponse:
            made = await request.json()
            template = made["spec"]["podTemplate"]
            metadata = {"name": _name(made), "labels": template["metadata"]["labels"]}
            refused = self._add({"metadata": metadata, "spec": template["spec"]})
            if refused.status_code != 201:
                return refused
            self.agents[_name(made)] = made
            return JSONResponse(made, 201)

        @app.delete(_AGENTS + "/namespaces/{namespace}/sandboxes/{name}")
        async def _(name: str) -> JSONResponse:
            made = self.agents.pop(name, None)
            await self._removed(name)
            return _status(404, f'"{name}" not found') if made is None else JSONResponse(made)

    def _add(self, pod: Object) -> JSONResponse:
        """Admit a pod if it passes the standard `restricted`."""
        broken = violations(pod["spec"])
        if broken:
            return _status(403, f"violates PodSecurity restricted: {', '.join(broken)}")
        for volume in pod["spec"]["volumes"]:
            (self.folder / _name(pod) / volume["name"]).mkdir(parents=True)
        self.pods[_name(pod)] = pod
        return JSONResponse(pod, 201)

    def _seen(self, pod: Object) -> Object:
        state: Object = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        if self.pull_error:
            state = {"waiting": {"reason": "ErrImagePull", "message": self.pull_error}}
        container = {
            "name": "sandbox",
            "ready": not self.pull_error,
            "state": state,
            "image": pod["spec"]["containers"][0]["image"],
            "imageID": "",
            "restartCount": 0,
        }
        phase = "Failed" if self.pull_error else "Running"
        return pod | {"status": {"phase": phase, "containerStatuses": [container]}}

    async def _execute(self, socket: WebSocket, name: str) -> None:
        argv = socket.query_params.getlist("command")
        self.executed.append(argv)
        if name not in self.pods or (self.kill_fails and "kill" in argv):
            await socket.close()
            return
        await socket.accept(subprotocol=PROTOCOL)
        program = await (await self._running(name)).execute(argv)
        feeding = asyncio.create_task(_feed(socket, program))
        with suppress(WebSocketDisconnect, RuntimeError):
            await asyncio.gather(
                _pass_on(socket, 1, program.stdout), _pass_on(socket, 2, program.stderr)
            )
            code = await program.wait()
            await socket.send_bytes(b"\x03" + json.dumps(_ended(code)).encode())
            await socket.close()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        program.close()

    async def _running(self, name: str) -> Pod:
        async with self._starting:
            if name not in self._pods_running:
                reached = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "9"}
                if not self.enforces_policies:
                    reached |= {"KUBERNETES_SERVICE_PORT": str(self.port), "OPEN": "1"}
                spec = self.pods[name]["spec"]
                started = await start_pod(spec, self.folder / name, reached)
                self._pods_running[name] = started
            return self._pods_running[name]

    async def _removed(self, name: str) -> Object | None:
        pod, running = self.pods.pop(name, None), self._pods_running.pop(name, None)
        if running is not None:
            await running.remove()
        return pod


def violations(spec: Object) -> list[str]:
    """Return what of the standard `restricted`, and of ours, a pod breaks."""
    pod = spec["securityContext"]
    broken = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    broken += [] if spec.get("automountServiceAccountToken") is False else ["service account"]
    broken += ["volume type" for one in spec["volumes"] if "emptyDir" not in one]
    for container in spec["containers"]:
        own = container["securityContext"]
        demanded = {
            "runAsNonRoot": own.get("runAsNonRoot") is True and pod.get("runAsUser", 0) > 0,
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged"),
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "seccompProfile": own.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "limits": {"cpu", "memory", "ephemeral-storage"}
            <= set(container["resources"]["limits"]),
        }
        broken += [name for name, holds in demanded.items() if not holds]
    return broken


async def _feed(socket: WebSocket, program: Program) -> None:
    with suppress(WebSocketDisconnect, ConnectionError, RuntimeError):
        while True:
            data = await socket.receive_bytes()
            if data[:1] == b"\x00":
                program.stdin.write(data[1:])
                await program.stdin.drain()
    program.stdin.close()


async def _pass_on(socket: WebSocket, channel: int, stream: asyncio.StreamReader) -> None:
    while data := await stream.read(_PIECE):
        await socket.send_bytes(struct.pack("B", channel) + data)


def _ended(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    number = code if code > 0 else 128 - code
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: {number}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(number)}]},
    }


def _status(code: int, message: str) -> JSONResponse:
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message}
    return JSONResponse(told | {"code": code}, code)


def _name(one: Object) -> str:
    return one["metadata"]["name"]


def kubeconfig(port: int) -> str:
    """Return what a client reads to find the server."""
    one: list[Object] = [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}]
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": one,
            "users": [{"name": "fake", "user": {"token": "not-a-secret"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }
    )
