from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.egress.heads import Head, parse_head
from sandboxes.egress.names import Place
from sandboxes.egress.refusals import Reason, RefusedError

QUICK = settings(max_examples=30)

FIELDS = st.lists(
    st.tuples(
        st.from_regex(rb"[A-Za-z-]{1,12}", fullmatch=True),
        st.from_regex(rb"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True),
    ),
    max_size=6,
)


def head(*lines: bytes, first: bytes = b"GET http://a.test/x?y HTTP/1.1") -> Head:
    return parse_head(b"\r\n".join([first, *lines, b"", b""]))


def test_the_head_that_goes_on_is_written_anew() -> None:
    read = head(
        b"Host: evil.test",
        b"Accept: */*",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: Basic eA==",
        b"Connection: close, X-Drop",
        b"X-Drop: 1",
        b"Upgrade: h2c",
    )
    assert read.onward() == (
        b"GET /x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("url", "place", "target", "host"),
    [
        (b"http://a.test", Place("a.test", 80), b"/", b"a.test"),
        (b"HTTP://A.test:80/", Place("a.test", 80), b"/", b"a.test"),
        (b"http://a.test:8080?q#part", Place("a.test", 8080), b"/?q", b"a.test:8080"),
        (b"http://[::1]/", Place("::1", 80, literal=True), b"/", b"[::1]"),
        (b"http://[::1]:8080/a//b", Place("::1", 8080, literal=True), b"/a//b", b"[::1]:8080"),
    ],
)
def test_a_url_names_a_place_and_what_is_asked_of_it(
    url: bytes, place: Place, target: bytes, host: bytes
) -> None:
    read = head(first=b"GET " + url + b" HTTP/1.1")
    assert (read.place, read.target) == (place, target)
    assert b"\r\nHost: " + host + b"\r\n" in read.onward()


def test_connect_names_a_place_with_its_port() -> None:
    assert head(first=b"CONNECT a.test:443 HTTP/1.1").place == Place("a.test", 443)


def test_a_body_is_announced_in_one_way() -> None:
    post = b"POST http://a.test/ HTTP/1.1"
    assert b"\r\nContent-Length: 5\r\n" in head(b"content-length: 5", first=post).onward()
    assert (
        b"\r\nTransfer-Encoding: chunked\r\n"
        in head(b"Transfer-Encoding: Chunked", first=post).onward()
    )
    assert b"\r\nContent-Length: 0\r\n" in head(first=post).onward()
    named_as_a_hop = head(b"Content-Length: 5", b"Connection: content-length", first=post)
    assert b"\r\nContent-Length: 5\r\n" in named_as_a_hop.onward()


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 1", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 1", b"Content-Length: 1"],
        [b"Content-Length: 1, 1"],
        [b"Content-Length: +1"],
        [b"Content-Length: -1"],
        [b"Content-Length: 0x1"],
        [b"Content-Length: "],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding : chunked"],
        [b"X: a", b" folded: b"],
        [b"X: a", b"\tfolded: b"],
        [b"X: a\rHost: b"],
        [b"X: a\nHost: b"],
        [b"X: a\0b"],
        [b"no colon"],
        [b": empty"],
        [b"a b: c"],
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(RefusedError) as caught:
        head(*lines)
    assert caught.value.reason is Reason.BAD_REQUEST


@pytest.mark.parametrize(
    "first",
    [
        b"GET /x HTTP/1.1",
        b"GET https://a.test/ HTTP/1.1",
        b"GET ftp://a.test/ HTTP/1.1",
        b"GET http:///x HTTP/1.1",
        b"GET http://user@a.test/ HTTP/1.1",
        b"GET http://a.test:80:80/ HTTP/1.1",
        b"GET http://a.test\\@b.test/ HTTP/1.1",
        b"GET http://a.test/ x HTTP/1.1",
        b"GET  http://a.test/ HTTP/1.1",
        b"GET http://a.test/\tx HTTP/1.1",
        b"GET http://a.test/\xc3\xa9 HTTP/1.1",
        b"GET http://2130706433/ HTTP/1.1",
        b"GET http://a.test/ HTTP/2",
        b"GET http://a.test/ HTTP/1.1 ",
        b"GET http://a.test/",
        b"G\0T http://a.test/ HTTP/1.1",
        b"CONNECT a.test HTTP/1.1",
        b"CONNECT http://a.test:443/ HTTP/1.1",
        b"CONNECT user@a.test:443 HTTP/1.1",
        b"CONNECT 0x7f.1:443 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"",
        b"\x16\x03\x01",
    ],
)
def test_what_is_no_request_to_a_proxy_is_refused(first: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        head(first=first)
    assert caught.value.reason is Reason.BAD_REQUEST


def test_chunks_need_the_version_that_knows_them() -> None:
    with pytest.raises(RefusedError):
        head(b"Transfer-Encoding: chunked", first=b"GET http://a.test/ HTTP/1.0")


@QUICK
@given(FIELDS)
def test_what_goes_on_names_the_judged_place_once_and_has_one_end(
    fields: list[tuple[bytes, bytes]],
) -> None:
    try:
        onward = head(*[name + b": " + value for name, value in fields]).onward()
    except RefusedError:
        return
    lines = onward.split(b"\r\n")
    assert [line for line in lines if line.lower().startswith(b"host:")] == [b"Host: a.test"]
    assert onward.endswith(b"\r\n\r\n")
    assert onward.count(b"\r\n\r\n") == 1
    assert b"\n" not in onward.replace(b"\r\n", b"")


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(RefusedError):
        parse_head(raw + b"\r\n\r\n")
