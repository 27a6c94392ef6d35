"""`/healthz` and `/readyz`: whether the process lives, and whether it can take tasks."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.problems import RESPONSES, problem
from app.api.runtime import RuntimeOf
from app.checks import Check

router = APIRouter(tags=["health"], responses=RESPONSES)


class Health(BaseModel):
    """That the process lives."""

    status: str = "ok"


class Readiness(BaseModel):
    """What was looked at."""

    status: str = "ready"
    checks: list[Check]


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process lives."""
    return Health()


@router.get("/readyz", response_model=Readiness)
async def readyz(runtime: RuntimeOf) -> Response | Readiness:
    """Say whether tasks can be taken; 503 when not, with the reason."""
    checks = await runtime.checks.ready()
    wrong = [f"{check.name}: {check.detail}" for check in checks if not check.ok]
    if wrong:
        return problem(503, "; ".join(wrong))
    return Readiness(checks=checks)
