from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.egress.addresses import is_own, is_public, resolve

QUICK = settings(max_examples=30)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
        "100.64.0.1",
        "100.100.100.200",
        "198.18.0.1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "0.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::7f00:1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2001:0:a00:1::",
        "2002:a00:1::",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
    ],
)
def test_addresses_of_this_machine_and_network_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@QUICK
@given(st.ip_addresses(v=4))
def test_no_ipv6_form_makes_a_private_address_public(address: IPv4Address) -> None:
    high, low = int(address) >> 16, int(address) & 0xFFFF
    mapped = f"::ffff:{address}"
    carried = [
        f"::{address}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        f"2002:{high:x}:{low:x}::1",
        f"2001::{high:x}:{low:x}",
    ]
    assert is_public(mapped) == is_public(str(address))
    assert not any(is_public(form) for form in carried)


@QUICK
@given(st.ip_addresses())
def test_what_is_public_is_global_to_python_too(address: object) -> None:
    if is_public(str(address)):
        parsed = ip_address(str(address))
        assert not parsed.is_private
        assert not parsed.is_link_local


def test_only_an_address_of_this_machine_is_its_own() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("93.184.216.34")


@pytest.mark.anyio
async def test_a_name_is_resolved_to_each_address_once() -> None:
    found = await resolve("localhost", 80)
    assert "127.0.0.1" in found
    assert len(found) == len(set(found))


@pytest.mark.anyio
async def test_a_name_that_cannot_be_has_no_address() -> None:
    with pytest.raises(OSError, match="label"):
        await resolve("a" * 64 + ".localhost", 80)
