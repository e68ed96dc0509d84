"""The messages of Prometheus' protobuf format, taken apart in steps.

Package ``io.prometheus.client`` of github.com/prometheus/client_model, as far as it is read. A
family's metrics and a metric's labels stay bytes until somebody asks for one: a metric may be two
bytes on the wire and takes a hundred in memory, so they are counted before they are made; and
labels that come back are recognised by their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar, cast

from google.protobuf import message

from common.wire import errors, protobuf, schema

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)  # MetricFamily.type
GAUGE_FIELD, COUNTER_FIELD, UNTYPED_FIELD = 2, 3, 5  # of a Metric

_Item = TypeVar("_Item", covariant=True)  # noqa: PLC0105 - it is one of several items

MAX_METRIC = 1 << 20
"""Bytes of one metric: a histogram of a thousand buckets with exemplars takes a seventh."""

_LARGE = 4 << 20
"""Bytes of a family whose metrics are counted first, at 0.6 µs each: honest ones have 40,000."""

_METRIC = 4  # MetricFamily.metric

_DENSE = 65_536
"""Bytes of a metric beyond which its fields must not be too small; see `protobuf.fields`."""


class Repeated(Protocol[_Item]):
    """A repeated field."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_Item]: ...
    def __getitem__(self, at: int) -> _Item: ...


class Family(Protocol):
    """A MetricFamily."""

    name: bytes
    help: bytes
    type: int
    metric: Repeated[bytes]
    unit: bytes


class Time(Protocol):
    """A Timestamp."""

    seconds: int
    nanos: int


class Label(Protocol):
    """A LabelPair."""

    name: bytes
    value: bytes


class Partial(Protocol):
    """A message that tells which of its messages are there."""

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Tell whether the message *name* is there."""


class Exemplar(Partial, Protocol):
    """An Exemplar."""

    label: Repeated[bytes]
    value: float
    timestamp: Time


class Value(Protocol):
    """A Gauge or an Untyped."""

    value: float


class Counter(Partial, Protocol):
    """A Counter."""

    value: float
    exemplar: Exemplar
    start_timestamp: Time


class Quantile(Protocol):
    """A Quantile of a summary."""

    quantile: float
    value: float


class Summary(Protocol):
    """A Summary."""

    sample_count: int
    sample_sum: float
    quantile: Repeated[Quantile]
    start_timestamp: Time


class Bucket(Partial, Protocol):
    """A Bucket of a classic histogram."""

    cumulative_count: int
    cumulative_count_float: float
    upper_bound: float
    exemplar: Exemplar


class Span(Protocol):
    """A BucketSpan."""

    offset: int
    length: int


class Histogram(Protocol):
    """A Histogram: classic, native or both."""

    sample_count: int
    sample_count_float: float
    sample_sum: float
    bucket: Repeated[Bucket]
    start_timestamp: Time
    schema: int
    zero_threshold: float
    zero_count: int
    zero_count_float: float
    negative_span: Repeated[Span]
    negative_delta: Repeated[int]
    negative_count: Repeated[float]
    positive_span: Repeated[Span]
    positive_delta: Repeated[int]
    positive_count: Repeated[float]
    exemplars: Repeated[Exemplar]


class Metric(Protocol):
    """A Metric."""

    label: Repeated[bytes]
    gauge: Value
    counter: Counter
    summary: Summary
    untyped: Value
    timestamp_ms: int
    histogram: Histogram


# In the words of `schema.classes`. The published file is of proto2, but for presence, which is told
# where it matters, that is the same on the wire. Text is bytes: it is checked where it is new.
_CLASSES = schema.classes(
    "exposition",
    {
        "Family": "1 name bytes, 2 help bytes, 3 type int32, 4 metric *bytes, 5 unit bytes",
        "Metric": "1 label *bytes, 2 gauge Value, 3 counter Counter, 4 summary Summary, "
        "5 untyped Value, 6 timestamp_ms int64, 7 histogram Histogram",
        "Label": "1 name bytes, 2 value bytes",
        "Time": "1 seconds int64, 2 nanos int32",
        "Exemplar": "1 label *bytes, 2 value double, 3 timestamp Time",
        "Value": "1 value double",
        "Counter": "1 value double, 2 exemplar Exemplar, 3 start_timestamp Time",
        "Quantile": "1 quantile double, 2 value double",
        "Summary": "1 sample_count uint64, 2 sample_sum double, 3 quantile *Quantile, "
        "4 start_timestamp Time",
        "Bucket": "1 cumulative_count uint64, 2 upper_bound double, 3 exemplar Exemplar, "
        "4 cumulative_count_float double",
        "Span": "1 offset sint32, 2 length uint32",
        "Histogram": "1 sample_count uint64, 2 sample_sum double, 3 bucket *Bucket, "
        "4 sample_count_float double, 5 schema sint32, 6 zero_threshold double, "
        "7 zero_count uint64, 8 zero_count_float double, 9 negative_span *Span, "
        "10 negative_delta *sint64, 11 negative_count *double, 12 positive_span *Span, "
        "13 positive_delta *sint64, 14 positive_count *double, 15 start_timestamp Time, "
        "16 exemplars *Exemplar",
    },
)
_read_family = _CLASSES["Family"].FromString
_read_metric = _CLASSES["Metric"].FromString
_read_label = _CLASSES["Label"].FromString


def frames(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Go through the messages of *body*: where each frame begins, its message, and what is behind.

    One at a time, since a frame may be a single byte. Raises `errors.Malformed` where a length is
    cut short or leads beyond the end.
    """
    at, size = 0, len(body)
    while at < size:
        try:
            length, start = protobuf.read_varint(body, at)
        except errors.Malformed as error:
            raise errors.Malformed(f"family at byte {at}: its length is broken: {error}") from None
        end = start + length
        if end > size:
            raise errors.Malformed(
                f"family at byte {at}: {length} bytes announced, {size - start} sent; "
                "send the whole message"
            )
        yield at, start, end
        at = end


def family(encoded: bytes, most: int = 0) -> Family:
    """Take a MetricFamily apart, of at most so many metrics; 0 is no limit.

    They are counted in large ones, where they would take memory: 16 bytes for each, and 16 for what
    it grew from. Raises `errors.Malformed` and `errors.TooLarge` without a position.
    """
    if most > 0 and len(encoded) > _LARGE:
        _count(encoded, most)
    try:
        return cast("Family", _read_family(encoded))
    except message.DecodeError as error:
        raise errors.Malformed(f"not a MetricFamily: {error}") from error


def metric(encoded: bytes) -> Metric:
    """Take a Metric apart; raises `errors.Malformed` and `errors.TooLarge` without a position."""
    if len(encoded) > _DENSE:
        if len(encoded) > MAX_METRIC:
            raise errors.TooLarge(
                f"a metric of {len(encoded)} bytes over the limit of {MAX_METRIC}; "
                "expose fewer buckets or shorter labels"
            )
        for field, kind, _, start, end in protobuf.fields(encoded):
            if kind == protobuf.BYTES and field > 1:
                protobuf.fields(encoded, start, end)
    try:
        return cast("Metric", _read_metric(encoded))
    except message.DecodeError as error:
        raise errors.Malformed(f"not a Metric: {error}") from error


def pairs(encoded: Sequence[bytes] | Repeated[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Take LabelPairs apart; raises `errors.Malformed` without a position."""
    try:
        read = [cast("Label", _read_label(each)) for each in encoded]
    except message.DecodeError as error:
        raise errors.Malformed(f"not a LabelPair: {error}") from error
    return tuple([(label.name, label.value) for label in read])


def _count(encoded: bytes, most: int) -> None:
    """Refuse a family of more than *most* metrics; what is no message, its parser will refuse."""
    at, size, found = 0, len(encoded), 0
    while at < size:
        key, at = protobuf.read_varint(encoded, at)
        kind = key & 7
        if kind == protobuf.BYTES:
            length, at = protobuf.read_varint(encoded, at)
            at += length
            found += key >> 3 == _METRIC
        elif kind == protobuf.VARINT:
            at = protobuf.read_varint(encoded, at)[1]
        elif kind in (protobuf.FIXED64, protobuf.FIXED32):
            at += 8 if kind == protobuf.FIXED64 else 4
        else:
            raise errors.Malformed(f"wire type {kind} in a MetricFamily; expected 0, 1, 2 or 5")
        if found > most:
            raise errors.TooLarge(
                f"more than {most} metrics in one family exceed the limit of {most} samples; "
                "expose fewer series or raise the sample limit"
            )
