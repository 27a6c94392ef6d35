"""The sandbox backend of this process, probed once."""

import asyncio

from app.settings import Settings
from sandboxes.base import Isolation, Network, SandboxBackend
from sandboxes.selection import AUTO, Selected, select


class SandboxDesk:
    """Selects a backend at the first need and keeps it; a failure is tried again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._selected: Selected | None = None
        self._lock = asyncio.Lock()

    @property
    def min_isolation(self) -> Isolation:
        """The weakest isolation that runs accept."""
        said = self._settings.sandbox_min_isolation
        if said:
            return Isolation[said.upper()]
        return Isolation.NAMESPACE if self._settings.sandbox == AUTO else Isolation.NONE

    @property
    def network(self) -> Network:
        """What the commands of tasks may reach."""
        hosts = self._settings.sandbox_hosts
        return Network(mode="allowlist", domains=hosts) if hosts else Network()

    @property
    def options(self) -> dict[str, str]:
        """What the operator set up for backends, by names such as `docker_image`."""
        return self._settings.sandbox_options()

    async def selected(self) -> Selected:
        """Return the backend and why it is this one.

        Raises:
            SandboxUnavailableError: none can work here; says what to do.
        """
        async with self._lock:
            if self._selected is None:
                self._selected = await select(self._settings.sandbox, self.options)
            return self._selected

    async def backend(self) -> SandboxBackend:
        """Return the backend.

        Raises:
            SandboxUnavailableError: see `selected`.
        """
        return (await self.selected()).backend
