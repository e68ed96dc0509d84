"""What to do with a batch that a backend finds too big: cut it, and never repeat a refused size."""

from __future__ import annotations

from common.exporters.outcomes import Batch
from common.wire import otlp


class Cutter:
    """The pieces of one batch that are still to be sent, in order.

    A limit on size is monotone: once *n* bytes were refused, no piece of *n* bytes or more is tried
    again. That makes the number of useless requests logarithmic in the number of points, also for a
    backend whose RESOURCE_EXHAUSTED is not about size at all.
    """

    __slots__ = ("_pieces", "refused")

    def __init__(self, batch: Batch) -> None:
        self.refused: int | None = None  # bytes of the smallest body that was too big
        self._pieces = [batch]  # the next one last

    def take(self) -> tuple[Batch | None, int]:
        """Return what to send next, ``None`` at the end, and the points given up before it.

        Given up is a piece as large as one that was refused which cannot be cut any further.
        """
        lost = 0
        while self._pieces:
            batch = self._pieces.pop()
            if self.refused is None or len(batch.body) < self.refused:
                return batch, lost
            pieces = _halves(batch, self.refused)
            if pieces:
                self._pieces += reversed(pieces)
            else:
                lost += batch.points
        return None, lost

    def refuse(self, batch: Batch) -> None:
        """Take back *batch*, which came from `take` and which the backend found too big."""
        self.refused = len(batch.body)  # smaller than any before: take sees to that
        self._pieces.append(batch)


def _halves(batch: Batch, refused: int) -> list[Batch]:
    """Cut *batch* into pieces that may pass; nothing if it is a single point or will not shrink."""
    size = len(batch.body)
    # A little more than a half, or repeated headers would make a third piece.
    target = max(1, min(size * 9 // 16, refused - 1))
    pieces = [
        Batch(body=body, points=points, oldest=batch.oldest)
        for body, points in otlp.split(batch.body, target)
        if points
    ]
    if sum(piece.points for piece in pieces) != batch.points:
        raise RuntimeError(f"BUG: cutting {batch.points} points lost some of them")
    # Without progress there would be no end: a piece may stay whole, never come back as large.
    return pieces if all(len(piece.body) < size for piece in pieces) else []
