import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandboxes.base import Egress, Network
from sandboxes.egress.proxy import EgressProxy
from sandboxes.egress.session import Bounds
from tests.support.egress import PUBLIC, FakeNetwork, Way, client_hello, in_records, way_out
from tests.support.service import until

pytestmark = pytest.mark.anyio

ALLOWED = Network(
    mode="allowlist",
    domains=("a.test", "*.wild.test", "inside.test", "rebound.test", "[::1]:8080", "10.0.0.1:90"),
    methods=("GET", "HEAD", "POST"),
    upload_bytes=2000,
    download_bytes=100_000,
)
NAMES = {
    "a.test": [PUBLIC],
    "b.wild.test": ["10.0.0.9", PUBLIC],
    "wild.test": [PUBLIC],
    "evil.test": [PUBLIC],
    "inside.test": ["169.254.169.254", "127.0.0.9", "::ffff:127.0.0.9", "64:ff9b::7f00:9"],
}


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    async with way_out(tmp_path, ALLOWED, FakeNetwork(dict(NAMES))) as way:
        yield way


async def told(way: Way, count: int = 1) -> list[Egress]:
    await until(lambda: len(way.told) >= count)
    return way.told


def body_of(answer: bytes) -> dict[str, object]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_an_allowed_request_goes_to_the_address_that_was_judged(way: Way) -> None:
    answer = await way.get("http://a.test/x", "Host: evil.test")

    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert way.network.dialled == [(PUBLIC, 80)]
    assert way.network.resolved == ["a.test"]
    await until(lambda: len(way.network.heard) == 1)
    assert way.network.heard == [b"GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"]
    sent, received = len(way.network.heard[0]), len(answer)
    assert await told(way) == [
        Egress(
            host="a.test",
            port=80,
            method="GET",
            allowed=True,
            reason="",
            sent_bytes=sent,
            received_bytes=received,
        )
    ]


async def test_only_the_public_addresses_of_a_name_are_dialled(way: Way) -> None:
    assert (await way.get("http://b.wild.test/")).startswith(b"HTTP/1.1 200 ")
    assert way.network.dialled == [(PUBLIC, 80)]


async def test_an_address_with_its_port_is_dialled_even_a_private_one(way: Way) -> None:
    assert (await way.get("http://10.0.0.1:90/")).startswith(b"HTTP/1.1 200 ")
    assert (await way.get("http://[::1]:8080/")).startswith(b"HTTP/1.1 200 ")
    assert way.network.dialled == [("10.0.0.1", 90), ("::1", 8080)]
    assert way.network.resolved == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://evil.test/", "host_not_allowed"),
        ("http://wild.test/", "host_not_allowed"),
        ("http://a.test.evil.test/", "host_not_allowed"),
        ("http://xa.test/", "host_not_allowed"),
        ("http://localhost/", "host_not_allowed"),
        ("http://127.0.0.1/", "host_not_allowed"),
        ("http://10.0.0.1/", "port_not_allowed"),
        ("http://169.254.169.254/latest/meta-data/", "host_not_allowed"),
        (f"http://{PUBLIC}/", "host_not_allowed"),
        ("http://[::ffff:10.0.0.1]:90/", "host_not_allowed"),
        ("http://a.test:22/", "port_not_allowed"),
        ("http://inside.test/", "address_not_public"),
        ("http://rebound.test/", "name_not_found"),
        ("http://2130706433/", "bad_request"),
        ("http://0x7f.1/", "bad_request"),
        ("http://a.test@evil.test/", "bad_request"),
        ("https://a.test/", "bad_request"),
    ],
)
async def test_everything_else_is_refused_with_its_reason(way: Way, url: str, reason: str) -> None:
    answer = await way.get(url)

    status = {"bad_request": b"400", "name_not_found": b"502"}.get(reason, b"403")
    assert answer.split(b" ")[1] == status
    assert b"X-Strop-Egress: " + reason.encode() in answer
    assert body_of(answer)["reason"] == reason
    assert way.network.dialled == []
    egress = (await told(way))[0]
    assert not egress.allowed
    assert egress.reason.startswith(f"{reason}: ")


async def test_a_refusal_says_that_it_is_policy_and_what_is_allowed(way: Way) -> None:
    answer = body_of(await way.get("http://evil.test/"))
    assert answer["error"] == "egress_denied"
    assert "policy" in str(answer["policy"])
    assert answer["allowed_hosts"] == list(ALLOWED.domains)
    assert answer["allowed_methods"] == ["CONNECT", "GET", "HEAD", "POST"]


async def test_a_tunnel_that_is_refused_says_why_in_its_first_line(way: Way) -> None:
    answer, _ = await way.tunnel("evil.test:443")
    first = answer.partition(b"\r\n")[0]
    assert (
        first
        == b"HTTP/1.1 403 Forbidden By Policy (host_not_allowed: evil.test is not on the list)"
    )


async def test_a_name_that_changes_its_address_is_judged_by_the_one_that_is_dialled(
    way: Way,
) -> None:
    way.network.names["rebound.test"] = [PUBLIC]
    assert (await way.get("http://rebound.test/")).startswith(b"HTTP/1.1 200 ")
    way.network.names["rebound.test"] = ["127.0.0.1"]
    assert (await way.get("http://rebound.test/")).startswith(b"HTTP/1.1 403 ")
    assert way.network.dialled == [(PUBLIC, 80)]


async def test_a_method_that_is_not_listed_is_refused(way: Way) -> None:
    for method in ("DELETE", "get", "PROPFIND"):
        answer = await way.get("http://a.test/", method=method)
        assert body_of(answer)["reason"] == "method_not_allowed"
    assert way.network.dialled == []


async def test_a_second_request_on_a_connection_goes_nowhere(way: Way) -> None:
    smuggled = b"GET http://a.test/ HTTP/1.1\r\n\r\nGET http://evil.test/ HTTP/1.1\r\n\r\n"
    answer = await way.send(smuggled)
    await until(lambda: len(way.network.heard) == 1)
    assert answer.count(b"HTTP/1.1") == 1
    assert b"evil" not in way.network.heard[0]


async def test_a_redirect_is_not_followed(way: Way) -> None:
    way.network.reply = (
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n"
    )
    answer = await way.get("http://a.test/")
    assert b"Location: http://evil.test/" in answer
    assert way.network.dialled == [(PUBLIC, 80)]


async def test_a_body_goes_on_by_its_length_and_no_further(way: Way) -> None:
    lines = ("Content-Length: 3", "Expect: 100-continue")
    answer = await way.get("http://a.test/", *lines, method="POST", body=b"abcdef")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    await until(lambda: len(way.network.heard) == 1)
    assert way.network.heard[0].endswith(b"\r\n\r\nabc")


async def test_chunks_are_read_and_written_anew(way: Way) -> None:
    body = b"3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\nGET http://evil.test/ HTTP/1.1\r\n\r\n"
    await way.get("http://a.test/", "Transfer-Encoding: chunked", method="POST", body=body)
    await until(lambda: len(way.network.heard) == 1)
    assert way.network.heard[0].endswith(b"\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"3;x=y\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcGET",
        b"0\r\nTrailer: x\r\n\r\n",
        b"\r\n",
        b"fffffffffff\r\n",
    ],
)
async def test_a_chunk_that_could_be_read_in_two_ways_is_refused(way: Way, body: bytes) -> None:
    await way.get("http://a.test/", "Transfer-Encoding: chunked", method="POST", body=body)
    assert (await told(way))[0].reason.startswith("bad_request: ")
    await until(lambda: len(way.network.heard) == 1)
    assert not way.network.heard[0].endswith(b"0\r\n\r\n")


async def test_a_head_of_any_size_is_bounded(way: Way) -> None:
    answer = await way.get("http://a.test/", "X: " + "a" * 70_000)
    assert b" 400 " in answer
    assert way.network.dialled == []


async def test_an_upload_beyond_the_limit_is_refused(way: Way) -> None:
    announced = await way.get("http://a.test/", "Content-Length: 9999", method="POST")
    assert body_of(announced)["reason"] == "upload_limit"
    assert way.network.dialled == []
    chunks = b"7d0\r\n" + b"a" * 2000 + b"\r\n0\r\n\r\n"
    await way.get("http://a.test/", "Transfer-Encoding: chunked", method="POST", body=chunks)
    assert (await told(way, 2))[1].reason.startswith("upload_limit: ")


async def test_a_download_beyond_the_limit_is_refused_when_it_is_announced(way: Way) -> None:
    way.network.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n"
    answer = await way.get("http://a.test/")
    assert body_of(answer)["reason"] == "download_limit"


async def test_a_download_beyond_the_limit_cannot_be_taken_for_whole(way: Way) -> None:
    way.network.reply = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 200_000
    answer = await way.get("http://a.test/")
    assert b"Transfer-Encoding: chunked" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    egress = (await told(way))[0]
    assert egress.reason.startswith("download_limit: ")


async def test_a_body_that_ends_with_its_connection_comes_whole(way: Way) -> None:
    way.network.reply = b"HTTP/1.0 200 OK\r\n\r\nall of it"
    answer = await way.get("http://a.test/")
    assert answer.endswith(b"\r\n\r\n9\r\nall of it\r\n0\r\n\r\n")


async def test_a_client_of_old_gets_no_chunks(way: Way) -> None:
    way.network.reply = b"HTTP/1.0 200 OK\r\n\r\nall of it"
    answer = await way.send(b"GET http://a.test/ HTTP/1.0\r\n\r\n")
    await until(lambda: len(way.network.heard) == 1)
    assert answer.endswith(b"Connection: close\r\n\r\nall of it")
    assert way.network.heard[0].startswith(b"GET / HTTP/1.0\r\n")


async def test_an_announcement_is_not_the_answer(way: Way) -> None:
    way.network.reply = (
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 Done\r\nKeep-Alive: timeout=5\r\n\r\n"
    )
    answer = await way.get("http://a.test/")
    assert answer == b"HTTP/1.1 204 Done\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("reply", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 101 Go\r\n\r\n", b""])
async def test_a_server_that_does_not_speak_http_is_out_of_reach(way: Way, reply: bytes) -> None:
    way.network.reply = reply
    assert body_of(await way.get("http://a.test/"))["reason"] == "unreachable"


async def test_tls_to_the_name_that_was_asked_for_passes_unread(way: Way) -> None:
    way.network.reply = b"\x16server hello"
    hello = client_hello("A.test.")
    answer, through = await way.tunnel("a.test:443", hello[:7], hello[7:])

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert through == b"\x16server hello"
    await until(lambda: len(way.network.heard) == 1)
    assert way.network.heard == [hello]
    egress = (await told(way))[0]
    assert (egress.method, egress.port, egress.allowed) == ("CONNECT", 443, True)
    assert (egress.sent_bytes, egress.received_bytes) == (len(hello), len(through))


async def test_tls_to_an_address_names_nobody(way: Way) -> None:
    _, through = await way.tunnel("10.0.0.1:90", client_hello(None))
    assert through == way.network.reply
    _, alert = await way.tunnel("10.0.0.1:90", client_hello("a.test"))
    assert alert.startswith(b"\x15")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (client_hello("evil.test"), "tls_name_differs"),
        (in_records(client_hello("evil.test"), 3), "tls_name_differs"),
        (client_hello("b.wild.test"), "tls_name_differs"),
        (client_hello(None), "tls_name_differs"),
        (b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", "tls_expected"),
        (b"SSH-2.0-OpenSSH\r\n", "tls_expected"),
    ],
)
async def test_a_tunnel_for_anything_else_carries_nothing(
    way: Way, first: bytes, reason: str
) -> None:
    _, through = await way.tunnel("a.test:443", first)
    assert through == b"\x15\x03\x03\x00\x02\x02\x31"
    assert (await told(way))[0].reason.startswith(f"{reason}: ")
    await until(lambda: len(way.network.heard) == 1)
    assert way.network.heard == [b""]


async def test_a_tunnel_ends_at_the_limit(way: Way) -> None:
    way.network.holds = True
    await way.tunnel("a.test:443", client_hello("a.test") + b"x" * 2000)
    assert (await told(way))[0].reason.startswith("upload_limit: ")


async def test_a_connection_on_which_nothing_is_asked_is_not_told(way: Way) -> None:
    assert await way.send(eof=True) == b""
    await way.get("http://evil.test/")
    assert len(await told(way)) == 1


async def test_half_a_request_is_refused(way: Way) -> None:
    answer = await way.send(b"GET http://a.te", eof=True)
    assert body_of(answer)["reason"] == "bad_request"


async def test_a_connection_on_which_nothing_moves_ends(tmp_path: Path) -> None:
    fake = FakeNetwork(dict(NAMES), reply=b"", holds=True)
    async with way_out(tmp_path, ALLOWED, fake, Bounds(head_s=0.05, idle_s=0.5)) as way:
        assert body_of(await way.get("http://a.test/"))["reason"] == "idle"
        assert await way.send(b"GET http://a.te") == b""
        await way.tunnel("a.test:443")
        reasons = [egress.reason.partition(":")[0] for egress in await told(way, 2)]
        assert reasons == ["idle", "tls_expected"]


async def test_more_connections_than_the_bound_are_refused(tmp_path: Path) -> None:
    fake = FakeNetwork(dict(NAMES), reply=b"", holds=True)
    async with way_out(tmp_path, ALLOWED, fake, Bounds(connections=2)) as way:
        held = [await asyncio.open_unix_connection(way.socket) for _ in range(2)]
        for _, writer in held:
            writer.write(b"GET http://a.test/ HTTP/1.1\r\n\r\n")
        await until(lambda: len(fake.dialled) == 2)
        assert body_of(await way.get("http://a.test/"))["reason"] == "too_many_connections"
        for _, writer in held:
            writer.close()


async def test_what_is_open_at_the_end_is_closed_and_told(tmp_path: Path) -> None:
    fake = FakeNetwork(dict(NAMES), reply=b"", holds=True)
    async with way_out(tmp_path, ALLOWED, fake) as way:
        reader, writer = await asyncio.open_unix_connection(way.socket)
        writer.write(b"GET http://a.test/ HTTP/1.1\r\n\r\n")
        await until(lambda: len(fake.dialled) == 1)
    assert await reader.read() == b""
    writer.close()
    assert [egress.host for egress in way.told] == ["a.test"]
    assert not way.socket.exists()


async def test_only_its_owner_may_connect(tmp_path: Path) -> None:
    async with EgressProxy(ALLOWED, tmp_path / "e"):
        assert stat.S_IMODE((tmp_path / "e").stat().st_mode) == 0o600


def test_rules_that_cannot_be_kept_to_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="with its port"):
        EgressProxy(Network(mode="allowlist", domains=("10.0.0.1",)), tmp_path / "e")


async def test_names_that_take_for_ever_hold_up_nobody_but_who_asks_for_them(
    tmp_path: Path,
) -> None:
    class SlowNames(FakeNetwork):
        answered = asyncio.Event()

        async def resolve(self, host: str, port: int) -> list[str]:
            self.resolved.append(host)
            await self.answered.wait()
            return [PUBLIC]

    fake = SlowNames()
    async with way_out(tmp_path, ALLOWED, fake, timeout_s=0.1) as way:
        urls = [f"http://n{n}.wild.test/" for n in range(10)]
        answers = await asyncio.gather(*[way.get(url) for url in urls])
        assert {body_of(answer)["reason"] for answer in answers} == {"name_not_found"}
        assert len(fake.resolved) == 4
        fake.answered.set()
        assert (await way.get("http://a.test/")).startswith(b"HTTP/1.1 200 ")
