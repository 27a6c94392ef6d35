"""The manifests are what Kubernetes expects, and their pods meet the restricted standard."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from sandboxes.kubernetes_pods import AGENT_RIGHTS, RIGHTS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
VERSION = "1.33"
FOREIGN = ("keda.sh/", "kustomize.config.k8s.io/")


def _documents() -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for path in sorted(FOLDER.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            name = document.get("metadata", {}).get("name", "")
            found.append((f"{path.relative_to(FOLDER)}:{document['kind']}:{name}", document))
    return found


DOCUMENTS = _documents()
NATIVE = [one for one in DOCUMENTS if not one[1]["apiVersion"].startswith(FOREIGN)]
WORKLOADS = [one for one in NATIVE if one[1]["kind"] in {"Deployment", "StatefulSet"}]


def _named(kind: str, name: str) -> dict[str, Any]:
    (one,) = [d for _, d in DOCUMENTS if d["kind"] == kind and d["metadata"]["name"] == name]
    return one


@pytest.mark.parametrize("document", [d for _, d in NATIVE], ids=[name for name, _ in NATIVE])
def test_a_manifest_follows_the_schema_of_kubernetes(document: dict[str, Any]) -> None:
    assert kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("document", [d for _, d in WORKLOADS], ids=[n for n, _ in WORKLOADS])
def test_a_pod_meets_the_restricted_standard(document: dict[str, Any]) -> None:
    pod = document["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= set(container["resources"])
        assert {"readinessProbe", "livenessProbe"} <= set(container)


def test_a_worker_is_given_the_time_that_draining_takes() -> None:
    drain_s = float(_named("ConfigMap", "strop")["data"]["STROP_DRAIN_S"])
    pod = _named("Deployment", "workers")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= drain_s + 10


def test_workers_work_and_the_server_leaves_it_to_them() -> None:
    (server,) = _named("Deployment", "server")["spec"]["template"]["spec"]["containers"]
    (worker,) = _named("Deployment", "workers")["spec"]["template"]["spec"]["containers"]
    assert {"name": "STROP_SERVER_WORKS", "value": "false"} in server["env"]
    verb, _, path = worker["args"]
    assert verb == "work"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert worker[probe]["exec"]["command"][-1] == path


def test_everything_that_kustomize_names_is_there_and_nothing_is_left_out() -> None:
    for path in FOLDER.rglob("kustomization.yaml"):
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        named = {*said.get("resources", ()), *said.get("components", ())}
        assert all((path.parent / name).exists() for name in named)
        files = {file.name for file in path.parent.glob("*.yaml")} - {path.name}
        assert files == {name for name in named if name.endswith(".yaml")}


def test_nothing_is_reached_but_what_a_policy_names() -> None:
    policy = _named("NetworkPolicy", "nothing")["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_metadata_service_of_clouds_is_out_of_reach() -> None:
    rules = _named("NetworkPolicy", "from-strop")["spec"]["egress"]
    blocks = [to["ipBlock"] for rule in rules for to in rule["to"] if "ipBlock" in to]
    assert blocks
    assert all("169.254.0.0/16" in block["except"] for block in blocks)


def test_the_rights_for_pods_are_those_that_the_sandbox_asks_for() -> None:
    rules = _named("Role", "strop-sandboxes")["rules"]
    given = {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    asked = {
        (right.group, "/".join(filter(None, (right.resource, right.subresource))), right.verb)
        for right in (*RIGHTS, *AGENT_RIGHTS)
    }
    assert given == asked


def test_workers_scale_by_the_queue_with_and_without_keda() -> None:
    scaled, plain = _named("ScaledObject", "workers"), _named("HorizontalPodAutoscaler", "workers")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "workers"
    assert plain["spec"]["scaleTargetRef"]["name"] == "workers"
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["type"] == "postgresql"
    assert {"query", "targetQueryValue"} <= set(trigger["metadata"])
    assert (
        trigger["authenticationRef"]["name"]
        == _named("TriggerAuthentication", "strop-database")["metadata"]["name"]
    )


def test_the_example_of_secrets_holds_none() -> None:
    text = (FOLDER / "secret.example.yaml").read_text(encoding="utf-8")
    secrets = [d for name, d in DOCUMENTS if name.startswith("secret.example")]
    values = [value for secret in secrets for value in secret["stringData"].values()]
    assert all("CHANGE-ME" in value for value in values)
    assert "data:" not in text.replace("stringData:", "").replace("metadata:", "")
