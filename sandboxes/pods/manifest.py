"""What is sent to a cluster: a pod that may do nothing but run Python, and no network for it."""

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sandboxes.base import Frozen, Limits

Manifest = dict[str, Any]
"""An object of the Kubernetes API, as JSON would have it."""

APP = "strop-sandbox"
CONTAINER = "sandbox"
WORK = "/work"
SCRATCH = "/tmp"  # noqa: S108 - a volume of the pod
SOURCE = "STROP_INSIDE"
"""The variable of the container that holds the program for what happens in it."""
POLICY = "strop-sandbox-no-network"
AGENTS_GROUP = "agents.x-k8s.io"
AGENTS_VERSION = "v1beta1"
LIFETIME_S = 24 * 3600
"""After this the cluster itself removes a sandbox, whatever became of its server."""
_SPARE_BYTES = 64 << 20
"""Memory of what runs beside the commands."""
_SCRATCH_BYTES = 64 << 20
_USERS = range(20_000, 60_000)
_IDLE = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"


class PodOptions(Frozen):
    """What an operator sets up, each as `STROP_KUBERNETES_...`."""

    config: str = ""
    """Path of a kubeconfig; empty for the usual place, or the service account in a cluster."""
    context: str = ""
    """Of the kubeconfig; empty for its current one."""
    namespace: str = "strop-sandboxes"
    image: str = "docker.io/library/python:3.12-slim"
    """Has `python3` and `sh`."""
    runtime_class: str = ""
    """Such as `gvisor`; empty for the cluster's default."""


def pod(name: str, options: PodOptions, limits: Limits, labels: Mapping[str, str]) -> Manifest:
    """Return a pod that passes the cluster's strictest standard, `restricted`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": _pod_spec(options, limits),
    }


def agent_sandbox(
    name: str, options: PodOptions, limits: Limits, labels: Mapping[str, str]
) -> Manifest:
    """Return the same pod as a resource of kubernetes-sigs/agent-sandbox."""
    end = datetime.now(UTC) + timedelta(seconds=LIFETIME_S)
    return {
        "apiVersion": f"{AGENTS_GROUP}/{AGENTS_VERSION}",
        "kind": "Sandbox",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "podTemplate": {
                "metadata": {"labels": dict(labels)},
                "spec": _pod_spec(options, limits),
            },
            "service": False,
            "shutdownTime": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "shutdownPolicy": "Delete",
        },
    }


def no_network() -> Manifest:
    """Return the policy that lets nothing into or out of a sandbox."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY, "labels": {"app": APP}},
        "spec": {
            "podSelector": {"matchLabels": {"app": APP}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }


def labels_of(name: str) -> dict[str, str]:
    """Return the labels by which a sandbox and what its server left are found again."""
    return {"app": APP, "strop/sandbox": name, "strop/host": _host(), "strop/pid": str(os.getpid())}


def orphaned(labels: Mapping[str, str]) -> bool:
    """Return whether the server that made a sandbox ran on this host and is gone."""
    pid = labels.get("strop/pid", "")
    return labels.get("strop/host") == _host() and pid.isdigit() and not _lives(pid)


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _host() -> str:
    """Tell this boot of this machine from others, in characters that a label may have."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        boot = "boot"
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in socket.gethostname())
    return f"h-{name[:40]}-{boot}"


def _pod_spec(options: PodOptions, limits: Limits) -> Manifest:
    # A user of its own: the kernel counts processes by user, over a whole machine.
    user = _USERS[int.from_bytes(os.urandom(4), "big") % len(_USERS)]
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFETIME_S,
        "terminationGracePeriodSeconds": 0,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(options, limits)],
        "volumes": [
            {"name": "work", "emptyDir": {"sizeLimit": str(limits.disk_bytes)}},
            {"name": "scratch", "emptyDir": {"sizeLimit": str(_SCRATCH_BYTES)}},
        ],
    }
    if options.runtime_class:
        spec["runtimeClassName"] = options.runtime_class
    return spec


def _container(options: PodOptions, limits: Limits) -> Manifest:
    bounds = {
        "cpu": f"{max(1, round(limits.cpu_cores * 1000))}m",
        "memory": str(limits.memory_bytes + _SPARE_BYTES),
        "ephemeral-storage": str(limits.disk_bytes + 2 * _SCRATCH_BYTES),
    }
    return {
        "name": CONTAINER,
        "image": options.image,
        "command": ["/bin/sh", "-c", _IDLE],
        "workingDir": WORK,
        "env": [{"name": SOURCE, "value": inside_source()}],
        "resources": {"limits": bounds, "requests": {**bounds, "cpu": "50m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": WORK},
            {"name": "scratch", "mountPath": SCRATCH},
        ],
    }


@cache
def inside_source() -> str:
    """Return the program that runs beside the commands."""
    return Path(__file__).with_name("inside.py").read_text(encoding="utf-8")
