"""Read the name in the first message of TLS, without taking part in it."""

from dataclasses import dataclass

MAX_HELLO = 64 << 10
_RECORD_HEAD = 5
_HANDSHAKE = 22
_MAX_RECORD = 1 << 14
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"
"""A fatal alert: what a client is told when its name is not the one it asked for."""


class NotTlsError(ValueError):
    """The bytes are no ClientHello that everyone reads alike."""


@dataclass(slots=True)
class _Cursor:
    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            msg = "a length inside the message is wrong"
            raise NotTlsError(msg)
        self.at += count
        return part

    def vector(self, width: int) -> bytes:
        """Take a length of `width` bytes and what it counts."""
        return self.take(int.from_bytes(self.take(width), "big"))

    @property
    def left(self) -> bool:
        return self.at < len(self.data)


def hello_message(received: bytes) -> bytes | None:
    """Return the whole ClientHello in what came so far, or None while it is incomplete.

    Raises:
        NotTlsError: it will never be one.
    """
    message, at = b"", 0
    while True:
        head = received[at : at + _RECORD_HEAD]
        if head[:1] not in (b"", bytes([_HANDSHAKE])) or head[1:2] not in (b"", b"\x03"):
            msg = "the first bytes are not TLS"
            raise NotTlsError(msg)
        if len(head) < _RECORD_HEAD:
            return None
        length = int.from_bytes(head[3:5], "big")
        if not 0 < length <= _MAX_RECORD:
            msg = "the first record of TLS has a wrong length"
            raise NotTlsError(msg)
        part = received[at + _RECORD_HEAD : at + _RECORD_HEAD + length]
        message += part
        if message[:1] not in (b"", bytes([_CLIENT_HELLO])):
            msg = "the first message of TLS is not a ClientHello"
            raise NotTlsError(msg)
        needed = 4 + int.from_bytes(message[1:4], "big") if len(message) >= 4 else MAX_HELLO
        if len(message) >= needed:
            return message[4:needed]
        if needed > MAX_HELLO:
            msg = "the ClientHello is too large"
            raise NotTlsError(msg)
        if len(part) < length:
            return None
        at += _RECORD_HEAD + length


def server_name(message: bytes) -> str | None:
    """Return the name that a ClientHello asks for, or None when it asks for none.

    Raises:
        NotTlsError: it is malformed, or names more than one.
    """
    cursor = _Cursor(message)
    cursor.take(2 + 32)  # version and random
    cursor.vector(1)  # session
    cursor.vector(2)  # ciphers
    cursor.vector(1)  # compressions
    if not cursor.left:
        return None
    extensions = _Cursor(cursor.vector(2))
    names: list[bytes] = []
    while extensions.left:
        kind = int.from_bytes(extensions.take(2), "big")
        body = extensions.vector(2)
        if kind == _SERVER_NAME:
            names += _names(body)
    if cursor.left or len(names) > 1:
        msg = "the ClientHello is malformed or names more than one server"
        raise NotTlsError(msg)
    if not names:
        return None
    try:
        return names[0].decode("ascii")
    except UnicodeDecodeError as error:
        msg = "the server's name is not ASCII"
        raise NotTlsError(msg) from error


def _names(body: bytes) -> list[bytes]:
    outer = _Cursor(body)
    entries = _Cursor(outer.vector(2))
    names: list[bytes] = []
    while entries.left:
        if entries.take(1)[0] != _HOST_NAME:
            msg = "the ClientHello names a server in an unknown way"
            raise NotTlsError(msg)
        names.append(entries.vector(2))
    if outer.left or not names:
        msg = "the list of server names is malformed"
        raise NotTlsError(msg)
    return names
