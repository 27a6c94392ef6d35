"""Attacks on the way out that a list of hosts opens, and on ports that are exposed."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sandboxes.base import Address, Egress, ExecResult, Isolation, Network, Sandbox, SandboxSpec
from sandboxes.check import EXAM_LIMITS, Check, Trial, Verdict
from sandboxes.check_contract import judge

_NEEDS = ("shell", "network_allowlist")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nlisted"
_FOLDER = "/run/strop"
_PORT = 8000
_PAUSE_S = 0.01
_PATIENCE_S = 5.0

# Sends what it reads to the proxy that the environment names, and prints what comes back.
_TALK = """
import os, socket, sys, urllib.parse
place = urllib.parse.urlsplit(os.environ.get("http_proxy", "http://127.0.0.1:3128"))
try:
    with socket.create_connection((place.hostname, place.port), timeout=5) as proxy:
        for part in sys.stdin.buffer.read().split(b"<then>"):
            proxy.sendall(part)
            if part.startswith(b"CONNECT"):
                sys.stdout.buffer.write(proxy.recv(65536))
        while piece := proxy.recv(65536):
            sys.stdout.buffer.write(piece)
except OSError as error:
    print(error)
"""

_FOLLOW = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).read())
except urllib.error.HTTPError as error:
    print(error.code, error.headers["X-Strop-Egress"])
"""

_PAST_THE_PROXY = """
import socket, sys
ports = sys.argv[1:]
for host in ("127.0.0.1", "::1", "192.0.2.1", "169.254.169.254"):
    for port in ports:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            print("connected to", host, port)
        except OSError:
            pass
for name in ("localhost.example.org", "listed.invalid"):
    try:
        print("resolved", socket.getaddrinfo(name, 80))
    except OSError:
        pass
"""

_TAKE_THE_FOLDER = f"""
import os, socket
for name in os.listdir("{_FOLDER}") if os.path.isdir("{_FOLDER}") else ():
    for act in (os.unlink, lambda path: os.rename(path, "/tmp/x"), lambda path: os.chmod(path, 0)):
        try:
            act("{_FOLDER}/" + name)
            print("changed", name)
        except OSError:
            pass
try:
    with socket.socket(socket.AF_UNIX) as mine:
        mine.bind("{_FOLDER}/mine")
        print("changed the folder")
except OSError:
    pass
"""

_SERVE = f"""
import socket
with socket.create_server(("127.0.0.1", {_PORT})) as listening:
    while True:
        client, _ = listening.accept()
        client.sendall(client.recv(100).upper())
        client.close()
"""


@dataclass(slots=True)
class Servers:
    """Two servers of the host: one is listed, the other must never hear a thing."""

    listed: int = 0
    unlisted: int = 0
    heard: list[bytes] = field(default_factory=list[bytes])
    """What came to the listed one."""
    hits: int = 0
    """How often the other one was reached."""
    reply: bytes = _ANSWER

    async def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Be the listed server."""
        with suppress(OSError):
            self.heard.append(await reader.read(1 << 16))
            writer.write(self.reply)
            await writer.drain()
            writer.close()

    async def trip(self, _: StreamReader, writer: StreamWriter) -> None:
        """Be the other one."""
        self.hits += 1
        writer.close()


@dataclass(frozen=True, slots=True)
class Ground:
    """A sandbox with a list of hosts, and what it is tried on."""

    place: Sandbox
    servers: Servers
    told: list[Egress]

    def filled(self, request: str) -> bytes:
        """Put the servers' places into a request."""
        listed = request.replace("{listed}", f"127.0.0.1:{self.servers.listed}")
        return listed.replace("{unlisted}", str(self.servers.unlisted)).encode()

    async def talk(self, request: bytes) -> ExecResult:
        """Send bytes to the proxy from inside."""
        return await self.run(_TALK, stdin=request)

    async def run(self, script: str, *args: str, stdin: bytes = b"") -> ExecResult:
        """Run a script inside."""
        return await self.place.exec(["python3", "-I", "-c", script, *args], stdin=stdin)

    def kept(self, result: ExecResult, expected: bytes) -> Verdict:
        """Return whether the sandbox was kept from it, told so, and it was noted."""
        noted = any(not egress.allowed for egress in self.told)
        fine = self.servers.hits == 0 and expected in result.stdout and noted
        if fine:
            return Verdict(held=True, detail=f"refused: {self.told[-1].reason[:120]}")
        unlisted = f"the unlisted server was reached {self.servers.hits} times"
        return Verdict(held=False, detail=f"{unlisted}; {result.stdout[:200]!r}")


@asynccontextmanager
async def ground(trial: Trial, **network: Any) -> AsyncGenerator[Ground]:  # noqa: ANN401 - fields of `Network`
    """Make servers, and a sandbox that one of them is listed for."""
    servers, told = Servers(), list[Egress]()
    listening = [
        await asyncio.start_server(serve, "127.0.0.1", 0)
        for serve in (servers.answer, servers.trip)
    ]
    servers.listed, servers.unlisted = (each.sockets[0].getsockname()[1] for each in listening)
    domains = (
        f"127.0.0.1:{servers.listed}",
        f"localhost:{servers.unlisted}",
        "*.wild.invalid",
        "listed.invalid",
    )
    spec = SandboxSpec(
        workspace=trial.workspace.with_name("connected"),
        limits=EXAM_LIMITS,
        network=Network(mode="allowlist", domains=domains, **network),
        min_isolation=Isolation.NONE,
    )
    if trial.backend is None:
        msg = "expected the exam to say which backend it examines"
        raise ValueError(msg)
    place = await trial.backend.create(spec, watch=told.append)
    try:
        yield Ground(place, servers, told)
    finally:
        await place.close()
        for each in listening:
            each.close()


def _asking(request: str, expected: bytes, **network: Any) -> Callable[[Trial], Awaitable[Verdict]]:  # noqa: ANN401 - fields of `Network`
    """Return a check that sends a request to the proxy and expects to be refused."""

    async def ask(trial: Trial) -> Verdict:
        async with ground(trial, **network) as there:
            return there.kept(await there.talk(there.filled(request)), expected)

    return ask


async def _listed_is_reached(trial: Trial) -> Verdict:
    async with ground(trial) as there:
        result = await there.talk(there.filled("GET http://{listed}/ HTTP/1.1\r\n\r\n"))
        told = [(one.port, one.allowed, one.received_bytes > 0) for one in there.told]
        reached = result.stdout.endswith(b"\r\n\r\nlisted")
        return judge(reached and told == [(there.servers.listed, True, True)], result)


async def _second_request(trial: Trial) -> Verdict:
    one = "GET http://{listed}/ HTTP/1.1\r\n\r\n"
    other = "GET http://127.0.0.1:{unlisted}/ HTTP/1.1\r\n\r\n"
    async with ground(trial) as there:
        result = await there.talk(there.filled(one + other))
        passed = b"".join(there.servers.heard).count(b"HTTP/1.1")
        return judge(there.servers.hits == 0 and passed == 1, result)


async def _foreign_host(trial: Trial) -> Verdict:
    request = "GET http://{listed}/ HTTP/1.1\r\nHost: unlisted.invalid\r\n\r\n"
    async with ground(trial) as there:
        result = await there.talk(there.filled(request))
        own = b"Host: 127.0.0.1:%d\r\n" % there.servers.listed
        heard = b"".join(there.servers.heard)
        return judge(own in heard and b"unlisted.invalid" not in heard, result)


async def _redirect(trial: Trial) -> Verdict:
    async with ground(trial) as there:
        away = f"http://127.0.0.1:{there.servers.unlisted}/"
        moved = f"HTTP/1.1 302 Found\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n"
        there.servers.reply = moved.encode()
        result = await there.run(_FOLLOW, f"http://127.0.0.1:{there.servers.listed}/")
        return there.kept(result, b"403 port_not_allowed")


async def _tunnel_not_tls(trial: Trial) -> Verdict:
    return await _in_a_tunnel(trial, b"GET / HTTP/1.1\r\nHost: unlisted.invalid\r\n\r\n")


async def _tunnel_other_name(trial: Trial) -> Verdict:
    return await _in_a_tunnel(trial, _client_hello("unlisted.invalid"))


async def _in_a_tunnel(trial: Trial, first: bytes) -> Verdict:
    async with ground(trial) as there:
        opened = there.filled("CONNECT {listed} HTTP/1.1\r\n\r\n<then>")
        result = await there.talk(opened + first)
        passed = b"".join(there.servers.heard)
        return judge(not passed and any(not one.allowed for one in there.told), result)


async def _large_answer(trial: Trial) -> Verdict:
    async with ground(trial, download_bytes=1000) as there:
        there.servers.reply = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000
        result = await there.talk(there.filled("GET http://{listed}/ HTTP/1.1\r\n\r\n"))
        got = result.stdout.count(b"x")
        return judge(got <= 1000 and any(not one.allowed for one in there.told), result)


async def _past_the_proxy(trial: Trial) -> Verdict:
    async with ground(trial) as there:
        ports = [str(there.servers.listed), str(there.servers.unlisted), "80"]
        result = await there.run(_PAST_THE_PROXY, *ports)
        left_alone = not there.servers.hits and not there.servers.heard
        return judge(left_alone and result.ok and not result.stdout, result)


async def _folder_is_fixed(trial: Trial) -> Verdict:
    async with ground(trial) as there:
        result = await there.run(_TAKE_THE_FOLDER)
        again = await there.talk(there.filled("GET http://{listed}/ HTTP/1.1\r\n\r\n"))
        works = again.stdout.endswith(b"listed")
        return judge(works and result.ok and not result.stdout, result)


async def _neighbour_has_no_way(trial: Trial) -> Verdict:
    async with ground(trial) as there:
        request = there.filled("GET http://{listed}/ HTTP/1.1\r\n\r\n")
        result = await trial.python(_TALK, stdin=request)
        return judge(not there.servers.heard and not there.told, result)


async def _exposed_port(trial: Trial) -> Verdict:
    async with await trial.place.start(["python3", "-I", "-c", _SERVE], ports=[_PORT]) as process:
        address = process.address(_PORT)
        answered = await _answered(address)
        try:
            process.address(_PORT + 1)
        except ValueError:
            unnamed = True
        else:
            unnamed = False
    closed = await _heard(address) is None
    detail = f"answer {answered!r}, unnamed refused: {unnamed}, closed at the end: {closed}"
    return Verdict(held=answered == b"HELLO" and unnamed and closed, detail=detail)


async def _exposing_is_no_way_out(trial: Trial) -> Verdict:
    servers = Servers()
    listening = await asyncio.start_server(servers.trip, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    argv = ["python3", "-I", "-c", _PAST_THE_PROXY, str(port)]
    try:
        async with await trial.place.start(argv, ports=[port]) as process:
            result = await process.wait()
    finally:
        listening.close()
    return judge(servers.hits == 0 and not result.stdout, result)


async def _answered(address: Address) -> bytes | None:
    """Return what an exposed port answers, once something listens there."""
    for _turn in range(int(_PATIENCE_S / _PAUSE_S)):
        if answer := await _heard(address):
            return answer
        await asyncio.sleep(_PAUSE_S)
    return None


async def _heard(address: Address) -> bytes | None:
    """Return what comes back from a place; None when nobody listens there."""
    try:
        reader, writer = await asyncio.open_connection(address.host, address.port)
    except OSError:
        return None
    with suppress(OSError):
        writer.write(b"hello")
        heard = await reader.read()
        writer.close()
        return heard
    return b""


def _client_hello(name: str) -> bytes:
    """Return how a TLS client begins that asks for a name."""
    import ssl  # noqa: PLC0415 - large, and needed by this check only

    context = ssl.create_default_context()
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(coming, going, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return going.read()


def _get(url: str, *lines: str, method: str = "GET") -> str:
    return "\r\n".join([f"{method} {url} HTTP/1.1", *lines, "", ""])


_REFUSED_REQUESTS: dict[str, tuple[str, bytes]] = {
    "another port of a listed address": (_get("http://127.0.0.1:{unlisted}/"), b" 403 "),
    "a host that is not listed": (_get("http://example.org/"), b" 403 "),
    "a listed name inside a longer one": (_get("http://listed.invalid.example.org/"), b" 403 "),
    "the name that a wildcard hangs on": (_get("http://wild.invalid/"), b" 403 "),
    "a cloud's metadata": (_get("http://169.254.169.254/latest/meta-data/"), b" 403 "),
    "a private address": (_get("http://10.0.0.1/"), b" 403 "),
    "a listed name that leads to this machine": (
        _get("http://localhost:{unlisted}/"),
        b"address_not_public",
    ),
    "an address as one number": (_get("http://2130706433:{unlisted}/"), b" 400 "),
    "an address in hexadecimal": (_get("http://0x7f.1:{unlisted}/"), b" 400 "),
    "an IPv4 address in IPv6": (_get("http://[::ffff:127.0.0.1]:{unlisted}/"), b" 403 "),
    "a listed host as a user's name": (_get("http://{listed}@127.0.0.1:{unlisted}/"), b" 400 "),
    "a tunnel to a host that is not listed": (
        "CONNECT 127.0.0.1:{unlisted} HTTP/1.1\r\n\r\n",
        b" 403 ",
    ),
    "two lengths of one body": (
        _get("http://{listed}/", "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n",
        b" 400 ",
    ),
    "a header on two lines": (_get("http://{listed}/", "X: a", " Host: b"), b" 400 "),
    "a method that is not listed": (_get("http://{listed}/", method="DELETE"), b" 403 "),
    "a body beyond the limit": (_get("http://{listed}/", "Content-Length: 99000000"), b" 403 "),
}


def _check(name: str, ask: Callable[[Trial], Awaitable[Verdict]], *, attack: bool = True) -> Check:
    group = "containment" if attack else "contract"
    return Check(name, group, ask, needs=_NEEDS)


CHECKS = (
    _check("a listed host is reached, and told of", _listed_is_reached, attack=False),
    *(
        _check(f"the way out refuses {name}", _asking(request, expected))
        for name, (request, expected) in _REFUSED_REQUESTS.items()
    ),
    _check("the way out refuses a second request on a connection", _second_request),
    _check("the way out names the judged host to the server", _foreign_host),
    _check("the way out refuses what a redirect leads to", _redirect),
    _check("the way out refuses a tunnel without TLS", _tunnel_not_tls),
    _check("the way out refuses TLS to another name", _tunnel_other_name),
    _check("the way out cuts an answer beyond the limit", _large_answer),
    _check("past the way out there is no network", _past_the_proxy),
    _check("the sockets of the way out cannot be replaced", _folder_is_fixed),
    _check("a sandbox without a list has no way out beside one", _neighbour_has_no_way),
    Check(
        "an exposed port is reached until the command ends",
        "contract",
        _exposed_port,
        needs=("shell", "ports"),
    ),
    Check(
        "exposing a port opens no way out",
        "containment",
        _exposing_is_no_way_out,
        needs=("shell", "ports"),
    ),
)
