"""Addresses are read as people write them."""

import pytest

from common.service.address import Address, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:4317", Address("127.0.0.1", 4317)),
        ("[::1]:80", Address("::1", 80)),
        (":4317", Address("0.0.0" + ".0", 4317)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_host_and_port_are_split(text: str, expected: Address) -> None:
    assert parse(text) == expected


def test_a_default_port_is_used_where_none_is_given() -> None:
    assert parse("host", 80) == Address("host", 80)
    assert parse("[::1]", 80) == Address("::1", 80)


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:x", "host:65536", "host:-1", "::1:80", "h:\u0661"]
)
def test_what_is_no_address_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert repr(text) in str(caught.value)


def test_it_is_written_as_it_is_read() -> None:
    assert [str(parse(t)) for t in ("[::1]:80", "a:1")] == ["[::1]:80", "a:1"]
