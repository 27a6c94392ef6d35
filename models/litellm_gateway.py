"""The one file that imports LiteLLM: every provider's API behind the Model port.

LiteLLM is loaded at the first call, in a thread, because its import takes seconds. Its own
retries, telemetry, logs and price-map download are off: retries and prices are ours.
"""

import logging
import os
import warnings
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

from models.gateway import Create, Gateway, openai_client, ssl_context
from models.messages import JsonObject
from models.openai_format import Arrived, Foreign


class LiteLLMModel(Gateway):
    """A model of any provider that LiteLLM knows, or of any OpenAI-compatible server."""

    def load(self) -> None:
        """Import LiteLLM."""
        load_litellm()

    @asynccontextmanager
    async def _opened(self, timeout_s: float) -> AsyncGenerator[Create]:
        """Give LiteLLM's call with the arguments that say where to.

        LiteLLM would keep clients for an hour, beyond the event loop that they belong to.
        """
        litellm = load_litellm()
        _hush()
        arguments: dict[str, Any] = {
            "model": self._info.model_id,
            "api_base": self._api_base,
            "api_key": self._api_key,
            "timeout": timeout_s,
            "max_retries": 0,
            "num_retries": 0,
            "drop_params": True,
            # Else LiteLLM imports the `mcp` package as soon as a call brings tools.
            "_skip_mcp_handler": True,
        }

        def create(**call: Any) -> Awaitable[Foreign]:  # noqa: ANN401 - the API's arguments
            return litellm.acompletion(**arguments, **call)

        async with AsyncExitStack() as stack:
            client = self._client(litellm, timeout_s)
            if client is not None:
                stack.push_async_callback(client.close)
                arguments["client"] = client
            yield create

    def _client(self, litellm: ModuleType, timeout_s: float) -> Foreign:
        """Return a client of the model's provider, or None where LiteLLM takes none."""
        provider = self._info.model_id.partition("/")[0]
        if provider == "openai":
            try:
                return openai_client(self._api_base, self._api_key)
            except Exception as error:  # noqa: BLE001 - such as for a missing key
                raise self._ours(error) from None
        if provider in {"anthropic", "gemini"}:
            return litellm.AsyncHTTPHandler(timeout=timeout_s, ssl_verify=ssl_context())
        return None

    def _has_finished(self, stream: Foreign, arrived: Arrived) -> bool:  # noqa: ARG002 - see below
        # LiteLLM itself says "stop" for a stream that just ends, so half an answer would pass.
        names = ("received_finish_reason", "intermittent_finish_reason")
        return any(getattr(stream, name, "") is not None for name in names)

    def _counted(self, call: JsonObject, arrived: Arrived) -> tuple[int, int]:
        litellm = load_litellm()
        called = "".join(parts.name + parts.arguments for parts in arrived.calls.values())
        answered = arrived.text + called
        return (
            litellm.token_counter(messages=call["messages"], tools=call.get("tools")),
            litellm.token_counter(text=answered) if answered else 0,
        )


@lru_cache(maxsize=1)
def load_litellm() -> ModuleType:
    """Import LiteLLM without network, telemetry or noise, and return it; takes seconds once."""
    # Read by LiteLLM at import: no price map by network, no `.env` file, no debug log.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    import litellm  # noqa: PLC0415 - seconds of import, and only some installations call it

    litellm.suppress_debug_info = True
    litellm.disable_streaming_logging = True
    litellm.disable_hf_tokenizer_download = True
    litellm.disable_aiohttp_transport = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


async def close_connections() -> None:
    """Close what LiteLLM keeps open for providers whose clients we do not make ourselves."""
    if load_litellm.cache_info().currsize:
        await load_litellm().close_litellm_async_clients()


def _hush() -> None:
    """Keep two warnings about LiteLLM's own code from becoming errors of ours.

    Both come in the middle of calls, so a filter around them would leak into other tasks;
    filters that name the place are set instead, anew since a program may reset them.
    """
    warnings.filterwarnings("ignore", r"Item '\w+' on TypedDict class 'ChatCompletion", UserWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"litellm\.")
