"""Try out what a model can really do, with three small calls."""

import time
from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel

from models.base import BadReplyError, Model, ModelError, ModelInfo
from models.messages import Frozen, Message, Request, ToolSchema, Usage
from models.structured import ask

CheckName = Literal["answer", "tools", "json"]

_WORD = "pong"
_ADD = ToolSchema(
    name="add",
    description="Add two whole numbers.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)


class ProbeCheck(Frozen):
    """One thing tried."""

    name: CheckName
    status: Literal["ok", "failed", "not_offered"]
    detail: str
    """What came, or the error's text."""
    seconds: float = 0.0


class ProbeReport(Frozen):
    """What a model did when it was tried."""

    model: ModelInfo
    checks: tuple[ProbeCheck, ...]
    usage: Usage

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.status != "failed" for check in self.checks)


class Capital(BaseModel):
    """The answer to the structured question."""

    country: str
    capital: str


Check = Callable[[Model, float], Awaitable[tuple[str, Usage]]]


async def probe(model: Model, *, timeout_s: float = 60.0) -> ProbeReport:
    """Ask `model` for a plain answer, a tool call and a JSON object; report what came."""
    checks: list[ProbeCheck] = []
    usage = Usage()
    for name, check in _CHECKS.items():
        if name == "tools" and "tools" not in model.info.features:
            checks.append(ProbeCheck(name=name, status="not_offered", detail="not declared"))
            continue
        tried, spent = await _try(name, check, model, timeout_s)
        checks.append(tried)
        usage += spent
    return ProbeReport(model=model.info, checks=tuple(checks), usage=usage)


async def _try(
    name: CheckName, check: Check, model: Model, timeout_s: float
) -> tuple[ProbeCheck, Usage]:
    started = time.monotonic()
    usage = Usage()
    try:
        detail, usage = await check(model, timeout_s)
        status: Literal["ok", "failed"] = "ok"
    except ModelError as error:
        detail, status = f"{type(error).__name__}: {error}", "failed"
    seconds = time.monotonic() - started
    return ProbeCheck(name=name, status=status, detail=detail, seconds=seconds), usage


async def _answer(model: Model, timeout_s: float) -> tuple[str, Usage]:
    reply = await model.complete(_request(f"Answer with the one word: {_WORD}", timeout_s))
    text = reply.message.content.strip()
    if not text:
        raise BadReplyError("The answer is empty.")
    return f"{reply.model}: {text[:80]!r}", reply.usage


async def _tools(model: Model, timeout_s: float) -> tuple[str, Usage]:
    asked = _request("What is 19 + 23? Use the tool `add`.", timeout_s)
    reply = await model.complete(asked.model_copy(update={"tools": (_ADD,)}))
    calls = reply.message.tool_calls
    if [call.name for call in calls] != [_ADD.name] or set(calls[0].arguments) != {"a", "b"}:
        came = [(call.name, call.arguments) for call in calls] or reply.message.content[:80]
        raise BadReplyError(f"Expected one call of `add` with `a` and `b`, got {came!r}.")
    return f"add({calls[0].arguments})", reply.usage


async def _json(model: Model, timeout_s: float) -> tuple[str, Usage]:
    capital, usage = await ask(model, _request("What is France's capital?", timeout_s), Capital)
    return capital.model_dump_json(), usage


def _request(text: str, timeout_s: float) -> Request:
    turn = Message(role="user", content=text)
    return Request(messages=(turn,), max_tokens=1024, timeout_s=timeout_s, purpose="models.test")


_CHECKS: dict[CheckName, Check] = {"answer": _answer, "tools": _tools, "json": _json}
