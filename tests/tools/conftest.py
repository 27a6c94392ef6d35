"""A real sandbox with a workspace, and a toolbox on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path

import pytest

from sandboxes.base import (
    Isolation,
    Limits,
    Sandbox,
    SandboxBackend,
    SandboxSpec,
    SandboxUnavailableError,
)
from sandboxes.base import discover as discover_sandboxes
from tools.base import ToolContext, discover
from tools.toolbox import Toolbox

MakeToolbox = Callable[..., Toolbox]


async def nobody(question: str) -> str:
    return f"no idea about {question}"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@cache
def backend(name: str) -> SandboxBackend:
    """Make a backend once: it proves on its first use what the machine gives."""
    return discover_sandboxes()[name]()


@pytest.fixture
async def sandbox(workspace: Path) -> AsyncIterator[Sandbox]:
    spec = SandboxSpec(workspace=workspace, min_isolation=Isolation.NONE)
    try:
        made = await backend("bubblewrap").create(spec)
    except SandboxUnavailableError:
        made = await backend("unsafe-local").create(spec)
    yield made
    await made.close()


@pytest.fixture
def make_toolbox(sandbox: Sandbox) -> MakeToolbox:
    def make(
        *,
        ask: Callable[[str], Awaitable[str]] = nobody,
        allowed_hosts: tuple[str, ...] = (),
        wall_s: float = 20,
        output_chars: int = 8000,
    ) -> Toolbox:
        context = ToolContext(
            sandbox=sandbox,
            ask=ask,
            allowed_hosts=allowed_hosts,
            limits=Limits(wall_s=wall_s),
            output_chars=output_chars,
        )
        return Toolbox(discover(), context)

    return make


@pytest.fixture
def toolbox(make_toolbox: MakeToolbox) -> Toolbox:
    return make_toolbox()
