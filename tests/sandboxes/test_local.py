from pathlib import Path

import pytest

from sandboxes.base import Isolation, PolicyRefusedError, SandboxSpec
from sandboxes.local import LocalBackend

pytestmark = pytest.mark.anyio


async def test_a_spec_that_wants_isolation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefusedError, match=r"asks for isolation NAMESPACE.*gives NONE"):
        await LocalBackend().create(SandboxSpec(workspace=tmp_path))


async def test_it_says_that_nothing_protects(tmp_path: Path) -> None:
    spec = SandboxSpec(workspace=tmp_path, min_isolation=Isolation.NONE)
    place = await LocalBackend().create(spec)
    await place.close()
    assert place.capabilities.isolation is Isolation.NONE
    assert not place.capabilities.network_none
    assert place.capabilities.notes
