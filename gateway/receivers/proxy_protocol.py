"""The header by which a load balancer tells for whom it connects: PROXY protocol, versions 1 and 2.

Source: "The PROXY protocol, versions 1 & 2" (haproxy, doc/proxy-protocol.txt), sections 2.1, 2.2.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from gateway.receivers import peers

MAX_V1: Final = 107  # bytes of the longest line, its end included (section 2.1)
# The addresses take at most 216 bytes; what follows are TLVs, the largest of which in the field is
# a client's certificate. A header may claim 65,535 bytes, which is too much to hold for a stranger.
MAX_V2: Final = 4096
MAX: Final = max(MAX_V1, MAX_V2)

_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED: Final = 16  # bytes of a version 2 header before its addresses
_LOCAL, _PROXY = 0, 1
_IPV4, _IPV6 = 1, 2
_ADDRESSES: Final = {0: 0, _IPV4: 12, _IPV6: 36, 3: 216}  # bytes of both, and ports; 3: Unix


@final
@dataclass(frozen=True, slots=True)
class NeedMore:
    """The bytes so far begin a header; every one of them belongs to it."""


@final
@dataclass(frozen=True, slots=True)
class Header:
    """A whole header, of *length* bytes.

    *source* is the client's address; ``None``: the connection is the balancer's own (LOCAL), or it
    does not know (UNKNOWN, UNSPEC, Unix sockets). Then the address that connected counts.
    """

    source: str | None
    length: int


@final
@dataclass(frozen=True, slots=True)
class Unreadable:
    """No header begins so; *why* in words."""

    why: str


Parsed: TypeAlias = NeedMore | Header | Unreadable


def parse(start: bytes) -> Parsed:
    """Read the header that *start*, the first bytes of a connection, begins with.

    Never asks for more than `MAX` bytes, and says no at the first byte that cannot belong.
    """
    try:
        if start.startswith(_V1):
            return _line(start)
        if start.startswith(_V2):
            return _binary(start)
    except ValueError as error:
        return Unreadable(str(error))
    if _V1.startswith(start) or _V2.startswith(start):
        return NeedMore()
    return Unreadable("the connection does not begin with a PROXY protocol header")


def _line(start: bytes) -> NeedMore | Header:
    # PROXY TCP4|TCP6 <source> <destination> <source port> <destination port>\r\n
    # PROXY UNKNOWN <anything>\r\n
    end = start.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(start) >= MAX_V1:
            raise ValueError(f"a header of version 1 is longer than {MAX_V1} bytes")
        return NeedMore()
    family, *rest = start[len(_V1) : end].decode("ascii").split(" ")
    if family == "UNKNOWN":
        return Header(None, end + 2)
    if family not in {"TCP4", "TCP6"}:
        raise ValueError(f"unknown family {family!r}; expected TCP4, TCP6 or UNKNOWN")
    if len(rest) != 4:
        raise ValueError(f"{len(rest)} fields after {family}; expected 4")
    if any("%" in text for text in rest):
        raise ValueError("an address with a zone, which means nothing on another machine")
    kind = ipaddress.IPv4Address if family == "TCP4" else ipaddress.IPv6Address
    source, _, *_ = kind(rest[0]), kind(rest[1]), *map(_port, rest[2:])
    return Header(_text(source), end + 2)


def _port(text: str) -> int:
    if not (text.isdigit() and text == str(int(text)) and int(text) <= 0xFFFF):
        raise ValueError(f"{text!r} is no port; expected a number from 0 to 65535")
    return int(text)


def _binary(start: bytes) -> NeedMore | Header:
    # signature (12 bytes), version and command (4 bits each), family and transport (4 bits each),
    # length of the rest (2 bytes); then source and destination address, source and destination
    # port, TLVs.
    if len(start) > 12 and (start[12] >> 4 != 2 or start[12] & 15 not in {_LOCAL, _PROXY}):
        raise ValueError(f"unknown version or command {start[12]:#04x}; expected 0x20 or 0x21")
    if len(start) > 13 and (start[13] >> 4 not in _ADDRESSES or start[13] & 15 > 2):
        raise ValueError(f"unknown family or transport {start[13]:#04x}")
    if len(start) < _FIXED:
        return NeedMore()
    command, family = start[12] & 15, start[13] >> 4
    length = _FIXED + int.from_bytes(start[14:16])
    if length > MAX_V2:
        raise ValueError(f"a header of {length} bytes; at most {MAX_V2} are taken")
    if command == _PROXY and length < _FIXED + _ADDRESSES[family]:
        raise ValueError(f"{length - _FIXED} bytes of addresses, expected {_ADDRESSES[family]}")
    if len(start) < length:
        return NeedMore()
    if command == _PROXY and family == _IPV4:
        return Header(_text(ipaddress.IPv4Address(start[_FIXED : _FIXED + 4])), length)
    if command == _PROXY and family == _IPV6:
        return Header(_text(ipaddress.IPv6Address(start[_FIXED : _FIXED + 16])), length)
    return Header(None, length)


def _text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    return peers.canonical(str(address))
