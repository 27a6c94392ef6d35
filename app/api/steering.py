"""`/api/v1/tasks/{id}/pause`, `/resume`, `/retry`, `/messages`, `PATCH`: steer a task."""

from fastapi import APIRouter

from app.api.caller import Writer
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.schemas import MessageRequest, TaskPatch, TaskView

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], responses=RESPONSES)


@router.post("/{task_id}/pause")
async def pause(task_id: str, runtime: RuntimeOf, caller: Writer) -> TaskView:
    """Stop a task where it stands, until it is resumed; pausing twice changes nothing."""
    return await runtime.steering.pause(task_id, namespace=caller.namespace)


@router.post("/{task_id}/resume")
async def resume(task_id: str, runtime: RuntimeOf, caller: Writer) -> TaskView:
    """Let a paused task go on after the last node that it finished, or wait as it waited."""
    return await runtime.steering.resume(task_id, namespace=caller.namespace)


@router.post("/{task_id}/retry")
async def retry(task_id: str, runtime: RuntimeOf, caller: Writer) -> TaskView:
    """Begin a new run of a failed or cancelled task; its events go on after their `end`."""
    return await runtime.steering.retry(task_id, namespace=caller.namespace)


@router.patch("/{task_id}")
async def change(task_id: str, body: TaskPatch, runtime: RuntimeOf, caller: Writer) -> TaskView:
    """Change a task's budget; a task that waits for more goes on where it stood."""
    return await runtime.steering.rebudget(task_id, body.budget, namespace=caller.namespace)


@router.post("/{task_id}/messages", status_code=202)
async def message(
    task_id: str, body: MessageRequest, runtime: RuntimeOf, caller: Writer
) -> TaskView:
    """Answer a task's question, or tell it something that its next turn takes in."""
    return await runtime.steering.say(task_id, body.text, namespace=caller.namespace)
