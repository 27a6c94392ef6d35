"""`/api/v1/agents`: standing agents, which wake, work, report and sleep."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api.caller import Reader, Writer
from app.api.paging import Cursor, Limit
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.schemas_agents import (
    AgentInbox,
    AgentMessageRequest,
    AgentMessageView,
    AgentPage,
    AgentPatch,
    AgentRequest,
    AgentView,
    ReportPage,
)

router = APIRouter(prefix="/api/v1/agents", tags=["agents"], responses=RESPONSES)


@router.post("", status_code=201)
async def create_agent(
    body: AgentRequest, response: Response, runtime: RuntimeOf, caller: Writer
) -> AgentView:
    """Make a standing agent; it sleeps until it is due, told something or asked to wake."""
    made = await runtime.agents.create(body, namespace=caller.namespace, created_by=caller.key_id)
    response.headers["Location"] = f"/api/v1/agents/{made.id}"
    return made


@router.get("")
async def list_agents(
    runtime: RuntimeOf, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> AgentPage:
    """List standing agents, newest first."""
    return await runtime.agents.list(caller.namespace, cursor=cursor, limit=limit)


@router.get("/{agent_id}")
async def get_agent(agent_id: str, runtime: RuntimeOf, caller: Reader) -> AgentView:
    """Return a standing agent as it stands."""
    return await runtime.agents.get(agent_id, namespace=caller.namespace)


@router.patch("/{agent_id}")
async def change_agent(
    agent_id: str, body: AgentPatch, runtime: RuntimeOf, caller: Writer
) -> AgentView:
    """Change a standing agent; what is left out stays, and so does what it works on."""
    return await runtime.agents.change(agent_id, body, namespace=caller.namespace)


@router.delete("/{agent_id}", status_code=204)
async def remove_agent(agent_id: str, runtime: RuntimeOf, caller: Writer) -> Response:
    """Stop a standing agent for good: its present task is cancelled, its tasks stay."""
    await runtime.agents.remove(agent_id, namespace=caller.namespace)
    return Response(status_code=204)


@router.post("/{agent_id}/pause")
async def pause_agent(agent_id: str, runtime: RuntimeOf, caller: Writer) -> AgentView:
    """Let an agent sleep until it is resumed; its present task is paused with it."""
    return await runtime.agents.pause(agent_id, namespace=caller.namespace)


@router.post("/{agent_id}/resume")
async def resume_agent(agent_id: str, runtime: RuntimeOf, caller: Writer) -> AgentView:
    """Let a paused agent and its paused task go on; what was due meanwhile is left out."""
    return await runtime.agents.resume(agent_id, namespace=caller.namespace)


@router.post("/{agent_id}/wake", status_code=202)
async def wake_agent(agent_id: str, runtime: RuntimeOf, caller: Writer) -> AgentView:
    """Let an agent wake: at once, or as soon as its present task is over."""
    return await runtime.agents.wake(agent_id, namespace=caller.namespace)


@router.post("/{agent_id}/inbox", status_code=202)
async def tell_agent(
    agent_id: str, body: AgentMessageRequest, runtime: RuntimeOf, caller: Writer
) -> AgentMessageView:
    """Tell an agent something; its next wake-up takes it in."""
    return await runtime.agents.tell(
        agent_id, body.text, namespace=caller.namespace, created_by=caller.key_id
    )


@router.get("/{agent_id}/inbox")
async def inbox_agent(
    agent_id: str,
    runtime: RuntimeOf,
    caller: Reader,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Limit = 50,
) -> AgentInbox:
    """List what an agent was told, newest first; `before` a number for what is older."""
    told = await runtime.agents.inbox(
        agent_id, namespace=caller.namespace, before=before, limit=limit
    )
    return AgentInbox(items=list(told))


@router.get("/{agent_id}/reports")
async def reports_agent(
    agent_id: str, runtime: RuntimeOf, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> ReportPage:
    """List what an agent's wake-ups came to, newest first."""
    return await runtime.agents.reports(
        agent_id, namespace=caller.namespace, cursor=cursor, limit=limit
    )
