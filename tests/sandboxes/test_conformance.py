"""Every registered backend sits the exam; the exam itself must fail where nothing protects."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from sandboxes.base import (
    Isolation,
    SandboxBackend,
    SandboxUnavailableError,
    discover,
)
from sandboxes.check import Check, CheckResult, all_checks, run_check, run_checks
from sandboxes.selection import make

pytestmark = pytest.mark.anyio

CONTRACT = [check for check in all_checks() if check.group == "contract"]
CONTAINMENT = [check for check in all_checks() if check.group == "containment"]
MUST_WORK = "bubblewrap"
UNPROTECTED = "unsafe-local"


@cache
def backend_called(name: str, **options: str) -> SandboxBackend:
    return make(discover()[name], options)


async def usable(
    name: str, request: pytest.FixtureRequest, needs: Sequence[str] = ()
) -> SandboxBackend:
    options: dict[str, str] = {}
    if name == "docker":
        options["docker_host"] = request.getfixturevalue("docker_engine").host
    backend = backend_called(name, **options)
    try:
        capabilities = await backend.probe()
    except SandboxUnavailableError as error:
        if name == MUST_WORK:
            pytest.fail(f"the default sandbox must work where the tests run: {error}")
        pytest.skip(f"{name} cannot work here: {error}")
    lacking = [need for need in needs if not getattr(capabilities, need)]
    if lacking:
        pytest.skip(f"{name} does not offer {', '.join(lacking)} and says so")
    return backend


def shown(check: Check) -> str:
    return check.name


@pytest.mark.parametrize("name", sorted(discover()))
@pytest.mark.parametrize("check", CONTRACT, ids=shown)
async def test_a_backend_keeps_the_contract(
    name: str, check: Check, request: pytest.FixtureRequest
) -> None:
    result = await run_check(await usable(name, request, check.needs), check)
    assert result.held is True, result.detail


@pytest.mark.parametrize("name", sorted(set(discover()) - {UNPROTECTED}))
@pytest.mark.parametrize("check", CONTAINMENT, ids=shown)
async def test_a_backend_that_isolates_contains(
    name: str, check: Check, request: pytest.FixtureRequest
) -> None:
    backend = await usable(name, request, check.needs)
    if (await backend.probe()).isolation < Isolation.NAMESPACE:
        pytest.skip(f"{name} does not claim to isolate; it promises no containment")
    result = await run_check(backend, check)
    assert result.held is True, result.detail


@pytest.mark.parametrize(
    "check", [check for check in CONTAINMENT if check.control != "none"], ids=shown
)
async def test_a_check_fails_where_nothing_protects(check: Check) -> None:
    if check.control == "root" and os.geteuid() != 0:
        pytest.skip("only root has the power that this attack needs")
    result = await run_check(backend_called(UNPROTECTED), check)
    assert result.held is False, result.detail


async def test_the_exam_yields_a_line_for_each_check() -> None:
    backend = backend_called(UNPROTECTED)
    results: list[CheckResult] = [line async for line in run_checks(backend, CONTRACT[:2])]
    assert [line.name for line in results] == [check.name for check in CONTRACT[:2]]
    assert all(line.seconds >= 0 for line in results)


async def test_a_backend_that_makes_nothing_is_not_judged() -> None:
    class Broken:
        async def probe(self) -> None:
            raise AssertionError

        async def create(self, spec: object) -> None:
            msg = "out of order"
            raise SandboxUnavailableError(msg)

    broken: SandboxBackend = Broken()  # pyright: ignore[reportAssignmentType] - returns nothing
    result = await run_check(broken, CONTRACT[0])
    assert result.held is None
    assert "out of order" in result.detail


async def test_what_a_backend_does_not_offer_is_not_tried() -> None:
    check = replace(CONTRACT[0], needs=("shell", "network_allowlist"))
    result = await run_check(backend_called(UNPROTECTED), check)
    assert (result.held, result.detail) == (None, "this backend does not offer network_allowlist")


def test_check_names_are_unique() -> None:
    names = [check.name for check in all_checks()]
    assert len(names) == len(set(names))
