"""Run the web application on an address."""

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
from app.errors import SettingsError
from app.main import create_app
from app.settings import Settings
from app.wiring import Runtime
from models.base import Model, ModelError


def run_server(settings: Settings, *, model: Model | None = None) -> None:
    """Serve until a signal, then let running tasks go on for a moment and put them back.

    Raises:
        SettingsError: the address is taken or not a loopback one, or a setting cannot be met.
    """
    logs.set_up(settings.log_level, settings.log_format)
    check_address(settings.host)
    listening = _bound(settings.host, settings.port)
    port = listening.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    _say(f"Strop listens on http://{host}:{port} (loopback only: there are no keys)")
    _say(f"Home: {settings.home_path}")
    app = create_app(settings, model=model, announce=_announce_model)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        server_header=False,
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


def check_address(host: str) -> None:
    """Refuse to listen where others could reach a server that asks nobody for a key.

    Raises:
        SettingsError: the host is not a loopback address.
    """
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        msg = (
            f"STROP_HOST: expected a loopback address such as 127.0.0.1, got {host!r}: without "
            "keys anyone who reaches the server could run tasks; put a proxy that checks who "
            "comes in front of it"
        )
        raise SettingsError(msg)


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
