"""Model calls within a run: counted, recorded, and refused beyond the budget."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel

from agents.ports import OverBudget, Recorder, StopRun
from agents.state import RunLimits
from models.base import BadReplyError, Model, ModelError, ModelInfo, ModelRefusedError, OnText
from models.messages import Reply, Request, Usage
from models.structured import ask

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class MeteredModel:
    """A model whose every call is held against the task's budget and recorded."""

    model: Model
    recorder: Recorder
    limits: RunLimits
    clock: Callable[[], float] = field(default=time.monotonic)

    @property
    def info(self) -> ModelInfo:
        """What is known about the model."""
        return self.model.info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Answer, unless the budget is spent.

        Raises:
            StopRun: the budget is spent.
            OverBudget: it is, and its owner is to be asked for more.
            ModelError: the call failed.
        """
        await self._check_budget()
        started = self.clock()
        reply = await self.model.complete(request, on_text=on_text)
        seconds = reply.usage.seconds or self.clock() - started
        usage = reply.usage.model_copy(
            update={"seconds": seconds, "calls": max(1, reply.usage.calls)}
        )
        await self.recorder.charge(request.purpose, reply.model or self.info.name, usage)
        return reply

    async def _check_budget(self) -> None:
        limits = self.limits
        spent = await self.recorder.spent() if limits.usd or limits.tokens else Usage()
        if limits.usd is not None and spent.usd >= limits.usd:
            raise self._over(f"spent ${spent.usd:.4f} of a budget of ${limits.usd:.4f}")
        if limits.tokens is not None and spent.tokens >= limits.tokens:
            raise self._over(f"used {spent.tokens} tokens of {limits.tokens} allowed")
        if limits.seconds is not None:
            elapsed = await self.recorder.elapsed_s()
            if elapsed >= limits.seconds:
                message = f"worked for {elapsed:.0f} s of {limits.seconds:.0f} s allowed"
                raise StopRun("timeout", message)

    def _over(self, message: str) -> Exception:
        if self.limits.on_limit == "ask":
            return OverBudget(message)
        return StopRun("budget", message)


@dataclass(frozen=True)
class ModelCalls:
    """What the roles ask a model with; a failing model ends the run with a reason."""

    model: Model

    async def ask(self, request: Request, type_: type[T]) -> T:
        """Return a reply of the given structure.

        Raises:
            StopRun: the budget is spent, or the model cannot or will not answer.
        """
        try:
            value, _ = await ask(self.model, request, type_)
        except ModelError as error:
            raise _stop(error, request.purpose) from error
        return value

    async def complete(self, request: Request) -> Reply:
        """Return a free reply.

        Raises:
            StopRun: see `ask`.
        """
        try:
            return await self.model.complete(request)
        except ModelError as error:
            raise _stop(error, request.purpose) from error


def _stop(error: ModelError, purpose: str) -> StopRun:
    if isinstance(error, ModelRefusedError):
        return StopRun("policy", f"{purpose}: the model refused: {error}")
    if isinstance(error, BadReplyError):
        return StopRun("model_unavailable", f"{purpose}: no usable reply after two tries: {error}")
    return StopRun("model_unavailable", f"{purpose}: {error}")
