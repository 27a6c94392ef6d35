import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.base import Limits
from sandboxes.files import Workspace
from sandboxes.guard import BubblewrapGuard, parse_report


def test_the_report_tells_leftovers_and_processor_time() -> None:
    report = b"3\n0m0.00s 0m0.01s\n1m2.50s 0m0.25s\n"
    assert parse_report(report) == (2, 62.75)


@given(st.binary(max_size=80))
def test_a_forged_report_is_only_a_wrong_number(report: bytes) -> None:
    leftover, spent = parse_report(report)
    assert 0 <= leftover < 1 << 21
    assert spent is None or spent >= 0


@pytest.fixture
def guard(tmp_path: Path) -> BubblewrapGuard:
    limits = Limits(disk_bytes=100_000)
    return BubblewrapGuard(Workspace(tmp_path), limits, status=os.devnull, watch_memory=False)  # pyright: ignore[reportArgumentType] - never read here


def test_a_number_bubblewrap_told_is_found(guard: BubblewrapGuard) -> None:
    guard.messages = b'{ "child-pid": 7 }\nnonsense\n{ "exit-code": 0 }\n'
    assert (guard.field("child-pid"), guard.field("exit-code")) == (7, 0)
    assert guard.field("missing") is None


def test_a_full_workspace_may_shrink_but_not_grow(guard: BubblewrapGuard) -> None:
    guard.workspace.write("f", b"x" * 200_000)
    assert guard.is_over(guard.workspace.usage())
    guard.disk_before = guard.workspace.usage()
    assert not guard.is_over(guard.workspace.usage())
    guard.workspace.write("g", b"x" * 200_000)
    assert guard.is_over(guard.workspace.usage())
    guard.workspace.close()
