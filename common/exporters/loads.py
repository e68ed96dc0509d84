"""What waits for a destination and what is on its way: pieces, joined into loads."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, final

from common.exporters.outcomes import Batch
from common.wire import otlp


@final
@dataclass(slots=True, eq=False)
class Receipt:
    """A record of the durable buffer whose points are in memory, perhaps in several pieces."""

    number: int
    points: int
    left: int  # of these, those in pieces that are not done with


@final
@dataclass(slots=True, eq=False)
class Piece:
    """A request, or some of its frames, on its way to one destination; never changed once made."""

    body: otlp.Encoded
    points: int
    arrived: float  # seconds on the loop's clock
    receipt: Receipt | None = None  # if it can be had again from the buffer
    backlog: bool = False  # it was read from the buffer, and is to wait for what is new


@final
@dataclass(slots=True, eq=False)
class Load:
    """Pieces that are sent as one batch, and what of them is not booked yet."""

    batch: Batch
    pieces: Sequence[Piece]
    keys: Sequence[Hashable]  # what must not be sent by anybody else meanwhile
    left: int  # points whose fate is not certain
    unbacked: int  # of these, points that only memory has

    @property
    def size(self) -> int:
        """Bytes of the pieces."""
        return len(self.batch.body)


class Supply(Protocol):
    """Decides what is sent next, by whom. Lanes are numbered from 0; each sends a load at a time.

    Time is whatever clock the pieces' ``arrived`` comes from, in seconds.
    """

    size: int  # bytes waiting
    lanes: int  # that are open
    shared: bool  # whether any lane may do what another has to do
    max_bytes: int  # of a batch; may be lowered: the backend does not take what the settings allow

    def add(self, piece: Piece, spans: otlp.Spans) -> Iterable[int]:
        """Take *piece*, and return the lanes that have something to do now, or a time to wait for.

        *spans* tell its frames apart, where there are several.
        """
        ...

    def take(self, lane: int, now: float, *, hurry: bool) -> Load | None:
        """Return what *lane* is to send now, if a batch is full or due; in a *hurry* anything."""
        ...

    def due(self, lane: int) -> float | None:
        """When *lane* has something to send although no batch is full; ``None``: nothing waits."""
        ...

    def done(self, load: Load) -> Iterable[int]:
        """Note that *load* is no longer being sent; return the lanes as `add` does."""
        ...

    def left(self) -> Iterable[int]:
        """Return the lanes, of those that share, that have something to do now, as `add` does."""
        ...

    def oldest(self) -> float | None:
        """When the first of what waits arrived; ``None`` if nothing does."""
        ...

    def drain(self) -> list[Piece]:
        """Give up all that waits."""
        ...


def load(pieces: Sequence[Piece], keys: Sequence[Hashable]) -> Load:
    """Join *pieces*, of which there is at least one, in order."""
    points = unbacked = 0
    oldest = pieces[0].arrived
    for piece in pieces:
        points += piece.points
        oldest = min(oldest, piece.arrived)
        if piece.receipt is None:
            unbacked += piece.points
    if len(pieces) == 1:
        body = pieces[0].body
    else:
        body = otlp.Encoded(b"".join([piece.body for piece in pieces]))
    batch = Batch(body=body, points=points, oldest=oldest)
    return Load(batch, pieces, keys, points, unbacked)


def cut(batch: Batch, max_bytes: int) -> list[Batch]:
    """Return *batch* in pieces of at most *max_bytes*, but where a single point exceeds them."""
    if len(batch.body) <= max_bytes:
        return [batch]
    pieces = [
        Batch(body=body, points=points, oldest=batch.oldest)
        for body, points in otlp.split(batch.body, max_bytes)
        if points  # a metric without points is nothing to deliver
    ]
    if sum(piece.points for piece in pieces) != batch.points:
        raise RuntimeError(f"BUG: cutting {batch.points} points lost some of them")
    return pieces
