"""The one file that imports LiteLLM: every provider's API behind the Model port.

LiteLLM is loaded at the first call, in a thread, because its import takes seconds. Its own
retries, telemetry, logs and price-map download are off: retries and prices are ours.
"""

import asyncio
import logging
import os
import ssl
import time
import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

from models.base import (
    BadReplyError,
    ModelInfo,
    ModelServerError,
    ModelTimeoutError,
    OnText,
)
from models.litellm_errors import masked, to_ours
from models.litellm_format import Arrived, Foreign, to_call
from models.messages import JsonObject, Reply, Request, Usage

_NO_KEY = "not-needed"
"""What servers without keys are told; the OpenAI client insists on one."""


class LiteLLMModel:
    """A model of any provider that LiteLLM knows, or of any OpenAI-compatible server."""

    def __init__(
        self,
        info: ModelInfo,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        idle_timeout_s: float = 60.0,
    ) -> None:
        """Remember where to call.

        Args:
            info: The model's card; `model_id` is LiteLLM's id.
            api_base: Address of an OpenAI-compatible server, ending in `/v1`.
            api_key: Key of the provider; without one LiteLLM looks in the environment.
            idle_timeout_s: Longest silence within a stream.
        """
        self._info = info
        self._api_base = api_base
        self._api_key = api_key
        self._idle_timeout_s = idle_timeout_s

    @property
    def info(self) -> ModelInfo:
        """What is known about this model."""
        return self._info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the assistant's turn; see the port."""
        call = to_call(request, self._info)
        litellm = await asyncio.to_thread(load_litellm)
        _hush()
        started = time.monotonic()
        arrived = Arrived()
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._fill(litellm, call, arrived, request.timeout_s, on_text)
            message = arrived.message()
        except TimeoutError:
            text = f"Model {self._info.name!r} gave no whole answer in {request.timeout_s} s."
            raise ModelTimeoutError(text) from None
        usage = self._usage(litellm, call, arrived, time.monotonic() - started)
        finish = arrived.why_finished()
        return Reply(message=message, usage=usage, finish=finish, model=self._info.name)

    async def _fill(
        self,
        litellm: ModuleType,
        call: JsonObject,
        arrived: Arrived,
        timeout_s: float,
        on_text: OnText | None,
    ) -> None:
        async with AsyncExitStack() as stack:
            with_client = await stack.enter_async_context(self._connection(litellm, timeout_s))
            if on_text is None:
                response = await self._foreign(litellm.acompletion(**with_client, **call))
                self._take(response, arrived)
                return
            extra = {"stream": True, "stream_options": {"include_usage": True}}
            stream = await self._foreign(litellm.acompletion(**with_client, **call, **extra))
            stack.push_async_callback(stream.aclose)
            async for chunk in self._chunks(stream):
                new = self._take(chunk, arrived)
                if new:
                    on_text(new)
            self._check_finished(stream)

    async def _foreign(self, call: Any) -> Foreign:  # noqa: ANN401 - an awaitable of LiteLLM
        try:
            return await call
        except StopAsyncIteration:
            raise
        except Exception as error:  # noqa: BLE001 - LiteLLM raises anything; all of it ends here
            secrets = (self._api_key,) if self._api_key else ()
            # The original is not chained: its text may hold the key.
            raise to_ours(error, self._info.name, secrets=secrets) from None

    async def _chunks(self, stream: Foreign) -> AsyncIterator[Foreign]:
        while True:
            silence = asyncio.timeout(self._idle_timeout_s)
            try:
                async with silence:
                    chunk = await self._foreign(anext(stream))
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not silence.expired():
                    raise
                text = (
                    f"Model {self._info.name!r} sent nothing for {self._idle_timeout_s} s in "
                    "the middle of its answer. Try again, or allow a longer silence."
                )
                raise ModelTimeoutError(text) from None
            yield chunk

    def _check_finished(self, stream: Foreign) -> None:
        # LiteLLM itself says "stop" for a stream that just ends, so half an answer would pass.
        names = ("received_finish_reason", "intermittent_finish_reason")
        if all(getattr(stream, name, "") is None for name in names):
            text = f"Model {self._info.name!r} ended its answer without a reason: it may be cut."
            raise ModelServerError(text)

    def _take(self, response: Foreign, arrived: Arrived) -> str:
        arrived.usage = getattr(response, "usage", None) or arrived.usage
        choices: list[Foreign] = getattr(response, "choices", None) or []
        if not choices:
            if getattr(response, "object", "") == "chat.completion.chunk":
                return ""
            shown = masked(str(response))[:300]
            raise BadReplyError(f"Model {self._info.name!r} answered without a choice: {shown}")
        arrived.finish = getattr(choices[0], "finish_reason", None) or arrived.finish
        part = getattr(choices[0], "delta", None) or getattr(choices[0], "message", None)
        return arrived.add(part) if part is not None else ""

    @asynccontextmanager
    async def _connection(
        self, litellm: ModuleType, timeout_s: float
    ) -> AsyncGenerator[dict[str, Any]]:
        """Give the arguments that say where to call, with a client that lives for this call.

        LiteLLM would keep clients for an hour, beyond the event loop that they belong to.
        """
        provider = self._info.model_id.partition("/")[0]
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
        async with AsyncExitStack() as stack:
            if provider == "openai":
                client = self._openai_client()
                stack.push_async_callback(client.close)
                arguments["client"] = client
            elif provider in {"anthropic", "gemini"}:
                handler = litellm.AsyncHTTPHandler(timeout=timeout_s, ssl_verify=_ssl_context())
                stack.push_async_callback(handler.close)
                arguments["client"] = handler
            yield arguments

    def _openai_client(self) -> Foreign:
        import httpx  # noqa: PLC0415 - as the next
        import openai  # noqa: PLC0415 - comes with LiteLLM, and is as slow to import

        key = self._api_key or (_NO_KEY if self._api_base else None)
        try:
            return openai.AsyncOpenAI(
                api_key=key,
                base_url=self._api_base,
                max_retries=0,
                http_client=httpx.AsyncClient(verify=_ssl_context(), follow_redirects=True),
            )
        except openai.OpenAIError as error:
            raise to_ours(error, self._info.name) from None

    def _usage(
        self, litellm: ModuleType, call: JsonObject, arrived: Arrived, seconds: float
    ) -> Usage:
        prompt = getattr(arrived.usage, "prompt_tokens", 0) or 0
        completion = getattr(arrived.usage, "completion_tokens", 0) or 0
        if not prompt:
            prompt = litellm.token_counter(messages=call["messages"], tools=call.get("tools"))
        if not completion and (arrived.text or arrived.calls):
            called = "".join(parts.name + parts.arguments for parts in arrived.calls.values())
            completion = litellm.token_counter(text=arrived.text + called)
        price = self._info
        usd = (prompt * price.usd_per_mtok_in + completion * price.usd_per_mtok_out) / 1e6
        return Usage(
            prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds, calls=1
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


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    import httpx  # noqa: PLC0415 - loaded by LiteLLM already

    return httpx.create_ssl_context()
