"""The words that agents and models exchange."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JsonObject = dict[str, Any]
"""A decoded JSON object."""

Finish = Literal["stop", "tool_calls", "length", "refused"]
"""Why a model stopped talking."""


class Frozen(BaseModel):
    """A value that crosses a folder border: immutable, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCall(Frozen):
    """A model's request to run one tool."""

    id: str
    name: str
    arguments: JsonObject


class Message(Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class ToolSchema(Frozen):
    """What a model is told about one tool."""

    name: str
    description: str
    parameters: JsonObject
    """JSON schema of the arguments object."""


class OutputSchema(Frozen):
    """The structure that a reply has to have."""

    name: str
    schema_: JsonObject
    """JSON schema of the reply object."""


class Usage(Frozen):
    """What one or more calls consumed."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    calls: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum, field by field."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            usd=self.usd + other.usd,
            seconds=self.seconds + other.seconds,
            calls=self.calls + other.calls,
        )


class Request(Frozen):
    """One question to a model."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    output: OutputSchema | None = None
    """When given, the reply's text must be a JSON object of this schema."""
    temperature: float = 0.0
    max_tokens: int = Field(default=2048, gt=0)
    timeout_s: float = Field(default=120.0, gt=0)
    purpose: str = ""
    """Who asks and why, such as `manager.plan`; for traces only, never sent to the model."""


class Reply(Frozen):
    """A model's answer."""

    message: Message
    usage: Usage = Usage()
    finish: Finish = "stop"
    model: str = ""
    """Name of the model that answered (a fallback may have stepped in)."""
