"""A client's side of HTTP/2 without mercy for itself: it sends what it is told to, and listens."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

import hpack

from tests.fuzz import http2_wire as h2
from tests.fuzz.http2_cases import Http2Case

SILENT, GARBAGE = "silent", "garbage"
PROBE = b"\0\0\0\0\0\0\0\0"
_HEADER = struct.Struct(">IBI")
_Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Stream:
    """What came on a stream."""

    window: int
    fields: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    outcome: str = ""


class Http2Link(asyncio.Protocol):
    """A client's side without mercy for itself: it sends what it is told to, and keeps accounts."""

    def __init__(self, *, greet: bool = True) -> None:
        self._greet = greet
        self.streams: dict[int, Stream] = {}
        self.open = 0  # streams that have no outcome yet
        self.next = 1
        self.goaway = ""
        self.words = b""  # of a GOAWAY
        self.closed = False
        self.finished = False  # our side is closed
        self.garbage = b""
        self.settled = False  # the server's SETTINGS came
        self.pings: set[bytes] = set()
        self.window = 65_535
        self.first_window = 65_535
        self.transport: asyncio.Transport
        self._buffer = b""
        self._decoder = hpack.Decoder()
        self._block = b""
        self._changed: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        if self._greet:
            # No dynamic table for answers, so that blocks that are the same mean the same.
            self.write(h2.PREFACE + h2.settings((1, 0), (4, 1 << 20)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.closed = True
        self._wake()

    def eof_received(self) -> None:
        return None

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        at = 0
        while len(data) - at >= 9 and not self.garbage:
            word, flags, stream = _HEADER.unpack_from(data, at)
            end = at + 9 + (word >> 8)
            if end > len(data) and word >> 8 <= 16_384:
                break
            if word >> 8 > 16_384 or word & 255 > 9:
                self.garbage = data[at : at + 60]
                break
            self._frame(word & 255, flags, stream & 0x7FFF_FFFF, data[at + 9 : end])
            at = end
        self._buffer = data[at:]
        self._wake()

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in _TAKES:
            _TAKES[kind](self, flags, stream, payload)

    def _headers_came(self, flags: int, stream: int, payload: bytes) -> None:
        self._block += payload  # servers here neither pad nor prioritise
        if flags & h2.END_HEADERS:
            self._fields(stream)
        if flags & h2.END_STREAM:
            self._ended(stream)

    def _continuation_came(self, flags: int, stream: int, payload: bytes) -> None:
        self._headers_came(flags & h2.END_HEADERS, stream, payload)

    def _data_came(self, flags: int, stream: int, payload: bytes) -> None:
        found = self.streams.get(stream)
        if found is not None:
            found.body += payload
        if flags & h2.END_STREAM:
            self._ended(stream)

    def _reset_came(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        self.outcome(stream, f"rst:{h2.code(payload)}")

    def _ping_came(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        if flags & h2.ACK:
            self.pings.add(payload)
        else:
            self.write(h2.frame(h2.PING, h2.ACK, 0, payload))

    def _credit_came(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        credit = int.from_bytes(payload)
        if not stream:
            self.window += credit
        elif stream in self.streams:
            self.streams[stream].window += credit

    def _goaway_came(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        self.goaway = h2.code(payload[4:8])
        self.words = payload[8:208]

    def _settings_came(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002
        if flags & h2.ACK:
            return
        for key, value in struct.iter_unpack(">HI", payload):
            if key == 4:
                for opened in self.streams.values():
                    opened.window += value - self.first_window
                self.first_window = value
        self.settled = True
        if self._greet:
            self.write(h2.frame(h2.SETTINGS, h2.ACK))

    def _fields(self, stream: int) -> None:
        coded, self._block = self._block, b""
        fields = _KNOWN.get(coded) if not self._decoder.header_table.maxsize else None
        if fields is None:
            try:
                fields = tuple(self._decoder.decode(coded, raw=True))
            except hpack.HPACKError:
                self.garbage = coded[:60]
                return
            if not self._decoder.header_table.maxsize and len(_KNOWN) < 4096:
                _KNOWN[coded] = fields
        found = self.streams.get(stream)
        if found is not None:
            found.fields.update(fields)

    def _ended(self, stream: int) -> None:
        found = self.streams.get(stream)
        if found is None:
            return
        http, status = found.fields.get(b":status", b""), found.fields.get(b"grpc-status", b"")
        if status.isdigit() and int(status) < len(h2.STATUSES):
            self.outcome(stream, h2.STATUSES[int(status)])
        else:
            self.outcome(stream, f"http:{http.decode()}")

    def outcome(self, stream: int, outcome: str) -> None:
        """Note what became of *stream*, unless that is known already."""
        found = self.streams.get(stream)
        if found is not None and not found.outcome:
            found.outcome = outcome
            self.open -= 1

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    @property
    def broken(self) -> bool:
        return self.closed or bool(self.garbage)

    async def change(self, end: float) -> bool:
        """Wait until something came, at most until the loop's time is *end*; say whether."""
        loop = asyncio.get_running_loop()
        self._changed = loop.create_future()
        try:
            async with asyncio.timeout_at(end):
                await self._changed
        except TimeoutError:
            return False
        return True

    def begin(self) -> int:
        """Return the number of a new stream."""
        number, self.next = self.next, self.next + 2
        self.streams[number] = Stream(self.first_window)
        self.open += 1
        return number

    def write(self, data: bytes) -> None:
        """Write unless our side of the connection has ended."""
        if not self.finished and not self.transport.is_closing():
            self.transport.write(data)

    def finish(self) -> None:
        """End our side of the connection."""
        if not self.finished and not self.transport.is_closing():
            self.transport.write_eof()
        self.finished = True


_KNOWN: dict[bytes, _Fields] = {}
_TAKES = {
    h2.DATA: Http2Link._data_came,
    h2.HEADERS: Http2Link._headers_came,
    h2.RST_STREAM: Http2Link._reset_came,
    h2.SETTINGS: Http2Link._settings_came,
    h2.PING: Http2Link._ping_came,
    h2.GOAWAY: Http2Link._goaway_came,
    h2.WINDOW_UPDATE: Http2Link._credit_came,
    h2.CONTINUATION: Http2Link._continuation_came,
}


async def connect(port: int, source: str, *, greet: bool = True, bound: float = 5.0) -> Http2Link:
    """Return a connection, behind the exchange of SETTINGS if *greet*."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(
        lambda: Http2Link(greet=greet), "127.0.0.1", port, local_addr=(source, 0)
    )
    if greet:
        end = loop.time() + bound
        while not link.settled and not link.broken and await link.change(end):
            pass
    return link


async def run_alone(link: Http2Link, case: Http2Case, bound: float) -> str:
    """Send what a connection may not survive, then a PING and a request; return the outcome."""
    end = asyncio.get_running_loop().time() + bound
    if case.bare:
        link.write(case.data)
    else:
        link.write(_opening(case) + case.data)
        link.next = 1001
        number = link.begin()
        if not case.finish:
            probe = h2.frame(h2.PING, 0, 0, PROBE) + h2.headers(number, _HEALTH)
            link.write(probe + h2.frame(h2.DATA, h2.END_STREAM, number, bytes(5)))
    if case.finish:
        link.finish()

    def lives() -> bool:
        return not case.bare and link.open == 0 and PROBE in link.pings

    while not link.broken and not lives() and await link.change(end):
        pass
    closes = link.goaway not in {"", "NO_ERROR"}  # whoever says so has to close as well
    while closes and not link.broken and await link.change(end):
        pass
    link.transport.abort()
    if link.garbage:
        return GARBAGE
    if closes:
        return f"goaway:{link.goaway}" + ("" if link.closed else "+open")
    return "close" if link.closed else "alive" if lives() else SILENT


def _opening(case: Http2Case) -> bytes:
    if not case.opened:
        return b""
    return h2.headers(1, flags=h2.END_HEADERS | h2.END_STREAM * (case.opened == "ended"))


_HEALTH = h2.block(h2.request(path=h2.HEALTH))
