"""Fetches over HTTP only what is allowed, from the address that was checked.

A name is resolved once; the connection goes to that very address, so that a name server cannot
answer differently a moment later. Every redirect is checked like a first request.
"""

import asyncio
import ipaddress
import ssl
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from sandboxes.egress.addresses import is_public, resolve
from tools.base import ToolError

_MAX_REDIRECTS = 5
_MAX_ADDRESSES = 3
_PORTS = {"http": 80, "https": 443}
_IDLE_S = 15.0
_USER_AGENT = "strop"


@dataclass(frozen=True)
class Page:
    """What a server sent."""

    url: str
    """Where it came from, after redirects."""
    status: int
    content_type: str
    """Without parameters, in small letters."""
    charset: str
    """As the server named it; may be empty."""
    body: bytes
    complete: bool
    """False when the body was longer than allowed and is cut."""


async def fetch(url: str, allowed: Sequence[str], *, max_bytes: int, timeout_s: float) -> Page:
    """Return the page at `url`.

    Raises:
        ToolError: it may not be fetched, cannot be reached, or takes too long.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _follow(url, allowed, max_bytes)
    except TimeoutError as error:
        msg = f"{url!r} was not fetched within {timeout_s:g} s"
        raise ToolError(msg, "timeout") from error


async def _follow(url: str, allowed: Sequence[str], max_bytes: int) -> Page:
    target = _parsed(url)
    for _ in range(_MAX_REDIRECTS + 1):
        addresses = await _addresses(target, allowed)
        result = await _get_any(target, addresses, max_bytes)
        if isinstance(result, Page):
            return result
        target = result
    msg = f"{url!r} redirects more than {_MAX_REDIRECTS} times"
    raise ToolError(msg, "server")


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        target = base.join(url) if base else httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise ToolError(f"{url[:200]!r} is no URL: {error}", "bad_arguments") from error
    if target.scheme not in _PORTS or not target.host:
        msg = f"expected a URL that begins with http:// or https://, got {url[:200]!r}"
        raise ToolError(msg, "bad_arguments")
    if target.port is not None and not 0 < target.port < 65_536:
        raise ToolError(f"{url[:200]!r} names a port that cannot be", "bad_arguments")
    if target.userinfo:
        raise ToolError("a URL with a user name or password is not fetched", "policy")
    return target.copy_with(fragment=None)


def _port(target: httpx.URL) -> int:
    return target.port or _PORTS[target.scheme]


def _host(target: httpx.URL) -> str:
    return target.raw_host.decode("ascii").lower().rstrip(".")


def is_listed(host: str, port: int, *, default_port: bool, allowed: Sequence[str]) -> bool:
    """Tell whether a host may be reached at all; without a port an entry means the usual one."""
    named = f"[{host}]" if ":" in host else host
    for entry in (item.strip().lower() for item in allowed):
        if entry in {f"{named}:{port}", f"{named}"} and (default_port or entry != named):
            return True
        if not default_port:
            continue
        if entry == "*" or (entry.startswith("*.") and host.endswith(entry[1:])):
            return True
    return False


async def _addresses(target: httpx.URL, allowed: Sequence[str]) -> list[str]:
    """Resolve a host that is allowed, and refuse addresses that nobody listed."""
    host, port = _host(target), _port(target)
    if not is_listed(host, port, default_port=port == _PORTS[target.scheme], allowed=allowed):
        listed = ", ".join(allowed) or "none"
        msg = f"{host}:{port} is not allowed; allowed hosts: {listed}"
        raise ToolError(msg, "policy")
    addresses = await _resolved(host, port)
    named = f"[{host}]" if ":" in host else host
    literal = f"{named}:{port}" in {item.strip().lower() for item in allowed}
    if not literal and not all(is_public(address) for address in addresses):
        msg = (
            f"{host} leads to a private address; only its operator can allow it, as {named}:{port}"
        )
        raise ToolError(msg, "policy")
    return addresses[:_MAX_ADDRESSES]


async def _resolved(host: str, port: int) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        return await resolve(host, port)
    except OSError as error:
        raise ToolError(f"the name {host!r} cannot be resolved: {error}", "network") from error


async def _get_any(target: httpx.URL, addresses: list[str], max_bytes: int) -> Page | httpx.URL:
    problem: httpx.HTTPError | None = None
    for address in addresses:
        try:
            return await _get(target, address, max_bytes)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            problem = error
        except httpx.TimeoutException as error:
            msg = f"{target} sent nothing for {_IDLE_S:g} s"
            raise ToolError(msg, "timeout") from error
        except (httpx.HTTPError, ssl.SSLError) as error:
            msg = f"{target} broke off: {type(error).__name__} {error}".rstrip()
            raise ToolError(msg, "network") from error
    raise ToolError(f"{target} cannot be reached: {problem}", "network") from problem


async def _get(target: httpx.URL, address: str, max_bytes: int) -> Page | httpx.URL:
    """Ask the checked address for the page; the name is still what TLS verifies."""
    headers = {
        "Host": target.netloc.decode("ascii"),
        "User-Agent": _USER_AGENT,
        "Accept": "text/html, text/*, application/json, */*;q=0.5",
        "Accept-Encoding": "identity",
    }
    extensions = {"sni_hostname": _host(target)}
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_IDLE_S) as client,
        client.stream(
            "GET", target.copy_with(host=address), headers=headers, extensions=extensions
        ) as response,
    ):
        location = response.headers.get("location")
        if response.is_redirect and location:
            return _parsed(location, target)
        _refuse_status(target, response.status_code)
        return await _page(target, response, max_bytes)


def _refuse_status(target: httpx.URL, status: int) -> None:
    if status < 400:
        return
    msg = f"{target} answered with status {status}"
    if status in {401, 403, 407}:
        raise ToolError(f"{msg}: it wants a permission that is not there", "auth")
    if status in {404, 410}:
        raise ToolError(f"{msg}: there is no such page", "not_found")
    if status == 429:
        raise ToolError(f"{msg}: too many requests; wait, or use another source", "quota")
    if status == 408 or status >= 500:
        raise ToolError(f"{msg}: the server failed", "server")
    raise ToolError(f"{msg}: it rejects the request", "bad_arguments")


async def _page(target: httpx.URL, response: httpx.Response, max_bytes: int) -> Page:
    body = bytearray()
    async for piece in response.aiter_raw(65_536):
        body += piece
        if len(body) > max_bytes:
            break
    raw = _unpacked(bytes(body), response.headers.get("content-encoding", ""), max_bytes)
    return Page(
        url=str(target),
        status=response.status_code,
        content_type=response.headers.get("content-type", "").split(";")[0].strip().lower(),
        charset=response.charset_encoding or "",
        body=raw[:max_bytes],
        complete=len(body) <= max_bytes and len(raw) <= max_bytes,
    )


def _unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Unpack at most the allowed size, for servers that compress unasked."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise ToolError(f"the page is packed as {encoding[:40]!r}, which is not read", "server")
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise ToolError(f"the page is packed wrongly: {error}", "server") from error
