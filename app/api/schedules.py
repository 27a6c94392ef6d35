"""`/api/v1/schedules`: tasks that come by themselves."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.caller import Reader, Writer
from app.api.paging import Cursor, Limit
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.schemas_schedules import SchedulePage, SchedulePatch, ScheduleRequest, ScheduleView

router = APIRouter(prefix="/api/v1/schedules", tags=["schedules"], responses=RESPONSES)


class Made(BaseModel):
    """The task that was made."""

    task_id: str


@router.post("", status_code=201)
async def create_schedule(
    body: ScheduleRequest, response: Response, runtime: RuntimeOf, caller: Writer
) -> ScheduleView:
    """Make a schedule: cron in a time zone, an interval, or once."""
    made = await runtime.schedules.create(body, caller=caller)
    response.headers["Location"] = f"/api/v1/schedules/{made.id}"
    return made


@router.get("")
async def list_schedules(
    runtime: RuntimeOf, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> SchedulePage:
    """List schedules, newest first."""
    return await runtime.schedules.list(caller.namespace, cursor=cursor, limit=limit)


@router.get("/{schedule_id}")
async def get_schedule(schedule_id: str, runtime: RuntimeOf, caller: Reader) -> ScheduleView:
    """Return a schedule as it stands."""
    return await runtime.schedules.get(schedule_id, namespace=caller.namespace)


@router.patch("/{schedule_id}")
async def change_schedule(
    schedule_id: str, body: SchedulePatch, runtime: RuntimeOf, caller: Writer
) -> ScheduleView:
    """Change a schedule; what is left out stays."""
    return await runtime.schedules.change(schedule_id, body, namespace=caller.namespace)


@router.delete("/{schedule_id}", status_code=204)
async def remove_schedule(schedule_id: str, runtime: RuntimeOf, caller: Writer) -> Response:
    """Delete a schedule; the tasks that it made stay."""
    await runtime.schedules.remove(schedule_id, namespace=caller.namespace)
    return Response(status_code=204)


@router.post("/{schedule_id}/run", status_code=202)
async def run_schedule(schedule_id: str, runtime: RuntimeOf, caller: Writer) -> Made:
    """Make the schedule's task now, beside its due times."""
    return Made(task_id=await runtime.schedules.run(schedule_id, namespace=caller.namespace))
