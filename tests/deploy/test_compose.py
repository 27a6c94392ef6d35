"""The compose file gives nobody more than is said, and the passwords stay at home."""

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = {name: one for name, one in SERVICES.items() if name != "cli"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_without_root_and_cannot_change_its_system(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_bounds(name: str) -> None:
    service = SERVICES[name]
    assert {"mem_limit", "cpus", "pids_limit", "restart", "logging"} <= set(service)


@pytest.mark.parametrize("name", LASTING)
def test_a_service_that_stays_is_examined(name: str) -> None:
    assert name == "server" or LASTING[name]["healthcheck"]["test"][0] == "CMD"


def test_workers_work_and_the_server_leaves_it_to_them() -> None:
    assert SERVICES["server"]["environment"]["STROP_SERVER_WORKS"] == "false"
    for name in ("worker-1", "worker-2"):
        verb, _, path = SERVICES[name]["command"]
        assert verb == "work"
        assert SERVICES[name]["healthcheck"]["test"][-1] == path


def test_only_the_server_publishes_a_port_and_on_loopback() -> None:
    assert {name for name, one in SERVICES.items() if "ports" in one} == {"server"}
    assert SERVICES["server"]["ports"] == ["${PUBLISH:-127.0.0.1:8321}:8321"]


def test_the_database_the_index_and_the_browser_have_no_way_out() -> None:
    inside = {name for name, one in COMPOSE["networks"].items() if one.get("internal")}
    for name in ("postgres", "chroma", "browser"):
        assert set(SERVICES[name]["networks"]) <= inside


def test_no_process_of_strop_starts_before_the_database_answers() -> None:
    for name in ("server", "worker-1", "worker-2", "cli"):
        assert SERVICES[name]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_only_what_runs_code_in_sandboxes_may_make_namespaces() -> None:
    opened = {
        name for name, one in SERVICES.items() if "systempaths=unconfined" in one["security_opt"]
    }
    assert opened == {"server", "worker-1", "worker-2", "cli"}
    assert "seccomp=unconfined" not in TEXT


def test_the_filter_of_system_calls_refuses_what_no_sandbox_needs() -> None:
    profile = json.loads((ROOT / "deploy/seccomp.json").read_text(encoding="utf-8"))
    refused = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert {
        "bpf",
        "keyctl",
        "kexec_load",
        "init_module",
        "userfaultfd",
        "io_uring_setup",
    } <= refused
    assert not {"clone", "unshare", "mount", "pivot_root"} & refused


def test_passwords_come_from_files_that_must_have_been_made() -> None:
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("${SECRETS:?")
    assert not re.search(r"PASSWORD:\s*\S", TEXT)


def _made(folder: Path) -> tuple[str, str]:
    script = ROOT / "scripts/compose_env.sh"
    subprocess.run(["sh", script, folder], check=True, timeout=30, capture_output=True)
    secrets = folder / "deploy/secrets"
    return (secrets / "postgres_password").read_text(), (secrets / "database_url").read_text()


def test_passwords_are_random_kept_from_others_and_made_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    password, url = _made(first)
    assert len(password) == 48
    assert url == f"postgresql+psycopg://strop:{password}@postgres:5432/strop"
    assert _made(first) == (password, url)
    assert _made(second)[0] != password
    assert stat.S_IMODE((first / "deploy/secrets").stat().st_mode) == 0o700
    assert (first / ".env").read_text().count("SECRETS=") == 1


def test_git_and_the_image_leave_the_passwords_out() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".env", "deploy/secrets/"} <= set(ignored)
    assert "*" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
