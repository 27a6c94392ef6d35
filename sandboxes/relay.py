"""The host's side of what a sandbox reaches, and of the ports that it exposes.

A sandbox has no network. It is shown one folder, read-only, with sockets of this process in it:
one leads to the proxy that lets listed places through, others bring in what connects to an
exposed port. Inside, `sandboxes.relay_inside` carries between these and `127.0.0.1`. The host
never opens a path that the sandbox could have made.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandboxes import relay_inside
from sandboxes.base import Address, Network, Watch
from sandboxes.egress.proxy import EgressProxy, unwatched
from sandboxes.egress.rules import parse_rules
from sandboxes.exposed import Exposed
from sandboxes.held_folder import HeldFolder, hold_folder

FOLDER = "/run/strop"
"""Where the folder is shown inside."""
_PREFIX = "strop-relay-"
_SCRIPT = "relay.py"
_PROXY = "proxy"
_PROXY_URL = f"http://{relay_inside.HOST}:{relay_inside.PORT}"
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Line:
    """What one command needs to be connected."""

    prefix: Sequence[str]
    """Stands before the command, after a Python's path."""
    env: Mapping[str, str]
    exposed: Exposed | None

    @property
    def addresses(self) -> Mapping[int, Address]:
        """Where the host reaches the ports that are exposed."""
        return self.exposed.addresses if self.exposed else {}

    async def close(self) -> None:
        """Expose nothing more."""
        if self.exposed is not None:
            await self.exposed.close()


class Relay:
    """The connections of one sandbox to this process."""

    def __init__(
        self,
        network: Network,
        watch: Watch | None = None,
        *,
        owner: int | None = None,
        parent: Path | None = None,
    ) -> None:
        """Take in what is allowed; nothing is opened before it is needed.

        Args:
            network: what the commands may reach.
            watch: is told what they reach and do not reach.
            owner: the user the commands are outside; None for this process's own.
            parent: where the folder is made; the place for temporary files.

        Raises:
            ValueError: the allow-list says something that cannot be kept to.
        """
        parse_rules(network.domains)
        self._network = network
        self._watch = watch or unwatched
        self._owner = owner
        self._parent = parent
        self._lock = asyncio.Lock()
        self._folder: HeldFolder | None = None
        self._proxy: EgressProxy | None = None
        self._lines = 0

    @property
    def folder(self) -> Path:
        """What is to be shown, read-only, at `FOLDER`; there once a line was made."""
        if self._folder is None:
            msg = "the folder is made with the first line"
            raise ValueError(msg)
        return self._folder.path

    async def line(self, ports: Sequence[int] = ()) -> Line | None:
        """Return what connects a command, or None when nothing is allowed or exposed.

        Raises:
            OSError: this process may not open sockets.
            ValueError: there is no such port.
        """
        if self._network.mode == "none" and not ports:
            return None
        async with self._lock:
            if self._folder is None:
                await self._open()
        exposed: Exposed | None = None
        if ports:
            self._lines += 1
            exposed = Exposed(self.folder / f"ports{self._lines}", self._owner)
            await exposed.open(ports)
        sockets = [
            f"{FOLDER}/{name}" if name else relay_inside.NONE
            for name in (_PROXY if self._proxy else "", exposed.name if exposed else "")
        ]
        prefix = ("-I", "-S", f"{FOLDER}/{_SCRIPT}", *sockets)
        return Line(prefix, proxy_env(self._network), exposed)

    async def close(self) -> None:
        """Close what is open and remove the folder; lines are closed before."""
        if self._proxy is not None:
            await self._proxy.__aexit__(None, None, None)
        if self._folder is not None:
            await asyncio.to_thread(self._folder.remove)
        self._folder = self._proxy = None

    async def _open(self) -> None:
        self._folder = await asyncio.to_thread(_made, self._parent)
        if self._network.mode == "allowlist":
            socket = self._folder.path / _PROXY
            proxy = EgressProxy(self._network, socket, self._watch, owner=self._owner)
            self._proxy = await proxy.__aenter__()


def proxy_env(network: Network) -> dict[str, str]:
    """Return the variables by which programs find the proxy; they are a courtesy, no wall."""
    if network.mode == "none":
        return {}
    listed = any(entry.startswith(("127.", "[::1]:")) for entry in network.domains)
    # Programs do not ask a proxy for their own machine, unless the host's was listed.
    direct = "localhost" if listed else ",".join(_LOCAL)
    names = {"http_proxy": _PROXY_URL, "https_proxy": _PROXY_URL, "no_proxy": direct}
    shouted = {name.upper(): value for name, value in names.items()}
    return {**names, **shouted, "NODE_USE_ENV_PROXY": "1"}


def _made(parent: Path | None) -> HeldFolder:
    folder = hold_folder(_PREFIX, parent)
    shutil.copyfile(relay_inside.__file__, folder.path / _SCRIPT)
    (folder.path / _SCRIPT).chmod(0o644)
    folder.path.chmod(0o755)
    return folder
