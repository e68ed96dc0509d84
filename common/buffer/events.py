"""What the writer of a log tells the loop, and the records it was given: values only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from common.buffer import records
from common.wire import otlp


@final
class Pending:
    """A record on its way to the disk."""

    __slots__ = (
        "at",
        "body",
        "crc",
        "encoded_spans",
        "number",
        "points",
        "size",
        "spans",
        "state",
        "written",
    )

    def __init__(
        self,
        *,
        number: int,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans,
        at: float,
        state: int,
        written: Callable[[bool], None] | None,
    ) -> None:
        self.number, self.body, self.points, self.spans = number, body, points, spans
        self.at = at  # seconds on the steady clock
        self.state = state  # of `segment`; the loop may settle it before it is written
        self.written = written
        self.encoded_spans = records.encode_spans(spans) if spans else b""
        self.size = records.HEAD_BYTES + len(self.encoded_spans) + len(body)
        # Here and not in the writer's thread: isal lets go of the GIL, and to get it back takes a
        # thread beside a busy loop up to 5 ms, a thousand times what the sum takes.
        self.crc = records.checksum(self.encoded_spans, body)

    def head(self, salt: int, stamp: int) -> bytes:
        """Return what lies before the body: the head and the spans."""
        length = self.size - records.HEAD_BYTES
        spans = len(self.spans)
        head = records.Head(self.crc, length, self.points, spans, self.number, stamp)
        return records.encode_head(head, salt) + self.encoded_spans


@final
@dataclass(slots=True)
class Counters:
    """What the writer did; only it counts, anybody may read."""

    write_errors: int = 0
    syncs: int = 0
    appended_bytes: int = 0


@final
@dataclass(frozen=True, slots=True)
class Began:
    """There is a new segment."""

    first: int
    salt: int
    base: int
    anchor: float
    size: int


@final
@dataclass(frozen=True, slots=True)
class Wrote:
    """Records are in a segment, one behind the other, as safe as the policy wants them."""

    first: int
    offset: int
    anchor: float
    pending: Sequence[Pending]


@final
@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment takes *size* bytes, and nothing will be added."""

    first: int
    size: int


@final
@dataclass(frozen=True, slots=True)
class Deleted:
    """A segment has to go because the byte limit is reached; told before it goes."""

    first: int


@final
@dataclass(frozen=True, slots=True)
class Failed:
    """Records could not be written."""

    pending: Sequence[Pending]
    why: str


@final
@dataclass(frozen=True, slots=True)
class Failing:
    """The disk began to fail, or works again if *why* is empty."""

    why: str


@final
@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@final
@dataclass(frozen=True, slots=True)
class Done:
    """An order was carried out."""

    then: Callable[[], None]


Told: TypeAlias = Began | Wrote | Sealed | Deleted | Failed | Failing | Tick
"""What happened to records and files."""

Event: TypeAlias = Told | Done


def stamp(at: float, anchor: float) -> int:
    """Return milliseconds since the Unix epoch of the moment *at* on the steady clock."""
    return int((at + anchor) * 1000)


def fitting(group: Sequence[Pending], start: int, room: int) -> tuple[int, int]:
    """Return behind which of *group* from *start* on *room* ends, and the bytes of those before."""
    size = 0
    for at in range(start, len(group)):
        more = size + group[at].size
        if more > room:
            return at, size
        size = more
    return len(group), size
