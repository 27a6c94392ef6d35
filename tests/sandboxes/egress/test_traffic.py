"""What is carried, byte by byte, whatever comes."""

import asyncio
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.egress.refusals import RefusedError
from sandboxes.egress.traffic import Traffic, send_body, send_chunks

QUICK = settings(max_examples=60)
PIECES = st.lists(
    st.sampled_from(
        [b"0", b"1", b"3", b"A", b"\r\n", b"\n", b"\r", b";x", b" ", b"abc", b"G", b"0\r\n\r\n"]
    )
    | st.binary(max_size=4),
    max_size=14,
).map(b"".join)


class Kept(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def carried(raw: bytes, length: int | None) -> tuple[bytes, bool]:
    """Return what went on of a body, in chunks without `length`, and whether it was whole."""
    loop = asyncio.get_running_loop()
    reader, kept = StreamReader(), Kept()
    reader.feed_data(raw)
    reader.feed_eof()
    writer = StreamWriter(kept, StreamReaderProtocol(StreamReader()), None, loop)
    whole = False
    async with asyncio.timeout(5) as timer:
        traffic = Traffic(upload_limit=40, download_limit=1, idle_s=5, timer=timer)
        with suppress(RefusedError):
            if length is None:
                await send_chunks(reader, writer, traffic)
            else:
                await send_body(reader, writer, length, traffic)
            whole = True
    writer.close()
    return kept.written, whole


def unchunked(body: bytes) -> bytes:
    """Read chunks as strictly as can be."""
    payload = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        if count == 0:
            assert body == b"\r\n"
            return payload
        assert size == b"%x" % count
        payload, body = payload + body[:count], body[count:]
        assert body[:2] == b"\r\n"
        body = body[2:]


@QUICK
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=4), PIECES)
def test_chunks_go_on_as_they_came_and_what_follows_them_does_not(
    chunks: list[bytes], after: bytes
) -> None:
    body = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    written, whole = asyncio.run(carried(body + after, None))
    assert whole
    assert unchunked(written) == b"".join(chunks)


@QUICK
@given(PIECES)
def test_whatever_comes_in_place_of_chunks_has_one_end_or_none(raw: bytes) -> None:
    written, whole = asyncio.run(carried(raw, None))
    if whole:
        unchunked(written)
    else:
        with pytest.raises((AssertionError, ValueError)):
            unchunked(written)


@QUICK
@given(st.binary(max_size=80), st.integers(0, 60))
def test_a_body_goes_on_to_its_length_or_its_limit(raw: bytes, length: int) -> None:
    written, whole = asyncio.run(carried(raw, length))
    assert written == raw[: len(written)]
    assert len(written) <= min(length, 40)
    assert whole == (len(raw) >= length and length <= 40)
