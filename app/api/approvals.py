"""`/api/v1/approvals`: what people are asked about tool calls, and what they decide."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.api.caller import Reader, Writer
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.db.approvals import ApprovalFilter, ApprovalStatus
from app.schemas import Text
from app.schemas_approvals import ApprovalPage, ApprovalView, DecisionRequest

router = APIRouter(prefix="/api/v1/approvals", tags=["approvals"], responses=RESPONSES)


class ApprovalQuery(BaseModel):
    """What `GET /approvals` understands."""

    model_config = ConfigDict(extra="forbid")

    status: list[ApprovalStatus] = []
    task: Text = Field(default="", max_length=64)
    """Only those of this task."""
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=200)


@router.get("")
async def list_approvals(
    query: Annotated[ApprovalQuery, Query()], runtime: RuntimeOf, caller: Reader
) -> ApprovalPage:
    """List approvals, newest first."""
    wanted = ApprovalFilter(
        namespace=caller.namespace,
        statuses=tuple(query.status),
        task_id=query.task,
        limit=query.limit,
    )
    return await runtime.approvals.list(wanted, cursor=query.cursor)


@router.get("/{approval_id}")
async def get(approval_id: str, runtime: RuntimeOf, caller: Reader) -> ApprovalView:
    """Return an approval as it stands."""
    return await runtime.approvals.get(approval_id, namespace=caller.namespace)


@router.post("/{approval_id}")
async def decide(
    approval_id: str, body: DecisionRequest, runtime: RuntimeOf, caller: Writer
) -> ApprovalView:
    """Approve, reject or edit a call; deciding twice is a conflict."""
    return await runtime.approvals.decide(
        approval_id, body, namespace=caller.namespace, by=caller.key_id
    )
