r"""Read the head of a proxy request strictly, and write the one that goes on.

What two programs could read differently is refused, not repaired: that is what smuggling a
second request is made of. The head that goes on is written anew, with framing of our own.
"""

import re
from dataclasses import dataclass

from sandboxes.egress.names import Place, place
from sandboxes.egress.refusals import Reason, RefusedError

MAX_HEAD = 64 << 10
END = b"\r\n\r\n"
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(rb"[!-~]+")
_FORBIDDEN_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE = re.compile(rb"(?i:http)://([^/?#]+)([^#]*)(?:#.*)?")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_HTTP_PORT = 80
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"http2-settings"),
        *(b"proxy-connection", b"proxy-authenticate", b"proxy-authorization"),
    }
)
_OURS = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})


@dataclass(frozen=True, slots=True)
class Head:
    """A request that is well formed; whether it is allowed is another question."""

    method: str
    place: Place
    target: bytes = b""
    """Path and query; empty for CONNECT."""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    """What goes on unchanged."""
    length: int = 0
    """Bytes of the body, if it is not in chunks."""
    chunked: bool = False
    awaits: bool = False
    """Whether the client waits for a `100 Continue`."""
    old: bool = False
    """Whether it speaks HTTP/1.0, which knows no chunks."""

    def onward(self) -> bytes:
        """Return the head that the server gets."""
        host = self.place.host if self.place.port == _HTTP_PORT else str(self.place)
        if ":" in self.place.host and self.place.port == _HTTP_PORT:
            host = f"[{self.place.host}]"
        version = b"HTTP/1.0" if self.old else b"HTTP/1.1"
        first = b" ".join([self.method.encode(), self.target, version])
        lines = [first, b"Host: " + host.encode()]
        lines += [b"%s: %s" % field for field in self.fields]
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
        elif self.length or self.method in {"POST", "PUT", "PATCH"}:
            lines.append(b"Content-Length: %d" % self.length)
        return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def parse_head(raw: bytes) -> Head:
    """Return the request of a head that ends with an empty line.

    Raises:
        RefusedError: it is not a proxy request, or not one that everyone reads alike.
    """
    first, *lines = raw.removesuffix(END).split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise _bad("expected 'METHOD target HTTP/1.1'")
    method, target, version = parts
    if version not in _VERSIONS:
        raise _bad("expected HTTP/1.1")
    fields = [_field(line) for line in lines]
    if method.upper() == b"CONNECT":
        return Head("CONNECT", _place(target, None))
    return _plain(method.decode(), target, fields, version)


def _plain(method: str, target: bytes, fields: list[tuple[bytes, bytes]], version: bytes) -> Head:
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise _bad("expected CONNECT host:port, or a URL that begins with http://")
    path = found[2] if found[2].startswith(b"/") else b"/" + found[2]
    named = {name.lower() for name, _ in fields}
    listed = {
        name.strip().lower()
        for field, value in fields
        if field.lower() == b"connection"
        for name in value.split(b",")
    }
    length, chunked = _framing(fields, version)
    kept = [
        (name, value) for name, value in fields if name.lower() not in _HOP_BY_HOP | _OURS | listed
    ]
    return Head(
        method=method,
        place=_place(found[1], _HTTP_PORT),
        target=path,
        fields=tuple(kept),
        length=length,
        chunked=chunked,
        awaits=b"expect" in named,
        old=version == b"HTTP/1.0",
    )


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name) or _FORBIDDEN_IN_VALUE.search(value):
        raise _bad("a header line is not 'Name: value'; folded lines are not taken")
    return name, value.strip(b" \t")


def _framing(fields: list[tuple[bytes, bytes]], version: bytes) -> tuple[int, bool]:
    """Return the length of the body and whether it comes in chunks; never both."""
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    codings = [value for name, value in fields if name.lower() == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise _bad("more than one header tells the length of the body")
    if codings:
        if codings[0].lower() != b"chunked" or version != b"HTTP/1.1":
            raise _bad("the only Transfer-Encoding taken is chunked, with HTTP/1.1")
        return 0, True
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise _bad("Content-Length is no number")
    return int(lengths[0]) if lengths else 0, False


def _place(text: bytes, default_port: int | None) -> Place:
    try:
        return place(text.decode("ascii"), default_port)
    except ValueError as error:
        raise _bad(str(error)) from error


def _bad(detail: str) -> RefusedError:
    return RefusedError(Reason.BAD_REQUEST, detail)
