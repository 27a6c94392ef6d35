"""Keep a bounded part of what a command prints, and count the rest."""

from asyncio import Event


class Capture:
    """One stream: the first three quarters of the limit and the last quarter."""

    def __init__(self, limit: int, meter: "Meter") -> None:
        """Keep at most `limit` bytes and report every one to `meter`."""
        self.total = 0
        self._limit = limit
        self._meter = meter
        self._head = bytearray()
        self._tail = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take what was printed next."""
        self.total += len(chunk)
        self._meter.add(len(chunk))
        room = self._limit - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        surplus = len(self._tail) - max(1, self._limit // 4)
        if surplus > 0:
            del self._tail[:surplus]

    def kept(self) -> bytes:
        """Return what was printed, or its two ends with a line that says what is missing."""
        if self.total <= self._limit:
            return bytes(self._head)
        note = f"\n[{self.total - self._limit} bytes and more left out]\n".encode()
        room = self._limit - len(note)
        if room <= 0:
            return bytes(self._head)
        end = room // 4
        everything = self._head[: room - end] + note
        return bytes(everything + self._last(end))

    def _last(self, size: int) -> bytearray:
        if size == 0:
            return bytearray()
        return (self._head + self._tail)[-size:]


class Meter:
    """Bytes printed on all streams of one command."""

    def __init__(self, limit: int) -> None:
        """Set `exceeded` once more than `limit` bytes came."""
        self.exceeded = Event()
        self._limit = limit
        self._total = 0

    def add(self, size: int) -> None:
        """Count `size` bytes."""
        self._total += size
        if self._total > self._limit:
            self.exceeded.set()
