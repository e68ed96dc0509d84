"""Whose word about an address is believed, and how far."""

import ipaddress

import pytest
from hypothesis import given, strategies as st

from gateway.receivers import peers

NETWORKS = peers.networks(("10.0.0.0/8", "2001:db8::/32", "192.0.2.1"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::FFFF:0a01:0203", "10.1.2.3"),
        ("FE80:0::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("", None),
        ("localhost", None),
        ("10.1.2", None),
        ("1" * 10_000, None),
    ],
)
def test_an_address_has_one_text(text: str, address: str | None) -> None:
    assert peers.canonical(text) == address


@pytest.mark.parametrize(
    ("address", "believed"),
    [
        ("10.255.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("11.0.0.1", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        (None, False),
        ("garbage", False),
    ],
)
def test_the_trusted_are_those_of_the_networks(address: str | None, believed: bool) -> None:  # noqa: FBT001
    assert peers.trusted(address, NETWORKS) is believed
    assert not peers.trusted(address, ())


FORWARDED = {
    "one hop": (["198.51.100.7"], "198.51.100.7"),
    "what the client claims is hearsay": (["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
    "garbage left of the client": (["<script>,198.51.100.7"], "198.51.100.7"),
    "past trusted hops": (["198.51.100.7,10.2.2.2 , 192.0.2.1"], "198.51.100.7"),
    "several headers are one": (["1.1.1.1", "198.51.100.7", "10.2.2.2"], "198.51.100.7"),
    "all trusted: the leftmost": (["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
    "with a port": (["198.51.100.7:4711"], "198.51.100.7"),
    "v6": (["2a00::7"], "2a00::7"),
    "v6 with a port": (["[2a00::7]:4711"], "2a00::7"),
    "mapped": (["::ffff:198.51.100.7"], "198.51.100.7"),
    "garbage": (["unknown"], "10.0.0.1"),
    "garbage right of the client": (["198.51.100.7, _hidden"], "10.0.0.1"),
    "empty word": (["198.51.100.7,"], "10.0.0.1"),
    "empty": ([""], "10.0.0.1"),
    "none": ([], "10.0.0.1"),
    "as many hops as are taken": (["198.51.100.7" + ",10.0.0.2" * 31], "198.51.100.7"),
    "too many hops": (["198.51.100.7" + ",10.0.0.2" * 32], "10.0.0.1"),
}


@pytest.mark.parametrize(("values", "client"), FORWARDED.values(), ids=FORWARDED)
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(
    values: list[str], client: str
) -> None:
    assert peers.forwarded(values, "10.0.0.1", NETWORKS) == client


@pytest.mark.parametrize("direct", ["198.51.100.9", None])
def test_nobody_else_is_believed(direct: str | None) -> None:
    assert peers.forwarded(["10.3.3.3"], direct, NETWORKS) == direct
    assert peers.forwarded(["1.1.1.1"], direct, ()) == direct


@given(st.lists(st.text(max_size=80), max_size=5))
def test_whatever_the_headers_say_the_client_is_an_address(values: list[str]) -> None:
    client = peers.forwarded(values, "10.0.0.1", NETWORKS)
    assert client is not None
    assert str(ipaddress.ip_address(client)) == client


@given(
    st.lists(st.ip_addresses(network="10.0.0.0/8").map(str), max_size=20),
    st.ip_addresses(network="198.51.100.0/24").map(str),
    st.text(alphabet="0123456789abc:.,[]% ", max_size=60),
)
def test_nothing_a_client_writes_hides_where_it_called_from(
    hops: list[str], client: str, claim: str
) -> None:
    values = [", ".join(part for part in (claim, client, *hops) if part)]
    assert peers.forwarded(values, "10.0.0.1", NETWORKS) == client
