"""What the API takes and gives about approvals."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.db.approvals import ApprovalRow, ApprovalStatus
from app.schemas import Json, Shape, Text
from models.messages import JsonObject


class DecisionRequest(Shape):
    """A person's decision about a tool call."""

    decision: Literal["approve", "reject", "edit"]
    note: Text = Field(default="", max_length=4000)
    """Shown to the model, after a rejection above all."""
    edited: Json | None = None
    """With `edit`: the arguments to call the tool with instead."""


class ApprovalView(BaseModel):
    """A tool call that a task waits to make."""

    id: str
    task_id: str
    run_id: str
    kind: Literal["call", "repeat"]
    """`repeat`: the call was cut off and may have happened; is it made again?"""
    tool: str
    risk: str
    arguments: JsonObject
    status: ApprovalStatus
    note: str | None
    edited: JsonObject | None
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    """Id of the key with which it was decided; None without keys."""


class ApprovalPage(BaseModel):
    """Some approvals, newest first."""

    items: list[ApprovalView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


def approval_view(row: ApprovalRow) -> ApprovalView:
    """Return an approval as the API gives it."""
    return ApprovalView.model_validate(row, from_attributes=True)
