"""What the tests of gateways ask for, and of which model."""

from typing import Any

from models.base import ModelInfo
from models.messages import Message, Request, ToolSchema

SECRET = "sk-verysecret-123456"  # noqa: S105 - opens nothing
INFO = ModelInfo(
    name="local",
    model_id="openai/m",
    features=frozenset({"chat", "tools", "json_schema"}),
    usd_per_mtok_in=2.0,
    usd_per_mtok_out=10.0,
)
ADD = ToolSchema(
    name="add",
    description="Add two numbers.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
)


def request(content: str = "Say hello.", **options: Any) -> Request:
    """Return a request of one message."""
    return Request(messages=(Message(role="user", content=content),), **options)
