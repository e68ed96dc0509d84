"""Group small requests into batches: full in bytes, or old enough."""

from __future__ import annotations

from common.config import shared
from common.exporters.outcomes import Batch
from common.wire import otlp


class Batcher:
    """Collect bodies until a batch is full or its first body has waited long enough.

    Order is kept. Time is whatever clock the caller's *arrived* comes from, in seconds.
    """

    __slots__ = ("_due", "_linger", "_oldest", "_parts", "_points", "max_bytes", "size")

    def __init__(self, limits: shared.Batching) -> None:
        self.max_bytes = limits.max_bytes
        self.size = 0  # bytes held
        self._linger = limits.linger
        self._parts: list[otlp.Encoded] = []
        self._points = 0
        self._oldest = 0.0
        self._due: float | None = None

    @property
    def due(self) -> float | None:
        """When `flush` should be called; ``None`` while empty."""
        return self._due

    @property
    def oldest(self) -> float | None:
        """When the first of the points held arrived; ``None`` while empty."""
        return self._oldest if self._parts else None

    def narrow(self, max_bytes: int) -> None:
        """Make further batches smaller: the backend does not take what the settings allow."""
        self.max_bytes = min(self.max_bytes, max_bytes)

    def add(self, body: otlp.Encoded, points: int, arrived: float) -> list[Batch]:
        """Take *body* with its *points*; return the batches that it completed, in order.

        A batch exceeds ``max_bytes`` only where a single point does (see `otlp.split`).
        """
        size = len(body)
        done: list[Batch] = []
        if self.size + size > self.max_bytes:
            done = self.flush()
            if size > self.max_bytes:
                return done + _cut(body, points, arrived, self.max_bytes)
        if self._due is None:
            self._oldest = arrived
            self._due = arrived + self._linger
        self._parts.append(body)
        self._points += points
        self.size += size
        return done + self.flush() if self.size >= self.max_bytes else done

    def flush(self) -> list[Batch]:
        """Return what is held, if anything, and start afresh."""
        if not self._parts:
            return []
        body = self._parts[0] if len(self._parts) == 1 else otlp.Encoded(b"".join(self._parts))
        batch = Batch(body=body, points=self._points, oldest=self._oldest)
        self._parts, self._points, self.size, self._due = [], 0, 0, None
        return [batch]


def _cut(body: otlp.Encoded, points: int, arrived: float, max_bytes: int) -> list[Batch]:
    pieces = [
        Batch(body=piece, points=count, oldest=arrived)
        for piece, count in otlp.split(body, max_bytes)
        if count  # a metric without points is nothing to deliver
    ]
    found = sum(piece.points for piece in pieces)
    if found != points:
        raise RuntimeError(f"BUG: a request of {points} points was split into {found}")
    return pieces
