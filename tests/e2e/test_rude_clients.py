"""Clients that send too much, too slowly or nothing, at a real server which goes on serving."""

import socket
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.server import Server, server

MIB = 1 << 20
WAIT_S = 1.0
"""What the server grants a client."""
LIMIT_S = 30.0
"""When a test gives up."""
CONNECTIONS = 40


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with server(
        tmp_path_factory.mktemp("home"),
        STROP_MODEL="embedded",
        STROP_EMBEDDING="none",
        STROP_SANDBOX="unsafe-local",
        STROP_CLIENT_TIMEOUT_S=str(WAIT_S),
        STROP_MAX_CONNECTIONS=str(CONNECTIONS),
    ) as started:
        started.client.get("/readyz")
        yield started


def _connected(running: Server) -> socket.socket:
    host, _, port = running.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=LIMIT_S)


def _head(kind: str, *lines: str) -> bytes:
    first = ("POST /api/v1/tasks HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}")
    return "\r\n".join([*first, *lines, "", ""]).encode()


def _answer(connection: socket.socket) -> bytes:
    """Read until the server hangs up."""
    said = b""
    try:
        while part := connection.recv(65_536):
            said += part
    except ConnectionResetError:
        pass  # it hung up while something was still on its way to it
    return said


def _peak_bytes(running: Server) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def _serves(running: Server) -> None:
    assert running.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_a_hundred_megabytes_is_refused_early_and_never_held(
    running: Server, kind: str, declared: bool
) -> None:
    before = _peak_bytes(running)
    sent = 0
    chunk = b" " * MIB
    frame = b"%x\r\n%s\r\n" % (MIB, chunk)
    how = f"Content-Length: {100 * MIB}" if declared else "Transfer-Encoding: chunked"
    with closing(_connected(running)) as connection:
        connection.sendall(_head(kind, how))
        if kind.startswith("multipart") and not declared:
            part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        try:
            for _ in range(100):
                connection.sendall(chunk if declared else frame)
                sent += MIB
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has said enough
        assert b" 413 " in _answer(connection).partition(b"\r\n")[0]
    assert sent < 90 * MIB
    assert _peak_bytes(running) - before < 30 * MIB
    _serves(running)


def test_heads_and_bodies_that_drip_are_dropped_while_others_are_served(running: Server) -> None:
    began = time.monotonic()
    heads = [_connected(running) for _ in range(10)]
    bodies = [_connected(running) for _ in range(10)]
    for connection in bodies:
        connection.sendall(_head("application/json", "Content-Length: 1000"))
    statuses: set[bytes] = set()
    waiting = heads + bodies
    for connection in waiting:
        connection.setblocking(False)
    while waiting and time.monotonic() - began < LIMIT_S:
        _serves(running)
        for connection in list(waiting):
            try:
                connection.send(b"G" if connection in heads else b" ")
                statuses.add(connection.recv(65_536).partition(b"\r\n")[0])
            except BlockingIOError:
                continue
            except ConnectionError:
                pass
            waiting.remove(connection)
    for connection in heads + bodies:
        connection.close()
    assert waiting == []
    assert b"HTTP/1.1 408 Request Timeout" in statuses


def test_a_connection_that_says_nothing_is_closed(running: Server) -> None:
    with closing(_connected(running)) as silent, closing(_connected(running)) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert _answer(silent) == b""
        assert _answer(idle).startswith(b"HTTP/1.1 200 ")


def test_more_connections_than_are_taken_are_refused_in_words(running: Server) -> None:
    _serves(running)
    opened = [_connected(running) for _ in range(CONNECTIONS)]
    answers = [_answer(connection) for connection in opened]
    for connection in opened:
        connection.close()
    refused = [said for said in answers if said.startswith(b"HTTP/1.1 503 ")]
    assert refused
    assert len(refused) <= 3  # the client of this test, and nothing that was not closed before
    assert all(b"Retry-After: " in said for said in refused)
    _serves(running)


def test_a_client_that_keeps_its_connection_may_send_one_large_body_after_the_other(
    running: Server,
) -> None:
    file = {"file": ("a", b"x" * MIB)}
    statuses = [running.client.post("/api/v1/files", files=file).status_code for _ in range(5)]
    assert statuses == [201] * 5


def test_a_head_without_end_is_refused(running: Server) -> None:
    with closing(_connected(running)) as connection:
        try:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            for number in range(100):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"x" * 4096))
        except ConnectionError:
            pass
        assert _answer(connection).partition(b"\r\n")[0] in {
            b"HTTP/1.1 431 Request Header Fields Too Large",
            b"HTTP/1.1 400 Bad Request",
        }
    _serves(running)
