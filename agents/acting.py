"""Carry out an action: side by side where nothing has an effect, once each, and journalled."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from agents.approvals import (
    ApprovalRequest,
    Decision,
    Policy,
    digest_of,
    refused,
    strictest,
)
from agents.ports import Recorder
from agents.shortcuts import PREFIX, run_shortcut, shortcut_calls
from agents.state import Action, CallRecord
from memory.records import Shortcut
from models.messages import ToolCall
from sandboxes.base import Sandbox
from tools.toolbox import Toolbox

_UNKNOWN_EFFECT = (
    "The process was interrupted during this call, so it is not known whether it took effect. "
    "Look at the workspace before you repeat it."
)


class InDoubt(Exception):  # noqa: N818 - it is control flow, not an error
    """A call that must not happen twice was cut off; a person decides whether to repeat it."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True)
class Actor:
    """Runs tool calls for one run."""

    toolbox: Toolbox
    sandbox: Sandbox
    recorder: Recorder
    shortcuts: Mapping[str, Shortcut]
    """Recalled Shortcuts by name."""
    policies: tuple[Policy, ...] = ()

    async def carry_out(self, action: Action) -> tuple[CallRecord, ...]:
        """Return one record for each call, in order.

        Calls that have an effect run one after another; what follows a failed or final call
        is not run.
        """
        if len(action.calls) > 1 and all(self._free(call) for call in action.calls):
            return tuple(await asyncio.gather(*(self._call(call) for call in action.calls)))
        records: list[CallRecord] = []
        for call in action.calls:
            record = await self._call(call)
            records.append(record)
            if record.final:
                break
            if not record.ok:
                skipped = action.calls[len(records) :]
                records += [_not_run(call) for call in skipped]
                break
        return tuple(records)

    def _free(self, call: ToolCall) -> bool:
        return (
            self.toolbox.effect(call.name) == "none"
            and call.name not in _ALONE
            and not call.name.startswith(PREFIX)
        )

    async def _call(self, call: ToolCall) -> CallRecord:
        if call.name.startswith(PREFIX) and call.name.removeprefix(PREFIX) in self.shortcuts:
            shortcut = self.shortcuts[call.name.removeprefix(PREFIX)]
            return await run_shortcut(shortcut, call, self._journalled, self.sandbox)
        return await self._journalled(call)

    def expanded(self, call: ToolCall) -> list[ToolCall]:
        """Return the calls of tools that a call stands for: itself, or a Shortcut's."""
        shortcut = self.shortcuts.get(call.name.removeprefix(PREFIX))
        if shortcut is None or not call.name.startswith(PREFIX):
            return [call]
        return shortcut_calls(shortcut, call)

    def decision(self, call: ToolCall) -> Decision:
        """Return what the policies say to a call."""
        risk, effect = self.toolbox.risk(call.name), self.toolbox.effect(call.name)
        return strictest(self.policies, call.name, risk, effect)

    def request(self, call: ToolCall) -> ApprovalRequest:
        """Return what a person is asked about a call."""
        return ApprovalRequest(
            key=call.id,
            tool=call.name,
            risk=self.toolbox.risk(call.name),
            arguments=call.arguments,
            digest=digest_of(call),
        )

    async def _journalled(self, call: ToolCall) -> CallRecord:
        decision = self.decision(call)
        if decision == "allow":
            return await self._once(call, asked=False)
        if decision == "deny":
            return refused(call, f"The policy does not allow `{call.name}`. Do without it.")
        verdict = await self.recorder.verdict(call.id, "call")
        if verdict is None or verdict.digest != digest_of(call):
            return refused(call, f"Nobody has approved this call of `{call.name}`.")
        if not verdict.approved:
            return refused(call, _said("The owner rejected this call", verdict.note))
        if verdict.edited is None:
            return await self._once(call, asked=True)
        edited = call.model_copy(update={"arguments": verdict.edited})
        record = await self._once(edited, asked=True)
        text = _said("The owner changed the arguments of this call", verdict.note)
        return record.model_copy(update={"text": f"{text}\n{record.text}"})

    async def _once(self, call: ToolCall, *, asked: bool) -> CallRecord:
        """Make a call, or return what came of it before.

        Raises:
            InDoubt: it may have happened, and a person is to say whether it is made again.
        """
        if self.toolbox.effect(call.name) == "none":
            return await self._run(call)
        begun = await self.recorder.begin_call(call.id, call.name, call.arguments)
        if isinstance(begun, CallRecord):
            return begun
        if begun and self.toolbox.effect(call.name) == "at_most_once":
            record = await self._again(call) if asked else _failed(call, _UNKNOWN_EFFECT)
        else:
            record = await self._run(call)
        await self.recorder.settle_call(call.id, record)
        return record

    async def _again(self, call: ToolCall) -> CallRecord:
        verdict = await self.recorder.verdict(call.id, "repeat")
        if verdict is None:
            raise InDoubt(call.id)
        await self.recorder.spend(call.id)
        if verdict.approved:
            return await self._run(call)
        return _failed(call, _said(f"{_UNKNOWN_EFFECT} The owner said not to", verdict.note))

    async def _run(self, call: ToolCall) -> CallRecord:
        outcome = await self.toolbox.call(call.name, call.arguments)
        return CallRecord(
            id=call.id,
            tool=call.name,
            arguments=call.arguments,
            ok=outcome.ok,
            text=outcome.text,
            error_class=outcome.error_class,
            certain=outcome.certain,
            final=outcome.final,
            artifacts=outcome.artifacts,
            data=outcome.data,
            seconds=outcome.seconds,
        )


_ALONE = frozenset({"answer", "ask_human"})


def _said(what: str, note: str) -> str:
    return f"{what}: {note}" if note else f"{what}."


def _failed(call: ToolCall, text: str) -> CallRecord:
    return CallRecord(
        id=call.id,
        tool=call.name,
        arguments=call.arguments,
        ok=False,
        text=text,
        error_class="unknown",
    )


def _not_run(call: ToolCall) -> CallRecord:
    record = _failed(call, "Not run: a call before it in the same turn failed.")
    return record.model_copy(update={"error_class": "precondition"})
