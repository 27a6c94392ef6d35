"""OpenAI-compatible servers behind the Model port, by OpenAI's own client.

LiteLLM would reach them, too, but its import takes several seconds and much memory, which a
local server does not need: no provider's manners have to be bridged.
"""

import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from importlib import import_module
from math import ceil
from typing import Any

from models.gateway import Create, Gateway, openai_client
from models.messages import JsonObject
from models.openai_format import Arrived, Foreign

_CHARS_PER_TOKEN = 4
"""A usual figure for English and code; only for servers that do not count."""
_PREFIX = "openai/"


class OpenAIModel(Gateway):
    """A model of a server that speaks the OpenAI API at an address of its own."""

    def load(self) -> None:
        """Import OpenAI's client."""
        import_module("openai")

    @asynccontextmanager
    async def _opened(self, timeout_s: float) -> AsyncGenerator[Create]:
        client = openai_client(self._api_base, self._api_key)
        name = self._info.model_id.removeprefix(_PREFIX)

        def create(**call: Any) -> Awaitable[Foreign]:  # noqa: ANN401 - the API's arguments
            return client.chat.completions.create(model=name, timeout=timeout_s, **call)

        async with client:
            yield create

    def _has_finished(self, stream: Foreign, arrived: Arrived) -> bool:  # noqa: ARG002 - it says no more than its pieces
        return bool(arrived.finish)

    def _counted(self, call: JsonObject, arrived: Arrived) -> tuple[int, int]:
        sent = json.dumps([call["messages"], call.get("tools", [])], ensure_ascii=False)
        called = "".join(parts.name + parts.arguments for parts in arrived.calls.values())
        return _tokens(sent), _tokens(arrived.text + called)


def _tokens(text: str) -> int:
    return ceil(len(text) / _CHARS_PER_TOKEN)
