"""Frames and header blocks as bytes, right or wrong as a case wants them (RFC 9113, RFC 7541).

Nothing here is shared with the gateway: a referee that reads with the player's eyes sees no foul.
"""

import enum
import struct
from dataclasses import dataclass

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME = 16_384
MAX_WINDOW = 2**31 - 1
UNKNOWN_TYPE = 0x16

_HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)

Field = tuple[str, str]


class Kind(enum.IntEnum):
    """RFC 9113 section 6."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag(enum.IntFlag):
    ACK = 0x1
    END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class Setting(enum.IntEnum):
    """RFC 9113 section 6.5.2."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class Code(enum.IntEnum):
    """RFC 9113 section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    def has(self, flag: Flag) -> bool:
        return bool(self.flags & flag)

    @property
    def content(self) -> bytes:
        """What remains of DATA or HEADERS without padding and priority."""
        payload = self.payload
        if self.has(Flag.PADDED):
            payload = payload[1 : len(payload) - payload[0]]
        if self.kind == Kind.HEADERS and self.has(Flag.PRIORITY):
            payload = payload[5:]
        return payload

    @property
    def code(self) -> Code:
        """The error code of RST_STREAM or GOAWAY."""
        at = 4 if self.kind == Kind.GOAWAY else 0
        return Code(int.from_bytes(self.payload[at : at + 4]))

    def __str__(self) -> str:
        known = {kind.value: kind.name for kind in Kind}
        name = known.get(self.kind, f"type {self.kind:#x}")
        code = f" {self.code.name}" if self.kind in {Kind.RST_STREAM, Kind.GOAWAY} else ""
        said = f" {self.payload[8:]!r}" if self.kind == Kind.GOAWAY and self.payload[8:] else ""
        size = f"{len(self.payload)} bytes, flags {self.flags:#x}, stream {self.stream}"
        return f"{name}{code} ({size}){said}"


def frame(
    kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None
) -> bytes:
    """Return a frame; a *length* other than that of *payload* is a lie that some cases tell."""
    size = len(payload) if length is None else length
    return size.to_bytes(3) + struct.pack(">BBL", kind, flags, stream) + payload


def data(stream: int, payload: bytes = b"", *, end: bool = False) -> bytes:
    return frame(Kind.DATA, Flag.END_STREAM if end else 0, stream, payload)


def padded(payload: bytes, padding: int) -> bytes:
    """Return the payload of a PADDED frame."""
    return bytes([padding]) + payload + bytes(padding)


def headers(
    stream: int, block: bytes, *, end: bool = False, whole: bool = True, flags: int = 0
) -> bytes:
    """Return HEADERS: *end* of the stream, *whole* if no CONTINUATION follows."""
    flags |= (Flag.END_STREAM if end else 0) | (Flag.END_HEADERS if whole else 0)
    return frame(Kind.HEADERS, flags, stream, block)


def continuation(stream: int, block: bytes, *, whole: bool) -> bytes:
    return frame(Kind.CONTINUATION, Flag.END_HEADERS if whole else 0, stream, block)


def dependency(on: int = 0, *, weight: int = 16, exclusive: bool = False) -> bytes:
    """Return the five bytes of a priority; *weight* is 1 to 256."""
    return struct.pack(">LB", on | (exclusive << 31), weight - 1)


def priority(stream: int, payload: bytes | None = None) -> bytes:
    return frame(Kind.PRIORITY, 0, stream, dependency() if payload is None else payload)


def reset(stream: int, code: int = Code.CANCEL) -> bytes:
    return frame(Kind.RST_STREAM, 0, stream, code.to_bytes(4))


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(Kind.SETTINGS, payload=b"".join(struct.pack(">HL", *pair) for pair in pairs))


def acknowledgement() -> bytes:
    return frame(Kind.SETTINGS, Flag.ACK)


def ping(payload: bytes, *, ack: bool = False) -> bytes:
    return frame(Kind.PING, Flag.ACK if ack else 0, 0, payload)


def goaway(last: int = 0, code: int = Code.NO_ERROR, *, stream: int = 0) -> bytes:
    return frame(Kind.GOAWAY, 0, stream, struct.pack(">LL", last, code))


def window(stream: int, increment: int) -> bytes:
    return frame(Kind.WINDOW_UPDATE, 0, stream, increment.to_bytes(4))


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """Return *value* with a prefix of *bits*, beside what *first* holds (RFC 7541 section 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(text: str, *, huffman: bool = False) -> bytes:
    """Return a string literal (RFC 7541 section 5.2)."""
    if huffman:
        coded = _HUFFMAN.encode(text.encode())
        return integer(len(coded), 7, 0x80) + coded
    return integer(len(text), 7) + text.encode()


class Literal(enum.Enum):
    """How a literal is told to the decoder: bits of the prefix, and what stands before them."""

    INDEXED = (6, 0x40)  # RFC 7541 section 6.2.1
    PLAIN = (4, 0x00)  # 6.2.2
    NEVER = (4, 0x10)  # 6.2.3


def literal(
    name: str | int, value: str, how: Literal = Literal.PLAIN, *, huffman: bool = False
) -> bytes:
    """Return a literal field; *name* is text, or the index of an entry that has it."""
    bits, first = how.value
    if isinstance(name, int):
        return integer(name, bits, first) + string(value, huffman=huffman)
    return bytes([first]) + string(name, huffman=huffman) + string(value, huffman=huffman)


def indexed(index: int) -> bytes:
    """Return an indexed field (RFC 7541 section 6.1)."""
    return integer(index, 7, 0x80)


def table_size(size: int) -> bytes:
    """Return a change of the dynamic table's size (RFC 7541 section 6.3)."""
    return integer(size, 5, 0x20)


def block(fields: list[Field]) -> bytes:
    """Return a header block that leaves the table alone, so cases may send it again."""
    return b"".join(literal(name, value) for name, value in fields)
