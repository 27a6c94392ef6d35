"""`/api/v1/models`: which model answers, and which can be named."""

from fastapi import APIRouter
from pydantic import BaseModel

from app.api.caller import Reader
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from models.base import ModelInfo

router = APIRouter(prefix="/api/v1/models", tags=["models"], responses=RESPONSES)


class ModelView(ModelInfo):
    """A model that can be named in a task."""

    chosen: bool
    """Whether tasks that name none get it."""
    reason: str = ""
    """Why it was chosen."""


class ModelList(BaseModel):
    """The models that are known by name, the chosen one first."""

    items: list[ModelView]


@router.get("")
async def models(runtime: RuntimeOf, _caller: Reader) -> ModelList:
    """List the models, the one that tasks get first."""
    chosen = await runtime.models.chosen()
    first = ModelView(**chosen.info.model_dump(), chosen=True, reason=chosen.reason)
    others = [
        ModelView(**info.model_dump(), chosen=False)
        for info in runtime.models.catalogue()
        if info.name != chosen.info.name
    ]
    return ModelList(items=[first, *others])
