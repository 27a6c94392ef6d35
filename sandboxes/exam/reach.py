"""Attacks on what lies outside: networks, secrets, other sandboxes."""

import asyncio
import fcntl
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

from sandboxes.check import LIVE, Check, Trial, Verdict
from sandboxes.check_contract import judge
from sandboxes.exam.field import (
    CALLS,
    abstract_listener,
    another,
    bystander,
    not_leaked,
    note,
    reached,
    refused,
    served,
    until,
    was_reached,
)

_ADDRESS_OF = 0x8915
"""SIOCGIFADDR."""

_CONNECT_ABSTRACT = """
import socket, sys
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        with socket.socket(socket.AF_UNIX, kind) as s:
            s.settimeout(2)
            s.connect("\\0" + sys.argv[1])
            print("connected")
    except OSError as error:
        print(error)
"""

_SEND_UDP = """
import socket, sys
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", (host, int(sys.argv[1])))
            print("sent")
    except OSError as error:
        print(error)
"""

_CONNECT_EACH = """
import socket, sys
port = int(sys.argv[1])
for host in sys.argv[2:]:
    try:
        socket.create_connection((host, port), timeout=1).close()
        print("connected")
    except OSError as error:
        print(error)
"""

# Connecting a datagram socket sends nothing; it asks the kernel for a route.
_FIND_ROUTES = """
import socket
found = []
for host in ("192.0.2.1", "169.254.169.254", "10.0.0.1", "100.64.0.1", "2001:db8::1", "fd00::1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.connect((host, 9))
            found.append(host)
    except OSError:
        pass
print("routes", found) if found else print("refused")
"""

_SOCKETS = """
import socket
for family, kind, protocol in (
    (40, 1, 0), (40, 2, 0),
    (2, 3, 1), (2, 3, 255), (10, 3, 58), (17, 3, 768), (17, 2, 768),
    (38, 5, 0), (15, 3, 2), (29, 3, 1), (31, 3, 0), (30, 5, 0), (44, 3, 0),
):
    name = f"socket family {family} kind {kind}"
    attempt(name, lambda: socket.socket(family, kind, protocol).close())
tell()
"""

_CHANGE_NETWORK = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    up = struct.pack("16sH14x", b"lo", 0x49)
    attempt("switched an interface", lambda: fcntl.ioctl(s, 0x8914, up))
def dummy():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        body = struct.pack("=BxHiII", 0, 0, 1, 0x1, 0x1)
        s.send(struct.pack("=IHHII", 16 + len(body), 16, 5, 1, 0) + body)
        answer = s.recv(4096)
        code = struct.unpack_from("=i", answer, 16)[0]
        if code != 0:
            raise OSError(-code, "refused")
attempt("set flags of an interface by netlink", dummy)
tell()
"""

_READ_SOCKET_TABLES = """
import os, sys
seen = []
for pid in ("self", *[name for name in os.listdir("/proc") if name.isdigit()]):
    for table in ("tcp", "unix", "udp"):
        try:
            text = open(f"/proc/{pid}/net/{table}").read()
        except OSError:
            continue
        if any(mark in text for mark in sys.argv[1:]):
            seen.append((pid, table))
print("seen", seen[:5]) if seen else print("refused")
"""

_TELL_NAMESPACES = """
import os
for name in ("net", "pid", "mnt", "ipc", "uts"):
    print(name, os.readlink(f"/proc/self/ns/{name}"))
"""

_SEARCH_EVERYWHERE = """
import os, stat, sys, time
mark, end, seen = bytes.fromhex(sys.argv[1])[::-1], time.monotonic() + 1.0, 0
def look(path):
    global seen
    seen += 1
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return
        with open(path, "rb") as file:
            if mark in file.read(1 << 20):
                print("found", mark.decode(), path)
                sys.exit()
    except OSError:
        pass
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        for part in ("environ", "cmdline", "stat", "status", "mountinfo"):
            look(f"/proc/{name}/{part}")
        for folder in ("fd", "map_files"):
            try:
                for entry in os.listdir(f"/proc/{name}/{folder}")[:200]:
                    look(f"/proc/{name}/{folder}/{entry}")
            except OSError:
                pass
more = "/run /var /etc /tmp /home /root /dev /opt /srv /mnt /media /app /data"
for root in (sys.argv[2], *more.split()):
    for folder, folders, names in os.walk(root):
        for name in names[:500]:
            look(os.path.join(folder, name))
            if time.monotonic() > end:
                print("looked at", seen)
                sys.exit()
print("looked at", seen)
"""

_THROUGH_PROC = """
import os, sys
for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
    for way in (f"/proc/{pid}/root{sys.argv[1]}", f"/proc/{pid}/cwd{sys.argv[1]}"):
        try:
            print(open(way).read())
        except OSError:
            pass
"""

_INHERITED = """
import os, stat
found = []
for number in map(int, os.listdir("/proc/self/fd")):
    if number < 3:
        continue
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        continue
    found.append((number, stat.S_IFMT(mode), os.readlink(f"/proc/self/fd/{number}")))
print("open", found) if found else print("refused")
"""

_READ_ELSEWHERE = """
import os, sys
for path in (sys.argv[1], "/work/../" + sys.argv[1], "/proc/1/root" + sys.argv[1]):
    try:
        print(open(path).read())
    except OSError as error:
        print(error)
for folder in ("/run", "/tmp", "/run/strop-sandbox"):
    for above, folders, names in os.walk(folder):
        if "secret.txt" in names:
            try:
                print(open(os.path.join(above, "secret.txt")).read())
            except OSError as error:
                print(error)
"""

_COMMAND_LINES = """
import os, sys
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            sys.stdout.buffer.write(open(f"/proc/{name}/cmdline", "rb").read())
        except OSError:
            pass
"""


async def _abstract_socket(trial: Trial) -> Verdict:
    name = f"strop-exam-{trial.secret}"
    with abstract_listener(name) as listener:
        result = await trial.python(_CONNECT_ABSTRACT, name)
        hit = was_reached(listener)
    return judge(not hit, f"reached: {hit}, {result.stdout[-80:]!r}")


async def _udp(trial: Trial) -> Verdict:
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        result = await trial.python(_SEND_UDP, str(listener.getsockname()[1]))
        hit = was_reached(listener)
    return judge(not hit, f"reached: {hit}, {result.stdout[-80:]!r}")


def _own_addresses() -> list[str]:
    """Return addresses of this machine other than loopback."""
    found: set[str] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                told = fcntl.ioctl(asking, _ADDRESS_OF, struct.pack("256s", name.encode()))
                found.add(socket.inet_ntoa(told[20:24]))
    return sorted(address for address in found if not address.startswith("127."))


async def _other_addresses(trial: Trial) -> Verdict:
    addresses = _own_addresses()
    if not addresses:
        return Verdict(held=None, detail="this machine has no address but loopback")
    hits: list[str] = []
    server = await asyncio.start_server(note(hits), "0.0.0.0", 0)  # noqa: S104 - the host's own addresses are the question
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await trial.python(_CONNECT_EACH, str(port), *addresses)
        await served(hits, result)
    return reached(hits, result)


async def _routes(trial: Trial) -> Verdict:
    return refused(await trial.python(_FIND_ROUTES))


async def _odd_sockets(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _SOCKETS))


async def _change_network(trial: Trial) -> Verdict:
    return refused(await trial.python(CALLS + _CHANGE_NETWORK))


async def _socket_tables(trial: Trial) -> Verdict:
    server = await asyncio.start_server(note([]), "127.0.0.1", 0)
    name = f"strop-exam-{trial.secret}"
    async with server:
        port = server.sockets[0].getsockname()[1]
        with abstract_listener(name):
            return refused(await trial.python(_READ_SOCKET_TABLES, f"0100007F:{port:04X}", name))


async def _namespaces(trial: Trial) -> Verdict:
    result = await trial.python(_TELL_NAMESPACES)
    inside = dict(line.split() for line in result.stdout.decode().splitlines())
    shared = [name for name, value in inside.items() if _namespace_here(name) == value]
    return judge(len(inside) == 5 and not shared, f"shared with the host: {shared}")


def _namespace_here(name: str) -> str:
    return str(Path(f"/proc/self/ns/{name}").readlink())


async def _planted_everywhere(trial: Trial) -> Verdict:
    """Plant one credential where servers keep theirs and search all that can be read."""
    (trial.outside / ".env").write_text(f"API_KEY={trial.secret}\n")
    (trial.outside / ".env").chmod(0o644)
    os.environ["STROP_EXAM_PLANTED"] = trial.secret
    try:
        async with bystander({"API_KEY": trial.secret}, f"--key={trial.secret}"):
            hidden = trial.secret.encode()[::-1].hex()
            result = await trial.python(_SEARCH_EVERYWHERE, hidden, str(trial.outside.parent))
    finally:
        del os.environ["STROP_EXAM_PLANTED"]
    verdict = not_leaked(trial, result)
    looked = result.stdout[-60:].decode(errors="replace").strip()
    if verdict.held and b"looked at" not in result.stdout:
        return judge(holds=False, result=f"the search did not end: {result.outcome}")
    return Verdict(held=verdict.held, detail=f"{verdict.detail}; {looked}"[:200])


async def _through_proc(trial: Trial) -> Verdict:
    planted = trial.outside / "secret.txt"
    planted.write_text(trial.secret)
    planted.chmod(0o644)
    async with bystander({}):
        return not_leaked(trial, await trial.python(_THROUGH_PROC, str(planted)))


async def _command_lines(trial: Trial) -> Verdict:
    async with bystander({}, f"--token={trial.secret}"):
        return not_leaked(trial, await trial.python(_COMMAND_LINES))


async def _inherited(trial: Trial) -> Verdict:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(reader, True)
        return refused(await trial.python(_INHERITED))
    finally:
        os.close(reader)
        os.close(writer)


async def _other_workspace(trial: Trial) -> Verdict:
    async with another(trial) as (place, workspace):
        await place.write("secret.txt", trial.secret.encode())
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(place.exec(["sleep", "1"]))
            result = await trial.python(_READ_ELSEWHERE, str(workspace / "secret.txt"))
            waiting.cancel()
    return not_leaked(trial, result)


async def _other_processes(trial: Trial) -> Verdict:
    async with another(trial) as (place, workspace):
        script = "touch here; exec sleep 5 # " + trial.secret
        async with asyncio.TaskGroup() as group:
            argv = ["sh", "-c", script.replace("exec sleep 5", "sleep 5; true")]
            waiting = group.create_task(place.exec(argv))
            await until((workspace / "here").exists)
            result = await trial.python(_COMMAND_LINES)
            waiting.cancel()
    return not_leaked(trial, result)


async def _shared_scratch(trial: Trial) -> Verdict:
    name = f"strop-exam-{trial.secret}"
    writing = f"for d in /tmp /var/tmp /dev/shm; do echo x > $d/{name}; done 2>/dev/null; true"
    reading = f"ls /tmp/{name} /var/tmp/{name} /dev/shm/{name} 2>/dev/null"
    try:
        await trial.shell(writing)
        async with another(trial) as (place, _):
            result = await place.exec(["sh", "-c", reading])
    finally:
        on_host = [
            path
            for folder in ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - where scratch files would land
            if (path := Path(folder, name)).exists()
        ]
        for path in on_host:
            path.unlink()
    return judge(not result.stdout and not on_host, f"seen: {result.stdout!r}, host: {on_host}")


CHECKS = (
    Check("abstract Unix sockets are out of reach", "containment", _abstract_socket, "anyone"),
    Check("the host's UDP ports are out of reach", "containment", _udp, "anyone"),
    Check("the host's other addresses are out of reach", "containment", _other_addresses, "anyone"),
    Check("no address outside has a route", "containment", _routes),
    Check("raw, vsock and odd sockets are refused", "containment", _odd_sockets, "root"),
    Check("network devices cannot be changed", "containment", _change_network, "root"),
    Check("the host's connections stay unseen", "containment", _socket_tables, "anyone"),
    Check("no namespace is shared with the host", "containment", _namespaces, "anyone"),
    Check("a planted credential is found nowhere", "containment", _planted_everywhere, "anyone"),
    Check("/proc leads to no file of the host", "containment", _through_proc, "anyone"),
    Check("the host's command lines stay unread", "containment", _command_lines, "anyone"),
    Check("no descriptor is inherited", "containment", _inherited),
    Check("another sandbox's files stay unread", "containment", _other_workspace, "anyone"),
    Check(
        "another sandbox's processes stay unseen",
        "containment",
        _other_processes,
        "anyone",
        needs=LIVE,
    ),
    Check("scratch space is not shared", "containment", _shared_scratch, "anyone"),
)
