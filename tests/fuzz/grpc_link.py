"""One HTTP/2 connection of the fuzzer: many streams at once, frames of all mixed, answers apart."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import hpack

from common.wire import errors, otlp
from tests.fuzz import http2_wire as h2
from tests.fuzz.grpc_cases import Data, GrpcCase, Piece, Raw
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


class GrpcLink(asyncio.Protocol):
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
        if kind in {h2.HEADERS, h2.CONTINUATION}:
            self._block += payload  # servers here neither pad nor prioritise
            if flags & h2.END_HEADERS:
                self._headers(stream)
            if kind == h2.HEADERS and flags & h2.END_STREAM:
                self._ended(stream)
        elif kind == h2.DATA:
            found = self.streams.get(stream)
            if found is not None:
                found.body += payload
            if flags & h2.END_STREAM:
                self._ended(stream)
        elif kind == h2.RST_STREAM:
            code = int.from_bytes(payload)
            self._outcome(stream, f"rst:{h2.CODES[code] if code < len(h2.CODES) else code}")
        elif kind == h2.SETTINGS and not flags & h2.ACK:
            self._settings(payload)
        elif kind == h2.PING:
            if flags & h2.ACK:
                self.pings.add(payload)
            else:
                self.write(h2.frame(h2.PING, h2.ACK, 0, payload))
        elif kind == h2.WINDOW_UPDATE:
            credit = int.from_bytes(payload)
            if not stream:
                self.window += credit
            elif stream in self.streams:
                self.streams[stream].window += credit
        elif kind == h2.GOAWAY:
            code = int.from_bytes(payload[4:8])
            self.goaway = h2.CODES[code] if code < len(h2.CODES) else str(code)
            self.words = payload[8:208]

    def _settings(self, payload: bytes) -> None:
        for key, value in struct.iter_unpack(">HI", payload):
            if key == 4:
                for stream in self.streams.values():
                    stream.window += value - self.first_window
                self.first_window = value
        self.settled = True
        if self._greet:
            self.write(h2.frame(h2.SETTINGS, h2.ACK))

    def _headers(self, stream: int) -> None:
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
            self._outcome(stream, h2.STATUSES[int(status)])
        else:
            self._outcome(stream, f"http:{http.decode()}")

    def _outcome(self, stream: int, outcome: str) -> None:
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


async def connect(port: int, source: str, *, greet: bool = True, bound: float = 5.0) -> GrpcLink:
    """Return a connection, behind the exchange of SETTINGS if *greet*."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(
        lambda: GrpcLink(greet=greet), "127.0.0.1", port, local_addr=(source, 0)
    )
    if greet:
        end = loop.time() + bound
        while not link.settled and not link.broken and await link.change(end):
            pass
    return link


Outcome = tuple[GrpcCase, str, Stream]


async def run(
    link: GrpcLink, cases: Sequence[GrpcCase], random: Random, bound: float
) -> tuple[list[Outcome], list[GrpcCase]]:
    """Send *cases* on streams of their own, their frames mixed, and wait for all outcomes.

    Returns what became of them, and those that were never looked at because the connection ended;
    the caller sends them again, alone on another.
    """
    numbered = [(link.begin(), case) for case in cases]
    waiting = _mixed(numbered, random)
    end = asyncio.get_running_loop().time() + bound
    while True:
        waiting = _send(link, waiting)
        if link.broken or not (waiting or link.open) or not await link.change(end):
            break
        if link.open == 0:
            break
    found: list[Outcome] = []
    left: list[GrpcCase] = []
    for number, case in numbered:
        stream = link.streams.pop(number)
        if not stream.outcome:
            link.open -= 1
        if case.gives_up:
            found.append((case, "gone", stream))
        elif stream.outcome:
            found.append((case, stream.outcome, stream))
        elif link.broken or link.goaway:
            if len(cases) == 1:
                how = GARBAGE if link.garbage else f"goaway:{link.goaway}" if link.goaway else "close"
                found.append((case, how, stream))
            else:
                left.append(case)
        else:
            found.append((case, SILENT, stream))
            link.write(h2.reset(number))
    if left or link.goaway:
        link.transport.abort()
    return found, left


_Queue = list[tuple[int, Piece]]


def _mixed(numbered: Sequence[tuple[int, GrpcCase]], random: Random) -> _Queue:
    """Mix the frames of all streams: header blocks stay whole, streams begin in their order."""
    queues = [(number, list(_grouped(case.pieces))) for number, case in numbered]
    out: _Queue = []
    begun = 0
    active: list[tuple[int, list[list[Piece]]]] = []
    while begun < len(queues) or active:
        if begun < len(queues) and (not active or random.random() < 0.5):
            active.append(queues[begun])
            begun += 1
            at = len(active) - 1
        else:
            at = random.randrange(len(active))
        number, groups = active[at]
        out += [(number, piece) for piece in groups.pop(0)]
        if not groups:
            active.pop(at)
    return out


def _grouped(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Keep CONTINUATION frames with what they continue."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if isinstance(piece, Raw) and piece.kind == h2.CONTINUATION:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _send(link: GrpcLink, queue: _Queue) -> _Queue:
    """Write what flow control allows; return what has to wait, in order."""
    out: list[bytes] = []
    blocked: set[int] = set()
    later: _Queue = []
    for number, piece in queue:
        stream = link.streams[number]
        if stream.outcome and not (isinstance(piece, Raw) and piece.kind == h2.RST_STREAM):
            continue
        if number in blocked:
            later.append((number, piece))
        elif isinstance(piece, Raw):
            cost = len(piece.payload) if piece.kind == h2.DATA else 0
            if cost > min(link.window, stream.window):
                blocked.add(number)
                later.append((number, piece))
                continue
            link.window -= cost
            stream.window -= cost
            out.append(piece.on(number))
            if piece.kind == h2.RST_STREAM:
                link._outcome(number, "gone")
        else:
            payload, at = piece.payload, 0
            while True:
                room = min(link.window, stream.window, 16_384, len(payload) - at)
                last = at + room == len(payload)
                if room <= 0 and not last:
                    blocked.add(number)
                    later.append((number, Data(payload[at:], piece.ended)))
                    break
                flags = h2.END_STREAM if last and piece.ended else 0
                out.append(h2.frame(h2.DATA, flags, number, payload[at : at + room]))
                link.window -= room
                stream.window -= room
                at += room
                if last:
                    break
    if out:
        link.write(b"".join(out))
    return later


def rejected(stream: Stream) -> int:
    """Return how many points an answer says were left out."""
    try:
        return otlp.partial_success(bytes(stream.body[5:]))[0]
    except errors.Malformed:
        return 0


async def run_alone(link: GrpcLink, case: Http2Case, bound: float) -> str:
    """Send what a connection may not survive, then a PING and a request; return the outcome."""
    end = asyncio.get_running_loop().time() + bound
    first = b""
    if case.opened:
        flags = h2.END_HEADERS | (h2.END_STREAM if case.opened == "ended" else 0)
        first = h2.headers(1, flags=flags)
    if case.bare:
        link.write(case.data)
    else:
        link.next = 1001
        number = link.begin()
        probe = h2.frame(h2.PING, 0, 0, PROBE) + h2.headers(number, _HEALTH)
        probe += h2.frame(h2.DATA, h2.END_STREAM, number, bytes(5))
        link.write(first + case.data + (b"" if case.finish else probe))
    if case.finish:
        link.finish()
    while not link.broken and not (link.open == 0 and PROBE in link.pings and not case.bare):
        if not await link.change(end):
            break
    if link.garbage:
        outcome = GARBAGE
    elif link.goaway and link.goaway != "NO_ERROR":
        # Whoever says so has to close as well.
        outcome = f"goaway:{link.goaway}"
        while not link.closed and await link.change(end):
            pass
        if not link.closed:
            outcome += "+open"
    elif link.closed:
        outcome = "close"
    elif link.open == 0 and PROBE in link.pings:
        outcome = "alive"
    else:
        outcome = SILENT
    link.transport.abort()
    return outcome


_HEALTH = h2.block(h2.request(path=h2.HEALTH))
