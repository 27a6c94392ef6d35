import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.egress.hello import NotTlsError, hello_message, server_name
from tests.support.egress import client_hello, in_records

QUICK = settings(max_examples=30)


def asked(received: bytes) -> str | None:
    message = hello_message(received)
    assert message is not None
    return server_name(message)


def test_the_name_that_a_client_asks_for_is_found() -> None:
    assert asked(client_hello("a.test")) == "a.test"
    assert asked(client_hello(None)) is None
    assert asked(client_hello("127.0.0.1")) is None


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_message_in_many_records_is_one_message(size: int) -> None:
    assert asked(in_records(client_hello("a.test"), size)) == "a.test"


def test_a_part_of_a_message_is_waited_for() -> None:
    whole = client_hello("a.test")
    assert all(hello_message(whole[:end]) is None for end in range(len(whole)))
    assert hello_message(whole + b"more") is not None


@pytest.mark.parametrize(
    "received",
    [
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0-x\r\n",
        b"\x80\x2e\x01\x03\x01",
        b"\x17\x03\x03\x00\x01\x00",
        b"\x16\x02\x00\x00\x01\x01",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff\x01",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
    ],
)
def test_what_is_not_the_beginning_of_tls_is_refused(received: bytes) -> None:
    with pytest.raises(NotTlsError):
        hello_message(received)


def test_two_names_are_refused() -> None:
    message = hello_message(client_hello("a.test"))
    assert message is not None
    entry = b"\x00\x00\x06a.test"
    listed = len(entry).to_bytes(2, "big") + entry
    doubled = (2 * len(entry)).to_bytes(2, "big") + entry + entry
    grown = message.replace(listed, doubled)
    with pytest.raises(NotTlsError):
        server_name(grown)


@QUICK
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(received: bytes) -> None:
    try:
        message = hello_message(b"\x16\x03\x01" + received)
        if message is not None:
            server_name(message)
    except NotTlsError:
        pass


@QUICK
@given(st.data())
def test_a_damaged_hello_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(client_hello("a.test"))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = hello_message(bytes(raw))
        if message is not None:
            server_name(message)
    except NotTlsError:
        pass
