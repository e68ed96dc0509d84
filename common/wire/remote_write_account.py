"""What all points of one body share: the time, how many bytes they may add, what was dropped."""

from __future__ import annotations

from typing import Final, TypeAlias

from common.wire import (
    remote_write_exemplars,
    remote_write_parts,
    remote_write_series,
    remote_write_shape,
)
from common.wire.prometheus_names import Kind
from common.wire.remote_write_exemplars import Spelt
from common.wire.remote_write_requests import Family
from common.wire.remote_write_terms import Drop, Options

# Labels multiply: a resource of 60 kB may come with 100,000 points of 30 bytes. What series that
# were not seen before may add to a body is bounded by this many times its size, plus so many
# requests. Honest data stays far below: a bucket of 16 bytes becomes a series of 300.
_MAX_GROWTH: Final = 32
_MAX_GROWTH_REQUESTS: Final = 16
_NS_PER_MS: Final = 1_000_000

Exemplary: TypeAlias = (
    remote_write_shape.NumberPoint
    | remote_write_shape.HistogramPoint
    | remote_write_shape.ExponentialPoint
)

_CUMULATIVE: Final = frozenset({Kind.COUNTER, Kind.HISTOGRAM, Kind.EXPONENTIAL, Kind.SUMMARY})
"""Kinds of points that count since a time."""


class Account:
    """The account of one body of *body_bytes*; points without a time get *now_ms*."""

    __slots__ = (
        "_max_bytes", "_now_ms", "_options", "_sample_bytes", "budget", "dropped",
        "exemplars_dropped", "newest",
    )  # fmt: skip

    def __init__(self, options: Options, body_bytes: int, now_ms: int) -> None:
        self._options, self._max_bytes = options, options.max_bytes
        self._now_ms = now_ms
        self._sample_bytes = remote_write_parts.SAMPLE_BYTES
        if options.start_times:
            self._sample_bytes += remote_write_parts.START_BYTES
        self.budget = _MAX_GROWTH * body_bytes + _MAX_GROWTH_REQUESTS * options.max_bytes
        """Bytes of labels that new series may still have; none may be added if it is used up."""
        self.dropped: dict[Drop, int] = {}
        """Points in no request, by reason."""
        self.exemplars_dropped = 0
        """Exemplars that should be sent, and are not."""
        self.newest = -1
        """Milliseconds of the newest point of the resource so far; -1 if it has none."""

    @property
    def starts(self) -> bool:
        """Whether samples have a start."""
        return self._options.start_times

    def drop(self, reason: Drop, points: int = 1) -> None:
        """Count *points* as dropped."""
        self.dropped[reason] = self.dropped.get(reason, 0) + points

    def affords(self, size: int, family: Family) -> bool:
        """Tell whether series with about *size* bytes of labels may be added; take them in then."""
        room = self._max_bytes - len(family.metadata) - self._sample_bytes
        if self.budget <= 0 or size > room:
            return False
        self.budget -= size
        return True

    def fits(self, size: int, family: Family, samples: int) -> bool:
        """Tell whether *size* bytes of a family, and so many samples, have room in a request."""
        return size + samples * self._sample_bytes + len(family.metadata) <= self._max_bytes

    def moment(self, nanoseconds: int) -> tuple[int, bytes]:
        """Return a point's time as milliseconds and as a stamp."""
        milliseconds = nanoseconds // _NS_PER_MS if nanoseconds else self._now_ms
        self.newest = max(self.newest, milliseconds)
        return milliseconds, remote_write_series.stamp(milliseconds)

    def start_ms(self, nanoseconds: int, milliseconds: int, kind: Kind) -> int:
        """Return since when a point counts; 0 if that is unknown, absurd or not asked for."""
        start = nanoseconds // _NS_PER_MS
        asked = self._options.start_times and kind in _CUMULATIVE
        return start if asked and start <= milliseconds else 0

    def start(self, nanoseconds: int, milliseconds: int, kind: Kind) -> bytes:
        """Return what follows the stamp: the encoded start, nothing if starts are not asked for."""
        if not self._options.start_times:
            return b""
        return remote_write_series.start(self.start_ms(nanoseconds, milliseconds, kind))

    def exemplars(
        self, point: Exemplary, milliseconds: int
    ) -> list[tuple[remote_write_shape.Exemplar, Spelt]]:
        """Return the exemplars of a point at *milliseconds* that can be sent; count the others.

        Beside a stale marker none can be.
        """
        if not self._options.exemplars:
            return []
        if point.flags & remote_write_shape.NO_RECORDED_VALUE:
            self.exemplars_dropped += len(point.exemplars)
            return []
        found: list[tuple[remote_write_shape.Exemplar, Spelt]] = []
        for exemplar in point.exemplars:
            spelt = remote_write_exemplars.spell(exemplar, milliseconds, self._options.naming)
            if spelt is None:
                self.exemplars_dropped += 1
            else:
                found.append((exemplar, spelt))
        return found
