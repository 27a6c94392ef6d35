"""Choose the backend that commands of this server run in; never an unprotected one by itself."""

from dataclasses import dataclass

from sandboxes.base import (
    Capabilities,
    Isolation,
    SandboxBackend,
    SandboxUnavailableError,
    discover,
)

AUTO = "auto"
_PREFERRED = ("bubblewrap",)


@dataclass(frozen=True, slots=True)
class Selected:
    """A backend that was probed, and why it is this one."""

    name: str
    backend: SandboxBackend
    capabilities: Capabilities
    reason: str


async def select(name: str = AUTO) -> Selected:
    """Return the backend called `name`, or for `auto` the first that protects the host.

    Raises:
        SandboxUnavailableError: it does not exist or cannot work here; says what to do.
    """
    if name == AUTO:
        return await _select_protecting()
    factories = discover()
    if name not in factories:
        known = ", ".join([AUTO, *sorted(factories)])
        msg = f"no sandbox backend is called {name!r}; expected one of {known}"
        raise SandboxUnavailableError(msg)
    backend = factories[name]()
    return Selected(name, backend, await backend.probe(), "asked for by name")


async def _select_protecting() -> Selected:
    factories = discover()
    causes: list[str] = []
    for name in (*_PREFERRED, *sorted(set(factories) - set(_PREFERRED))):
        backend = factories[name]()
        try:
            capabilities = await backend.probe()
        except SandboxUnavailableError as error:
            causes.append(f"{name}: {error}")
            continue
        if capabilities.isolation >= Isolation.NAMESPACE:
            reason = f"the first that works here and isolates ({capabilities.isolation.name})"
            return Selected(name, backend, capabilities, reason)
    msg = "no sandbox backend can protect this machine, and none is used without protection;\n"
    raise SandboxUnavailableError(msg + "\n".join(causes))
