"""Refuse what must not be learned, each time with a named reason.

What a run proposes was written by a model that read web pages and tool output: it may hold
secrets, or orders smuggled in. The gates are plain code and see every string of a proposal.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from memory.identity import normalize
from memory.records import INFRASTRUCTURE, ArgumentRef, Shortcut, Tip
from memory.secrets import find_secret

_MAX_COPIED_CHARS = 60
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "example.org", "example.com"})
_HIDDEN = re.compile(r"[\u0000-\u0008\u000b-\u001f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_HOST = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,9}://(?:[^\s/@]*@)?(\[[0-9a-f:]+\]|[^\s/:?#\"'<>)]+)", re.IGNORECASE
)
_BRACES = re.compile(r"\{([^{}]*)\}")
_ORDERS = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
    r"\b(?:instructions?|rules?|prompts?|polic(?:y|ies)|guidelines?|above|previous|prior|earlier)\b",
    r"\byou (?:are|must) now\b",
    r"\bfrom now on,? (?:you|always|never)\b",
    r"\bnew instructions?\b",
    r"\b(?:system|developer) (?:prompt|message)\b",
    r"\b(?:do not|don't|never) (?:tell|inform|alert|mention (?:this|it) to|ask) "
    r"(?:the )?(?:user|human|operator)",
    r"\bwithout (?:the )?(?:user|human|operator)'?s? (?:knowledge|consent|approval|permission)",
    r"\b(?:send|post|upload|forward|exfiltrate|leak)\b.{0,40}"
    r"\b(?:passwords?|secrets?|credentials?|tokens?|api keys?|private keys?|conversation)\b",
)
_SYNTAX = (
    r"(?:^|\n)\s*#{0,3}\s*(?:system|assistant|user|human|developer|tool)\s*:",
    r"<\|[^|>]{1,40}\|>",
    r"\[/?inst\]|<</?sys>>",
    r"</?(?:system|assistant|user|human|instructions?|tool_?calls?|tool_?(?:use|result|response)|"
    r"function_?(?:calls?|results?)|invoke|im_start|im_end)\b[^>]*>",
    r"\"(?:tool_calls?|function_call|arguments)\"\s*:",
    r"```\s*(?:tool|json|system)",
)
_ORDER = re.compile("|".join(_ORDERS), re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile("|".join(_SYNTAX), re.IGNORECASE)
_HELPLESS = re.compile(
    r"\b(?:is|are|was|were|seems?|currently|temporarily)\s+(?:\w+\s+)?"
    r"(?:down|unavailable|unreachable|offline|broken|not working|overloaded|rate.?limited)\b"
    r"|\b(?:does not|doesn't|do not|don't|did not) work\b"
    r"|\bconnection (?:was )?(?:refused|reset)\b|\bhttp (?:429|5\d\d)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Proposal:
    """What wants to be learned, and what it is judged by."""

    body: Tip | Shortcut
    observations: Sequence[str] = ()
    """Tool output of the run that proposes."""
    tools: Collection[str] = ()
    """Names of the tools that exist."""
    known_hosts: Collection[str] = field(default=())
    """Hosts that the operator lets tools reach; addresses elsewhere are refused."""


Gate = Callable[[Proposal], str]
"""Returns why a proposal is refused, or nothing."""


def refusal(proposal: Proposal) -> str:
    """Return `name: reason` of the first gate that refuses, or an empty string."""
    for name, gate in GATES.items():
        reason = gate(proposal)
        if reason:
            return f"{name}: {reason}"
    return ""


def strings(body: Tip | Shortcut) -> list[str]:
    """Return every string that a body holds, keys included."""
    return list(_strings(body.model_dump(mode="json")))


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _strings(item)


def _infrastructure(proposal: Proposal) -> str:
    body = proposal.body
    if not isinstance(body, Tip):
        return ""
    if body.error_class in INFRASTRUCTURE:
        return f"a failure of class {body.error_class} says nothing about the task"
    found = _HELPLESS.search(body.text) if body.polarity == "avoid" else None
    return f"{found.group()!r} describes a passing state of the world" if found else ""


def _hidden(proposal: Proposal) -> str:
    found = _first(_HIDDEN, proposal)
    return f"an invisible character, U+{ord(found):04X}" if found else ""


def _secrets(proposal: Proposal) -> str:
    for text in strings(proposal.body):
        kind = find_secret(text)
        if kind:
            return f"it looks as if it held {kind}"
    return ""


def _instructions(proposal: Proposal) -> str:
    found = _first(_ORDER, proposal) or _first(_MARKUP, proposal)
    return f"{found[:60]!r} is an order to the reader or prompt markup" if found else ""


def _addresses(proposal: Proposal) -> str:
    allowed = {host.lower() for host in proposal.known_hosts} | _LOCAL_HOSTS
    for text in strings(proposal.body):
        for host in _HOST.findall(text):
            if not _is_known(host.strip("[]").lower(), allowed):
                return f"an address on {host!r}, a host that the settings do not name"
    return ""


def _is_known(host: str, allowed: Collection[str]) -> bool:
    return any(
        host == name.split(":")[0]
        or host == name
        or (name.startswith("*.") and host.endswith(name[1:]))
        for name in allowed
    )


def _copied(proposal: Proposal) -> str:
    seen = [normalize(text) for text in proposal.observations]
    for text in strings(proposal.body):
        whole = normalize(text)
        for start in range(len(whole) - _MAX_COPIED_CHARS + 1):
            window = whole[start : start + _MAX_COPIED_CHARS]
            if any(window in observation for observation in seen):
                return f"{window[:40]!r} and more is copied from tool output; say it in other words"
    return ""


def _references(proposal: Proposal) -> str:
    if isinstance(proposal.body, Tip):
        return ""
    names = [argument.name for argument in proposal.body.arguments]
    if len(set(names)) < len(names):
        return "two arguments have the same name"
    used = _used(proposal.body)
    if unbound := sorted(used - set(names)):
        return f"it uses {unbound[0]!r}, which is not among its arguments"
    if unused := sorted(set(names) - used):
        return f"its argument {unused[0]!r} is never used"
    return ""


def _used(body: Shortcut) -> set[str]:
    used = {
        value.ref
        for step in body.steps
        for value in step.arguments.values()
        if isinstance(value, ArgumentRef)
    }
    for check in (body.precondition_check, body.postcondition_check):
        if check is not None:
            used |= set(_BRACES.findall(check.file_exists or ""))
    return used


def _known_tools(proposal: Proposal) -> str:
    if isinstance(proposal.body, Tip):
        return ""
    unknown = [step.tool for step in proposal.body.steps if step.tool not in proposal.tools]
    return f"there is no tool {unknown[0]!r}" if unknown else ""


def _first(pattern: re.Pattern[str], proposal: Proposal) -> str:
    for text in strings(proposal.body):
        found = pattern.search(text)
        if found:
            return found.group()
    return ""


GATES: dict[str, Gate] = {
    "infrastructure": _infrastructure,
    "hidden": _hidden,
    "secret": _secrets,
    "instruction": _instructions,
    "address": _addresses,
    "copied": _copied,
    "references": _references,
    "tools": _known_tools,
}
"""By name, in the order in which they are asked. Duplicates are the store's business."""
