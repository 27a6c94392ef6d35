"""The service for approvals: what people are asked about tool calls, and what they decide."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from app.cursors import page_of, position_of
from app.db import approvals, steering
from app.db.approvals import ApprovalFilter, ApprovalRow, ApprovalStatus
from app.db.records import Turn
from app.engine import Engine
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.schemas_approvals import ApprovalPage, ApprovalView, DecisionRequest, approval_view
from memory.database import Database
from models.messages import JsonObject
from tools.base import AnyTool
from tools.complaints import complaints

_MEANT: Mapping[str, ApprovalStatus] = {
    "approve": "approved",
    "reject": "rejected",
    "edit": "edited",
}

_NO_TOOLS: Mapping[str, AnyTool] = {}


class ApprovalService:
    """List and decide what tasks are waiting for."""

    def __init__(
        self, database: Database, engine: Engine, tools: Callable[[], Mapping[str, AnyTool]]
    ) -> None:
        self._database = database
        self._engine = engine
        self._tools = tools

    async def list(self, wanted: ApprovalFilter, *, cursor: str | None = None) -> ApprovalPage:
        """Return a page of approvals, newest first.

        Raises:
            InvalidInputError: the cursor is not one that was given out.
        """
        page = replace(wanted, limit=wanted.limit + 1, before=position_of(cursor))
        rows = await self._database.read(partial(approvals.find, wanted=page))
        shown, following = page_of(rows, wanted.limit)
        return ApprovalPage(items=[approval_view(row) for row in shown], next_cursor=following)

    async def get(self, approval_id: str, *, namespace: str) -> ApprovalView:
        """Return an approval.

        Raises:
            NotFoundError: the namespace has none of that id.
        """
        return approval_view(await self._database.read(partial(_found, approval_id, namespace)))

    async def decide(
        self, approval_id: str, said: DecisionRequest, *, namespace: str, by: str | None = None
    ) -> ApprovalView:
        """Write a decision down; with the last one that a task waits for it goes on.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: it was decided before, or its task is over.
            InvalidInputError: the edited arguments are not what the tool takes.
        """
        tools = self._tools() if said.decision == "edit" else _NO_TOOLS

        def work(connection: Connection) -> str:
            row = _found(approval_id, namespace, connection)
            edited = _edited(row, said, tools)
            task = steering.locked(connection, row.task_id, namespace)
            decided = approvals.decide(
                connection, row, _MEANT[said.decision], note=said.note, edited=edited, by=by
            )
            if not decided or task is None:
                row = _found(approval_id, namespace, connection)
                message = f"this approval is {row.status} already; nothing was changed"
                raise ConflictError(message)
            self._queue(connection, approvals.release(connection, task))
            return row.task_id

        await self._engine.submit(await self._database.run(work))
        return await self.get(approval_id, namespace=namespace)

    def _queue(self, connection: Connection, turn: Turn | None) -> None:
        if turn is not None:
            self._engine.enqueue(connection, turn)


def _found(approval_id: str, namespace: str, connection: Connection) -> ApprovalRow:
    row = approvals.get(connection, approval_id, namespace)
    if row is None:
        message = f"there is no approval {approval_id[:100]!r}"
        raise NotFoundError(message)
    return row


def _edited(
    row: ApprovalRow, said: DecisionRequest, tools: Mapping[str, AnyTool]
) -> JsonObject | None:
    """Return the arguments that a person gave instead, checked as the tool checks them."""
    if said.decision != "edit":
        return None
    if said.edited is None:
        raise InvalidInputError.of("edited", "expected the arguments to call it with instead")
    if row.kind == "repeat":
        message = "a call that may have happened is repeated as it was, or not at all"
        raise InvalidInputError.of("decision", message)
    tool = tools.get(row.tool)
    if tool is None:
        raise InvalidInputError.of("decision", f"the tool {row.tool!r} is not known any more")
    checked, problems = complaints(tool.arguments, said.edited)
    if checked is None:
        raise InvalidInputError.of("edited", "; ".join(problems))
    return said.edited
