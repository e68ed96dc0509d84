"""A strict parser of Prometheus' protobuf format: a body is read whole, or refused whole.

A body is messages ``io.prometheus.client.MetricFamily``, each behind its length as a varint. The
samples are those that Prometheus' own parser makes, in the order of the text formats: buckets or
quantiles, then the sum, then the count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agent.exposition import (
    families,
    grammar,
    histograms,
    labelling,
    model,
    numbers,
    recognition,
    spans,
)
from common.wire import errors

_TYPES = {
    families.COUNTER: b"counter",
    families.GAUGE: b"gauge",
    families.SUMMARY: b"summary",
    families.UNTYPED: b"unknown",
    families.HISTOGRAM: b"histogram",
    families.GAUGE_HISTOGRAM: b"gaugehistogram",
}
_SHOWN = 80  # bytes of somebody else's name that a message repeats
_BEFORE_1970 = 0
"""Stands for all timestamps before 1970, one of which means none elsewhere: out of bounds too."""
_Created: TypeAlias = tuple[bytes, grammar.Labels, float]


def parse(body: bytes, limits: model.Limits, *, classic: bool = True) -> model.Exposition:
    """Parse *body*, an exposition in the protobuf format.

    A histogram that is native and has classic buckets as well makes samples of both, and those of
    the latter stand in ``classic_of_native``; without *classic* they are left out, and not counted.
    Whatever has a start timestamp makes a sample ``<family>_created`` at the end.

    Raises `errors.Malformed` with the offset of the family, and `errors.TooLarge` with the limit.
    Repeated series are not an error here, as in the text formats.
    """
    return Reader(limits, classic=classic).read(body)


class Reader:
    """Reads the bodies of one target, each as `parse` does, and remembers what comes back.

    Labels are looked up by their bytes. As long as the series stay, `model.Exposition.names` and
    ``labels`` are the very lists of the body before, so that `model.same_series` costs nothing.
    What is remembered is that of one body.
    """

    __slots__ = ("_classic", "_labels", "_limits", "_memories", "_names", "_sets")

    def __init__(self, limits: model.Limits, *, classic: bool = True) -> None:
        self._limits = limits
        self._classic = classic
        self._sets = labelling.Sets(limits)
        self._memories = {
            families.GAUGE: recognition.Memory(families.GAUGE_FIELD),
            families.COUNTER: recognition.Memory(families.COUNTER_FIELD),
            families.UNTYPED: recognition.Memory(families.UNTYPED_FIELD),
        }
        self._names: list[bytes] = []
        self._labels: list[grammar.Labels] = []

    def read(self, body: bytes) -> model.Exposition:
        """Read *body*; after an error it is as if the body had not been."""
        try:
            found = _Pass(self._limits, self._sets, self._memories, classic=self._classic).read(
                body
            )
        except (errors.Malformed, errors.TooLarge):
            self._prune(len(self._names))
            raise
        self._prune(len(found.names))
        if self._names == found.names and self._labels == found.labels:
            return dataclasses.replace(found, names=self._names, labels=self._labels)
        self._names, self._labels = found.names, found.labels
        return found

    def _prune(self, samples: int) -> None:
        self._sets.prune(samples)
        for memory in self._memories.values():
            memory.prune(samples)


class _Pass:
    """One pass over one body."""

    __slots__ = (
        "_classic", "_created", "_exemplars", "_families", "_labels", "_limits", "_memories", "_names",
        "_natives", "_of_native", "_room", "_sets", "_times", "_values",
    )  # fmt: skip

    def __init__(
        self,
        limits: model.Limits,
        sets: labelling.Sets,
        memories: Mapping[int, recognition.Memory],
        *,
        classic: bool,
    ) -> None:
        self._limits = limits
        self._memories = memories
        self._classic = classic
        self._sets = sets
        self._room = spans.Room(limits)
        self._names: list[bytes] = []
        self._labels: list[grammar.Labels] = []
        self._values: list[float] = []
        self._times: dict[int, int] = {}
        self._families: dict[bytes, model.Family] = {}
        self._exemplars: dict[int, model.Exemplar] = {}
        self._natives: dict[int, model.Native] = {}
        self._of_native: set[int] = set()
        self._created: list[_Created] = []

    def read(self, body: bytes) -> model.Exposition:
        for at, start, end in families.frames(body):
            name = b""
            try:
                family = families.family(body[start:end])
                name = family.name
                self._family(name, family)
                self._check_samples(0)  # a bucket for everything may have been added
            except (errors.Malformed, errors.TooLarge) as error:
                shown = name[:_SHOWN].decode(errors="backslashreplace")
                raise type(error)(f"family at byte {at}, {shown!r}: {error}") from error
        counted = len(self._names)
        for name, labels, value in self._created:
            self._names.append(name)
            self._labels.append(labels)
            self._values.append(value)
        values = np.array(self._values, np.float64)
        values[np.isnan(values)] = numbers.NAN
        return model.Exposition(
            format=model.Format.PROTOBUF,
            names=self._names,
            labels=self._labels,
            values=values,
            times=self._stamps(),
            value_at=np.empty(0, np.int64),
            families=self._families,
            exemplars=self._exemplars,
            natives=self._natives,
            classic_of_native=frozenset(self._of_native),
            uncounted=len(self._names) - counted,
        )

    def _stamps(self) -> npt.NDArray[np.int64]:
        times = np.full(len(self._names), model.UNTIMED, np.int64)
        if self._times:
            times[list(self._times)] = list(self._times.values())
        return times

    def _family(self, name: bytes, family: families.Family) -> None:
        if not len(family.metric):
            return  # nothing is said of nothing, not even what would be wrong with it
        word = _TYPES.get(family.type)
        if word is None:
            raise errors.Malformed(f"{family.type} is no type of metric; expected 0 to 5")
        if not name:
            raise errors.Malformed("the family has no name")
        labelling.check_utf8(name, "metric name")
        labelling.check_utf8(family.help, "help")
        labelling.check_utf8(family.unit, "unit")
        self._families[name] = model.Family(word, family.help, family.unit)
        self._check_samples(len(family.metric))
        if family.type == families.SUMMARY:
            self._summaries(name, family)
        elif family.type in (families.HISTOGRAM, families.GAUGE_HISTOGRAM):
            self._histograms(name, family)
        elif family.type == families.COUNTER:
            self._counters(name, family)
        else:
            self._gauges(name, family)

    def _check_samples(self, further: int) -> None:
        limit = self._limits.samples
        if 0 < limit < len(self._names) + further:
            raise errors.TooLarge(
                f"at least {len(self._names) + further} samples exceed the limit of {limit}; "
                "expose fewer series or raise the sample limit"
            )

    def _gauges(self, name: bytes, family: families.Family) -> None:
        untyped = family.type == families.UNTYPED
        memory = self._memories[family.type]
        names, every, values, plain = self._names, self._labels, self._values, self._sets.plain
        for encoded in family.metric:
            known = memory.find(encoded)
            if known is not None:
                labels, value, _ = known
            else:
                metric = families.metric(encoded)
                labels = plain[tuple(metric.label)]
                value = metric.untyped.value if untyped else metric.gauge.value
                if metric.timestamp_ms:
                    self._stamp(metric.timestamp_ms, 1)
                else:
                    memory.learn(encoded, metric, labels, 0)
            names.append(name)
            every.append(labels)
            values.append(value)

    def _counters(self, name: bytes, family: families.Family) -> None:
        created = name + b"_created"
        memory = self._memories[family.type]
        names, every, values, plain = self._names, self._labels, self._values, self._sets.plain
        for encoded in family.metric:
            known = memory.find(encoded)
            if known is not None:
                labels, value, started = known
            else:
                metric = families.metric(encoded)
                counter = metric.counter
                labels, value = plain[tuple(metric.label)], counter.value
                started = _seconds(counter.start_timestamp)
                if metric.timestamp_ms:
                    self._stamp(metric.timestamp_ms, 1)
                if counter.HasField("exemplar"):
                    self._exemplars[len(names)] = histograms.exemplar(counter.exemplar)
                elif not metric.timestamp_ms:
                    memory.learn(encoded, metric, labels, started)
            if started:
                self._created.append((created, labels, started))
            names.append(name)
            every.append(labels)
            values.append(value)

    def _summaries(self, name: bytes, family: families.Family) -> None:
        summed, counted, created = name + b"_sum", name + b"_count", name + b"_created"
        step = self._sets.quantile
        for encoded in family.metric:
            metric = families.metric(encoded)
            summary = metric.summary
            quantiles = summary.quantile
            size = len(quantiles)
            self._check_samples(size + 2)
            labels = (self._sets.quantiles if size else self._sets.plain)[tuple(metric.label)]
            if metric.timestamp_ms:
                self._stamp(metric.timestamp_ms, size + 2)
            self._start(created, labels, summary.start_timestamp)
            self._names += [name] * size
            self._labels += [(*labels, step[each.quantile]) for each in quantiles]
            self._values += [each.value for each in quantiles]
            self._names += (summed, counted)
            self._labels += (labels, labels)
            self._values += (summary.sample_sum, summary.sample_count)

    def _histograms(self, name: bytes, family: families.Family) -> None:
        created = name + b"_created"
        gauge = family.type == families.GAUGE_HISTOGRAM
        for encoded in family.metric:
            metric = families.metric(encoded)
            histogram = metric.histogram
            count = histogram.sample_count_float or histogram.sample_count
            is_native = histograms.is_native(histogram)
            labels = self._sets.buckets[tuple(metric.label)]
            self._start(created, labels, histogram.start_timestamp)
            if is_native:
                self._check_samples(1)
                if metric.timestamp_ms:
                    self._stamp(metric.timestamp_ms, 1)
                self._natives[len(self._names)] = histograms.read(
                    histogram, self._room, gauge=gauge
                )
                self._names.append(name)
                self._labels.append(labels)
                self._values.append(count)
            if not is_native or (self._classic and len(histogram.bucket)):
                first = len(self._names)
                self._buckets(name, labels, histogram, count)
                if metric.timestamp_ms:
                    self._stamp(metric.timestamp_ms, len(self._names) - first, first)
                if is_native:
                    self._of_native.update(range(first, len(self._names)))

    def _buckets(
        self, name: bytes, labels: grammar.Labels, histogram: families.Histogram, count: float
    ) -> None:
        self._check_samples(len(histogram.bucket) + 2)
        step = self._sets.le
        first = len(self._names)
        for bucket in histogram.bucket:
            if bucket.HasField("exemplar"):
                self._exemplars[len(self._values)] = histograms.exemplar(bucket.exemplar)
            bound = bucket.upper_bound
            self._labels.append((*labels, step[bound]))
            self._values.append(bucket.cumulative_count_float or bucket.cumulative_count)
            if bound == np.inf:
                break  # what is behind it has been counted already
        else:
            self._labels.append((*labels, step[np.inf]))
            self._values.append(count)
        self._names += [name + b"_bucket"] * (len(self._labels) - first)
        self._names += (name + b"_sum", name + b"_count")
        self._labels += (labels, labels)
        self._values += (histogram.sample_sum, count)

    def _stamp(self, milliseconds: int, samples: int, first: int | None = None) -> None:
        start = len(self._names) if first is None else first
        time = milliseconds if milliseconds > 0 else _BEFORE_1970
        self._times.update(dict.fromkeys(range(start, start + samples), time))

    def _start(self, name: bytes, labels: grammar.Labels, start: families.Time) -> None:
        started = _seconds(start)
        if started:
            self._created.append((name, labels, started))


def _seconds(start: families.Time) -> float:
    # 0 is none, and nothing was counted before 1970.
    seconds = start.seconds
    return seconds + start.nanos / 1e9 if seconds > 0 else 0.0
