"""Wrappers that keep an answer coming: try again, and try another model."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from pydantic import Field

from models.base import (
    ContextOverflowError,
    FeatureMissingError,
    Model,
    ModelAuthError,
    ModelError,
    ModelInfo,
    OnText,
    RateLimitedError,
    TransientModelError,
    UnknownModelError,
)
from models.messages import Frozen, JsonObject, Reply, Request

OnEvent = Callable[[str, JsonObject], None]
"""Called with a kind such as `model_retry` and what happened, for the run's trace."""

Sleep = Callable[[float], Awaitable[None]]

_ELSEWHERE = (
    TransientModelError,
    ContextOverflowError,
    ModelAuthError,
    FeatureMissingError,
    UnknownModelError,
)
"""Failures of one model that say nothing about the next."""


class RetryPolicy(Frozen):
    """How often, and how long, a failed call is tried again."""

    max_attempts: int = Field(default=4, ge=1)
    base_delay_s: float = Field(default=0.5, ge=0)
    max_delay_s: float = Field(default=20.0, ge=0)
    """Upper bound of a wait that we choose; a server may ask for more."""
    total_s: float = Field(default=180.0, gt=0)
    """No wait begins that would end later than this after the first attempt."""


def ignore_event(kind: str, data: JsonObject) -> None:
    """Drop an event."""


class RetryingModel:
    """Try a model again after a transient failure, with exponential backoff and full jitter."""

    def __init__(
        self,
        model: Model,
        policy: RetryPolicy | None = None,
        *,
        sleep: Sleep = asyncio.sleep,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_event: OnEvent = ignore_event,
    ) -> None:
        self._model = model
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._clock = clock
        self._on_event = on_event

    @property
    def info(self) -> ModelInfo:
        """What is known about the model inside."""
        return self._model.info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the model's turn, trying again while the policy allows.

        A stream that broke begins anew: the `model_retry` event tells a display to clear.

        Raises:
            ModelError: the last failure.
        """
        started = self._clock()
        attempt = 1
        while True:
            try:
                return await self._model.complete(request, on_text=on_text)
            except TransientModelError as error:
                delay = self._delay_s(attempt, error)
                late = self._clock() - started + delay > self._policy.total_s
                if attempt >= self._policy.max_attempts or late:
                    error.add_note(f"Given up after {attempt} attempts.")
                    raise
                self._on_event("model_retry", self._told(request, attempt, delay, error))
            await self._sleep(delay)
            attempt += 1

    def _delay_s(self, attempt: int, error: TransientModelError) -> float:
        ceiling = min(self._policy.max_delay_s, self._policy.base_delay_s * 2 ** (attempt - 1))
        jittered = self._rng.uniform(0, ceiling)
        asked = error.retry_after_s if isinstance(error, RateLimitedError) else None
        return max(asked, jittered) if asked is not None else jittered

    def _told(self, request: Request, attempt: int, delay: float, error: ModelError) -> JsonObject:
        return {
            "model": self.info.name,
            "purpose": request.purpose,
            "attempt": attempt,
            "wait_s": round(delay, 3),
            "error": type(error).__name__,
            "message": str(error),
        }


class FallbackModel:
    """Ask models in order until one answers."""

    def __init__(self, models: Sequence[Model], *, on_event: OnEvent = ignore_event) -> None:
        if not models:
            raise ValueError("FallbackModel expects at least one model, got none.")
        self._models = tuple(models)
        self._on_event = on_event

    @property
    def info(self) -> ModelInfo:
        """What is known about the first model."""
        return self._models[0].info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the first answer; `Reply.model` says whose it is.

        Raises:
            ModelError: the last model's failure, with a note about the others.
        """
        failures: list[str] = []
        for model, following in zip(self._models, [*self._models[1:], None], strict=True):
            try:
                reply = await model.complete(request, on_text=on_text)
            except _ELSEWHERE as error:
                failures.append(f"{model.info.name}: {type(error).__name__}: {error}")
                if following is None:
                    error.add_note("Models tried: " + " | ".join(failures))
                    raise
                self._on_event("model_fallback", _step(request, model, following, error))
            else:
                return reply.model_copy(update={"model": reply.model or model.info.name})
        raise AssertionError("the loop returns or raises")


def _step(request: Request, model: Model, following: Model, error: ModelError) -> JsonObject:
    return {
        "from": model.info.name,
        "to": following.info.name,
        "purpose": request.purpose,
        "error": type(error).__name__,
        "message": str(error),
    }
