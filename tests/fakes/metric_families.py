"""Bodies in Prometheus' protobuf format, made of whole messages by a schema of the tests' own."""

from collections.abc import Iterable, Mapping
from typing import Any

from common.wire import protobuf, schema

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)

CLASSES = schema.classes(
    "metric_families",
    {
        "MetricFamily": "1 name bytes, 2 help bytes, 3 type int32, 4 metric *Metric, 5 unit bytes",
        "Metric": "1 label *LabelPair, 2 gauge Gauge, 3 counter Counter, 4 summary Summary, "
        "5 untyped Untyped, 6 timestamp_ms int64, 7 histogram Histogram",
        "LabelPair": "1 name bytes, 2 value bytes",
        "Timestamp": "1 seconds int64, 2 nanos int32",
        "Exemplar": "1 label *LabelPair, 2 value double, 3 timestamp Timestamp",
        "Gauge": "1 value double",
        "Untyped": "1 value double",
        "Counter": "1 value double, 2 exemplar Exemplar, 3 start_timestamp Timestamp",
        "Quantile": "1 quantile double, 2 value double",
        "Summary": "1 sample_count uint64, 2 sample_sum double, 3 quantile *Quantile, "
        "4 start_timestamp Timestamp",
        "Bucket": "1 cumulative_count uint64, 2 upper_bound double, 3 exemplar Exemplar, "
        "4 cumulative_count_float double",
        "BucketSpan": "1 offset sint32, 2 length uint32",
        "Histogram": "1 sample_count uint64, 2 sample_sum double, 3 bucket *Bucket, "
        "4 sample_count_float double, 5 schema sint32, 6 zero_threshold double, "
        "7 zero_count uint64, 8 zero_count_float double, 9 negative_span *BucketSpan, "
        "10 negative_delta *sint64, 11 negative_count *double, 12 positive_span *BucketSpan, "
        "13 positive_delta *sint64, 14 positive_count *double, 15 start_timestamp Timestamp, "
        "16 exemplars *Exemplar",
    },
)


def make(name: str, /, **fields: Any) -> Any:
    """Make a message."""
    return CLASSES[name](**fields)


def labels(pairs: Mapping[str, str]) -> list[Any]:
    return [make("LabelPair", name=n.encode(), value=v.encode()) for n, v in pairs.items()]


def metric(of: Mapping[str, str] | None = None, /, **fields: Any) -> Any:
    return make("Metric", label=labels(of or {}), **fields)


def family(name: str, kind: int, /, *metrics: Any, **fields: Any) -> Any:
    return make("MetricFamily", name=name.encode(), type=kind, metric=metrics, **fields)


def body(families: Iterable[Any]) -> bytes:
    """Write *families* one after the other, each behind its length."""
    encoded = [each.SerializeToString() for each in families]
    return b"".join([protobuf.varint(len(each)) + each for each in encoded])


def read(exposed: bytes) -> list[Any]:
    """Read what `body` has written, and what others have."""
    found = []
    at = 0
    while at < len(exposed):
        size, at = protobuf.read_varint(exposed, at)
        found.append(CLASSES["MetricFamily"].FromString(exposed[at : at + size]))
        at += size
    return found
