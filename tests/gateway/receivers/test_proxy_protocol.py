"""Headers of the PROXY protocol, as the specification writes them and as nobody should."""

import ipaddress
import socket

import pytest
from hypothesis import given, strategies as st

from gateway.receivers import proxy_protocol
from gateway.receivers.proxy_protocol import Header, NeedMore, Unreadable

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, addresses: bytes, tlvs: bytes = b"") -> bytes:
    rest = addresses + tlvs
    return SIGNATURE + bytes((0x20 | command, family)) + len(rest).to_bytes(2) + rest


def v4(source: str) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton("10.9.9.9") + bytes(4)


def v6(source: str) -> bytes:
    return ipaddress.ip_address(source).packed + bytes(16) + bytes(4)


WHOLE = {
    "tcp4": (b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1"),
    "tcp6": (b"PROXY TCP6 2001:DB8::1 ::1 65535 0\r\n", "2001:db8::1"),
    "mapped": (b"PROXY TCP6 ::ffff:10.1.2.3 ::1 1 2\r\n", "10.1.2.3"),
    "unknown": (b"PROXY UNKNOWN\r\n", None),
    "longest": (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None),
    "v2 tcp4": (v2(1, 0x11, v4("192.0.2.7")), "192.0.2.7"),
    "v2 udp4": (v2(1, 0x12, v4("192.0.2.7")), "192.0.2.7"),
    "v2 tcp6": (v2(1, 0x21, v6("2001:db8::7")), "2001:db8::7"),
    "v2 mapped": (v2(1, 0x21, v6("::ffff:10.1.2.3")), "10.1.2.3"),
    "v2 with TLVs": (v2(1, 0x11, v4("192.0.2.7"), b"\x04\x00\x05hello" * 20), "192.0.2.7"),
    "v2 local": (v2(0, 0x00, b""), None),
    "v2 local that tells an address": (v2(0, 0x11, v4("192.0.2.7")), None),
    "v2 unspecified": (v2(1, 0x00, b"anything"), None),
    "v2 unix": (v2(1, 0x31, bytes(216)), None),
}


@pytest.mark.parametrize(("header", "source"), WHOLE.values(), ids=WHOLE)
def test_a_whole_header_tells_its_source_and_where_it_ends(
    header: bytes, source: str | None
) -> None:
    for after in (b"", b"PRI * HTTP/2.0\r\n", b"\r\n", b"\x16\x03\x01"):
        assert proxy_protocol.parse(header + after) == Header(source, len(header))


@pytest.mark.parametrize("header", [header for header, _ in WHOLE.values()], ids=WHOLE)
def test_every_beginning_of_a_header_needs_more(header: bytes) -> None:
    for end in range(len(header)):
        assert proxy_protocol.parse(header[:end]) == NeedMore()


BROKEN = {
    "http": b"GET / HTTP/1.1\r\n",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00",
    "lower case": b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "no family": b"PROXY \r\n",
    "other family": b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "too few fields": b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "two spaces": b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    "leading zero": b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
    "v6 as v4": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "v4 as v6": b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    "zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "port too large": b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
    "port with sign": b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
    "port with zero": b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "not ascii": b"PROXY TCP4 1.2.3.4 1.2.3.4 \xb2 2\r\n",
    "too long": b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    "endless": b"PROXY " + b"f" * 101,
    "v2 of version 3": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    "v2 command": SIGNATURE + b"\x22",
    "v2 family": SIGNATURE + b"\x21\x41",
    "v2 transport": SIGNATURE + b"\x21\x13",
    "v2 too short for its addresses": v2(1, 0x11, bytes(11)),
    "v2 too short for v6": v2(1, 0x21, bytes(35)),
    "v2 too long": SIGNATURE + b"\x21\x11\xff\xff",
}


@pytest.mark.parametrize("start", BROKEN.values(), ids=BROKEN)
def test_what_is_no_header_is_said_to_be_none(start: bytes) -> None:
    found = proxy_protocol.parse(start)
    assert isinstance(found, Unreadable)
    assert found.why


addresses = st.ip_addresses()
ports = st.integers(0, 65535)


@given(addresses, ports, st.binary(max_size=200), st.binary(max_size=50), st.integers(1, 2))
def test_what_is_written_is_read(
    address, port: int, tlvs: bytes, after: bytes, version: int
) -> None:
    if version == 1:
        header = f"PROXY TCP{address.version} {address} {address} {port} {port}\r\n".encode()
    else:
        packed = address.packed * 2 + port.to_bytes(2) * 2
        header = v2(1, 0x11 if address.version == 4 else 0x21, packed, tlvs)
    mapped = getattr(address, "ipv4_mapped", None)
    expected = Header(str(mapped or address).partition("%")[0], len(header))
    assert proxy_protocol.parse(header + after) == expected


starts = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(b"PROXY ".__add__),
    st.binary(max_size=5000).map(SIGNATURE.__add__),
    st.binary(max_size=40).map((SIGNATURE + b"\x21\x11\x00").__add__),
    st.lists(st.sampled_from([b"PROXY ", b"TCP4 ", b"::1 ", b"1.2.3.4 ", b"7", b" ", b"\r\n"])).map(
        b"".join
    ),
)


@given(starts)
def test_hostile_bytes_end_in_an_answer_and_never_ask_for_more_than_the_bound(start: bytes) -> None:
    found = proxy_protocol.parse(start)
    match found:
        case NeedMore():
            assert len(start) < proxy_protocol.MAX
        case Header(source, length):
            assert 15 <= length <= min(len(start), proxy_protocol.MAX)
            assert source is None or ipaddress.ip_address(source)
            assert proxy_protocol.parse(start[:length]) == found
            assert proxy_protocol.parse(start[: length - 1]) == NeedMore()
        case Unreadable(why):
            assert why
            assert isinstance(proxy_protocol.parse(start + b"\r\n"), Unreadable)
