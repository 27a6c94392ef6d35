"""The models of this process: which one is taken, and wrapped so that answers keep coming."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import InvalidInputError
from app.settings import EVERY_MODEL, Settings
from models.base import Model, ModelError, ModelInfo, UnknownModelError
from models.bounded import BoundedModel, Slots
from models.resilience import FallbackModel, OnEvent, RetryingModel, ignore_event

if TYPE_CHECKING:
    from models.selection import Choice, ModelSelector, ModelWish


@dataclass(frozen=True)
class Chosen:
    """The model that tasks get which name none, and why it is this one."""

    info: ModelInfo
    reason: str
    considered: tuple[str, ...] = ()


class ModelDesk:
    """Hands out models by name; everything heavy loads at the first call of a model."""

    def __init__(
        self, settings: Settings, *, fixed: Model | None = None, slots: Slots | None = None
    ) -> None:
        """Choose nothing yet.

        Args:
            settings: what the operator said about models.
            fixed: the model of tasks that name none, instead of a choice.
            slots: where places at models are had; without it no bound holds.
        """
        self._settings = settings
        self._fixed = fixed
        self._slots = slots
        self._built: dict[str, Model] = {}
        self._choices: dict[str, Choice] = {}
        self._lock = asyncio.Lock()

    async def chosen(self) -> Chosen:
        """Return the model of tasks that name none.

        Raises:
            ModelError: the settings name a model that is not known, or a server is not there.
        """
        if self._fixed is not None:
            return Chosen(self._fixed.info, "it was handed over by the caller")
        choice = await self._choice("")
        return Chosen(choice.info, choice.reason, choice.considered)

    async def check(self, name: str) -> None:
        """Refuse a name that no model has.

        Raises:
            InvalidInputError: nobody knows the name.
        """
        if self._fixed is not None and name == self._fixed.info.name:
            return
        try:
            await self._choice(name)
        except UnknownModelError as error:
            raise InvalidInputError.of("model", str(error)) from None
        except ModelError:
            return  # it may be there when the task runs

    async def get(self, name: str = "", *, on_event: OnEvent = ignore_event) -> Model:
        """Return a model that tries again and falls back.

        Args:
            name: as in `STROP_MODEL`; empty for the process's own choice.
            on_event: told of each retry, fallback and long wait for a place.

        Raises:
            ModelError: it is not known, or its server is not there.
        """
        names = dict.fromkeys((name, *self._settings.fallback_models))
        built = [self._bounded(await self._build(n), on_event) for n in names]
        models = [RetryingModel(model, on_event=on_event) for model in built]
        return models[0] if len(models) == 1 else FallbackModel(models, on_event=on_event)

    async def warm(self) -> None:
        """Choose the model of tasks that name none, and load what its first call would.

        Raises:
            ModelError: see `chosen`.
        """
        model = await self._build("")
        from models.gateway import Gateway  # noqa: PLC0415 - loads on use

        if isinstance(model, Gateway):
            await asyncio.to_thread(model.load)

    async def close(self) -> None:
        """Close what calls have opened."""
        if self._choices:
            from models.litellm_gateway import close_connections  # noqa: PLC0415 - was loaded

            await close_connections()

    def catalogue(self) -> tuple[ModelInfo, ...]:
        """Return the models that are known by name."""
        from models.catalogue import Catalogue  # noqa: PLC0415 - not needed to open a runtime

        return Catalogue().cards

    def _bounded(self, model: Model, on_event: OnEvent) -> Model:
        """Return a model that holds a place while it is asked, if the operator bounds it."""
        bounds = self._settings.model_concurrency
        names = (model.info.name, model.info.model_id, EVERY_MODEL)
        bound = next((bounds[name] for name in names if name in bounds), None)
        if bound is None or self._slots is None:
            return model
        return BoundedModel(model, self._slots, bound, on_event=on_event)

    async def _build(self, name: str) -> Model:
        if self._fixed is not None and name in {"", self._fixed.info.name}:
            return self._fixed
        choice = await self._choice(name)
        if name not in self._built:
            self._built[name] = choice.build()
        return self._built[name]

    async def _choice(self, name: str) -> "Choice":
        async with self._lock:
            if name not in self._choices:
                self._choices[name] = await self._selector().choose(self._wish(name))
            return self._choices[name]

    def _wish(self, name: str) -> "ModelWish":
        from models.selection import AUTO, ModelWish  # noqa: PLC0415 - loads on first use

        own = self._settings
        in_file = own.origin("model") not in {"environment", "given", "default"}
        return ModelWish(
            name=name or (AUTO if in_file else own.model),
            base_url=own.model_base_url or None,
            api_key=own.model_api_key.get_secret_value() or None,
            configured=own.model if in_file else None,
        )

    def _selector(self) -> "ModelSelector":
        from models.embedded import embedded_model  # noqa: PLC0415 - loads on first use
        from models.selection import ModelSelector  # noqa: PLC0415 - loads on first use

        return ModelSelector(embedded=embedded_model, environment=self._settings.provider_keys)
