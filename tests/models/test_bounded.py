"""A call holds a place while it is under way, and says when it had to wait."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from models.base import ModelServerError
from models.bounded import BoundedModel
from models.messages import JsonObject, Message, Request
from models.scripted import ScriptedModel

pytestmark = pytest.mark.anyio
REQUEST = Request(messages=(Message(role="user", content="hello"),), purpose="manager.plan")


class Place:
    """One place at a model, after a wait."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.held_now = 0
        self.asked: list[tuple[str, int]] = []
        self.told: list[tuple[str, JsonObject]] = []
        self._wait_s = wait_s

    @asynccontextmanager
    async def held(self, model: str, bound: int) -> AsyncGenerator[None]:
        self.asked.append((model, bound))
        self.now_s += self._wait_s
        self.held_now += 1
        try:
            yield
        finally:
            self.held_now -= 1

    def clock(self) -> float:
        return self.now_s

    def around(self, model: ScriptedModel) -> BoundedModel:
        return BoundedModel(model, self, 2, clock=self.clock, on_event=self.tell)

    def tell(self, kind: str, data: JsonObject) -> None:
        self.told.append((kind, data))


async def test_the_place_is_held_during_the_call_and_left_after_it() -> None:
    place = Place()
    during: list[int] = []

    def script(_: Request) -> str:
        during.append(place.held_now)
        return "fine"

    reply = await place.around(ScriptedModel(script)).complete(REQUEST)
    assert (reply.message.content, during, place.held_now) == ("fine", [1], 0)
    assert place.asked == [("scripted", 2)]


async def test_a_failed_call_leaves_its_place() -> None:
    place = Place()
    with pytest.raises(ModelServerError):
        await place.around(ScriptedModel([ModelServerError("down")])).complete(REQUEST)
    assert place.held_now == 0


@pytest.mark.parametrize(("wait_s", "told"), [(0.9, 0), (3.5, 1)])
async def test_a_long_wait_is_told_and_a_short_one_is_not(wait_s: float, told: int) -> None:
    place = Place(wait_s)
    await place.around(ScriptedModel(["fine"])).complete(REQUEST)
    expected = {"model": "scripted", "purpose": "manager.plan", "waited_s": 3.5, "bound": 2}
    assert place.told == [("model_queued", expected)] * told
