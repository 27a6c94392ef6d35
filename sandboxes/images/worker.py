"""Run the commands of one container, as its first process.

Strop starts this file as `python3 -I -S -c <text>` and speaks to it over the container's
stdin and stdout, in frames: kind, channel, length, payload. It needs the standard library
only. Each command has a keeper above it, to which everything descends that the command
leaves behind, so commands beside it go on when it is killed. When stdin ends, because the
server closed it or died, everything ends. Commands are its enemies: it cannot be traced,
it has no readable files in /proc, and being the first process it cannot be killed by them.
"""

import ctypes
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

HEADER = struct.Struct(">BII")
EXIT = struct.Struct(">iiQQIBB")
"""Exit code, signal, processor microseconds, peak bytes, leftovers, OOM, whether clean."""
NUMBER = struct.Struct(">I")

START, INPUT, INPUT_END, CREDIT, KILL, DIAL, PING, LISTEN = range(1, 9)
READY, STDOUT, STDERR, OUTPUT_END, ENDED, INPUT_CREDIT, PONG, ACCEPTED, FAILED = range(64, 73)

WINDOW = 1 << 20
"""Bytes of output that may be under way on one channel."""
CHUNK = 1 << 16
ACCEPTED_FROM = 1 << 31
KILL_S = 3.0
PATIENCE_S = 0.5
"""For a keeper that was told to end its command."""
FIRST_FREE = 64
_DEFAULT_SIGNALS = (signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT)
_SET_DUMPABLE, _SET_CHILD_SUBREAPER = 4, 36
_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


class Channel:
    """One command, or one connection to a port, with the descriptors it is spoken to by."""

    def __init__(self, number: int, writer: int, readers: dict[int, int]) -> None:
        """Keep descriptors: one to write to, and those to read with the kind of their frames."""
        self.number = number
        self.writer = writer
        self.readers = readers
        self.credit = WINDOW
        self.pending = bytearray()
        self.input_ended = False
        self.keeper = 0
        self.report = -1
        self.oom_before = 0
        self.patience = float("inf")


class Worker:
    """The loop that moves bytes between the server and the commands."""

    def __init__(self) -> None:
        """Take the control streams and leave nothing of them to commands."""
        self.selector = selectors.DefaultSelector()
        self.channels: dict[int, Channel] = {}
        self.input = bytearray()
        self.control_in = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 10)
        self.control_out = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 10)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.close(null)
        os.set_blocking(self.control_in, False)
        self.selector.register(self.control_in, selectors.EVENT_READ, self.read_control)
        self.accepted = ACCEPTED_FROM
        self.listening: set[int] = set()

    def run(self) -> None:
        """Serve until the server lets go."""
        self.send(READY, 0, NUMBER.pack(os.getuid()))
        while True:
            for key, mask in self.selector.select(0.5):
                if self.selector.get_map().get(key.fd) is key:  # none before it closed this one
                    key.data(mask)
            self.bury()
            for channel in self.channels.values():
                if channel.keeper > 0 and time.monotonic() > channel.patience:
                    os.kill(channel.keeper, signal.SIGKILL)  # a command holds it up

    def send(self, kind: int, channel: int, payload: bytes = b"") -> None:
        """Write one frame; the server always reads, so this ends."""
        view = memoryview(HEADER.pack(kind, channel, len(payload)) + payload)
        while view:
            view = view[os.write(self.control_out, view) :]

    def read_control(self, _: int) -> None:
        """Take what the server sent and act on each whole frame."""
        data = os.read(self.control_in, CHUNK)
        if not data:
            # The kernel ends what else lives in the container with its first process.
            os._exit(0)
        self.input += data
        while len(self.input) >= HEADER.size:
            kind, number, length = HEADER.unpack_from(self.input)
            if len(self.input) < HEADER.size + length:
                return
            payload = bytes(self.input[HEADER.size : HEADER.size + length])
            del self.input[: HEADER.size + length]
            self.act(kind, number, payload)

    def act(self, kind: int, number: int, payload: bytes) -> None:
        """Do what one frame says."""
        if kind == START:
            self.start(number, json.loads(payload))
        elif kind == DIAL:
            self.dial(number, NUMBER.unpack(payload)[0])
        elif kind == LISTEN:
            self.listen(NUMBER.unpack(payload)[0])
        elif kind == PING:
            self.send(PONG, number, payload)
        elif number in self.channels:
            self.act_on(self.channels[number], kind, payload)

    def act_on(self, channel: Channel, kind: int, payload: bytes) -> None:
        """Do what one frame says about a channel that is open."""
        if kind == INPUT:
            channel.pending += payload
            self.write_input(channel)
        elif kind == INPUT_END:
            channel.input_ended = True
            self.write_input(channel)
        elif kind == CREDIT:
            self.give_credit(channel, NUMBER.unpack(payload)[0])
        elif kind == KILL:
            self.kill(channel)

    def start(self, number: int, order: "dict[str, Any]") -> None:
        """Start a command below a keeper of its own."""
        (in_r, in_w), (out_r, out_w), (err_r, err_w), (rep_r, rep_w) = (os.pipe() for _ in range(4))
        theirs = (in_r, out_w, err_w, rep_w)
        before = oom_kills()
        try:
            keeper = os.fork()
        except OSError as error:
            for descriptor in (*theirs, in_w, out_r, err_r, rep_r):
                os.close(descriptor)
            self.send(FAILED, number, os.strerror(error.errno or 0).encode())
            return
        if keeper == 0:
            keep(theirs, order)
        for descriptor in theirs:
            os.close(descriptor)
        channel = Channel(number, in_w, {out_r: STDOUT, err_r: STDERR})
        channel.keeper, channel.report, channel.oom_before = keeper, rep_r, before
        self.open(channel)
        self.selector.register(rep_r, selectors.EVENT_READ, partial(self.end, channel))

    def open(self, channel: Channel) -> None:
        """Begin to read from and write to a channel."""
        self.channels[channel.number] = channel
        os.set_blocking(channel.writer, False)
        for descriptor in channel.readers:
            os.set_blocking(descriptor, False)
            self.watch(channel, descriptor)

    def watch(self, channel: Channel, descriptor: int) -> None:
        """Read from a descriptor whenever it has something."""
        self.selector.register(
            descriptor, selectors.EVENT_READ, partial(self.read_output, channel, descriptor)
        )

    def read_output(self, channel: Channel, descriptor: int, _: int) -> None:
        """Pass on what was printed; stop reading when nobody took what came before."""
        kind = channel.readers[descriptor]
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.forget(descriptor)
            del channel.readers[descriptor]
            self.send(OUTPUT_END, channel.number, NUMBER.pack(kind))
            self.drop_if_done(channel)
            return
        channel.credit -= len(data)
        self.send(kind, channel.number, data)
        if channel.credit <= 0:
            for each in channel.readers:
                self.selector.unregister(each)

    def give_credit(self, channel: Channel, size: int) -> None:
        """Read on, after the server took some of the output."""
        was_stopped = channel.credit <= 0
        channel.credit += size
        if was_stopped and channel.credit > 0:
            for descriptor in channel.readers:
                self.watch(channel, descriptor)

    def write_input(self, channel: Channel, mask: int = 0) -> None:
        """Write what the server sent, as far as it is taken."""
        if channel.writer < 0:
            self.refund(channel, len(channel.pending))
            return
        if mask:
            self.selector.unregister(channel.writer)
        elif channel.writer in self.selector.get_map():
            return
        try:
            taken = os.write(channel.writer, channel.pending[:CHUNK]) if channel.pending else 0
        except BlockingIOError:
            taken = 0
        except OSError:
            self.refund(channel, len(channel.pending))
            self.close_input(channel)
            return
        self.refund(channel, taken)
        if channel.pending:
            again = partial(self.write_input, channel)
            self.selector.register(channel.writer, selectors.EVENT_WRITE, again)
        elif channel.input_ended:
            self.close_input(channel)

    def refund(self, channel: Channel, size: int) -> None:
        """Tell the server that input was taken, or thrown away."""
        del channel.pending[:size]
        if size:
            self.send(INPUT_CREDIT, channel.number, NUMBER.pack(size))

    def close_input(self, channel: Channel) -> None:
        """Let the reader of the input see its end."""
        if channel.writer < 0:
            return
        if not channel.keeper:
            with suppress(OSError), socket.socket(fileno=os.dup(channel.writer)) as link:
                link.shutdown(socket.SHUT_WR)
        self.forget(channel.writer)
        channel.writer = -1
        self.drop_if_done(channel)

    def kill(self, channel: Channel) -> None:
        """End a command with everything below it, or a connection."""
        if channel.keeper < 0:
            return
        if channel.keeper:
            channel.patience = min(channel.patience, time.monotonic() + PATIENCE_S)
            with suppress(ProcessLookupError):
                os.kill(channel.keeper, signal.SIGTERM)
                os.kill(channel.keeper, signal.SIGCONT)
            return
        for descriptor, kind in channel.readers.items():
            self.forget(descriptor)
            self.send(OUTPUT_END, channel.number, NUMBER.pack(kind))
        channel.readers.clear()
        self.close_input(channel)
        self.drop_if_done(channel)

    def end(self, channel: Channel, _: int) -> None:
        """Tell how a command ended, from the last words of its keeper."""
        report = os.read(channel.report, EXIT.size)
        # It has said all it will; only when it is gone are its children known to be ours.
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(channel.keeper, signal.SIGKILL)
            os.waitpid(channel.keeper, 0)
        channel.keeper = -1
        if len(report) != EXIT.size:
            # Only a command can have killed the keeper; what it kept is ours to end now.
            report = EXIT.pack(0, signal.SIGKILL, 0, 0, self.end_strays(), 0, 1)
        self.forget(channel.report)
        fields = list(EXIT.unpack(report))
        if oom_kills() > channel.oom_before:
            fields[5] = 1
        channel.report = -1
        self.close_input(channel)
        self.send(ENDED, channel.number, EXIT.pack(*fields))
        self.drop_if_done(channel)

    def drop_if_done(self, channel: Channel) -> None:
        """Forget a channel on which nothing will happen any more."""
        done = channel.report < 0 and not channel.readers and channel.writer < 0
        if done and self.channels.pop(channel.number, None) and not channel.keeper:
            self.send(ENDED, channel.number, EXIT.pack(0, 0, 0, 0, 0, 0, 1))

    def forget(self, descriptor: int) -> None:
        """Stop watching a descriptor and close it."""
        with suppress(KeyError):
            self.selector.unregister(descriptor)
        os.close(descriptor)

    def end_strays(self) -> int:
        """Kill everything that is below no keeper and return how many that were."""
        if os.getpid() != 1:
            return 0  # started anywhere but as the first of a container, this is no place to do so
        keepers = {c.keeper for c in self.channels.values() if c.keeper > 0}
        killed: set[int] = set()
        limit = time.monotonic() + KILL_S
        while time.monotonic() < limit:
            parents = parents_of_all()
            kept = below(parents, keepers)
            strays = [pid for pid in parents if pid not in kept and pid != os.getpid()]
            if not strays:
                break
            if not keepers:
                with suppress(OSError):
                    os.kill(-1, signal.SIGKILL)  # at once, however fast they multiply
                killed.update(strays)
            for pid in strays:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            self.bury()
        return len(killed)

    def bury(self) -> None:
        """Reap what was left to us; keepers are reaped when they have reported."""
        keepers = {c.keeper for c in self.channels.values() if c.keeper > 0}
        with suppress(ChildProcessError):
            while dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if dead.si_pid in keepers:
                    return
                os.waitpid(dead.si_pid, 0)

    def dial(self, number: int, port: int) -> None:
        """Connect to a port on which a command listens."""
        link = socket.socket()
        try:
            link.settimeout(1.0)
            link.connect(("127.0.0.1", port))
        except OSError:
            link.close()
            self.send(FAILED, number)
            return
        self.open_link(number, link)

    def open_link(self, number: int, link: socket.socket) -> None:
        """Treat a connection as a channel."""
        writer = os.dup(link.fileno())
        self.open(Channel(number, writer, {link.detach(): STDOUT}))

    def listen(self, port: int) -> None:
        """Take connections of commands and pass them to the server."""
        if port in self.listening:
            return
        self.listening.add(port)
        server = socket.create_server(("127.0.0.1", port))
        self.selector.register(server, selectors.EVENT_READ, partial(self.accept, server))

    def accept(self, server: socket.socket, _: int) -> None:
        """Tell the server of a new connection."""
        try:
            link, _ = server.accept()
        except OSError:
            return
        self.accepted += 1
        self.send(ACCEPTED, self.accepted, NUMBER.pack(server.getsockname()[1]))
        self.open_link(self.accepted, link)


def keep(theirs: tuple[int, ...], order: "dict[str, Any]") -> NoReturn:
    """Run the command, then end whatever it left, and report."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        given = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for number in theirs]
        os.closerange(0, FIRST_FREE)
        os.closerange(max(given) + 1, 1 << 16)
        os.open(os.devnull, os.O_RDWR)
        report = given.pop()
        main, code = start_command(given, order)
        for number in given:
            os.close(number)
        code, number = await_end(main) if main else (code, 0)
        leftovers, clean = end_children()
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = int((spent.ru_utime + spent.ru_stime) * 1e6)
        packed = EXIT.pack(code, number, cpu, spent.ru_maxrss << 10, leftovers, 0, clean)
        os.write(report, packed)
        status = 0
    finally:
        os._exit(status)


def start_command(given: list[int], order: "dict[str, Any]") -> tuple[int, int]:
    """Return the process of the command, or 0 and the exit code that a shell would give."""
    try:
        # Whatever is short of memory takes a command rather than the worker.
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
            score.write("1000")
        for number, wanted in order["bounds"]:
            hard = resource.getrlimit(number)[1]
            bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(number, (bound, bound))
        os.chdir(order["cwd"])
        argv = [part.encode("latin-1") for part in order["argv"]]
        env = {k.encode("latin-1"): v.encode("latin-1") for k, v in order["env"].items()}
        os.environb[b"PATH"] = env.get(b"PATH", b"/usr/bin:/bin")
        streams = [(os.POSIX_SPAWN_DUP2, number, target) for target, number in enumerate(given)]
        main = os.posix_spawnp(
            argv[0], argv, env, file_actions=streams, setsid=True, setsigdef=_DEFAULT_SIGNALS
        )
    except OSError as error:
        name = order["argv"][0].encode("latin-1")
        os.write(given[2], name + b": " + os.strerror(error.errno or 0).encode() + b"\n")
        return 0, 127 if isinstance(error, FileNotFoundError) else 126
    return main, 0


class _ToldToStop(Exception):  # noqa: N818 - not an error
    """The server wants the command ended."""


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _ToldToStop


def await_end(main: int) -> tuple[int, int]:
    """Reap until the command itself has ended; return its exit code and its signal."""
    try:
        signal.signal(signal.SIGTERM, _stop)
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == main:
                if os.WIFSIGNALED(status):
                    return 0, os.WTERMSIG(status)
                return os.waitstatus_to_exitcode(status), 0
    except _ToldToStop:
        return 0, signal.SIGKILL
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_children() -> tuple[int, int]:
    """Kill everything below this process; return how many that were and whether none is left."""
    killed: set[int] = set()
    limit = time.monotonic() + KILL_S
    while time.monotonic() < limit:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return len(killed), 1
        me = os.getpid()
        for pid in below(parents_of_all(), {me}) - {me}:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    return len(killed), 0


def parents_of_all() -> dict[int, int]:
    """Return each process that is no zombie with its parent."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - nothing more is loaded than needed
        if name.isdecimal():
            with (
                suppress(OSError, ValueError, IndexError),
                open(f"/proc/{name}/stat", "rb") as file,  # noqa: PTH123
            ):
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state not in {b"Z", b"X"}:
                    parents[int(name)] = int(parent)
    return parents


def below(parents: dict[int, int], roots: set[int]) -> set[int]:
    """Return the roots and everything that descends from them."""
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def oom_kills() -> int:
    """Return how often the kernel killed for the memory limit of this container."""
    for path in _COUNTERS:
        with suppress(OSError, ValueError, IndexError), open(path, "rb") as file:  # noqa: PTH123
            for line in file:
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
    return 0


def main() -> None:
    """Shut the door, then serve."""
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.setswitchinterval(1.0)
    Worker().run()


if __name__ == "__main__":
    main()
