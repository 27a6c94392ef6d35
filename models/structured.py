"""Ask a model for a typed value, and once more when the first answer does not fit."""

from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from models.base import BadReplyError, Model, ModelRefusedError
from models.json_text import parse_json
from models.messages import Message, OutputSchema, Reply, Request, Usage

__all__ = ["ask", "parse_json"]

T = TypeVar("T", bound=BaseModel)

_MAX_SHOWN_ERRORS = 8


async def ask(model: Model, request: Request, type_: type[T]) -> tuple[T, Usage]:
    """Return the model's answer as a `type_`, and what it cost.

    The schema of `type_` is sent as the wanted output. A reply that does not fit is shown
    to the model with the reason, once.

    Raises:
        BadReplyError: the second answer does not fit either.
        ModelRefusedError: the model refused.
        ModelError: a call failed.
    """
    output = _output(type_)
    first = request.model_copy(update={"output": output})
    reply = await model.complete(first)
    try:
        return _read(reply, type_), reply.usage
    except BadReplyError as error:
        second = _ask_again(first, reply, error)
    again = await model.complete(second)
    return _read(again, type_), reply.usage + again.usage


@cache
def _output(type_: type[BaseModel]) -> OutputSchema:
    return OutputSchema(name=type_.__name__, schema_=type_.model_json_schema())


def _read(reply: Reply, type_: type[T]) -> T:
    if reply.finish == "refused":
        message = f"The model refused to give {type_.__name__}: {reply.message.content[:300]!r}"
        raise ModelRefusedError(message)
    try:
        value = parse_json(reply.message.content)
        return type_.model_validate(value)
    except BadReplyError as error:
        cut = " It was cut off at the token limit." if reply.finish == "length" else ""
        raise BadReplyError(f"{error}{cut}") from error
    except ValidationError as error:
        message = f"Expected a JSON object of type {type_.__name__}; {_explained(error)}"
        raise BadReplyError(message) from error


def _explained(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    lines = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'the whole'}: {problem['msg']}"
        f" (got {repr(problem['input'])[:80]})"
        for problem in problems[:_MAX_SHOWN_ERRORS]
    ]
    rest = len(problems) - len(lines)
    return "; ".join(lines) + (f"; and {rest} more" if rest else "")


def _ask_again(request: Request, reply: Reply, error: BadReplyError) -> Request:
    turns = list(request.messages)
    if reply.message.content.strip():
        # Providers reject an assistant's turn without content, so an empty one is left out.
        turns.append(Message(role="assistant", content=reply.message.content))
    complaint = (
        f"That reply cannot be used. {error}\n"
        "Answer again with one JSON object of the wanted schema, and nothing else."
    )
    turns.append(Message(role="user", content=complaint))
    more = 2 if reply.finish == "length" else 1
    return request.model_copy(
        update={"messages": tuple(turns), "max_tokens": request.max_tokens * more}
    )
