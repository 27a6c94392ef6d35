import pytest

from sandboxes.base import Isolation, SandboxUnavailableError
from sandboxes.selection import select

pytestmark = pytest.mark.anyio


async def test_auto_takes_a_backend_that_isolates() -> None:
    selected = await select("auto")
    assert selected.name == "bubblewrap"
    assert selected.capabilities.isolation >= Isolation.NAMESPACE
    assert selected.reason


async def test_an_unprotected_backend_must_be_asked_for() -> None:
    selected = await select("unsafe-local")
    assert selected.capabilities.isolation is Isolation.NONE


async def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SandboxUnavailableError, match=r"'nspawn'.*auto, bubblewrap"):
        await select("nspawn")
