"""A target's OTLP request with holes where the numbers go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agent.exposition import grammar, metrics, model, points, translate
from common.wire import otlp

Indices: TypeAlias = npt.NDArray[np.int32]

_NONE = -1

Key: TypeAlias = tuple[bytes, bool, bytes]
"""A point: its metric's name, whether its kind is in `points.LONE`, its bytes with numbers of 0."""

_NANOSECONDS = 1_000_000  # in a millisecond


class Template:
    """A request that needs only its numbers and its time.

    A sample's double goes to one place as it is, a count as an integer, a bucket as the difference
    to the bucket before. Poking 10,000 points costs 25 ns each, most of it copying the bytes.
    """

    __slots__ = (
        "_body", "_bucket_at", "_bucket_floors", "_bucket_samples", "_count_at", "_count_samples",
        "_ends", "_metric_of", "_starts", "_time_at", "_timed_at", "_timed_samples", "_tracked",
        "_value_at", "_value_samples", "series", "wrappings",
    )  # fmt: skip

    def __init__(
        self,
        translation: translate.Translation,
        origin: metrics.Origin,
        times: npt.NDArray[np.int64],
        excluded: Collection[int],
    ) -> None:
        """Write the points of *translation*, except those numbered in *excluded*.

        *times* tells the samples that have a timestamp from those that are `model.UNTIMED`.
        """
        draft = _Draft()
        draft.write(translation, excluded)
        body = origin.request(b"".join(draft.chunks))
        self._body = np.frombuffer(bytearray(body), np.uint8)
        sizes = np.fromiter(map(len, draft.chunks), np.int64)
        ends = len(body) - sizes.sum() + np.cumsum(sizes)
        # Each metric has a chunk before its points and one behind.
        metric_of = np.repeat(np.arange(len(draft.counts)), draft.counts)
        chunks = np.arange(len(metric_of)) + 2 * metric_of + 1
        starts = (ends - sizes)[chunks] + np.array(draft.heads, np.int64)
        leaders = np.array(draft.leaders, np.int64)
        lone = np.array([metric.kind in points.LONE for metric in draft.wrappings])[metric_of]
        # The report's samples come behind those of the text, and never have a timestamp.
        timed = np.append(times != model.UNTIMED, False)[np.minimum(leaders, len(times))]

        sum_of, sums = _columns(draft.sums, 2)
        quantile_of, quantile_at, quantiles = _columns(draft.quantiles, 3)
        bucket_of, bucket_at, buckets, floors = _columns(draft.buckets, 4)
        self._value_at = _narrow(
            starts[lone] + points.NUMBER_AT,
            starts[sum_of] + points.SUM_AT,
            starts[quantile_of] + quantile_at,
        )
        self._value_samples = _narrow(leaders[lone], sums, quantiles)
        self._count_at = _narrow(starts[~lone] + points.COUNT_AT)
        self._count_samples = _narrow(leaders[~lone])
        self._bucket_at = _narrow(starts[bucket_of] + bucket_at)
        self._bucket_samples, self._bucket_floors = _narrow(buckets), _narrow(floors)
        self._timed_at = _narrow(starts[timed] + points.TIME_AT)
        self._timed_samples = _narrow(leaders[timed])
        self._time_at = _narrow(starts[~timed] + points.TIME_AT)
        self._starts, self._ends = _narrow(starts), _narrow(ends[chunks])
        self._metric_of = _narrow(metric_of)
        self._tracked = ~timed
        self.wrappings = tuple(draft.wrappings)
        parts = len(self._count_at) + len(sums) + len(quantiles) + len(buckets)
        self.series = int(np.count_nonzero(leaders[lone] < len(times))) + parts
        """Prometheus series that the points stand for, those of the report not counted."""

    @property
    def points(self) -> int:
        """Return the number of data points."""
        return len(self._starts)

    @property
    def held_bytes(self) -> int:
        """Return the memory held, names and descriptions of metrics not counted twice."""
        columns = [getattr(self, name) for name in self.__slots__ if name.startswith("_")]
        return sum(column.nbytes for column in columns)

    def poke(
        self, values: npt.NDArray[np.float64], times: npt.NDArray[np.int64], time_ns: int
    ) -> otlp.Encoded:
        """Return the request with these numbers: *values* of all samples, then of the report.

        *times* are those of the samples; points without one are of *time_ns*. The caller has
        excluded the points whose numbers do not pass `checks`.
        """
        doubles, integers = self._holes()
        doubles[self._value_at] = values[self._value_samples]
        if len(self._count_at):
            integers[self._count_at] = values[self._count_samples].astype(np.uint64)
        if len(self._bucket_at):
            # Integers before the subtraction: beyond 2**53 doubles would not add up again.
            heights = values[self._bucket_samples].astype(np.uint64)
            floors = values[self._bucket_floors].astype(np.uint64)
            floors[self._bucket_floors == _NONE] = 0
            integers[self._bucket_at] = heights - floors
        if len(self._timed_at):
            integers[self._timed_at] = times[self._timed_samples] * _NANOSECONDS
        integers[self._time_at] = time_ns
        return otlp.Encoded(self._body.tobytes())

    def tracked(self) -> dict[Key, metrics.Wrapping]:
        """Return the points whose disappearance matters, and the metric of each.

        Not among them are those with timestamps of their own, as in Prometheus.
        """
        _, integers = self._holes()
        for at in (self._value_at, self._count_at, self._bucket_at, self._time_at, self._timed_at):
            integers[at] = 0
        body = self._body.tobytes()
        tracked = self._tracked
        spans = map(slice, self._starts[tracked].tolist(), self._ends[tracked].tolist())
        names = [(metric.name, metric.kind in points.LONE, metric) for metric in self.wrappings]
        found: dict[Key, metrics.Wrapping] = {}
        for number, payload in zip(
            self._metric_of[tracked].tolist(), map(body.__getitem__, spans), strict=True
        ):
            name, lone, metric = names[number]
            found[name, lone, payload] = metric
        return found

    def _holes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint64]]:
        # Views of the body whose items begin at each byte.
        shape = (len(self._body) - 7,)
        doubles = np.ndarray(shape, dtype="<f8", buffer=self._body, strides=(1,))
        return doubles, np.ndarray(shape, dtype="<u8", buffer=self._body, strides=(1,))


class _Draft:
    """Metrics as chunks of bytes, each point one, and what is needed to find the holes in them."""

    def __init__(self) -> None:
        self._encode = points.Attributes().encode
        self._numbers: dict[grammar.Labels, tuple[bytes, int]] = {}
        self.chunks: list[bytes] = []
        # Metrics, and how many points each has.
        self.wrappings: list[metrics.Wrapping] = []
        self.counts: list[int] = []
        # Points: the size of what precedes the payload, and the sample that has value or count.
        self.heads: list[int] = []
        self.leaders: list[int] = []
        # Further holes of histograms and summaries: the number of the point, the offset in it,
        # except of a sum, and the sample.
        self.sums: list[tuple[int, int]] = []
        self.quantiles: list[tuple[int, int, int]] = []
        self.buckets: list[tuple[int, int, int, int]] = []  # then that of the bucket before

    def write(self, translation: translate.Translation, excluded: Collection[int]) -> None:
        number = 0
        for metric in translation.metrics:
            kept = metric.points
            if excluded:
                numbered = enumerate(kept, number)
                kept = tuple([point for i, point in numbered if i not in excluded])
                number += len(metric.points)
            if kept:
                self._metric(metric, kept)

    def _metric(self, metric: translate.Metric, kept: tuple[translate.Point, ...]) -> None:
        first = len(self.chunks)
        self.chunks.append(b"")
        for point in kept:
            if isinstance(point, translate.Number):
                self._number(point)
            elif isinstance(point, translate.Distribution):
                self._distribution(metric.kind, point)
        wrapping = metrics.Wrapping.of(
            metric.name, metric.kind, metric.type, metric.help, unit=metric.unit
        )
        before, behind = wrapping.around(sum(map(len, self.chunks[first:])))
        self.chunks[first] = before
        self.chunks.append(behind)
        self.wrappings.append(wrapping)
        self.counts.append(len(kept))

    def _number(self, point: translate.Number) -> None:
        # All points of these labels are the same but for their numbers, in whichever metric.
        known = self._numbers.get(point.labels)
        if known is None:
            payload = points.number(self._encode(translate.Kind.GAUGE, point.labels))
            head = metrics.point_head(len(payload))
            known = self._numbers[point.labels] = (head + payload, len(head))
        chunk, head_size = known
        self.chunks.append(chunk)
        self.heads.append(head_size)
        self.leaders.append(point.sample)

    def _distribution(self, kind: translate.Kind, point: translate.Distribution) -> None:
        encoded = self._encode(kind, point.labels)
        number, leader = len(self.leaders), point.counted
        samples = [sample for _, sample in point.steps]
        if point.summed is not None:
            self.sums.append((number, point.summed))
        if kind is translate.Kind.HISTOGRAM:
            payload, offsets = points.histogram(point, encoded)
            samples += [leader] * (len(offsets) - len(samples))  # no +Inf bucket: all there are
            floors = [_NONE, *samples[:-1]][: len(offsets)]
            self.buckets += zip(repeat(number), offsets, samples, floors, strict=False)
        else:
            payload, offsets = points.summary(point, encoded)
            self.quantiles += zip(repeat(number), offsets, samples, strict=False)
        head = metrics.point_head(len(payload))
        self.chunks.append(head + payload)
        self.heads.append(len(head))
        self.leaders.append(leader)


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> npt.NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(-1, width).T


def _narrow(*columns: npt.NDArray[np.int64]) -> Indices:
    return np.concatenate(columns).astype(np.int32)
