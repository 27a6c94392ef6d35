"""Our messages in the shape of the OpenAI API, and back."""

import json
from dataclasses import dataclass, field
from typing import Any

from models.base import BadReplyError, FeatureMissingError, ModelInfo
from models.json_text import parse_json
from models.messages import Finish, JsonObject, Message, OutputSchema, Request, ToolCall

Foreign = Any
"""An object of LiteLLM or OpenAI, whose own types are too loose to be of use."""

_FINISHES: dict[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "refused",
    "refusal": "refused",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass
class CallParts:
    """One tool call while it arrives in pieces."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class Arrived:
    """What has arrived of an answer so far."""

    text: str = ""
    refusal: str = ""
    calls: dict[int, CallParts] = field(default_factory=dict[int, CallParts])
    finish: str = ""
    usage: Foreign = None

    def add(self, part: Foreign) -> str:
        """Take in a message, or the piece of one that a stream brought; return its new text."""
        new = part.content if isinstance(getattr(part, "content", None), str) else ""
        self.text += new
        self.refusal += getattr(part, "refusal", None) or ""
        for place, call in enumerate(getattr(part, "tool_calls", None) or ()):
            index = getattr(call, "index", None)
            parts = self.calls.setdefault(place if index is None else index, CallParts())
            parts.id = parts.id or call.id or ""
            parts.name += call.function.name or ""
            parts.arguments += call.function.arguments or ""
        return new

    def message(self) -> Message:
        """Return the whole turn.

        Raises:
            BadReplyError: the arguments of a tool call are not a JSON object.
        """
        calls = [
            ToolCall(
                id=parts.id or f"call_{place}",
                name=parts.name,
                arguments=_arguments(parts),
            )
            for place, parts in sorted(self.calls.items())
        ]
        return Message(role="assistant", content=self.text or self.refusal, tool_calls=tuple(calls))

    def why_finished(self) -> Finish:
        """Return why the model stopped."""
        if self.refusal and not self.text:
            return "refused"
        return _FINISHES.get(self.finish, "tool_calls" if self.calls else "stop")


def to_call(request: Request, info: ModelInfo) -> JsonObject:
    """Return the arguments of a chat completion that stand for `request`.

    Raises:
        FeatureMissingError: the request brings tools and the model takes none.
    """
    if request.tools and "tools" not in info.features:
        message = (
            f"Model {info.name!r} takes no tools, but {len(request.tools)} were offered to it "
            f"(purpose {request.purpose!r}). Choose a model with the feature 'tools'."
        )
        raise FeatureMissingError(message)
    call: JsonObject = {
        "messages": [_message(message) for message in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
    }
    if request.tools:
        call["tools"] = [
            {"type": "function", "function": tool.model_dump()} for tool in request.tools
        ]
    if request.output is not None:
        # Several providers refuse tools and a forced structure in one call.
        if "json_schema" in info.features and not request.tools:
            call["response_format"] = _response_format(request.output)
        else:
            call["messages"].append({"role": "user", "content": _in_words(request.output)})
    return call


def _message(message: Message) -> JsonObject:
    content = _whole(message.content)
    turn: JsonObject = {"role": message.role, "content": content}
    if message.tool_calls:
        turn["content"] = content or None
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _dumped(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        turn["tool_call_id"] = message.tool_call_id or ""
    return turn


def _whole(text: str) -> str:
    """Return the text without halves of surrogate pairs, which cannot be sent."""
    return text.encode("utf-8", "replace").decode()


def _dumped(arguments: JsonObject) -> str:
    return _whole(json.dumps(arguments, ensure_ascii=False))


def _response_format(output: OutputSchema) -> JsonObject:
    schema = {"name": output.name, "schema": output.schema_}
    return {"type": "json_schema", "json_schema": schema}


def _in_words(output: OutputSchema) -> str:
    schema = json.dumps(output.schema_, ensure_ascii=False)
    return (
        f"Answer with one JSON object called {output.name}, and nothing else. "
        f"It must fit this JSON schema:\n{schema}"
    )


def _arguments(parts: CallParts) -> JsonObject:
    if not parts.arguments.strip():
        return {}
    try:
        value = parse_json(parts.arguments)
    except BadReplyError as error:
        message = f"The arguments of tool call {parts.name!r} are not JSON. {error}"
        raise BadReplyError(message) from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        message = f"The arguments of tool call {parts.name!r} must be a JSON object, got a {kind}."
        raise BadReplyError(message)
    return dict[str, Any](value)  # pyright: ignore[reportUnknownArgumentType] - decoded JSON
