"""Hosts and ports in one spelling, so that a rule and a request can be compared.

A spelling that programs read differently (an IPv4 address in octal, a user before an `@`) is
refused rather than understood.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

_MAX_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Place:
    """A host and a port, in the one spelling."""

    host: str
    """A name in small letters without a final dot, or an address without brackets."""
    port: int
    literal: bool = False
    """Whether the host is an address."""

    def __str__(self) -> str:
        """Return it as it stands in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place(text: str, default_port: int | None = None) -> Place:
    """Return the place that `host:port` names, with a port that may be left out if told.

    Raises:
        ValueError: it names none, or not in a way that everyone reads alike.
    """
    host, port = split_port(text)
    if port is None:
        port = default_port
    if port is None:
        msg = f"expected host:port, got {text[:100]!r}"
        raise ValueError(msg)
    name, literal = normal_host(host)
    return Place(name, port, literal)


def split_port(text: str) -> tuple[str, int | None]:
    """Return the host, an IPv6 address in its brackets, and the port if there is one.

    Raises:
        ValueError: the port is none.
    """
    if text.endswith("]") or ":" not in text:
        return text, None
    host, _, port = text.rpartition(":")
    if not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        msg = f"expected a port from 1 to {_MAX_PORT}, got {text[:100]!r}"
        raise ValueError(msg)
    return host, int(port)


def normal_host(text: str) -> tuple[str, bool]:
    """Return a host in the one spelling, and whether it is an address.

    Raises:
        ValueError: it is neither a name in ASCII nor an address in its usual form.
    """
    if text.startswith("[") and text.endswith("]") and "%" not in text:
        return str(IPv6Address(text[1:-1])), True
    name = text.lower().removesuffix(".")
    if _ENDS_IN_NUMBER.fullmatch(name):
        return str(ip_address(name)), True
    # A Kelvin sign in small letters is a `k`, so the question is put to the text as it came.
    well_formed = all(_LABEL.fullmatch(label) for label in name.split("."))
    if not text.isascii() or len(name) > _MAX_NAME or not well_formed:
        msg = f"expected the name of a host, got {text[:100]!r}"
        raise ValueError(msg)
    return name, False


def ascii_host(text: str) -> str:
    """Return a name as name servers know it; `bücher.example` is `xn--bcher-kva.example`.

    Raises:
        ValueError: it cannot be a name.
    """
    if text.isascii():
        return text
    import idna  # noqa: PLC0415 - large tables, for the few rules that are not ASCII

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        msg = f"{text[:100]!r} is no name of a host: {error}"
        raise ValueError(msg) from error
