"""Decide which tool calls are made, asked about or refused.

Within a policy the first rule that fits decides, else its default. Of several policies (the
operator's, the namespace's, the task's) the strictest holds, so none can loosen another.
"""

import hashlib
import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field

from agents.state import CallRecord
from models.messages import Frozen, JsonObject, ToolCall
from tools.base import Effect, Risk

Decision = Literal["allow", "ask", "deny"]
Kind = Literal["call", "repeat"]
"""A call that was not made yet, or one that was cut off and may have happened."""

_STRICT: tuple[Decision, ...] = ("deny", "ask", "allow")
_RISKS: tuple[Risk, ...] = ("low", "medium", "high")
_FREE = frozenset({"answer", "ask_human"})
"""Tools that speak to the person who would be asked."""


class Rule(Frozen):
    """One line of a policy."""

    tool: str = Field(default="*", min_length=1, max_length=200)
    """A tool's name, or a pattern of names such as `mcp_*`."""
    risk: Risk = "low"
    """The least risk that it speaks of."""
    decision: Decision

    def fits(self, tool: str, risk: Risk) -> bool:
        """Whether the rule speaks of such a call."""
        return fnmatchcase(tool, self.tool) and _RISKS.index(risk) >= _RISKS.index(self.risk)


class Policy(Frozen):
    """What may be done, in order of precedence."""

    rules: tuple[Rule, ...] = Field(default=(), max_length=100)
    default: Decision = "allow"
    """For calls with an effect that no rule speaks of."""

    def decide(self, tool: str, risk: Risk, effect: Effect) -> Decision:
        """Return what this policy says to a call."""
        for rule in self.rules:
            if rule.fits(tool, risk):
                return rule.decision
        return "allow" if effect == "none" else self.default


class ApprovalRequest(Frozen):
    """A call that a person has to decide about."""

    key: str
    """The call's id, unique in its run."""
    kind: Kind = "call"
    tool: str
    risk: Risk
    arguments: JsonObject
    digest: str
    """Of tool and arguments: a verdict holds for exactly these."""


class Verdict(Frozen):
    """What a person decided about a call."""

    approved: bool
    digest: str
    note: str = ""
    edited: JsonObject | None = None
    """What to call it with instead."""


def strictest(policies: Iterable[Policy], tool: str, risk: Risk, effect: Effect) -> Decision:
    """Return the strictest of what the policies say."""
    if tool in _FREE:
        return "allow"
    said = {policy.decide(tool, risk, effect) for policy in policies}
    for decision in _STRICT:
        if decision in said:
            return decision
    return "allow"


def digest_of(call: ToolCall) -> str:
    """Return what a verdict about a call is bound to."""
    text = json.dumps([call.name, call.arguments], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def refused(call: ToolCall, why: str) -> CallRecord:
    """Return the record of a call that a policy or a person did not allow."""
    return CallRecord(
        id=call.id,
        tool=call.name,
        arguments=call.arguments,
        ok=False,
        text=why,
        error_class="policy",
    )
