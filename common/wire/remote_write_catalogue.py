"""Metrics by their Prometheus names, whoever sends them: family, metadata, the names of its series.

Sources: OpenTelemetry's "Prometheus and OpenMetrics compatibility" (metric metadata) and remote
write 1.0 (MetricMetadata). The same few hundred metrics come from every replica of a service, so
they are translated once for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from google.protobuf import message
from opentelemetry.proto.common.v1 import common_pb2

from common.wire import (
    errors,
    memo,
    prometheus_names,
    remote_write_labels,
    remote_write_series,
    remote_write_shape,
    remote_write_view,
)
from common.wire.prometheus_names import Kind, Naming
from common.wire.remote_write_terms import Drop

MetricKey: TypeAlias = tuple[str, str, str, Kind, tuple[bytes, ...]]
"""Name, unit, description, kind, encoded metadata entries."""

_SINGLE: Final = (("", ""),)
_SERIES: Final = {
    Kind.HISTOGRAM: (("_bucket", "le"), ("_sum", "le"), ("_count", "le")),
    Kind.SUMMARY: (("", "quantile"), ("_sum", "quantile"), ("_count", "quantile")),
}
"""Suffixes and slots of the series a point consists of.

The slot of a sum and a count stays empty. They have one so that an attribute called ``le`` is lost
everywhere: otherwise points that differ in it alone would share their buckets.
"""

_WORDS: Final = {Kind.SUM: "gauge", Kind.EXPONENTIAL: "histogram"}
"""MetricTypes that are called otherwise than their kind."""

_HINTS: Final = {
    Kind.GAUGE: frozenset({"unknown", "info", "stateset"}),
    Kind.SUM: frozenset({"unknown", "info", "stateset"}),
}
"""What ``prometheus.type`` may say beyond the OTLP kind; a scraper notes there what it had read."""

_ALWAYS: Final[Mapping[remote_write_shape.Data, Kind]] = {
    "gauge": Kind.GAUGE,
    "summary": Kind.SUMMARY,
}

_OVERHEAD: Final = 1_500  # bytes of Python objects around an entry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A metric as Prometheus knows it."""

    family: str
    """Empty if the metric cannot be named."""
    metadata: bytes
    """The encoded MetricMetadata."""
    series: tuple[tuple[bytes, str], ...]
    """For each name of its series the encoded ``__name__`` and the slot, ``le`` or ``quantile``."""


class Catalogue:
    """Entries of the metrics seen lately, up to *max_bytes*."""

    __slots__ = ("_entries", "_naming")

    def __init__(self, naming: Naming, max_bytes: int) -> None:
        self._naming = naming
        self._entries: memo.Memo[MetricKey, Entry] = memo.Memo(max_bytes)

    def entry(self, key: MetricKey) -> Entry:
        """Return the entry of a metric; raises `errors.Malformed` if its metadata are none."""
        return self._entries.get(key) or self._learn(key)

    def _learn(self, key: MetricKey) -> Entry:
        name, unit, description, kind, hints = key
        family = prometheus_names.metric_name(name, unit, kind, self._naming)
        word = prometheus_names.unit_name(unit)
        entry = Entry(
            family=family,
            metadata=remote_write_series.metadata(_type(kind, hints), family, description, word),
            series=tuple(
                (remote_write_series.label(remote_write_labels.NAME, f"{family}{suffix}"), slot)
                for suffix, slot in _SERIES.get(kind, _SINGLE)
            ),
        )
        size = 3 * (len(name) + len(family)) + 2 * len(description) + sum(map(len, hints))
        self._entries.put(key, entry, _OVERHEAD + size)
        return entry


def kind(data: remote_write_shape.Data, points: remote_write_shape.Content) -> Kind | Drop:
    """Return what a metric is for Prometheus, or why it can be nothing."""
    if data in _ALWAYS:
        return _ALWAYS[data]
    match points.aggregation_temporality:
        case remote_write_shape.CUMULATIVE if data == "histogram":
            return Kind.HISTOGRAM
        case remote_write_shape.CUMULATIVE if data == "exponential_histogram":
            return Kind.EXPONENTIAL
        case remote_write_shape.CUMULATIVE:
            return Kind.COUNTER if points.is_monotonic else Kind.SUM
        case remote_write_shape.DELTA:
            return Drop.DELTA_UNSUPPORTED
        case _:
            return Drop.INVALID_POINT


def _type(kind: Kind, hints: Sequence[bytes]) -> int:
    """Return the number of the MetricType."""
    word = _WORDS.get(kind, kind.value)
    for hint in hints if kind in _HINTS else ():
        try:
            pair = common_pb2.KeyValue.FromString(hint)
        except message.DecodeError as error:
            raise errors.Malformed(f"metadata that are not a KeyValue: {error}") from error
        if pair.key == "prometheus.type" and pair.value.string_value in _HINTS[kind]:
            word = pair.value.string_value
    return remote_write_view.KINDS.index(word)
