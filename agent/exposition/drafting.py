"""The points of a translation, written for the first time: bytes without numbers, and a plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import repeat

import numpy as np

from agent.exposition import grammar, metrics, plan, points, translate
from agent.exposition.plan import NONE


class Draft:
    """Metrics as chunks of bytes, each point one, and what is needed to find the holes in them."""

    __slots__ = (
        "_encode",
        "_numbers",
        "buckets",
        "groups",
        "heads",
        "leaders",
        "quantiles",
        "sizes",
        "started",
        "sums",
        "wrappings",
    )  # fmt: skip

    def __init__(self) -> None:
        self._encode = points.Attributes().encode
        self._numbers: dict[grammar.Labels, tuple[bytes, int]] = {}
        self.wrappings: list[metrics.Wrapping] = []
        self.groups: list[list[bytes]] = []  # of each metric: its points, heads included
        self.heads: list[int] = []
        self.sizes: list[int] = []
        self.leaders: list[int] = []
        self.started: list[int] = []
        self.sums: list[tuple[int, int]] = []
        self.quantiles: list[tuple[int, int, int]] = []
        self.buckets: list[tuple[int, int, int, int]] = []

    def write(self, translation: translate.Translation, excluded: Collection[int]) -> None:
        """Write the points of *translation* but for those numbered in *excluded*."""
        number = 0
        for metric in translation.metrics:
            kept = metric.points
            if excluded:
                numbered = enumerate(kept, number)
                kept = tuple([point for i, point in numbered if i not in excluded])
                number += len(metric.points)
            if kept:
                self._metric(metric, kept)

    def add(self, wrapping: metrics.Wrapping, those: Iterable[tuple[grammar.Labels, int]]) -> None:
        """Write single series of the metric *wrapping*: their labels, as stored, and samples."""
        self.wrappings.append(wrapping)
        group: list[bytes] = []
        self.groups.append(group)
        for labels, sample in those:
            payload = points.number(self._encode(translate.Kind.GAUGE, labels))
            head = metrics.point_head(len(payload))
            group.append(head + payload)
            self.heads.append(len(head))
            self.sizes.append(len(payload))
            self.leaders.append(sample)
        self.started += [NONE] * len(group)

    def plan(self) -> plan.Plan:
        """Return where everything is."""
        return plan.Plan(
            wrappings=tuple(self.wrappings),
            counts=np.array(list(map(len, self.groups)), np.int32),
            heads=np.array(self.heads, np.uint8),
            sizes=np.array(self.sizes, np.int32),
            leaders=np.array(self.leaders, np.int32),
            started=np.array(self.started, np.int32),
            sums=_rows(self.sums, 2),
            quantiles=_rows(self.quantiles, 3),
            buckets=_rows(self.buckets, 4),
        )

    def _metric(
        self,
        metric: translate.Metric,
        kept: Sequence[translate.Point],
    ) -> None:
        wrapping = metrics.Wrapping.of(
            metric.name,
            metric.kind,
            metric.type,
            metric.help,
            unit=metric.unit,
            scope=metric.scope,
        )
        self.wrappings.append(wrapping)
        self.groups.append([])
        for point in kept:
            match point:
                case translate.Number():
                    self._number(point)
                case translate.Distribution():
                    self._distribution(metric.kind, point)
                case translate.NativePoint():
                    self._native(metric.kind, point)

    def _number(self, point: translate.Number) -> None:
        # All points of these labels are the same but for their numbers, in whichever metric.
        known = self._numbers.get(point.labels) if point.started is None else None
        if known is None:
            encoded = self._encode(translate.Kind.GAUGE, point.labels)
            payload = points.number(encoded, started=point.started is not None)
            head = metrics.point_head(len(payload))
            known = (head + payload, len(head))
            if point.started is None:
                self._numbers[point.labels] = known
        chunk, head_size = known
        self._add(chunk, head_size, point.sample, point.started)

    def _distribution(self, kind: translate.Kind, point: translate.Distribution) -> None:
        encoded = self._encode(kind, point.labels)
        number, leader = len(self.leaders), point.counted
        samples = [sample for _, sample in point.steps]
        if point.summed is not None:
            self.sums.append((number, point.summed))
        if kind is translate.Kind.HISTOGRAM:
            payload, offsets = points.histogram(point, encoded)
            samples += [leader] * (len(offsets) - len(samples))  # no +Inf bucket: all there are
            floors = [NONE, *samples[:-1]][: len(offsets)]
            self.buckets += zip(repeat(number), offsets, samples, floors, strict=False)
        else:
            payload, offsets = points.summary(point, encoded)
            self.quantiles += zip(repeat(number), offsets, samples, strict=False)
        head = metrics.point_head(len(payload))
        self._add(head + payload, len(head), leader, point.started)

    def _native(self, kind: translate.Kind, point: translate.NativePoint) -> None:
        # What is written here only says which series it is: each scrape brings a point of its own.
        payload = points.number(self._encode(kind, point.labels), started=point.started is not None)
        head = metrics.point_head(len(payload))
        self._add(head + payload, len(head), point.sample, point.started)

    def _add(self, chunk: bytes, head: int, leader: int, started: int | None) -> None:
        self.groups[-1].append(chunk)
        self.heads.append(head)
        self.sizes.append(len(chunk) - head)
        self.leaders.append(leader)
        self.started.append(NONE if started is None else started)


def _rows(rows: Sequence[tuple[int, ...]], width: int) -> plan.Indices:
    return np.array(rows, np.int32).reshape(-1, width)
