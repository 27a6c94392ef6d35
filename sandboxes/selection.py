"""Choose the backend that commands of this server run in; never an unprotected one by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from sandboxes.base import (
    BackendFactory,
    Capabilities,
    Isolation,
    SandboxBackend,
    SandboxUnavailableError,
    discover,
)

AUTO = "auto"
_PREFERRED = ("bubblewrap",)
_ELSEWHERE = frozenset({"kubernetes"})
"""Other machines; no code is sent there unless they are asked for."""
_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


@runtime_checkable
class Configurable(Protocol):
    """A backend that an operator can set up, with an image for instance."""

    def configured(self, options: Mapping[str, str]) -> SandboxBackend:
        """Return one like this with `options`; names that are not its own mean nothing to it."""
        ...


@dataclass(frozen=True, slots=True)
class Selected:
    """A backend that was probed, and why it is this one."""

    name: str
    backend: SandboxBackend
    capabilities: Capabilities
    reason: str


async def select(name: str = AUTO, options: Mapping[str, str] = _NO_OPTIONS) -> Selected:
    """Return the backend called `name`, or for `auto` the first that protects the host.

    Options are named after their backend: `docker_image`.

    Raises:
        SandboxUnavailableError: it does not exist or cannot work here; says what to do.
    """
    if name == AUTO:
        return await _select_protecting(options)
    factories = discover()
    if name not in factories:
        known = ", ".join([AUTO, *sorted(factories)])
        msg = f"no sandbox backend is called {name!r}; expected one of {known}"
        raise SandboxUnavailableError(msg)
    backend = make(factories[name], options)
    return Selected(name, backend, await backend.probe(), "asked for by name")


def make(factory: BackendFactory, options: Mapping[str, str]) -> SandboxBackend:
    """Make a backend and hand it the options, if it takes any."""
    backend = factory()
    return backend.configured(options) if isinstance(backend, Configurable) else backend


async def _select_protecting(options: Mapping[str, str]) -> Selected:
    factories = {name: made for name, made in discover().items() if name not in _ELSEWHERE}
    causes: list[str] = []
    for name in (*_PREFERRED, *sorted(set(factories) - set(_PREFERRED))):
        backend = make(factories[name], options)
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
