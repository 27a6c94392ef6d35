"""Post to addresses that users name, and never into this machine's own network.

A name is resolved once, every address must be public, and the connection goes to the very address
that was checked. Redirects are not followed, and what comes back is not read.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Mapping

import httpx

from sandboxes.egress.addresses import is_public

TIMEOUT_S = 15.0
_PORTS = {"http": 80, "https": 443}


class PostError(Exception):
    """Nothing was delivered; the message says why."""


def check_url(url: str, allowed: Collection[str]) -> httpx.URL:
    """Return a URL that may be posted to, as far as can be told without asking a name server.

    Args:
        url: what a user named.
        allowed: `host:port` pairs that may be private; the operator's.

    Raises:
        PostError: it may not.
    """
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        message = f"expected a URL, got {url[:200]!r}: {error}"
        raise PostError(message) from None
    if target.scheme not in _PORTS or not target.host:
        message = f"expected a URL that begins with https:// or http://, got {url[:200]!r}"
        raise PostError(message)
    if target.userinfo:
        message = "a URL with a user name or password is not posted to"
        raise PostError(message)
    try:
        ipaddress.ip_address(_host(target))
    except ValueError:
        return target
    _refuse_private(target, [_host(target)], allowed)
    return target


async def post(
    url: str, content: bytes, headers: Mapping[str, str], *, allowed: Collection[str]
) -> int:
    """Post and return the status of the answer.

    Raises:
        PostError: the place may not be posted to, cannot be reached, or takes too long.
    """
    target = check_url(url, allowed)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            addresses = await _resolved(target)
            _refuse_private(target, addresses, allowed)
            return await _send(target, addresses[0], content, headers)
    except TimeoutError:
        message = f"no answer within {TIMEOUT_S:g} s"
        raise PostError(message) from None
    except (httpx.HTTPError, OSError, UnicodeError) as error:
        message = f"{type(error).__name__}: {error}".rstrip(": ")
        raise PostError(message) from None


async def _send(target: httpx.URL, address: str, content: bytes, headers: Mapping[str, str]) -> int:
    named = {**headers, "Host": target.netloc.decode("ascii"), "User-Agent": "strop"}
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S) as client,
        client.stream(
            "POST",
            target.copy_with(host=address),
            content=content,
            headers=named,
            extensions={"sni_hostname": _host(target)},
        ) as response,
    ):
        return response.status_code


def _refuse_private(
    target: httpx.URL, addresses: Collection[str], allowed: Collection[str]
) -> None:
    host = _host(target)
    named = f"[{host}]" if ":" in host else host
    place = f"{named}:{target.port or _PORTS[target.scheme]}"
    if place in {entry.strip().lower() for entry in allowed}:
        return
    if not addresses or not all(is_public(address) for address in addresses):
        message = f"{place} is not on the public internet; only the operator can allow it"
        raise PostError(message)


async def _resolved(target: httpx.URL) -> list[str]:
    host = _host(target)
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        loop = asyncio.get_running_loop()
        port = target.port or _PORTS[target.scheme]
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _host(target: httpx.URL) -> str:
    return target.raw_host.decode("ascii").lower().rstrip(".")
