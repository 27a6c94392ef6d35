"""Give routes the caller, and refuse those whose key or scopes do not suffice."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Response

from app.api.runtime import RuntimeOf
from app.callers import Caller, Scope, act_as


async def caller_of(request: Request, response: Response, runtime: RuntimeOf) -> Caller:
    """Return who makes the request.

    Raises:
        UnauthorizedError: a key is needed, and none came that is of use.
        TooManyError: the key makes more requests than it may.
    """
    address = request.client.host if request.client else None
    caller = await runtime.access.admit(request.headers.get("authorization"), address)
    standing = runtime.access.count(caller)
    if standing is not None:
        response.headers.update(standing.headers)
    return caller


def needs(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    """Return a dependency that gives the caller if it has the scope."""

    # A coroutine, since what a thread sets in its context the route would not see.
    async def checked(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        act_as(caller)
        caller.need(scope)
        return caller

    return checked


Reader = Annotated[Caller, Depends(needs("tasks:read"))]
Writer = Annotated[Caller, Depends(needs("tasks:write"))]
MemoryWriter = Annotated[Caller, Depends(needs("memory:write"))]
ToolsWriter = Annotated[Caller, Depends(needs("tools:write"))]
Admin = Annotated[Caller, Depends(needs("admin"))]
