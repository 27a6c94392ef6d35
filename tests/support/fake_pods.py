"""What a kubelet and a container runtime do, as far as the fake cluster needs it.

A pod is one bubblewrap with namespaces of its own, the process numbers included: a program
that kills everything that it sees kills its pod. Its first process, which no signal from
inside can end, starts what it is told to, with streams that come over a socket.
"""

import asyncio
import itertools
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandboxes.pipes import open_reader, open_writer
from sandboxes.seccomp import build_filter

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib64")
_MESSAGE_BYTES = 1 << 17

# The first process of a pod. It reaps every process that has lost its parent, too.
_AGENT = """
import json, os, socket, sys, threading, time
link = socket.socket(fileno=int(sys.argv[1]))
lock, started, ended = threading.Lock(), {}, {}
def tell(name, code):
    link.send(json.dumps({"id": name, "code": code}).encode())
def reap():
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.005)
            continue
        code = os.waitstatus_to_exitcode(status)
        with lock:
            name = started.pop(pid, None)
            if name is None:
                ended[pid] = code
        if name is not None:
            tell(name, code)
threading.Thread(target=reap, daemon=True).start()
while True:
    data, fds, _, _ = socket.recv_fds(link, 1 << 17, 3)
    if not data:
        os._exit(0)
    asked = json.loads(data)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)]
    actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in (*fds, link.fileno())]
    try:
        argv = asked["argv"]
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsid=True)
    except OSError:
        tell(asked["id"], 127)
    else:
        with lock:
            code = ended.pop(pid, None)
            if code is None:
                started[pid] = asked["id"]
        if code is not None:
            tell(asked["id"], code)
    for fd in fds:
        os.close(fd)
"""


class Program:
    """A program in a pod."""

    def __init__(self, streams: Sequence[Any], ending: "asyncio.Future[int]") -> None:
        self.stdin: asyncio.StreamWriter = streams[0][0]
        self.stdout: asyncio.StreamReader = streams[1][0]
        self.stderr: asyncio.StreamReader = streams[2][0]
        self._transports = [transport for _, transport in streams]
        self._ending = ending

    async def wait(self) -> int:
        """Wait for its end, or that of its pod, and return its code."""
        return await self._ending

    def close(self) -> None:
        """Let go of its streams."""
        for transport in self._transports:
            transport.close()


class Pod:
    """A running pod."""

    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket) -> None:
        self._process, self._link = process, link
        self._endings: dict[str, asyncio.Future[int]] = {}
        self._numbers = itertools.count()
        link.setblocking(False)
        asyncio.get_running_loop().add_reader(link, self._hear)

    async def execute(self, argv: Sequence[str]) -> Program:
        """Start a program."""
        name = str(next(self._numbers))
        ending: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._endings[name] = ending
        (stdin, to_stdin), (from_out, stdout), (from_err, stderr) = (os.pipe() for _ in range(3))
        theirs = [stdin, stdout, stderr]
        message = json.dumps({"id": name, "argv": list(argv)}).encode()
        assert len(message) < _MESSAGE_BYTES
        try:
            socket.send_fds(self._link, [message], theirs)
        except OSError:  # the pod is gone
            ending.set_result(-9)
        for descriptor in theirs:
            os.close(descriptor)
        streams = [await open_writer(to_stdin), await open_reader(from_out)]
        return Program([*streams, await open_reader(from_err)], ending)

    async def remove(self) -> None:
        """End it with everything in it."""
        asyncio.get_running_loop().remove_reader(self._link)
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._link.close()
        self._end_all()

    def _hear(self) -> None:
        try:
            data = self._link.recv(_MESSAGE_BYTES)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._link)
            self._end_all()
            return
        told = json.loads(data)
        ending = self._endings.pop(told["id"], None)
        if ending is not None and not ending.done():
            ending.set_result(told["code"])

    def _end_all(self) -> None:
        for ending in self._endings.values():
            if not ending.done():
                ending.set_result(-9)
        self._endings.clear()


async def start_pod(spec: dict[str, Any], folder: Path, extra: dict[str, str]) -> Pod:
    """Start a pod on the volumes below `folder`, without a network unless `extra` says where."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = os.memfd_create("filter")
    os.write(program, build_filter())
    os.lseek(program, 0, os.SEEK_SET)
    options = _options(spec["containers"][0], folder, extra, program)
    agent = ["python3", "-I", "-B", "-c", _AGENT, str(theirs.fileno())]
    process = await asyncio.create_subprocess_exec(
        "bwrap", *options, *agent, pass_fds=(program, theirs.fileno()), stdout=sys.stderr.fileno()
    )
    theirs.close()
    os.close(program)
    return Pod(process, ours)


def _options(
    container: dict[str, Any], folder: Path, extra: dict[str, str], program: int
) -> list[str]:
    options = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--as-pid-1", "--uid", "1000"]
    options += ["--gid", "1000", "--cap-drop", "ALL", "--seccomp", str(program), "--clearenv"]
    options += ["--die-with-parent", "--ro-bind", "/usr", "/usr", "--proc", "/proc"]
    options += ["--ro-bind", "/proc/sys", "/proc/sys"]
    options += ["--dev", "/dev", *([] if "OPEN" in extra else ["--unshare-net"])]
    for path in _SYSTEM:
        if Path(path).is_symlink():
            options += ["--symlink", str(Path(path).readlink()), path]
    for mount in container["volumeMounts"]:
        options += ["--bind", str(folder / mount["name"]), mount["mountPath"]]
    variables = {one["name"]: one["value"] for one in container["env"]}
    for name, value in {"PATH": "/usr/bin:/bin", **extra, **variables}.items():
        options += ["--setenv", name, value]
    return [*options, "--remount-ro", "/", "--chdir", container["workingDir"], "--"]
