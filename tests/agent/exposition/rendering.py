"""A translation and its numbers written out at once, point by point: the slow way to a request."""

import struct
from itertools import groupby

import numpy as np

from agent.exposition import metrics, model, native_points, points, translate
from common.wire import protobuf

MILLISECOND = 1_000_000  # nanoseconds


def request(
    found: translate.Translation,
    exposition: model.Exposition,
    origin: metrics.Origin,
    report: list[float],
    time_ns: int,
) -> bytes:
    """Write *found* with the numbers of *exposition* and *report* into a request."""
    source = _Source(exposition, report, time_ns)
    scopes: dict[translate.Scope, bytes] = {}
    may_have = exemplar_points(found)
    number = 0
    for metric in found.metrics:
        payloads = []
        for point in metric.points:
            examples = [i for i in sorted(exposition.exemplars) if may_have.get(i) == number]
            if isinstance(point, translate.Distribution):
                order = {sample: step for step, sample in point.steps}
                examples.sort(key=order.__getitem__)
            payload = source.payload(metric.kind, point)
            payloads.append(payload + source.exemplars(metric.kind, examples))
            number += 1
        wrapping = metrics.Wrapping.of(
            metric.name, metric.kind, metric.type, metric.help, unit=metric.unit
        )
        scopes[metric.scope] = scopes.get(metric.scope, b"") + wrapping.metric(payloads)
    told = origin.with_info(found.info)
    out = b""
    for whose, of_it in groupby(scopes, lambda scope: scope.whose):
        body = b"".join(origin.scoped(scope, scopes[scope]) for scope in of_it)
        out += told.before_scopes(len(body), whose) + body
    return out


class _Source:
    def __init__(self, exposition: model.Exposition, report: list[float], time_ns: int) -> None:
        self._exposition = exposition
        self._values = [*exposition.values.tolist(), *report]
        self._times = [*exposition.times.tolist(), *([model.UNTIMED] * len(report))]
        self._time_ns = time_ns

    def exemplars(self, kind: translate.Kind, samples: list[int]) -> bytes:
        told = (points.exemplar(self._exposition.exemplars[i]) for i in samples)
        return b"".join(protobuf.framed(points.EXEMPLARS[kind], each) for each in told)

    def payload(self, kind: translate.Kind, point: translate.Point) -> bytes:
        encoded = points.Attributes().encode(kind, point.labels)
        match point:
            case translate.NativePoint():
                native = self._exposition.natives[point.sample]
                written = native_points.write(
                    encoded,
                    native,
                    time_ns=self._time(point.sample),
                    start_ns=self._start(point.started, point.sample),
                    exemplars=native.exemplars,
                )
                assert isinstance(written, bytes)
                return written
            case translate.Number():
                out = bytearray(points.number(encoded, started=point.started is not None))
                shift = self._begin(out, point.started, point.sample)
                value = self._values[point.sample]
                struct.pack_into("<d", out, points.NUMBER_AT + shift, value)
                return bytes(out)
            case translate.Distribution():
                return self._distribution(kind, point, encoded)

    def _distribution(
        self, kind: translate.Kind, point: translate.Distribution, encoded: bytes
    ) -> bytes:
        bucketing = kind is translate.Kind.HISTOGRAM
        cells = (points.histogram if bucketing else points.summary)(point, encoded)
        out = bytearray(cells.payload)
        shift = self._begin(out, point.started, point.counted)
        count = int(self._values[point.counted])
        struct.pack_into("<Q", out, points.COUNT_AT + shift, count)
        if point.summed is not None:
            struct.pack_into("<d", out, points.SUM_AT + shift, self._values[point.summed])
        numbers = [self._values[sample] for _, sample in point.steps]
        if not bucketing:
            for at, value in zip(cells.steps, numbers, strict=True):
                struct.pack_into("<d", out, at, value)
            return bytes(out)
        heights = [int(value) for value in numbers] + [count] * (len(cells.steps) - len(numbers))
        for at, below, height in zip(cells.steps, [0, *heights], heights, strict=False):
            struct.pack_into("<Q", out, at, height - below)
        return bytes(out)

    def _begin(self, out: bytearray, started: int | None, sample: int) -> int:
        # Write the times; return how much further everything lies because of the start.
        shift = 0 if started is None else points.START_SIZE
        struct.pack_into("<Q", out, points.TIME_AT + shift, self._time(sample))
        if started is not None:
            struct.pack_into("<Q", out, points.START_AT, self._start(started, sample))
        return shift

    def _time(self, sample: int) -> int:
        stamp = self._times[sample]
        return self._time_ns if stamp == model.UNTIMED else stamp * MILLISECOND

    def _start(self, started: int | None, sample: int) -> int:
        if started is None:
            return 0
        seconds = np.array([self._values[started]])
        return int(points.starts(seconds, np.array([self._time(sample)], np.uint64))[0])


def exemplar_points(found: translate.Translation) -> dict[int, int]:
    """Return the samples that may have exemplars, each with the number of its point.

    These are counters and the buckets of histograms. Points count from 0 across all metrics.
    """
    points: dict[int, int] = {}
    number = 0
    for metric in found.metrics:
        if metric.kind in (translate.Kind.SUM, translate.Kind.HISTOGRAM):
            for nth, point in enumerate(metric.points, number):
                if isinstance(point, translate.Number):
                    points[point.sample] = nth
                elif isinstance(point, translate.Distribution):
                    points.update((sample, nth) for _, sample in point.steps)
        number += len(metric.points)
    return points
