import gzip
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from memory.records import ErrorClass
from tests.support.web_server import WebServer, web_server
from tests.tools.conftest import MakeToolbox
from tools.guarded_http import is_listed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    async with web_server() as serving:
        yield serving


async def test_a_page_comes_back_as_text_with_its_title(
    web: WebServer, make_toolbox: MakeToolbox
) -> None:
    url = web.page("/a?b=1", b"<title>Hello</title><h1>Head</h1><p>Text <a href='/x'>link</a></p>")

    outcome = await make_toolbox(allowed_hosts=(web.host,)).call(
        "fetch_url", {"url": url + "#part"}
    )

    assert outcome.ok, outcome.text
    assert outcome.text.replace(web.host, "HOST") == snapshot("""\
http://HOST/a?b=1 (text/html, 66 bytes)
Title: Hello

# Head

Text [link](http://HOST/x)\
""")
    assert outcome.untrusted
    path, headers = web.requests[0]
    assert path == "/a?b=1"
    assert headers["host"] == web.host
    assert "cookie" not in headers


async def test_a_data_file_is_stored_byte_for_byte(
    web: WebServer, make_toolbox: MakeToolbox, workspace: Path
) -> None:
    raw = bytes(range(256)) * 10
    url = web.page("/a.bin", raw, "application/octet-stream")
    toolbox = make_toolbox(allowed_hosts=(web.host,))

    stored = await toolbox.call("fetch_url", {"url": url, "save_as": "in/a.bin"})
    shown = await toolbox.call("fetch_url", {"url": url})

    assert stored.ok
    assert "Stored in in/a.bin" in stored.text
    assert (workspace / "in/a.bin").read_bytes() == raw
    assert shown.error_class == "precondition"
    assert "`save_as`" in shown.text


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("name;é\n".encode("iso-8859-1"), "text/csv; charset=ISO-8859-1", "name;é"),
        ('{"é": 1}'.encode(), "application/json", '{"é": 1}'),
        ("é".encode(), "text/plain; charset=nonsense", "é"),
        (b"a\xffb", "text/plain", "a\ufffdb"),
        ("é".encode("utf-16"), "text/plain; charset=utf-16", "é"),
        (b"plain", "", "plain"),
    ],
)
async def test_text_is_decoded_as_the_server_says(
    web: WebServer, make_toolbox: MakeToolbox, body: bytes, content_type: str, text: str
) -> None:
    url = web.page("/a", body, content_type)

    outcome = await make_toolbox(allowed_hosts=(web.host,)).call("fetch_url", {"url": url})

    assert outcome.ok
    assert outcome.text.split("\n\n", 1)[1].rstrip("\n") == text


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "http://127.0.0.1:1/",
        "http://localhost:{port}/",
        "https://127.0.0.1:{port}@example.com/",
        "http://2130706433:{port}/",
    ],
)
async def test_a_host_that_is_not_listed_is_not_even_resolved(
    web: WebServer, make_toolbox: MakeToolbox, url: str
) -> None:
    toolbox = make_toolbox(allowed_hosts=(web.host,))

    outcome = await toolbox.call("fetch_url", {"url": url.format(port=web.port)})

    assert outcome.error_class == "policy"
    assert web.requests == []


async def test_a_private_address_has_to_be_listed_with_its_port(make_toolbox: MakeToolbox) -> None:
    toolbox = make_toolbox(allowed_hosts=("*", "127.0.0.1", "localhost"))

    for host in ("127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::]"):
        outcome = await toolbox.call("fetch_url", {"url": f"http://{host}/"})
        assert outcome.error_class == "policy", host
        assert "private address" in outcome.text


async def test_nothing_is_allowed_by_default(web: WebServer, make_toolbox: MakeToolbox) -> None:
    outcome = await make_toolbox().call("fetch_url", {"url": web.url("/")})

    assert outcome.error_class == "policy"
    assert "allowed hosts: none" in outcome.text


async def test_a_redirect_is_followed_within_what_is_allowed(
    web: WebServer, make_toolbox: MakeToolbox
) -> None:
    web.page("/b", b"<p>here</p>")
    url = web.redirect("/a", "b")

    outcome = await make_toolbox(allowed_hosts=(web.host,)).call("fetch_url", {"url": url})

    assert outcome.ok
    assert outcome.data
    assert outcome.data["url"] == web.url("/b")


@pytest.mark.parametrize(
    ("to", "error_class"),
    [
        ("http://169.254.169.254/latest/", "policy"),
        ("http://127.0.0.1:{other}/b", "policy"),
        ("//localhost:{port}/b", "policy"),
        ("file:///etc/passwd", "bad_arguments"),
        ("/a", "server"),
    ],
)
async def test_a_redirect_is_checked_like_a_first_request(
    web: WebServer, make_toolbox: MakeToolbox, to: str, error_class: ErrorClass
) -> None:
    async with web_server() as other:
        url = web.redirect("/a", to.format(port=web.port, other=other.port))

        outcome = await make_toolbox(allowed_hosts=(web.host,)).call("fetch_url", {"url": url})

        assert outcome.error_class == error_class
        assert other.requests == []


@pytest.mark.parametrize(
    ("url", "error_class"),
    [
        ("ftp://example.org/", "bad_arguments"),
        ("file:///etc/passwd", "bad_arguments"),
        ("no address at all", "bad_arguments"),
        ("http://", "bad_arguments"),
        ("http://[::1/", "bad_arguments"),
        ("http://a:99999999/", "bad_arguments"),
        ("http://user:pass@example.org/", "policy"),
    ],
)
async def test_what_is_no_plain_web_address_is_refused(
    make_toolbox: MakeToolbox, url: str, error_class: ErrorClass
) -> None:
    outcome = await make_toolbox(allowed_hosts=("*",)).call("fetch_url", {"url": url})

    assert outcome.error_class == error_class, outcome.text


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (401, "auth"),
        (403, "auth"),
        (404, "not_found"),
        (410, "not_found"),
        (429, "quota"),
        (400, "bad_arguments"),
        (500, "server"),
        (503, "server"),
    ],
)
async def test_the_status_of_an_answer_is_classified(
    web: WebServer, make_toolbox: MakeToolbox, status: int, error_class: ErrorClass
) -> None:
    url = web.page("/a", b"no", status=status)

    outcome = await make_toolbox(allowed_hosts=(web.host,)).call("fetch_url", {"url": url})

    assert (outcome.ok, outcome.error_class) == (False, error_class)
    assert str(status) in outcome.text


async def test_a_page_without_end_is_cut_and_not_stored(
    web: WebServer, make_toolbox: MakeToolbox, workspace: Path
) -> None:
    url = web.page("/a", b"x" * (11 << 20), "text/plain")
    toolbox = make_toolbox(allowed_hosts=(web.host,))

    shown = await toolbox.call("fetch_url", {"url": url})
    stored = await toolbox.call("fetch_url", {"url": url, "save_as": "a.txt"})

    assert shown.ok
    assert shown.truncated
    assert len(shown.text) <= 8000
    assert stored.error_class == "precondition"
    assert not (workspace / "a.txt").exists()


async def test_a_packed_page_is_unpacked_within_bounds(
    web: WebServer, make_toolbox: MakeToolbox
) -> None:
    toolbox = make_toolbox(allowed_hosts=(web.host,))
    small = web.page(
        "/a", gzip.compress(b"hello"), "text/plain", headers={"Content-Encoding": "gzip"}
    )
    bomb = web.page(
        "/b", zlib.compress(bytes(60 << 20)), "text/plain", headers={"Content-Encoding": "deflate"}
    )
    odd = web.page("/c", b"x", "text/plain", headers={"Content-Encoding": "br"})

    assert (await toolbox.call("fetch_url", {"url": small})).text.endswith("hello")
    assert not (await toolbox.call("fetch_url", {"url": bomb})).ok
    assert (await toolbox.call("fetch_url", {"url": odd})).error_class == "server"


async def test_a_server_that_stalls_is_given_up(web: WebServer, make_toolbox: MakeToolbox) -> None:
    url = web.url("/slow")
    web.pages["/slow"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
    web.hanging.add("/slow")

    toolbox = make_toolbox(allowed_hosts=(web.host,), wall_s=0.3)
    outcome = await toolbox.call("fetch_url", {"url": url})

    assert outcome.error_class == "timeout"


@pytest.mark.parametrize(
    "raw", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_a_server_that_breaks_off_is_a_network_failure(
    web: WebServer, make_toolbox: MakeToolbox, raw: bytes
) -> None:
    web.pages["/a"] = raw

    toolbox = make_toolbox(allowed_hosts=(web.host,))
    outcome = await toolbox.call("fetch_url", {"url": web.url("/a")})

    assert outcome.error_class == "network"


async def test_a_port_where_nobody_listens_is_a_network_failure(make_toolbox: MakeToolbox) -> None:
    async with web_server() as gone:
        host, url = gone.host, gone.url("/")

    outcome = await make_toolbox(allowed_hosts=(host,)).call("fetch_url", {"url": url})

    assert outcome.error_class == "network"


@pytest.mark.parametrize(
    ("host", "port", "listed"),
    [
        ("example.org", 443, True),
        ("example.org", 8443, False),
        ("www.example.org", 443, False),
        ("a.example.com", 80, True),
        ("a.b.example.com", 80, True),
        ("example.com", 80, False),
        ("badexample.com", 80, False),
        ("a.example.com", 8080, False),
        ("::1", 8000, True),
        ("::1", 80, False),
    ],
)
def test_a_host_is_listed_by_name_by_wildcard_or_with_its_port(
    host: str, port: int, listed: bool
) -> None:
    allowed = ("Example.org", "*.example.com", "[::1]:8000")

    assert is_listed(host, port, default_port=port in {80, 443}, allowed=allowed) is listed
