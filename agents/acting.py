"""Carry out an action: side by side where nothing has an effect, once each, and journalled."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from agents.ports import Recorder
from agents.shortcuts import PREFIX, run_shortcut
from agents.state import Action, CallRecord
from memory.records import Shortcut
from models.messages import ToolCall
from sandboxes.base import Sandbox
from tools.toolbox import Toolbox

_UNKNOWN_EFFECT = (
    "The process was interrupted during this call, so it is not known whether it took effect. "
    "Look at the workspace before you repeat it."
)


@dataclass(frozen=True)
class Actor:
    """Runs tool calls for one run."""

    toolbox: Toolbox
    sandbox: Sandbox
    recorder: Recorder
    shortcuts: Mapping[str, Shortcut]
    """Recalled Shortcuts by name."""

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

    async def _journalled(self, call: ToolCall) -> CallRecord:
        if self.toolbox.effect(call.name) == "none":
            return await self._run(call)
        begun = await self.recorder.begin_call(call.id, call.name, call.arguments)
        if isinstance(begun, CallRecord):
            return begun
        if begun and self.toolbox.effect(call.name) == "at_most_once":
            record = _failed(call, _UNKNOWN_EFFECT)
        else:
            record = await self._run(call)
        await self.recorder.settle_call(call.id, record)
        return record

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
