"""Run the web application on an address."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from app import logs
from app.connections import Bounds, allow_files, protocol
from app.errors import SettingsError
from app.main import create_app
from app.settings import Settings
from app.wiring import Runtime, open_runtime
from models.base import Model, ModelError

_KEEP_ALIVE_S = 5
"""How long a connection may be idle between two requests."""


def run_server(settings: Settings, *, model: Model | None = None) -> None:
    """Serve until a signal, then let running tasks go on for a moment and put them back.

    Raises:
        SettingsError: the address is taken or not a loopback one, or a setting cannot be met.
    """
    logs.set_up(settings.log_level, settings.log_format)
    if not _is_loopback(settings.host):
        check_address(settings.host, locked=asyncio.run(_locked(settings)))
    listening = _bound(settings.host, settings.port)
    port = listening.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    _say(f"Strop listens on http://{host}:{port}")
    _say(f"Home: {settings.home_path}")
    app = create_app(settings, model=model, announce=_announce)
    connections = min(settings.max_connections, allow_files())
    bounds = Bounds(settings.client_timeout_s, connections)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=max(1, min(_KEEP_ALIVE_S, int(settings.client_timeout_s))),
        server_header=False,
        http=protocol(bounds),
        ws="none",
    )
    # Once it has stopped, uvicorn raises the signal again; being asked to stop is no failure.
    signal.signal(signal.SIGTERM, _stopped)
    with listening, _quiet_refusals(app):
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _quiet_refusals(app: FastAPI) -> Generator[None]:
    """Turn a setting that cannot be met into its error, which uvicorn would log as a fault."""

    def wanted(_record: logging.LogRecord) -> bool:
        return not hasattr(app.state, "refusal")

    log = logging.getLogger("uvicorn.error")
    log.addFilter(wanted)
    try:
        yield
    finally:
        log.removeFilter(wanted)
        if hasattr(app.state, "refusal"):
            raise app.state.refusal


def _stopped(_number: int, _frame: object) -> None:
    sys.exit(0)


async def _locked(settings: Settings) -> bool:
    async with open_runtime(settings, work=False) as runtime:
        return await runtime.access.locked()


def check_address(host: str, *, locked: bool = False) -> None:
    """Refuse to listen where others could reach a server that asks nobody for a key.

    Raises:
        SettingsError: there are no keys, and the host is not a loopback address.
    """
    if not locked and not _is_loopback(host):
        msg = (
            f"STROP_HOST: expected a loopback address such as 127.0.0.1, got {host!r}: without "
            "keys anyone who reaches the server could run tasks; make one first: "
            "strop keys create NAME --scope admin"
        )
        raise SettingsError(msg)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        msg = f"STROP_PORT: cannot listen on {host} port {port}: {error.strerror}; choose another"
        raise SettingsError(msg) from None
    return listening


async def _announce(runtime: Runtime) -> None:
    """Say who may come in, and which model answers."""
    if await runtime.access.locked():
        _say("Keys: every request needs one")
    else:
        _say("Keys: none, so that only this machine is served; see: strop keys create --help")
    await _announce_model(runtime)


async def _announce_model(runtime: Runtime) -> None:
    """Say which model answers, and why."""
    try:
        chosen = await runtime.models.chosen()
    except ModelError as error:
        _say(f"Model: none can be reached, tasks will fail: {error}")
    else:
        _say(f"Model: {chosen.info.name}, because {chosen.reason}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
