"""What senders of deltas push, and the totals that a receiver must then hold, sample by sample.

The totals are added up here, in the plainest way; nothing of the product does it.
"""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_DELTA as DELTA,
    Metric,
)

from tests.fakes.remote_write_rules import bits
from tests.fakes.remote_write_v1 import Native
from tests.flow.read_back import NO_RECORDED_VALUE, NS_PER_MS, PACE, Expected, filled, pair

OUTPUT = {"deltas": "accumulate", "target_info": False}
"""The settings that the expectation was written for, beside the defaults."""

MISSED = 5  # the number of the request whose deltas never come: a gap
COARSER = 6  # from here on exponential histograms have a lower scale
LATE = 8  # in this one is a delta, too, that is older than the one before
ENDED = 9  # the series ends, and begins anew with the request after
BOUNDS, LES = [1.0, 2.5], ["1", "2.5", "+Inf"]


class Sender:
    """Makes the requests of one sender, one after the other, as `read_back.Sender` does."""

    def __init__(self, who: str, resources: int, begin: int, expected: Expected) -> None:
        self._begin, self._expected = begin, expected
        self._all = [_Instance(f"{who}-{n}", expected) for n in range(resources)]

    def request(self, n: int) -> Request:
        """Make the request number *n*, and expect what comes of it."""
        message = Request()
        for instance in self._all:
            instance.fill(message.resource_metrics.add(), n, self._begin + n * PACE)
        return message


class _Instance:
    """One resource, and what its deltas add up to."""

    def __init__(self, instance: str, expected: Expected) -> None:
        self._instance, self._expected = instance, expected
        self._every = {"job": "deltas", "instance": instance, "way": "in", "who": instance}
        self._totals: Counter[str] = Counter()
        self._float = 0.0
        self._counts, self._sum = [0, 0, 0], 0.0
        self._buckets: Counter[int] = Counter()  # of the exponential histogram, by OTLP's index
        self._negative: Counter[int] = Counter()
        self._scale, self._zeros, self._spread = 3, 0, 0.0
        self._n = self._ms = 0
        self._scope: Any = None

    def fill(self, frame: Any, n: int, ms: int) -> None:
        attributes = {"service.name": "deltas", "service.instance.id": self._instance}
        frame.resource.attributes.extend(pair(key, value) for key, value in attributes.items())
        self._scope, self._n, self._ms = frame.scope_metrics.add(), n, ms
        if n != MISSED:
            self._sums()
            self._histogram()
            self._exponential()

    def _sums(self) -> None:
        n = self._n
        bought = self._metric("bought", "{item}", "bought_total", "", "counter").sum
        bought.aggregation_temporality, bought.is_monotonic = DELTA, True
        point = self._point(bought)
        if n == ENDED:
            point.flags = NO_RECORDED_VALUE
            self._totals["bought"] = 0
            self._expect("bought_total", None)
        else:
            point.as_int = n + 1
            self._totals["bought"] += n + 1
            self._expect("bought_total", float(self._totals["bought"]))
        if n == LATE:
            self._point(bought, before=3 * PACE).as_int = 1000
            self._expected.dropped["out_of_order"] += 1

        spent = self._metric("spent", "s", "spent_seconds_total", "seconds", "counter").sum
        spent.aggregation_temporality, spent.is_monotonic = DELTA, True
        self._point(spent).as_double = 0.25 * n
        self._float += 0.25 * n
        self._expect("spent_seconds_total", self._float)

        level = self._metric("level", "", "level", "", "gauge").sum
        level.aggregation_temporality = DELTA
        change = 3 if n % 2 else -5
        self._point(level).as_int = change
        self._totals["level"] += change
        self._expect("level", float(self._totals["level"]))

    def _histogram(self) -> None:
        metric = self._metric("took", "s", "took_seconds", "seconds", "histogram").histogram
        metric.aggregation_temporality = DELTA
        counts = [self._n, 0, 2]
        point = self._point(metric)
        point.explicit_bounds.extend(BOUNDS)
        point.bucket_counts.extend(counts)
        point.count, point.sum, point.min, point.max = sum(counts), 1.5 * self._n, 0.5, 9.0
        self._counts = [a + b for a, b in zip(self._counts, counts, strict=True)]
        self._sum += 1.5 * self._n
        for le, count in zip(LES, accumulate(self._counts), strict=True):
            self._expect("took_seconds_bucket", float(count), le=le)
        self._expect("took_seconds_count", float(sum(self._counts)))
        self._expect("took_seconds_sum", self._sum)

    def _exponential(self) -> None:
        n = self._n
        metric = self._metric("size", "By", "size_bytes", "bytes", "histogram")
        metric.exponential_histogram.aggregation_temporality = DELTA
        if n == COARSER:
            self._scale = 2
            self._buckets, self._negative = _merged(self._buckets), _merged(self._negative)
        positive, negative = [n, 0, 0, 1, 2], [1, n % 4]
        point = self._point(metric.exponential_histogram)
        point.scale, point.zero_count, point.sum = self._scale, n % 3, 0.5 * n
        point.positive.offset, point.negative.offset = -2, 3
        point.positive.bucket_counts.extend(positive)
        point.negative.bucket_counts.extend(negative)
        point.count = n % 3 + sum(positive) + sum(negative)
        self._zeros += n % 3
        self._spread += 0.5 * n
        self._buckets.update(dict(enumerate(positive, -2)))
        self._negative.update(dict(enumerate(negative, 3)))
        labels = {**self._every, "__name__": "size_bytes"}
        series = self._expected.held.histograms.setdefault(frozenset(labels.items()), {})
        series[self._ms] = Native(
            count=self._zeros + self._buckets.total() + self._negative.total(),
            total=bits(self._spread),
            schema=self._scale,
            zero_threshold=1e-128,
            zero_count=self._zeros,
            negative=_native(self._negative),
            positive=_native(self._buckets),
        )

    def _metric(self, name: str, unit: str, family: str, word: str, kind: str) -> Metric:
        self._expected.metadata[family] = (kind, f"About {name}.", word)
        return self._scope.metrics.add(name=name, unit=unit, description=f"About {name}.")

    def _point(self, points: Any, before: int = 0) -> Any:
        self._expected.points += 1
        at = (self._ms - before) * NS_PER_MS
        point = points.data_points.add(time_unix_nano=at, start_time_unix_nano=at - PACE * 10**6)
        attributes = [("way", "in"), ("who", self._instance)]
        # In whatever order they come, it is the same series.
        ordered = attributes[::-1] if self._n % 2 else attributes
        point.attributes.extend(pair(key, value) for key, value in ordered)
        return point

    def _expect(self, name: str, value: float | None, **more: str) -> None:
        self._expected.add({**self._every, "__name__": name, **more}, self._ms, value)


def _merged(buckets: Counter[int]) -> Counter[int]:
    """Return *buckets* at the next lower scale: two of them become one."""
    found: Counter[int] = Counter()
    for index, count in buckets.items():
        found[index >> 1] += count
    return found


def _native(buckets: Counter[int]) -> tuple[tuple[int, int], ...]:
    """Return *buckets* by the indices of Prometheus, which tell upper bounds."""
    return filled(sorted((index + 1, count) for index, count in buckets.items()))
