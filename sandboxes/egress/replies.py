"""Bring the answer of a server back, so that the client asks nothing more on this connection."""

from asyncio import IncompleteReadError, LimitOverrunError, StreamReader, StreamWriter
from dataclasses import dataclass, replace

from sandboxes.egress.heads import Head
from sandboxes.egress.refusals import Reason, RefusedError
from sandboxes.egress.traffic import PIECE, Traffic

_END = b"\r\n\r\n"
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"upgrade"})
_WITHOUT_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of a response."""

    status: int
    lines: list[bytes]
    """As they go back."""
    named: dict[bytes, bytes]
    bodiless: bool = False

    @property
    def delimited(self) -> bool:
        """Whether the head tells where the body ends."""
        return bool({b"content-length", b"transfer-encoding"} & self.named.keys())


async def read_reply(server: StreamReader, head: Head, limit: int) -> Reply:
    """Return the head of the response to a request; heads that only announce it are left out.

    Raises:
        RefusedError: the server does not speak HTTP/1, or says that it sends too much.
    """
    reply = await _final(server)
    length = reply.named.get(b"content-length", b"")
    if head.method == "HEAD" or reply.status in _WITHOUT_BODY:
        return replace(reply, bodiless=True)
    if length.isdigit() and int(length) > limit:
        detail = f"the answer has {int(length)} bytes, allowed are {limit}"
        raise RefusedError(Reason.DOWNLOAD, detail)
    return reply


async def carry_reply(
    reply: Reply, head: Head, server: StreamReader, client: StreamWriter, traffic: Traffic
) -> None:
    """Carry a response; a body that only the end of the connection ends is put in chunks.

    Otherwise a download that is cut could not be told from one that is whole. Clients of old
    have to live with that.

    Raises:
        RefusedError: it is too much.
    """
    chunk = not (reply.delimited or reply.bodiless or head.old)
    lines = [*reply.lines, *([b"Transfer-Encoding: chunked"] if chunk else [])]
    first = b"\r\n".join([*lines, b"Connection: close", b"", b""])
    traffic.receive(len(first))
    client.write(first)
    while piece := await server.read(PIECE):
        traffic.receive(len(piece))
        client.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunk else piece)
        await client.drain()
    if chunk:
        client.write(b"0\r\n\r\n")
    await client.drain()


async def _final(server: StreamReader) -> Reply:
    """Return the head of the response, without those that only announce it."""
    while True:
        try:
            raw = await server.readuntil(_END)
        except (IncompleteReadError, LimitOverrunError, ConnectionError) as error:
            raise _no_http() from error
        reply = _parsed(raw)
        if reply.status == 101:
            raise _no_http()
        if reply.status >= 200:
            return reply


def _parsed(raw: bytes) -> Reply:
    first, *rest = raw.removesuffix(_END).split(b"\r\n")
    version, _, status = first.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not status[:3].isdigit():
        raise _no_http()
    fields = [(line.partition(b":")[0].strip().lower(), line) for line in rest]
    kept = [line for name, line in fields if name not in _HOP_BY_HOP]
    named = {name: line.partition(b":")[2].strip() for name, line in fields}
    return Reply(int(status[:3]), [b"HTTP/1.1" + first[len(version) :], *kept], named)


def _no_http() -> RefusedError:
    return RefusedError(Reason.UNREACHABLE, "the server's answer is not HTTP/1")
