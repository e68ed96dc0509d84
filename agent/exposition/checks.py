"""Which points of a scrape cannot be sent, because their numbers make no sense in OTLP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from agent.exposition import model, series, translate

Indices: TypeAlias = npt.NDArray[np.int32]
Flags: TypeAlias = npt.NDArray[np.bool_]

_FUTURE = 600_000  # milliseconds that an explicit timestamp may be ahead, as in Prometheus
_BEYOND = 2.0**64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checks:
    """What must hold of the numbers of each point; points count from 0 across all metrics."""

    counts: _Subjects  # samples that must be counts
    rises: _Subjects  # buckets that must not be below `floors`, the bucket before
    floors: Indices
    members: _Subjects  # samples that must have the timestamp of `leaders`, of the same point
    leaders: Indices
    timed: _Subjects  # samples with a timestamp of their own

    @classmethod
    def of(cls, translation: translate.Translation, times: npt.NDArray[np.int64]) -> Self:
        """Derive the checks; *times* are the samples' timestamps, or `model.UNTIMED`."""
        timed = times != model.UNTIMED
        any_timed = bool(timed.any())
        counts, rises, members, stamped = [], [], [], []
        for point, kind, shape in _points(translation):
            if not isinstance(shape, translate.Distribution):
                if any_timed and shape.sample < len(timed) and timed[shape.sample]:
                    stamped.append((shape.sample, point))
                continue
            steps = [sample for _, sample in shape.steps]
            counts.append((shape.counted, point))
            if kind is translate.Kind.HISTOGRAM:
                counts += [(sample, point) for sample in steps]
                # Without a +Inf bucket the count stands in for it, and may not be below either.
                if steps and shape.steps[-1][0] != np.inf:
                    steps.append(shape.counted)
                rises += [(low, high, point) for low, high in pairwise(steps)]
            if any_timed and timed[list(shape.samples)].any():
                stamped.append((shape.counted, point))
                members += [(shape.counted, other, point) for other in shape.samples[1:]]
        return cls(
            counts=_Subjects.of(counts),
            rises=_Subjects.of([(high, point) for _, high, point in rises]),
            floors=np.array([low for low, _, _ in rises], np.int32),
            members=_Subjects.of([(other, point) for _, other, point in members]),
            leaders=np.array([leader for leader, _, _ in members], np.int32),
            timed=_Subjects.of(stamped),
        )

    def renumbered(self, samples: npt.NDArray[np.int64], points: npt.NDArray[np.int64]) -> Self:
        """Return the checks of the same points when samples and points have other numbers.

        Of the samples and points that these checks are about, none may be gone.
        """
        return type(self)(
            counts=self.counts.renumbered(samples, points),
            rises=self.rises.renumbered(samples, points),
            floors=samples[self.floors].astype(np.int32),
            members=self.members.renumbered(samples, points),
            leaders=samples[self.leaders].astype(np.int32),
            timed=self.timed.renumbered(samples, points),
        )

    def find(self, readings: series.Readings, now_ms: int) -> dict[int, translate.Drop]:
        """Return the points that cannot be sent, and why; usually none."""
        faults: dict[int, translate.Drop] = {}
        values, times = readings.values, readings.times
        if len(self.counts.samples):
            found = values[self.counts.samples]
            # A NaN fails every comparison, hence the double negation.
            good = (found >= 0) & (found < _BEYOND) & (np.floor(found) == found)
            self.counts.blame(~good, translate.Drop.NOT_A_COUNT, faults)
            falls = ~(values[self.rises.samples] >= values[self.floors])
            self.rises.blame(falls, translate.Drop.NOT_A_COUNT, faults)
        if len(self.timed.samples):
            stamps = times[self.timed.samples]
            outside = (stamps <= 0) & (stamps != model.UNTIMED) | (stamps > now_ms + _FUTURE)
            self.timed.blame(outside, translate.Drop.OUT_OF_BOUNDS, faults)
            mixed = times[self.members.samples] != times[self.leaders]
            self.members.blame(mixed, translate.Drop.MIXED_TIMES, faults)
        return faults


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Subjects:
    # Samples under a check, and the point each belongs to.
    samples: Indices
    points: Indices

    @classmethod
    def of(cls, pairs: list[tuple[int, int]]) -> Self:
        return cls(
            samples=np.array([sample for sample, _ in pairs], np.int32),
            points=np.array([point for _, point in pairs], np.int32),
        )

    def renumbered(self, samples: npt.NDArray[np.int64], points: npt.NDArray[np.int64]) -> Self:
        return type(self)(
            samples=samples[self.samples].astype(np.int32),
            points=points[self.points].astype(np.int32),
        )

    def blame(self, bad: Flags, why: translate.Drop, faults: dict[int, translate.Drop]) -> None:
        if bad.any():
            for point in self.points[bad].tolist():
                faults.setdefault(point, why)


def _points(
    translation: translate.Translation,
) -> Iterator[tuple[int, translate.Kind, translate.Point]]:
    number = 0
    for metric in translation.metrics:
        for point in metric.points:
            yield number, metric.kind, point
            number += 1
