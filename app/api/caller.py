"""Give routes the caller, and refuse those whose scopes do not suffice."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from app.callers import LOCAL, Caller, Scope


async def caller_of(request: Request) -> Caller:  # noqa: ARG001 - keys come in a header
    """Return who makes the request."""
    return LOCAL


def needs(scope: Scope) -> Callable[[Caller], Caller]:
    """Return a dependency that gives the caller if it has the scope."""

    def checked(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        caller.need(scope)
        return caller

    return checked


Reader = Annotated[Caller, Depends(needs("tasks:read"))]
Writer = Annotated[Caller, Depends(needs("tasks:write"))]
MemoryWriter = Annotated[Caller, Depends(needs("memory:write"))]
ToolsWriter = Annotated[Caller, Depends(needs("tools:write"))]
Admin = Annotated[Caller, Depends(needs("admin"))]
