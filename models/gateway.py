"""What asking a model over the network takes, whichever library speaks: time, pieces, errors."""

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import lru_cache
from typing import Any, Protocol, cast

from models.base import (
    BadReplyError,
    ModelInfo,
    ModelServerError,
    ModelTimeoutError,
    OnText,
)
from models.foreign_errors import masked, to_ours
from models.messages import JsonObject, Reply, Request, Usage
from models.openai_format import Arrived, Foreign, to_call

NO_KEY = "not-needed"
"""What servers without keys are told; the OpenAI client insists on one."""


class Create(Protocol):
    """Starts a chat completion in the shape of the OpenAI API."""

    def __call__(self, **call: Any) -> Awaitable[Foreign]:  # noqa: ANN401 - the API's arguments
        """Return the completion, or a stream of its pieces when `stream` is set."""
        ...


class Gateway(ABC):
    """A model behind a library that speaks the OpenAI API; each subclass knows one library."""

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
            api_key: Key of the provider; without one the library looks in the environment.
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

    @abstractmethod
    def load(self) -> None:
        """Import the library, which takes seconds once; called in a thread."""

    @abstractmethod
    def _opened(self, timeout_s: float) -> AbstractAsyncContextManager[Create]:
        """Give what starts a completion, with a client that lives for this call."""

    @abstractmethod
    def _has_finished(self, stream: Foreign, arrived: Arrived) -> bool:
        """Say whether the provider gave a reason for the end of a stream."""

    @abstractmethod
    def _counted(self, call: JsonObject, arrived: Arrived) -> tuple[int, int]:
        """Return the tokens of the prompt and of the answer, when the server does not say."""

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the assistant's turn; see the port."""
        call = to_call(request, self._info)
        await asyncio.to_thread(self.load)
        started = time.monotonic()
        arrived = Arrived()
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._fill(call, arrived, request.timeout_s, on_text)
            message = arrived.message()
        except TimeoutError:
            text = f"Model {self._info.name!r} gave no whole answer in {request.timeout_s} s."
            raise ModelTimeoutError(text) from None
        usage = self._usage(call, arrived, time.monotonic() - started)
        finish = arrived.why_finished()
        return Reply(message=message, usage=usage, finish=finish, model=self._info.name)

    async def _fill(
        self, call: JsonObject, arrived: Arrived, timeout_s: float, on_text: OnText | None
    ) -> None:
        async with AsyncExitStack() as stack:
            create = await stack.enter_async_context(self._opened(timeout_s))
            if on_text is None:
                self._take(await self._foreign(create(**call)), arrived)
                return
            extra = {"stream": True, "stream_options": {"include_usage": True}}
            stream = await self._foreign(create(**call, **extra))
            stack.push_async_callback(getattr(stream, "aclose", None) or stream.close)
            async for chunk in self._chunks(stream):
                new = self._take(chunk, arrived)
                if new:
                    on_text(new)
            if not self._has_finished(stream, arrived):
                text = (
                    f"Model {self._info.name!r} ended its answer without a reason: it may be cut."
                )
                raise ModelServerError(text)

    async def _foreign(self, call: Awaitable[Foreign]) -> Foreign:
        try:
            return await call
        except StopAsyncIteration:
            raise
        except Exception as error:  # noqa: BLE001 - libraries raise anything; all of it ends here
            raise self._ours(error) from None

    def _ours(self, error: Exception) -> Exception:
        """Return our error for a foreign one; unchained, as its text may hold the key."""
        secrets = (self._api_key,) if self._api_key else ()
        return to_ours(error, self._info.name, secrets=secrets)

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

    def _take(self, response: Foreign, arrived: Arrived) -> str:
        arrived.usage = getattr(response, "usage", None) or arrived.usage
        choices: list[Foreign] = _listed(getattr(response, "choices", None))
        if not choices:
            if getattr(response, "object", "") == "chat.completion.chunk":
                return ""
            shown = masked(str(response))[:300]
            raise BadReplyError(f"Model {self._info.name!r} answered without a choice: {shown}")
        arrived.finish = getattr(choices[0], "finish_reason", None) or arrived.finish
        part = getattr(choices[0], "delta", None) or getattr(choices[0], "message", None)
        return arrived.add(part) if part is not None else ""

    def _usage(self, call: JsonObject, arrived: Arrived, seconds: float) -> Usage:
        prompt = getattr(arrived.usage, "prompt_tokens", 0) or 0
        completion = getattr(arrived.usage, "completion_tokens", 0) or 0
        answered = arrived.text or arrived.calls
        if not prompt or (answered and not completion):
            counted = self._counted(call, arrived)
            prompt = prompt or counted[0]
            completion = completion or counted[1]
        price = self._info
        usd = (prompt * price.usd_per_mtok_in + completion * price.usd_per_mtok_out) / 1e6
        return Usage(
            prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds, calls=1
        )


def _listed(choices: Foreign) -> list[Foreign]:
    """Return the choices, or none where a server sent something else in their place."""
    return cast("list[Foreign]", choices) if isinstance(choices, list) else []


def openai_client(api_base: str | None, api_key: str | None) -> Foreign:
    """Return a client of the OpenAI API that neither retries nor keeps anything.

    Raises:
        OpenAIError: there is no key, and no address that may need none.
    """
    import httpx  # noqa: PLC0415 - as the next
    import openai  # noqa: PLC0415 - takes seconds to import

    return openai.AsyncOpenAI(
        api_key=api_key or (NO_KEY if api_base else None),
        base_url=api_base,
        max_retries=0,
        http_client=httpx.AsyncClient(verify=ssl_context(), follow_redirects=True),
    )


@lru_cache(maxsize=1)
def ssl_context() -> ssl.SSLContext:
    """Return what TLS connections are checked by, made once, since it reads many files."""
    import httpx  # noqa: PLC0415 - not needed until a model is asked

    return httpx.create_ssl_context()
