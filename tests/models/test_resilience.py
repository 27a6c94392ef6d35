import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import (
    BadReplyError,
    ContextOverflowError,
    ModelAuthError,
    ModelError,
    ModelRequestError,
    ModelServerError,
    ModelTimeoutError,
    RateLimitedError,
)
from models.messages import JsonObject, Message, Request
from models.resilience import FallbackModel, RetryingModel, RetryPolicy
from models.scripted import SCRIPTED_INFO, Line, ScriptedModel

pytestmark = pytest.mark.anyio

REQUEST = Request(messages=(Message(role="user", content="hi"),), purpose="manager.plan")


@dataclass
class Watch:
    """A clock that only sleeping moves, and a list of what was told."""

    now_s: float = 0.0
    slept_s: list[float] = field(default_factory=list[float])
    events: list[tuple[str, JsonObject]] = field(default_factory=list[tuple[str, JsonObject]])

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds

    def clock(self) -> float:
        return self.now_s

    def told(self, kind: str, data: JsonObject) -> None:
        self.events.append((kind, data))

    def retrying(self, model: ScriptedModel, policy: RetryPolicy | None = None) -> RetryingModel:
        return RetryingModel(
            model,
            policy,
            sleep=self.sleep,
            rng=random.Random(7),  # noqa: S311 - dice of a test
            clock=self.clock,
            on_event=self.told,
        )


def named(name: str, script: list[Line]) -> ScriptedModel:
    return ScriptedModel(script, info=SCRIPTED_INFO.model_copy(update={"name": name}))


async def test_a_transient_failure_is_tried_again_and_told():
    watch = Watch()
    model = ScriptedModel([ModelServerError("down"), ModelTimeoutError("slow"), "fine"])
    reply = await watch.retrying(model).complete(REQUEST)
    assert reply.message.content == "fine"
    assert [kind for kind, _ in watch.events] == ["model_retry", "model_retry"]
    assert watch.events[0][1] == {
        "model": "scripted",
        "purpose": "manager.plan",
        "attempt": 1,
        "wait_s": round(watch.slept_s[0], 3),
        "error": "ModelServerError",
        "message": "down",
    }


async def test_a_rate_limited_call_waits_as_long_as_the_server_asks():
    watch = Watch()
    model = ScriptedModel([RateLimitedError("slow down", retry_after_s=42.0), "fine"])
    await watch.retrying(model).complete(REQUEST)
    assert watch.slept_s == [42.0]


async def test_a_wait_beyond_the_total_time_is_not_begun():
    watch = Watch()
    model = ScriptedModel([RateLimitedError("tomorrow", retry_after_s=9999.0), "fine"])
    with pytest.raises(RateLimitedError, match="tomorrow"):
        await watch.retrying(model).complete(REQUEST)
    assert watch.slept_s == []


async def test_attempts_are_bounded_and_the_last_error_is_raised():
    watch = Watch()
    model = ScriptedModel([ModelServerError(f"down {n}") for n in range(9)])
    with pytest.raises(ModelServerError, match="down 2") as caught:
        await watch.retrying(model, RetryPolicy(max_attempts=3)).complete(REQUEST)
    assert len(model.requests) == 3
    assert caught.value.__notes__ == ["Given up after 3 attempts."]


@pytest.mark.parametrize(
    "error", [ModelAuthError("key"), BadReplyError("?"), ModelRequestError("bad")]
)
async def test_other_failures_are_not_tried_again(error: ModelError):
    watch = Watch()
    with pytest.raises(type(error)):
        await watch.retrying(ScriptedModel([error, "fine"])).complete(REQUEST)
    assert watch.slept_s == []


@given(
    attempts=st.integers(1, 8),
    base=st.floats(0, 10),
    most=st.floats(0, 60),
    total=st.floats(0.1, 300),
    asked=st.none() | st.floats(0, 400),
)
async def test_waits_never_leave_their_bounds(
    attempts: int, base: float, most: float, total: float, asked: float | None
):
    watch = Watch()
    policy = RetryPolicy(max_attempts=attempts, base_delay_s=base, max_delay_s=most, total_s=total)
    model = ScriptedModel(lambda request: RateLimitedError("slow", retry_after_s=asked))
    with pytest.raises(RateLimitedError):
        await watch.retrying(model, policy).complete(REQUEST)
    assert len(model.requests) <= attempts
    assert watch.now_s <= total
    for number, slept in enumerate(watch.slept_s):
        assert slept >= (asked or 0.0)
        assert slept <= max(asked or 0.0, min(most, base * 2**number))


@pytest.mark.parametrize(
    "error", [RateLimitedError("slow"), ContextOverflowError("long"), ModelAuthError("key")]
)
async def test_the_next_model_answers_when_the_first_cannot(error: ModelError):
    watch = Watch()
    models = [named("first", [error]), named("second", ["fine"])]
    reply = await FallbackModel(models, on_event=watch.told).complete(REQUEST)
    assert (reply.message.content, reply.model) == ("fine", "second")
    ((kind, data),) = watch.events
    assert kind == "model_fallback"
    assert (data["from"], data["to"], data["error"]) == ("first", "second", type(error).__name__)


async def test_rubbish_is_not_a_reason_to_ask_another_model():
    with pytest.raises(BadReplyError):
        await FallbackModel([named("a", [BadReplyError("?")]), named("b", ["x"])]).complete(REQUEST)


async def test_when_all_fail_the_last_error_tells_of_the_others():
    models = [named("a", [ModelServerError("down")]), named("b", [ModelAuthError("no key")])]
    with pytest.raises(ModelAuthError) as caught:
        await FallbackModel(models).complete(REQUEST)
    assert "a: ModelServerError: down | b: ModelAuthError: no key" in caught.value.__notes__[0]


def test_a_fallback_without_models_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        FallbackModel([])
