"""What holds for the whole suite: one event loop, no network, repeatable properties."""

import os
import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import cast

import pytest
from hypothesis import settings

from tests.support.docker_engine import DockerEngine
from tests.support.postgres import PostgresServer, postgres_programs

_SLOW = {"e2e", "cli", "evals"}
"""Folders of the tests that take longest."""

settings.register_profile("strop", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("strop")


def _is_here(host: object) -> bool:
    if not isinstance(host, str):
        return host is None
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in {"", "localhost"}


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Stop what would leave this machine, in whatever library it happens."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto"}:
        handle, address = arguments[0], arguments[1]
        families = {socket.AF_INET, socket.AF_INET6}
        if not isinstance(address, tuple) or getattr(handle, "family", None) not in families:
            return
        host = cast("tuple[object, ...]", address)[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not _is_here(host):
        msg = f"a test tried to reach {host!r}; tests talk to servers of their own on loopback"
        raise RuntimeError(msg)


def pytest_configure() -> None:
    """An audit hook sees every connection of this process and cannot be taken off again."""
    sys.addaudithook(_refuse_the_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what starts processes: it takes longest, and nobody is to wait for it alone."""
    items.sort(key=lambda item: not _SLOW.intersection(item.path.parts))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that only the tests of this process use, started at first need."""
    server = PostgresServer(postgres_programs())
    yield server
    server.remove()


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """An engine that only the tests of this process use, started at first need."""
    engine = DockerEngine()
    yield engine
    engine.remove()
