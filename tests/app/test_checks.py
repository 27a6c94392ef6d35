"""What `./strop doctor` says about the parts of a runtime."""

import socket
from pathlib import Path

import pytest

from app.checks import Check
from app.wiring import open_runtime
from tests.support.service import RoleModel, settings_for

pytestmark = pytest.mark.anyio


async def _checked(home: Path, **given: object) -> dict[str, Check]:
    settings = settings_for(home, embedding="hashing", **given)
    async with open_runtime(settings, model=RoleModel(), work=False) as runtime:
        return {check.name: check for check in await runtime.checks.all()}


async def test_everything_is_well_with_the_files_of_a_home(home: Path) -> None:
    checks = await _checked(home)
    assert [name for name, check in checks.items() if not check.ok] == []
    assert "'exact'" in checks["memory"].detail


async def test_a_chroma_server_that_is_away_is_named(home: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        checks = await _checked(home, chroma_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert not checks["memory"].ok
    assert "compared every vector instead" in checks["memory"].detail
    assert checks["database"].ok
