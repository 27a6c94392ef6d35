"""Stand between a command in a sandbox and the sockets that the host shows it.

Runs inside a sandbox, where there is no network and only the standard library is sure to be
there: what connects to a port of `127.0.0.1` is carried to the Unix socket of the host's proxy,
and what the host sends for an exposed port is carried to that port. Started by
`sandboxes.relay` as `relay_inside.py PROXY PORTS COMMAND...`, where a `-` stands for a socket that
is not there; it begins to listen, leaves a process behind that carries, and becomes the command.
"""

from __future__ import annotations

# What lies beneath `socket`, `signal` and `contextlib`: these take as long to load as Python does,
# and each command behind the relay waits for it.
import _signal  # pyright: ignore[reportMissingImports] - it has no stub
import _socket
import os
import select
import sys

HOST, PORT = "127.0.0.1", 3128
NONE = "-"
_PIECE = 1 << 16
_WAIT_S = 5.0
_MOST = 128
_IGNORED = (13, 25)
"""SIGPIPE and SIGXFSZ, which Python ignores, and programs must not inherit that."""
_MISSING, _NOT_RUN = 127, 126
"""What a shell would exit with."""


class _without:  # noqa: N801 - reads as what it stands in for
    """Go on after a block that one of these ended."""

    def __init__(self, *kinds: type[BaseException]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._kinds)


class Pair:
    """Two connections of which each gets what the other sends."""

    def __init__(self, one: _socket.socket, other: _socket.socket) -> None:
        self.peers = {one: other, other: one}
        self.unsent = {one: b"", other: b""}
        self.ended: set[_socket.socket] = set()
        for end in self.peers:
            end.setblocking(False)

    def interest(self, end: _socket.socket) -> int:
        """Return what `poll` is to wait for at one end."""
        reading = end not in self.ended and not self.unsent[self.peers[end]]
        return (select.POLLIN if reading else 0) | (select.POLLOUT if self.unsent[end] else 0)

    def move(self, end: _socket.socket) -> bool:
        """Carry what can be carried from and to one end; return whether the pair still lives."""
        peer = self.peers[end]
        try:
            with _without(BlockingIOError):
                self._flush(end)
            if end not in self.ended and not self.unsent[peer]:
                with _without(BlockingIOError):
                    self._read(end, peer)
        except OSError:
            return False
        return len(self.ended) < len(self.peers) or any(self.unsent.values())

    def _read(self, end: _socket.socket, peer: _socket.socket) -> None:
        piece = end.recv(_PIECE)
        if piece:
            self.unsent[peer] = piece
        else:
            self.ended.add(end)
        self._flush(peer)

    def _flush(self, end: _socket.socket) -> None:
        while self.unsent[end]:
            self.unsent[end] = self.unsent[end][end.send(self.unsent[end]) :]
        if self.peers[end] in self.ended:
            with _without(OSError):
                end.shutdown(_socket.SHUT_WR)

    def close(self) -> None:
        """Close both ends."""
        for end in self.peers:
            end.close()


class Carrier:
    """Everything that is open, and what is to happen with each."""

    def __init__(self, proxy: str, ports: str) -> None:
        self._proxy, self._ports = proxy, ports
        self._pairs: dict[int, tuple[Pair, _socket.socket]] = {}
        self._poll = select.poll()
        self._listener: _socket.socket | None = None
        self._control: _socket.socket | None = None
        self._orders = b""
        if proxy != NONE:
            self._listener = _listening()
            self._poll.register(self._listener, select.POLLIN)
        if ports != NONE:
            self._control = _connected(ports)
            self._control.sendall(b"control\n")
            self._poll.register(self._control, select.POLLIN)

    @property
    def descriptors(self) -> set[int]:
        """What it listens to."""
        return {each.fileno() for each in (self._listener, self._control) if each is not None}

    def run(self) -> None:
        """Carry until killed."""
        while True:
            for descriptor, _ in self._poll.poll():
                if self._listener is not None and descriptor == self._listener.fileno():
                    self._accept(self._listener)
                elif self._control is not None and descriptor == self._control.fileno():
                    self._obey(self._control)
                elif descriptor in self._pairs:
                    self._move(*self._pairs[descriptor])

    def _accept(self, listener: _socket.socket) -> None:
        with _without(OSError):
            client = _accepted(listener)
            if len(self._pairs) >= 2 * _MOST:
                client.close()
                return
            try:
                self._join(client, _connected(self._proxy))
            except OSError:
                client.close()

    def _obey(self, control: _socket.socket) -> None:
        """Open what the host asks for: lines of a port and a number for the connection."""
        more = control.recv(_PIECE)
        *lines, self._orders = (self._orders + more).split(b"\n")
        for line in lines:
            port, _, number = line.partition(b" ")
            with _without(OSError):
                outward = _connected(self._ports)
                outward.sendall(number + b"\n")
                try:
                    self._join(outward, _connected((HOST, int(port))))
                except OSError:
                    outward.close()
        if not more:
            self._poll.unregister(control)
            control.close()
            self._control = None

    def _join(self, one: _socket.socket, other: _socket.socket) -> None:
        pair = Pair(one, other)
        for end in pair.peers:
            self._pairs[end.fileno()] = (pair, end)
            self._poll.register(end, pair.interest(end))

    def _move(self, pair: Pair, end: _socket.socket) -> None:
        lives = pair.move(end)
        for each in pair.peers:
            interest = pair.interest(each) if lives else 0
            if interest:
                self._poll.register(each, interest)
                continue
            # A closed end is told of again and again, even to who wants to hear nothing.
            with _without(KeyError):
                self._poll.unregister(each)
            if not lives:
                del self._pairs[each.fileno()]
        if not lives:
            pair.close()


def _listening() -> _socket.socket:
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    listener.bind((HOST, PORT))
    listener.listen(_MOST)
    return listener


def _accepted(listener: _socket.socket) -> _socket.socket:
    descriptor, _ = listener._accept()  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] - beneath `accept`
    return _socket.socket(fileno=descriptor)  # pyright: ignore[reportUnknownArgumentType] - see above


def _connected(address: str | tuple[str, int]) -> _socket.socket:
    """Connect to a path, or to a port."""
    family = _socket.AF_UNIX if isinstance(address, str) else _socket.AF_INET
    end = _socket.socket(family, _socket.SOCK_STREAM)
    end.settimeout(_WAIT_S)
    try:
        end.connect(address)
    except OSError:
        end.close()
        raise
    return end


def main(proxy: str, ports: str, argv: list[str]) -> None:
    """Begin to listen, leave a carrier behind and become the command."""
    carrier = Carrier(proxy, ports)
    if os.fork() == 0:
        if os.fork() == 0:  # so that the command has no child it did not start
            _let_go_but_of(carrier.descriptors)
            carrier.run()
        os._exit(0)
    os.wait()
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_DFL)  # pyright: ignore[reportUnknownMemberType] - it has no stub
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - what it is for
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.exit(_MISSING if isinstance(error, FileNotFoundError) else _NOT_RUN)


def _let_go_but_of(kept: set[int]) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - `pathlib` is not loaded here
        if int(name) > 2 and int(name) not in kept:
            with _without(OSError):
                os.close(int(name))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
