"""Every registered backend sits the exam; the exam itself must fail where nothing protects."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from sandboxes import check_containment, check_contract
from sandboxes.base import (
    Isolation,
    SandboxBackend,
    SandboxSpec,
    SandboxUnavailableError,
    discover,
)
from sandboxes.check import (
    Check,
    CheckResult,
    Trial,
    Verdict,
    all_checks,
    run_check,
    run_checks,
)
from sandboxes.exam import takeover

pytestmark = pytest.mark.anyio

CONTRACT = [check for check in all_checks() if check.group == "contract"]
CONTAINMENT = [check for check in all_checks() if check.group == "containment"]
MUST_WORK = "bubblewrap"
UNPROTECTED = "unsafe-local"
ELSEWHERE = "docker"
"""Sits the whole exam in `test_containers.py`, in a few containers."""
SIDE_BY_SIDE = 4
FIRST = (*check_contract.CHECKS, *check_containment.CHECKS)
SOME = (*FIRST, *[check for check in all_checks() if check not in FIRST][::4])


@cache
def backend_called(name: str) -> SandboxBackend:
    return discover()[name]()


async def usable(name: str, needs: Sequence[str] = ()) -> SandboxBackend:
    backend = backend_called(name)
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


@pytest.mark.parametrize("name", [MUST_WORK, UNPROTECTED])
@pytest.mark.parametrize("check", CONTRACT, ids=shown)
async def test_a_backend_keeps_the_contract(name: str, check: Check) -> None:
    result = await run_check(await usable(name, check.needs), check)
    assert result.held is True, result.detail


@pytest.mark.parametrize("check", CONTAINMENT, ids=shown)
async def test_the_default_backend_contains(check: Check) -> None:
    result = await run_check(await usable(MUST_WORK, check.needs), check)
    assert result.held is True, result.detail


@pytest.mark.parametrize("name", sorted(set(discover()) - {MUST_WORK, UNPROTECTED, ELSEWHERE}))
async def test_another_backend_passes_the_exam_as_far_as_it_promises(name: str) -> None:
    """Ask side by side, and not everything: where each sandbox takes long to make, it adds up.

    `./strop sandboxes check --all` asks everything; docs/sandboxes.md shows what it found.
    """
    backend = await usable(name)
    few = asyncio.Semaphore(SIDE_BY_SIDE)

    async def answer(check: Check) -> CheckResult:
        async with few:
            return await run_check(backend, check)

    isolates = (await backend.probe()).isolation >= Isolation.NAMESPACE
    asked = [check for check in SOME if isolates or check.group == "contract"]
    results = await asyncio.gather(*map(answer, asked))
    broken = [f"{line.name}: {line.detail}" for line in results if line.held is False]
    assert not broken, "\n".join(broken)
    assert any(line.held for line in results)


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


async def test_an_attack_that_could_hurt_is_not_let_loose_on_a_bare_machine() -> None:
    async def attack(_: Trial) -> Verdict:
        raise AssertionError

    result = await run_check(backend_called(UNPROTECTED), Check("x", "containment", attack))
    assert (result.held, result.detail[:24]) == (None, "nothing would protect th")


@pytest.mark.parametrize(
    "known",
    [(*takeover.this_process()[:2], "pid:[1]"), ("1", "x", takeover.this_process()[2])],
    ids=["by its number and start", "by its namespace"],
)
async def test_an_attack_that_ends_all_processes_stops_where_it_sees_this_one(
    tmp_path: Path, known: tuple[str, ...]
) -> None:
    spec = SandboxSpec(workspace=tmp_path, min_isolation=Isolation.NONE)
    place = await backend_called(UNPROTECTED).create(spec)
    harmless = ["SIGCONT", *known]
    result = await place.exec(["python3", "-I", "-c", takeover.END_OTHERS, *harmless])
    await place.close()
    assert result.stdout == b"sees the host\n"


def test_check_names_are_unique() -> None:
    names = [check.name for check in all_checks()]
    assert len(names) == len(set(names))
