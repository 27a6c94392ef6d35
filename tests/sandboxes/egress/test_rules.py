import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.egress.names import Place, normal_host, place
from sandboxes.egress.refusals import Reason
from sandboxes.egress.rules import parse_rules

QUICK = settings(max_examples=30)

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
PORT = st.integers(1, 65535)


def reason(entries: list[str], asked: str) -> Reason | None:
    return parse_rules(entries).refusal(place(asked))[0]


@QUICK
@given(NAME, st.sampled_from([80, 443]))
def test_a_listed_name_is_allowed_in_any_spelling(name: str, port: int) -> None:
    assert reason([name.upper()], f"{name}:{port}") is None
    assert reason([name], f"{name.upper()}.:{port}") is None


@QUICK
@given(NAME, PORT)
def test_a_name_without_a_port_means_the_ports_of_the_web(name: str, port: int) -> None:
    assert (reason([name], f"{name}:{port}") is None) == (port in {80, 443})


@QUICK
@given(NAME, PORT, PORT)
def test_a_port_that_is_named_is_the_only_one(name: str, listed: int, asked: int) -> None:
    assert (reason([f"{name}:{listed}"], f"{name}:{asked}") is None) == (listed == asked)


@QUICK
@given(NAME, NAME)
def test_only_the_listed_name_is_allowed(listed: str, asked: str) -> None:
    assert (reason([listed], f"{asked}:443") is None) == (listed == asked)


@QUICK
@given(NAME, NAME)
def test_a_wildcard_covers_what_is_below_a_name_and_not_the_name(name: str, below: str) -> None:
    rules = [f"*.{name}"]
    assert reason(rules, f"{below}.{name}:443") is None
    assert reason(rules, f"{name}:443") is Reason.HOST
    ends_in_a_label = below.endswith(".") or f"{below}{name}".endswith(f".{name}")
    beside = reason(rules, f"{below}{name}:443")
    assert (beside is None) == ends_in_a_label


@QUICK
@given(NAME, NAME)
def test_a_listed_name_as_a_prefix_is_not_enough(name: str, after: str) -> None:
    assert reason([name], f"{name}.{after}:443") is Reason.HOST


@QUICK
@given(st.ip_addresses(), PORT)
def test_an_address_is_allowed_with_its_port_only(address: object, port: int) -> None:
    host = f"[{address}]" if ":" in str(address) else str(address)
    assert reason([f"{host}:{port}"], f"{host}:{port}") is None
    assert reason(["*.example.org", "example.org"], f"{host}:{port}") is Reason.HOST
    with pytest.raises(ValueError, match="with its port"):
        parse_rules([host])


@QUICK
@given(st.text(max_size=30))
def test_what_is_taken_for_a_name_is_plain_ascii(text: str) -> None:
    try:
        host, literal = normal_host(text)
    except ValueError:
        return
    assert host.isascii()
    assert host == host.lower()
    assert not set(host) & set("@/\\?#%[] \r\n\t\0")
    assert literal or not host.rpartition(".")[2].isdigit()


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "127.0.0.0x1",
        "user@example.org",
        "example..org",
        "-a.example.org",
        "exa mple.org",
        "example.org\0.evil.test",
        "bücher.example",
        "\N{KELVIN SIGN}.example",
        "[fe80::1%lo]",
        "::1",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "",
        ".",
    ],
)
def test_a_spelling_that_programs_read_differently_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normal_host(host)


@pytest.mark.parametrize(
    "text", ["example.org", "example.org:0", "a:65536", "a:+80", "a:080", "a:"]
)
def test_a_place_has_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        place(text)


def test_a_name_beyond_ascii_is_listed_as_name_servers_know_it() -> None:
    assert reason(["bücher.example"], "xn--bcher-kva.example:443") is None
    assert reason(["straße.example"], "strasse.example:443") is Reason.HOST


@pytest.mark.parametrize(
    "entry", ["*", "*.", "http://example.org", "example.org/a", "", "*.1.2.3.4"]
)
def test_an_entry_that_says_nothing_that_could_be_kept_to_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"expected|address"):
        parse_rules([entry])


def test_a_refusal_says_which_ports_would_do() -> None:
    rules = parse_rules(["example.org", "example.org:8443"])
    assert rules.refusal(Place("example.org", 22)) == (
        Reason.PORT,
        "example.org is allowed on ports 80, 443, 8443 only, not on 22",
    )
