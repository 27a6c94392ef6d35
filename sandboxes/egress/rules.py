"""What the rules of a sandbox say about a place: a pure function of both."""

from collections.abc import Iterable
from dataclasses import dataclass

from sandboxes.egress.names import Place, ascii_host, normal_host, split_port
from sandboxes.egress.refusals import Reason

WEB_PORTS = frozenset({80, 443})
_WILDCARD = "*."


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of an allow-list."""

    host: str
    """In the one spelling; what follows `*.` if it is a wildcard."""
    ports: frozenset[int]
    wildcard: bool = False
    literal: bool = False

    def covers(self, host: str, *, literal: bool) -> bool:
        """Tell whether it speaks of this host, on whatever port."""
        if literal or self.literal:
            return literal == self.literal and host == self.host
        return host.endswith(f".{self.host}") if self.wildcard else host == self.host


@dataclass(frozen=True, slots=True)
class Rules:
    """The allow-list of one sandbox."""

    entries: tuple[str, ...]
    """As they were written."""
    rules: tuple[Rule, ...]

    def refusal(self, place: Place) -> tuple[Reason | None, str]:
        """Return what stands against a place, None when it is allowed, and that in words."""
        known = [rule for rule in self.rules if rule.covers(place.host, literal=place.literal)]
        if not known:
            return Reason.HOST, f"{place.host} is not on the list"
        if not any(place.port in rule.ports for rule in known):
            ports = sorted(frozenset[int]().union(*(rule.ports for rule in known)))
            detail = f"{place.host} is allowed on {_listed(ports)} only, not on {place.port}"
            return Reason.PORT, detail
        return None, ""


def parse_rules(entries: Iterable[str]) -> Rules:
    """Return what the entries of `Network.domains` say.

    Raises:
        ValueError: an entry says nothing that could be kept to.
    """
    written = tuple(entry.strip() for entry in entries)
    return Rules(written, tuple(_rule(entry) for entry in written))


def _rule(entry: str) -> Rule:
    try:
        host, port = split_port(entry)
        wildcard = host.startswith(_WILDCARD)
        name, literal = normal_host(ascii_host(host.removeprefix(_WILDCARD)))
    except ValueError as error:
        msg = f"expected 'example.org', '*.example.org' or either with ':PORT', got {entry!r}"
        raise ValueError(msg) from error
    if literal and (port is None or wildcard):
        msg = f"an address is allowed with its port only, such as 192.0.2.1:443; got {entry!r}"
        raise ValueError(msg)
    return Rule(name, WEB_PORTS if port is None else frozenset({port}), wildcard, literal)


def _listed(ports: list[int]) -> str:
    return f"port {ports[0]}" if len(ports) == 1 else f"ports {', '.join(map(str, ports))}"
