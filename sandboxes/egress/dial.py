"""Connect to an address that was judged: a name is resolved once and never again."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sandboxes.egress.addresses import is_own, is_public, resolve
from sandboxes.egress.names import Place
from sandboxes.egress.refusals import Reason, RefusedError

Streams = tuple[StreamReader, StreamWriter]
Resolve = Callable[[str, int], Awaitable[list[str]]]
Connect = Callable[[str, int], Awaitable[Streams]]
_MAX_ADDRESSES = 4
_LOOKUPS = 4
"""At once for one sandbox: a thread waits for each, however early whoever asked gave up."""


@dataclass(frozen=True, slots=True)
class Dialer:
    """Reaches places through this machine's resolver and network."""

    resolve: Resolve = resolve
    connect: Connect = asyncio.open_connection
    timeout_s: float = 10.0
    """For the name, and again for each address."""
    _lookups: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_LOOKUPS), init=False, repr=False
    )

    async def dial(self, place: Place) -> Streams:
        """Connect to a place; an address that is asked for as such was allowed as such.

        Raises:
            RefusedError: it leads to no public address, or cannot be reached.
        """
        addresses = [place.host] if place.literal else await self._public(place)
        problem = ""
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                async with asyncio.timeout(self.timeout_s):
                    return await self.connect(address, place.port)
            except OSError as error:
                problem = str(error) or type(error).__name__
        raise RefusedError(Reason.UNREACHABLE, f"{place} does not answer: {problem}")

    async def _public(self, place: Place) -> list[str]:
        try:
            async with asyncio.timeout(self.timeout_s):
                found = await self._looked_up(place)
        except OSError as error:
            detail = f"{place.host} has no address: {str(error) or type(error).__name__}"
            raise RefusedError(Reason.NO_NAME, detail) from error
        public = [address for address in found if is_public(address) and not is_own(address)]
        if not public:
            detail = f"{place.host} leads to an address of a private network or of this machine"
            raise RefusedError(Reason.ADDRESS, detail)
        return public

    async def _looked_up(self, place: Place) -> list[str]:
        await self._lookups.acquire()
        lookup = asyncio.ensure_future(self.resolve(place.host, place.port))

        def ended(task: asyncio.Future[list[str]]) -> None:
            self._lookups.release()
            if not task.cancelled():
                task.exception()  # whoever asked may be gone; then nobody is to complain

        lookup.add_done_callback(ended)
        return await asyncio.shield(lookup)
