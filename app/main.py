"""The web application."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from app.api import (
    agents,
    approvals,
    audit,
    description,
    files,
    health,
    keys,
    memory,
    models,
    namespaces,
    problems,
    schedules,
    steering,
    tasks,
    web,
    webhooks,
)
from app.api.limits import BodyLimit
from app.api.origin import LOOPBACK, SameOrigin
from app.api.patience import Patience
from app.api.watch import Watch
from app.errors import SettingsError
from app.metrics import Metrics
from app.settings import Settings
from app.wiring import Runtime, open_runtime
from models.base import Model

_TITLE = "Strop"
_PARTS = (
    tasks,
    steering,
    approvals,
    schedules,
    webhooks,
    agents,
    files,
    memory,
    models,
    keys,
    namespaces,
    audit,
    health,
)
"""Of the API, in the order in which its description names them."""
_GZIP_BYTES = 1024
"""What is smaller gains nothing; event streams are never compressed."""
_MULTIPART_BYTES = 64 << 10
"""What a form needs beside the file in it."""


def create_app(
    settings: Settings,
    *,
    model: Model | None = None,
    announce: Callable[[Runtime], Awaitable[None]] | None = None,
) -> FastAPI:
    """Return the application; its lifespan opens the runtime and closes it.

    Args:
        settings: where and how.
        model: answers instead of the model that the settings name.
        announce: told of the runtime once it is open, while requests are served already.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            try:
                runtime = await stack.enter_async_context(
                    open_runtime(settings, model=model, work=settings.server_works)
                )
            except SettingsError as error:
                app.state.refusal = error
                raise
            app.state.runtime = runtime
            announcing = asyncio.ensure_future(announce(runtime)) if announce else None
            yield
            app.state.runtime = None
            if announcing is not None:
                announcing.cancel()
                await asyncio.gather(announcing, return_exceptions=True)

    app = FastAPI(
        title=_TITLE,
        version=_version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=description.operation_id,
    )
    app.state.metrics = Metrics()
    problems.install(app)
    for part in _PARTS:
        app.include_router(part.router)
    web.install(app)
    description.install(app)
    app.add_middleware(
        BodyLimit,
        json_bytes=settings.json_limit_bytes,
        upload_bytes=settings.upload_limit_bytes + _MULTIPART_BYTES,
        wait_s=settings.client_timeout_s,
    )
    app.add_middleware(Patience, wait_s=settings.database_wait_s)
    app.add_middleware(SameOrigin, hosts={*LOOPBACK, settings.host, *settings.public_hosts})
    app.add_middleware(GZipMiddleware, minimum_size=_GZIP_BYTES, compresslevel=5)
    app.add_middleware(web.SecurityHeaders)
    app.add_middleware(Watch, watcher=app.state.metrics)
    return app


def _version() -> str:
    try:
        return version("strop")
    except PackageNotFoundError:
        return "0"
