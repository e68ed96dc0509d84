"""Pieces in one line, for backends to which order means nothing: any lane takes the next batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, final

from typing_extensions import override

from common.config import shared
from common.exporters import loads
from common.exporters.loads import Load, Piece, Supply
from common.wire import otlp

_ANY: Final = (0,)  # whoever is idle may answer
_NOBODY: Final = ()


@final
class Line(Supply):
    """A batch is full, or as old as the settings allow; what came last may be sent first.

    Pieces read from the buffer wait for those that are new, and fill up the batches.
    """

    __slots__ = ("_backlog", "_linger", "_live", "lanes", "max_bytes", "shared", "size")

    def __init__(self, limits: shared.Batching, lanes: int) -> None:
        self.size = 0
        self.lanes = lanes
        self.shared = True
        self.max_bytes, self._linger = limits.max_bytes, limits.linger
        self._live: deque[Piece] = deque()
        self._backlog: deque[Piece] = deque()

    @override
    def add(self, piece: Piece, spans: otlp.Spans) -> Iterable[int]:
        """Take *piece*; somebody is to look when the line was empty, or a batch is full."""
        first = not self.size
        (self._backlog if piece.backlog else self._live).append(piece)
        self.size += len(piece.body)
        return _ANY if first or self.size >= self.max_bytes else _NOBODY

    @override
    def take(self, lane: int, now: float, *, hurry: bool) -> Load | None:
        """Return the next batch, of up to the most bytes; a piece larger than that goes alone."""
        if not self.size:
            return None
        if not hurry and self.size < self.max_bytes and not self._is_due(now):
            return None
        taken: list[Piece] = []
        room = self.max_bytes
        for line in (self._live, self._backlog):
            while line and (len(line[0].body) <= room or not taken):
                piece = line.popleft()
                taken.append(piece)
                room -= len(piece.body)
            if line and taken:
                break
        found = loads.load(taken, ())
        self.size -= found.size
        return found

    @override
    def due(self, lane: int) -> float | None:
        """Return when the first of the line has waited long enough."""
        first = self.oldest()
        return None if first is None else first + self._linger

    @override
    def done(self, load: Load) -> Iterable[int]:
        """Return nobody: who sent *load* looks for more by itself."""
        return _NOBODY

    @override
    def left(self) -> Iterable[int]:
        """Return whoever is idle if there is more to send: it has to know when that is due."""
        return _ANY if self.size else _NOBODY

    @override
    def oldest(self) -> float | None:
        """Return when the first of the line arrived."""
        firsts = [line[0].arrived for line in (self._live, self._backlog) if line]
        return min(firsts) if firsts else None

    @override
    def drain(self) -> list[Piece]:
        """Give up all that waits."""
        left = [*self._live, *self._backlog]
        self._live.clear()
        self._backlog.clear()
        self.size = 0
        return left

    def _is_due(self, now: float) -> bool:
        first = self.oldest()
        return first is not None and now >= first + self._linger
