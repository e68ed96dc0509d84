"""Calls over one HTTP/2 connection: many streams at once, their frames mixed, answers apart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from common.wire import errors, otlp
from tests.fuzz import http2_wire as h2
from tests.fuzz.grpc_cases import Data, GrpcCase, Piece, Raw
from tests.fuzz.http2_link import GARBAGE, SILENT, Http2Link, Stream

Outcome = tuple[GrpcCase, str, Stream]


async def run(
    link: Http2Link, cases: Sequence[GrpcCase], random: Random, bound: float
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
        if link.broken or not (waiting or link.open) or not await link.change(end) or not link.open:
            break
    found: list[Outcome] = []
    left: list[GrpcCase] = []
    for number, case in numbered:
        stream = link.streams.pop(number)
        if not stream.outcome:
            link.open -= 1
        outcome = "gone" if case.gives_up else stream.outcome
        if not outcome and (link.broken or link.goaway):
            if len(cases) > 1:
                left.append(case)
                continue
            outcome = GARBAGE if link.garbage else link.goaway and f"goaway:{link.goaway}"
            outcome = outcome or "close"
        elif not outcome:
            outcome = SILENT
            link.write(h2.reset(number))
        found.append((case, outcome, stream))
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


def _send(link: Http2Link, queue: _Queue) -> _Queue:
    """Write what flow control allows; return what has to wait, in order."""
    out: list[bytes] = []
    blocked: set[int] = set()
    later: _Queue = []
    for number, piece in queue:
        stream = link.streams[number]
        ends = isinstance(piece, Raw) and piece.kind == h2.RST_STREAM
        if stream.outcome and not ends:
            continue
        rest: Piece | None = piece
        if number not in blocked:
            rest = _written(link, number, piece, out)
            if ends:
                link.outcome(number, "gone")
        if rest is not None:
            blocked.add(number)
            later.append((number, rest))
    if out:
        link.write(b"".join(out))
    return later


def _written(link: Http2Link, number: int, piece: Piece, out: list[bytes]) -> Piece | None:
    """Append to *out* what may be sent of *piece*; return the rest of it, if any."""
    stream = link.streams[number]
    if isinstance(piece, Raw):
        cost = len(piece.payload) if piece.kind == h2.DATA else 0
        if cost > min(link.window, stream.window):
            return piece
        link.window -= cost
        stream.window -= cost
        out.append(piece.on(number))
        return None
    payload, at = piece.payload, 0
    while True:
        room = min(link.window, stream.window, 16_384, len(payload) - at)
        last = at + room == len(payload)
        if room <= 0 and not last:
            return Data(payload[at:], piece.ended)
        out.append(h2.frame(h2.DATA, last and piece.ended, number, payload[at : at + room]))
        link.window -= room
        stream.window -= room
        at += room
        if last:
            return None


def rejected(stream: Stream) -> int:
    """Return how many points an answer says were left out."""
    try:
        return otlp.partial_success(bytes(stream.body[5:]))[0]
    except errors.Malformed:
        return 0
