"""Find model servers on this machine: all of them speak the OpenAI API on a known port."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from models.messages import Frozen

if TYPE_CHECKING:
    import httpx

_MAX_BYTES = 4_000_000
_OURSELVES = "strop"
"""Who owns the models that our own OpenAI face lists; asking it would be asking ourselves."""


class LocalServer(Frozen):
    """Where a kind of server listens unless told otherwise."""

    name: str
    port: int


LOCAL_SERVERS = (
    LocalServer(name="ollama", port=11434),
    LocalServer(name="vllm", port=8000),
    LocalServer(name="llama.cpp", port=8080),
    LocalServer(name="lm-studio", port=1234),
    LocalServer(name="sglang", port=30000),
)


class Found(Frozen):
    """A server that answered, and what it serves."""

    server: str
    base_url: str
    """Address of its OpenAI API, ending in `/v1`."""
    models: tuple[str, ...]
    context_tokens: int | None = None
    """Context of the first model, where the server tells it."""


class _Listed(BaseModel):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    meta: dict[str, Any] | None = None


class _ModelList(BaseModel):
    data: list[_Listed]


class _Tag(BaseModel):
    name: str


class _Tags(BaseModel):
    models: list[_Tag]


async def discover(
    servers: Sequence[LocalServer] = LOCAL_SERVERS,
    *,
    host: str = "127.0.0.1",
    timeout_s: float = 0.3,
) -> tuple[Found, ...]:
    """Return the local servers that answer with at least one model, in the order given."""
    places = [(server.name, f"http://{host}:{server.port}/v1") for server in servers]
    found = await _ask_all(places, timeout_s)
    return tuple(one for one in found if one is not None and one.models)


async def discover_at(
    base_url: str, *, api_key: str | None = None, timeout_s: float = 3.0
) -> Found | None:
    """Return what the OpenAI-compatible server at `base_url` serves, if it answers."""
    url = base_url.rstrip("/")
    found = await _ask_all([("custom", url)], timeout_s, api_key=api_key)
    return found[0]


async def _ask_all(
    places: Sequence[tuple[str, str]], timeout_s: float, *, api_key: str | None = None
) -> list[Found | None]:
    import httpx  # noqa: PLC0415 - most commands never look for a server

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    # Local addresses never go through the proxy of the environment.
    client = httpx.AsyncClient(timeout=timeout_s, headers=headers, trust_env=False, verify=True)
    async with client:
        asked = (_ask(client, name, url, timeout_s) for name, url in places)
        return list(await asyncio.gather(*asked))


async def _ask(
    client: "httpx.AsyncClient", name: str, base_url: str, timeout_s: float
) -> Found | None:
    try:
        listed = _ModelList.model_validate_json(await _get(client, f"{base_url}/models", timeout_s))
    except ValidationError:
        return await _ask_ollama(client, name, base_url, timeout_s)
    if any(model.owned_by == _OURSELVES for model in listed.data):
        return None
    names = tuple(model.id for model in listed.data if "embed" not in model.id.lower())
    return Found(
        server=name,
        base_url=base_url,
        models=names,
        context_tokens=_context(listed.data[0]) if listed.data else None,
    )


async def _ask_ollama(
    client: "httpx.AsyncClient", name: str, base_url: str, timeout_s: float
) -> Found | None:
    """Ask an old Ollama, whose OpenAI API does not list models yet."""
    if name != "ollama":
        return None
    root = base_url.removesuffix("/v1")
    try:
        tags = _Tags.model_validate_json(await _get(client, f"{root}/api/tags", timeout_s))
    except ValidationError:
        return None
    names = tuple(tag.name for tag in tags.models if "embed" not in tag.name.lower())
    return Found(server=name, base_url=base_url, models=names)


async def _get(client: "httpx.AsyncClient", url: str, timeout_s: float) -> bytes:
    """Return the body, or nothing when there is no good answer in time."""
    import httpx  # noqa: PLC0415 - loaded already by the caller

    body = b""
    try:
        async with asyncio.timeout(timeout_s), client.stream("GET", url) as response:
            if not response.is_success:
                return b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _MAX_BYTES:
                    return b""
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return b""
    return body


def _context(model: _Listed) -> int | None:
    trained = (model.meta or {}).get("n_ctx") or (model.meta or {}).get("n_ctx_train")
    return model.max_model_len or (trained if isinstance(trained, int) else None)
