"""Give routes the runtime that the application's lifespan opened."""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.errors import UnavailableError
from app.wiring import Runtime


def runtime_of(request: Request) -> Runtime:
    """Return the runtime.

    Raises:
        UnavailableError: the application is starting or stopping.
    """
    runtime = getattr(request.app.state, "runtime", None)
    if runtime is None:
        message = "the server is starting or stopping; try again"
        raise UnavailableError(message)
    return cast("Runtime", runtime)


RuntimeOf = Annotated[Runtime, Depends(runtime_of)]
