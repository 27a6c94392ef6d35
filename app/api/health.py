"""`/healthz`, `/readyz` and `/metrics`: whether the process lives and works, and its figures."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.api.caller import Admin
from app.api.problems import RESPONSES, problem
from app.api.runtime import RuntimeOf
from app.checks import Check
from app.metrics import CONTENT_TYPE

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


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, runtime: RuntimeOf, _caller: Admin) -> Response:
    """Return the figures of all namespaces in the exposition format of Prometheus."""
    text = await request.app.state.metrics.text(runtime.checks.database)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
