"""Pieces by the series they carry, for backends that want each series in the order of time.

What has one identity (job and instance, for remote write) has one of 256 slots. Lane *n* of *N*
sends what is in the slots whose number leaves *n* when divided by *N*; a slot of which something is
being sent is locked until that has met its fate. So a series is never in two requests at once, not
even while lanes are opened or closed, and nobody has to wait for them to run empty.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, cast, final

from typing_extensions import override

from common.config import shared
from common.exporters import loads
from common.exporters.loads import Load, Piece, Supply
from common.wire import memo, otlp, protobuf

SLOTS: Final = 256
MEMO_BYTES: Final = 4 << 20  # of resources whose slot is known
_ENTRY: Final = 200  # bytes of Python objects around one of them


@dataclass(slots=True)
class _Slot:
    number: int
    pieces: deque[Piece] = field(default_factory=deque)
    size: int = 0
    locked: bool = False


@dataclass(slots=True)
class _Lane:
    waiting: dict[int, _Slot] = field(default_factory=dict)  # not locked, and not empty; in order
    size: int = 0


@final
class Slots(Supply):
    """Up to 256 lanes. *identify* says what tells the series of a Resource from others'."""

    __slots__ = (
        "_identify", "_lanes", "_linger", "_places", "_slots", "lanes", "max_bytes", "shared",
        "size",
    )  # fmt: skip

    def __init__(
        self, limits: shared.Batching, lanes: int, identify: Callable[[bytes], bytes | None]
    ) -> None:
        self.size = 0
        self.lanes = lanes
        self.shared = False
        self._identify = identify
        self.max_bytes, self._linger = limits.max_bytes, limits.linger
        self._slots = [_Slot(number) for number in range(SLOTS)]
        self._lanes = [_Lane() for _ in range(lanes)]
        self._places: memo.Memo[bytes, int] = memo.Memo(MEMO_BYTES)

    @override
    def add(self, piece: Piece, spans: otlp.Spans) -> Iterable[int]:
        """Take *piece*, its frames each into the slot of its series."""
        if not spans:
            return self._put(self._slot(piece.body, 0), piece)
        parts: dict[int, list[tuple[int, int, int]]] = {}
        at = 0
        for size, points in spans:
            part = parts.setdefault(self._slot(piece.body, at), [])
            if part and part[-1][1] == at:  # frames of one slot that lie together stay together
                start, _, before = part.pop()
                part.append((start, at + size, before + points))
            else:
                part.append((at, at + size, points))
            at += size
        if len(parts) == 1:
            return self._put(next(iter(parts)), piece)
        wake: list[int] = []
        for slot, spots in parts.items():
            body = b"".join([piece.body[start:end] for start, end, _ in spots])
            points = sum([points for _, _, points in spots])
            part_of = Piece(otlp.Encoded(body), points, piece.arrived, piece.receipt, piece.backlog)
            wake += self._put(slot, part_of)
        return wake

    @override
    def take(self, lane: int, now: float, *, hurry: bool) -> Load | None:
        """Return what *lane* is to send; of what is left of a slot nothing is sent meanwhile."""
        if lane >= self.lanes:
            return None
        own = self._lanes[lane]
        if not own.size:
            return None
        if not hurry and own.size < self.max_bytes:
            due = self.due(lane)
            if due is None or now < due:
                return None
        taken: list[Piece] = []
        keys: list[int] = []
        room = self.max_bytes
        while own.waiting and room > 0:
            slot = next(iter(own.waiting.values()))
            if taken and len(slot.pieces[0].body) > room:
                break
            del own.waiting[slot.number]
            own.size -= slot.size
            while slot.pieces and (len(slot.pieces[0].body) <= room or not taken):
                piece = slot.pieces.popleft()
                size = len(piece.body)
                slot.size -= size
                room -= size
                taken.append(piece)
            slot.locked = True
            keys.append(slot.number)
        found = loads.load(taken, keys)
        self.size -= found.size
        return found

    @override
    def due(self, lane: int) -> float | None:
        """Return when the first of what *lane* may send has waited long enough."""
        if lane >= self.lanes:
            return None
        firsts = [slot.pieces[0].arrived for slot in self._lanes[lane].waiting.values()]
        return min(firsts) + self._linger if firsts else None

    @override
    def done(self, load: Load) -> Iterable[int]:
        """Unlock the slots of *load*; return the lanes that may send more of them."""
        wake: set[int] = set()
        for number in cast("list[int]", load.keys):
            slot = self._slots[number]
            slot.locked = False
            if slot.pieces:
                wake.add(self._queue(slot))
        return wake

    @override
    def left(self) -> Iterable[int]:
        """Return nobody: each lane has its own."""
        return ()

    @override
    def oldest(self) -> float | None:
        """Return when the first of what waits, locked or not, arrived."""
        firsts = [slot.pieces[0].arrived for slot in self._slots if slot.pieces]
        return min(firsts) if firsts else None

    @override
    def drain(self) -> list[Piece]:
        """Give up all that waits."""
        left = [piece for slot in self._slots for piece in slot.pieces]
        for slot in self._slots:
            slot.pieces.clear()
            slot.size = 0
        self._lanes = [_Lane() for _ in range(self.lanes)]
        self.size = 0
        return left

    def resize(self, lanes: int) -> None:
        """Open or close lanes; what is being sent is not disturbed."""
        self.lanes = lanes
        self._lanes = [_Lane() for _ in range(lanes)]
        for slot in self._slots:
            if slot.pieces and not slot.locked:
                self._queue(slot)

    def _put(self, number: int, piece: Piece) -> Iterable[int]:
        slot = self._slots[number]
        size = len(piece.body)
        slot.pieces.append(piece)
        slot.size += size
        self.size += size
        if slot.locked:
            return ()
        index = number % self.lanes
        lane = self._lanes[index]
        first = not lane.size
        lane.waiting[number] = slot
        lane.size += size
        return (index,) if first or lane.size >= self.max_bytes else ()

    def _queue(self, slot: _Slot) -> int:
        index = slot.number % self.lanes
        lane = self._lanes[index]
        lane.waiting[slot.number] = slot
        lane.size += slot.size
        return index

    def _slot(self, body: bytes, at: int) -> int:
        """Return the slot of the frame at *at*, whose Resource comes first as our own do."""
        # message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
        # message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics = 2; ... }
        _, at = protobuf.read_varint(body, at + 1)
        resource = b""
        if body[at : at + 1] == b"\x0a":
            size, at = protobuf.read_varint(body, at + 1)
            resource = body[at : at + size]
        place = self._places.get(resource)
        if place is None:
            place = zlib.crc32(self._identify(resource) or b"") % SLOTS
            self._places.put(resource, place, _ENTRY + len(resource))
        return place
