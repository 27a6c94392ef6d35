"""A real sandbox with a workspace, and a toolbox on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sandboxes.base import Isolation, Limits, Sandbox, SandboxSpec, SandboxUnavailableError
from sandboxes.base import discover as discover_sandboxes
from tests.support.directory_sandbox import DirectorySandbox
from tools.base import ToolContext, discover
from tools.toolbox import Toolbox

MakeToolbox = Callable[..., Toolbox]
_PREFERRED = ("bubblewrap", "unsafe-local")


async def nobody(question: str) -> str:
    return f"no idea about {question}"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
async def sandbox(workspace: Path) -> AsyncIterator[Sandbox]:
    limits = Limits(wall_s=20)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    backends = discover_sandboxes()
    for name in _PREFERRED:
        if name not in backends:
            continue
        spec = SandboxSpec(
            workspace=workspace, env=env, limits=limits, min_isolation=Isolation.NONE
        )
        try:
            made = await backends[name]().create(spec)
        except SandboxUnavailableError:
            continue
        yield made
        await made.close()
        return
    yield DirectorySandbox(workspace)


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
