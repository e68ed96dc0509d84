"""The frames of HTTP/2 on the wire: their header, their types and flags, and how they are written.

Source: RFC 9113 sections 4.1 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

# Frame { Length (24), Type (8), Flags (8), Reserved (1), Stream Identifier (31), Payload (..) }
# One 32-bit word holds the length and the type; `word >> 8` and `word & 255` take them apart.
HEADER: Final = Struct(">IBI")
HEADER_BYTES: Final = 9
WORD: Final = Struct(">I")
SETTING: Final = Struct(">HI")

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)

END_STREAM: Final = 0x1  # DATA, HEADERS
ACK: Final = 0x1  # SETTINGS, PING
END_HEADERS: Final = 0x4  # HEADERS, PUSH_PROMISE, CONTINUATION
PADDED: Final = 0x8  # DATA, HEADERS, PUSH_PROMISE
PRIORITISED: Final = 0x20  # HEADERS

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_STREAM: Final = 0x7FFF_FFFF
MAX_WINDOW: Final = 0x7FFF_FFFF
DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME_BYTES: Final = 16_384
MOST_FRAME_BYTES: Final = 0xFF_FFFF
DEFAULT_TABLE_BYTES: Final = 4096
PING_BYTES: Final = 8

SETTINGS_ACK: Final = HEADER.pack(SETTINGS, ACK, 0)

_pack = HEADER.pack


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write one frame; that *payload* fits the peer's SETTINGS_MAX_FRAME_SIZE is the caller's."""
    return _pack(len(payload) << 8 | kind, flags, stream) + payload


def header(size: int, kind: int, flags: int, stream: int) -> bytes:
    """Write the nine bytes in front of a payload of *size* bytes."""
    return _pack(size << 8 | kind, flags, stream)


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """Write a SETTINGS frame with (identifier, value) pairs."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*pair) for pair in values))


def reset(stream: int, code: int) -> bytes:
    """Write RST_STREAM."""
    return _pack(4 << 8 | RST_STREAM, 0, stream) + WORD.pack(code)


def window_update(stream: int, credit: int) -> bytes:
    """Write WINDOW_UPDATE: *credit* bytes (1 to 2**31 - 1) more on *stream*, 0 for all of them."""
    return _pack(4 << 8 | WINDOW_UPDATE, 0, stream) + WORD.pack(credit)


def goaway(last: int, code: int, debug: bytes = b"") -> bytes:
    """Write GOAWAY: streams up to *last* were or will be worked on."""
    return frame(GOAWAY, 0, 0, WORD.pack(last) + WORD.pack(code) + debug)


def header_block(stream: int, block: bytes, most: int, *, ended: bool) -> bytes:
    """Write a header block as HEADERS and, beyond *most* bytes a frame, CONTINUATION frames."""
    flags = END_STREAM if ended else 0
    if len(block) <= most:
        return _pack(len(block) << 8 | HEADERS, flags | END_HEADERS, stream) + block
    pieces = [block[at : at + most] for at in range(0, len(block), most)]
    out = [frame(HEADERS, flags, stream, pieces[0])]
    out += [frame(CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
    out.append(frame(CONTINUATION, END_HEADERS, stream, pieces[-1]))
    return b"".join(out)
