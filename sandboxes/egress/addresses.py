"""Which addresses are of the public internet, and which are somebody's inside.

A name can lead anywhere, so it is the address that is judged, and the same address is dialled.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments, among them a cloud's metadata
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's metadata at a public address
        "2001::/23",  # protocol assignments, among them Teredo
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_PROBE_PORT = 9
_THREADS = 16


def is_public(address: str) -> bool:
    """Tell whether an address is of the public internet, not of this machine or network.

    IPv6 forms that carry an IPv4 address to a translator or a tunnel are not public; one that
    only maps it is what the IPv4 address is.

    Raises:
        ValueError: it is no address.
    """
    parsed = ip_address(address.split("%", 1)[0])
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return _is_public(parsed.ipv4_mapped)
        if parsed not in _GLOBAL_UNICAST:
            return False
    return _is_public(parsed)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NOT_PUBLIC)


def is_own(address: str) -> bool:
    """Tell whether a public address is one of this machine's own.

    Nothing is sent: only an address of this machine can be bound, and a datagram to it would
    come from it. The second question counts where foreign addresses may be bound, too.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _PROBE_PORT))
            return str(probe.getsockname()[0]) == address
    except OSError:
        return False


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads that wait for name servers, so that nobody else waits with them."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="resolve")


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name as this machine resolves it, each once.

    Raises:
        OSError: it has none.
    """
    look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(_threads(), look)
    except UnicodeError as error:
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
