"""A strict parser of Prometheus' protobuf format: a body is read whole, or refused whole.

A body is messages ``io.prometheus.client.MetricFamily``, each behind its length as a varint. The
samples are those that Prometheus' own parser makes, in the order of the text formats: buckets or
quantiles, then the sum, then the count.
"""

from __future__ import annotations

import dataclasses

from agent.exposition import (
    delimited_columns as columns,
    families,
    grammar,
    histograms,
    labelling,
    model,
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

    @property
    def held_bytes(self) -> int:
        """Return about how much memory is held."""
        lists = 16 * len(self._names)
        return lists + self._sets.held_bytes + sum(m.held_bytes for m in self._memories.values())

    def read(self, body: bytes) -> model.Exposition:
        """Read *body*; after an error it is as if the body had not been."""
        try:
            found = self._body(body)
        except (errors.Malformed, errors.TooLarge):
            self._prune(len(self._names))
            raise
        self._prune(len(found.names))
        if self._names == found.names and self._labels == found.labels:
            return dataclasses.replace(found, names=self._names, labels=self._labels)
        self._names, self._labels = found.names, found.labels
        return found

    def _body(self, body: bytes) -> model.Exposition:
        to = columns.Columns(self._limits)
        room = spans.Room(self._limits)
        most = self._limits.samples or len(body)
        for i, (at, start, end) in enumerate(families.frames(body)):
            if i == most:
                raise errors.TooLarge(
                    f"family at byte {at}: more families than the {most} samples there may be; "
                    "expose fewer series or raise the sample limit"
                )
            name = b""
            try:
                family = families.family(body[start:end], self._limits.samples)
                name = family.name
                self._family(name, family, to, room)
            except (errors.Malformed, errors.TooLarge) as error:
                shown = name[:_SHOWN].decode(errors="backslashreplace")
                raise type(error)(f"family at byte {at}, {shown!r}: {error}") from error
        return to.exposition()

    def _prune(self, samples: int) -> None:
        self._sets.prune(samples)
        for memory in self._memories.values():
            memory.prune(samples)

    def _family(
        self, name: bytes, family: families.Family, to: columns.Columns, room: spans.Room
    ) -> None:
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
        to.families[name] = model.Family(word, family.help, family.unit)
        to.check(len(family.metric))
        if family.type == families.SUMMARY:
            self._summaries(name, family, to)
        elif family.type in (families.HISTOGRAM, families.GAUGE_HISTOGRAM):
            self._histograms(name, family, to, room)
        elif family.type == families.COUNTER:
            self._counters(name, family, to)
        else:
            self._gauges(name, family, to)
        to.check()  # a bucket for everything may have been added

    def _gauges(self, name: bytes, family: families.Family, to: columns.Columns) -> None:
        untyped = family.type == families.UNTYPED
        memory = self._memories[family.type]
        names, every, values, plain = to.names, to.labels, to.values, self._sets.plain
        for encoded in family.metric:
            known = memory.find(encoded)
            if known is not None:
                labels, value, _ = known
            else:
                metric = families.metric(encoded)
                labels = plain[tuple(metric.label)]
                value = metric.untyped.value if untyped else metric.gauge.value
                if metric.timestamp_ms:
                    to.stamp(metric.timestamp_ms, range(len(names), len(names) + 1))
                else:
                    memory.learn(encoded, metric, labels, 0)
            names.append(name)
            every.append(labels)
            values.append(value)

    def _counters(self, name: bytes, family: families.Family, to: columns.Columns) -> None:
        starting: list[grammar.Labels] = []
        since: list[float] = []
        memory = self._memories[family.type]
        names, every, values, plain = to.names, to.labels, to.values, self._sets.plain
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
                    to.stamp(metric.timestamp_ms, range(len(names), len(names) + 1))
                if counter.HasField("exemplar"):
                    to.exemplars[len(names)] = histograms.exemplar(counter.exemplar)
                elif not metric.timestamp_ms:
                    memory.learn(encoded, metric, labels, started)
            if started:
                since.append(started)
                starting.append(labels)
            names.append(name)
            every.append(labels)
            values.append(value)
        to.start(name, starting, since)

    def _summaries(self, name: bytes, family: families.Family, to: columns.Columns) -> None:
        starting: list[grammar.Labels] = []
        since: list[float] = []
        summed, counted, step = name + b"_sum", name + b"_count", self._sets.quantile
        for encoded in family.metric:
            metric = families.metric(encoded)
            summary = metric.summary
            quantiles = list(summary.quantile)
            to.check(len(quantiles) + 2)
            labels = (self._sets.quantiles if quantiles else self._sets.plain)[tuple(metric.label)]
            started = _seconds(summary.start_timestamp)
            if started:
                since.append(started)
                starting.append(labels)
            first = len(to.names)
            to.names += [name] * len(quantiles)
            to.labels += [(*labels, step[each.quantile]) for each in quantiles]
            to.values += [each.value for each in quantiles]
            to.names += (summed, counted)
            to.labels += (labels, labels)
            to.values += (summary.sample_sum, summary.sample_count)
            if metric.timestamp_ms:
                to.stamp(metric.timestamp_ms, range(first, len(to.names)))
        to.start(name, starting, since)

    def _histograms(
        self, name: bytes, family: families.Family, to: columns.Columns, room: spans.Room
    ) -> None:
        starting: list[grammar.Labels] = []
        since: list[float] = []
        gauge = family.type == families.GAUGE_HISTOGRAM
        for encoded in family.metric:
            metric = families.metric(encoded)
            histogram = metric.histogram
            labels = self._sets.buckets[tuple(metric.label)]
            started = _seconds(histogram.start_timestamp)
            if started:
                since.append(started)
                starting.append(labels)
            first = len(to.names)
            native = histograms.is_native(histogram)
            if native:
                to.natives[first] = histograms.read(histogram, room, gauge=gauge)
                to.names.append(name)
                to.labels.append(labels)
                to.values.append(histogram.sample_count_float or histogram.sample_count)
            if not native or (self._classic and len(histogram.bucket)):
                self._buckets(name, labels, histogram, to)
                if native:
                    to.of_native.update(range(first + 1, len(to.names)))
            to.check()
            if metric.timestamp_ms:
                to.stamp(metric.timestamp_ms, range(first, len(to.names)))
        to.start(name, starting, since)

    def _buckets(
        self,
        name: bytes,
        labels: grammar.Labels,
        histogram: families.Histogram,
        to: columns.Columns,
    ) -> None:
        buckets = list(histogram.bucket)
        to.check(len(buckets))
        steps = self._sets.steps(name, labels, [each.upper_bound for each in buckets])
        del buckets[len(steps) :]  # what is behind that of everything has been counted already
        first = len(to.names)
        for i, each in enumerate(buckets):
            if each.HasField("exemplar"):
                to.exemplars[first + i] = histograms.exemplar(each.exemplar)
        to.names += [name + b"_bucket"] * len(steps)
        to.labels += steps
        to.values += [each.cumulative_count_float or each.cumulative_count for each in buckets]
        count = histogram.sample_count_float or histogram.sample_count
        if len(buckets) < len(steps):
            to.values.append(count)
        to.names += (name + b"_sum", name + b"_count")
        to.labels += (labels, labels)
        to.values += (histogram.sample_sum, count)


def _seconds(start: families.Time) -> float:
    # 0 is none, and nothing was counted before 1970.
    seconds = start.seconds
    return seconds + start.nanos / 1e9 if seconds > 0 else 0.0
