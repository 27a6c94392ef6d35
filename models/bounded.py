"""Ask a model no more often at once than its server can stand, over all processes together."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from models.base import Model, ModelInfo, OnText
from models.messages import Reply, Request
from models.resilience import OnEvent, ignore_event

_WORTH_TELLING_S = 1.0


class Slots(Protocol):
    """Places at models; whoever dies holding one has left it."""

    def held(self, model: str, bound: int) -> AbstractAsyncContextManager[None]:
        """Wait for one of `bound` places at a model, and hold it for the block."""
        ...


class BoundedModel:
    """Hold a place at the model for as long as a call is under way."""

    def __init__(
        self,
        model: Model,
        slots: Slots,
        bound: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_event: OnEvent = ignore_event,
    ) -> None:
        """Wrap a model.

        Args:
            model: what is asked.
            slots: where places are had.
            bound: calls of this model that are under way at once, in all processes together.
            clock: seconds that only grow.
            on_event: told `model_queued` when a call had to wait for a second or more.
        """
        self._model = model
        self._slots = slots
        self._bound = bound
        self._clock = clock
        self._on_event = on_event

    @property
    def info(self) -> ModelInfo:
        """What is known about the model inside."""
        return self._model.info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the model's turn once there was a place for the call.

        Raises:
            ModelError: the call failed.
        """
        began = self._clock()
        async with self._slots.held(self.info.name, self._bound):
            waited = self._clock() - began
            if waited >= _WORTH_TELLING_S:
                self._on_event("model_queued", self._told(request, waited))
            return await self._model.complete(request, on_text=on_text)

    def _told(self, request: Request, waited: float) -> dict[str, object]:
        return {
            "model": self.info.name,
            "purpose": request.purpose,
            "waited_s": round(waited, 3),
            "bound": self._bound,
        }
