from collections.abc import Mapping
from typing import Self

import pytest

from sandboxes.base import Isolation, SandboxUnavailableError
from sandboxes.local import LocalBackend
from sandboxes.selection import make, select

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


class Imaged(LocalBackend):
    image = "none"

    def configured(self, options: Mapping[str, str]) -> Self:
        self.image = options.get("docker_image", self.image)
        return self


def test_a_backend_that_can_be_set_up_is_handed_the_options() -> None:
    made = make(Imaged, {"docker_image": "strop/python", "kubernetes_context": "dev"})
    assert isinstance(made, Imaged)
    assert made.image == "strop/python"


def test_a_backend_without_options_is_made_as_it_is() -> None:
    assert isinstance(make(LocalBackend, {"docker_image": "strop/python"}), LocalBackend)
