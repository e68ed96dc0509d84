"""The OTLP metrics messages as remote write needs them: attributes and number points stay bytes.

Source: opentelemetry/proto/metrics/v1/metrics.proto; the field numbers below are its own. What
stays bytes is the key of a memo later, and touching a bytes field costs a tenth of touching a
message. A singular message that may occur several times on the wire (Resource,
InstrumentationScope) is repeated here: joining the occurrences merges them, as protobuf demands.
Parsing validates framing and names, not what stays bytes; so this is for requests that were
validated at the door.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast

from google.protobuf import message

from common.wire import errors, schema

Item_co = TypeVar("Item_co", covariant=True)
Data: TypeAlias = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]

DELTA, CUMULATIVE = 1, 2  # AggregationTemporality
NO_RECORDED_VALUE = 1  # DataPointFlags


class Repeated(Protocol[Item_co]):
    """A repeated field."""

    def __iter__(self) -> Iterator[Item_co]: ...
    def __len__(self) -> int: ...


class Exemplar(Protocol):
    """An Exemplar."""

    time_unix_nano: int
    as_double: float
    as_int: int
    span_id: bytes
    trace_id: bytes
    filtered_attributes: Repeated[bytes]

    def WhichOneof(self, name: str) -> str | None:  # noqa: N802 - protobuf's name
        """Return ``as_double`` or ``as_int`` for the oneof ``value``."""


class NumberPoint(Protocol):
    """A NumberDataPoint."""

    start_time_unix_nano: int
    time_unix_nano: int
    as_double: float
    as_int: int
    exemplars: Repeated[Exemplar]
    attributes: Repeated[bytes]
    flags: int

    def WhichOneof(self, name: str) -> str | None:  # noqa: N802 - protobuf's name
        """Return ``as_double`` or ``as_int`` for the oneof ``value``."""


class HistogramPoint(Protocol):
    """A HistogramDataPoint."""

    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: float
    bucket_counts: Repeated[int]
    explicit_bounds: Repeated[float]
    exemplars: Repeated[Exemplar]
    attributes: Repeated[bytes]
    flags: int

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Tell whether ``sum`` is set."""


class Buckets(Protocol):
    """An ExponentialHistogramDataPoint.Buckets."""

    offset: int
    bucket_counts: Repeated[int]


class ExponentialPoint(Protocol):
    """An ExponentialHistogramDataPoint."""

    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: float
    scale: int
    zero_count: int
    zero_threshold: float
    positive: Buckets
    negative: Buckets
    exemplars: Repeated[Exemplar]
    attributes: Repeated[bytes]
    flags: int

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Tell whether ``sum`` is set."""


class Quantile(Protocol):
    """A SummaryDataPoint.ValueAtQuantile."""

    quantile: float
    value: float


class SummaryPoint(Protocol):
    """A SummaryDataPoint."""

    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: float
    quantile_values: Repeated[Quantile]
    attributes: Repeated[bytes]
    flags: int


class Content(Protocol):
    """A Sum or a histogram; a Gauge or Summary has `data_points` only."""

    aggregation_temporality: int
    is_monotonic: bool

    @property
    def data_points(self) -> Repeated[Any]:
        """Bytes, `HistogramPoint` or `SummaryPoint`, as the metric's kind has it."""


class Metric(Protocol):
    """A Metric; its content is the attribute that ``WhichOneof("data")`` names."""

    name: str
    description: str
    unit: str
    metadata: Repeated[bytes]

    def WhichOneof(self, name: str) -> Data | None:  # noqa: N802 - protobuf's name
        """Return which content the oneof ``data`` has."""


class Scope(Protocol):
    """A ScopeMetrics."""

    scope: Repeated[bytes]
    metrics: Repeated[Metric]


class Frame(Protocol):
    """A ResourceMetrics."""

    resource: Repeated[bytes]
    scope_metrics: Repeated[Scope]


class Request(Protocol):
    """An ExportMetricsServiceRequest."""

    resource_metrics: Repeated[Frame]


# In the words of `schema.classes`.
_MESSAGES = {
    "Request": "1 resource_metrics *Frame",
    "Frame": "1 resource *bytes, 2 scope_metrics *Scope",
    "Scope": "1 scope *bytes, 2 metrics *Metric",
    "Metric": "1 name string, 2 description string, 3 unit string, "
    "5 gauge data|Numbers, 7 sum data|Numbers, 9 histogram data|Histograms, "
    "10 exponential_histogram data|Numbers, 11 summary data|Summaries, 12 metadata *bytes",
    "Numbers": "1 data_points *bytes, 2 aggregation_temporality int32, 3 is_monotonic bool",
    "Histograms": "1 data_points *Histogram, 2 aggregation_temporality int32",
    "Summaries": "1 data_points *Summary",
    "Number": "2 start_time_unix_nano fixed64, 3 time_unix_nano fixed64, 4 as_double value|double, "
    "5 exemplars *Exemplar, 6 as_int value|sfixed64, 7 attributes *bytes, 8 flags uint32",
    "Histogram": "2 start_time_unix_nano fixed64, 3 time_unix_nano fixed64, 4 count fixed64, "
    "5 sum ?double, 6 bucket_counts *fixed64, 7 explicit_bounds *double, 8 exemplars *Exemplar, "
    "9 attributes *bytes, 10 flags uint32",
    "Exponential": "1 attributes *bytes, 2 start_time_unix_nano fixed64, 3 time_unix_nano fixed64, "
    "4 count fixed64, 5 sum ?double, 6 scale sint32, 7 zero_count fixed64, 8 positive Buckets, "
    "9 negative Buckets, 10 flags uint32, 11 exemplars *Exemplar, 14 zero_threshold double",
    "Buckets": "1 offset sint32, 2 bucket_counts *uint64",
    "Exemplar": "2 time_unix_nano fixed64, 3 as_double value|double, 4 span_id bytes, "
    "5 trace_id bytes, 6 as_int value|sfixed64, 7 filtered_attributes *bytes",
    "Summary": "2 start_time_unix_nano fixed64, 3 time_unix_nano fixed64, 4 count fixed64, "
    "5 sum double, 6 quantile_values *Quantile, 7 attributes *bytes, 8 flags uint32",
    "Quantile": "1 quantile double, 2 value double",
}

_classes = schema.classes("remote_write_shape", _MESSAGES)
_Request, _Number, _Exponential = (_classes[name] for name in ("Request", "Number", "Exponential"))


def read(encoded: bytes) -> Request:
    """Take a request apart; raises `errors.Malformed` if its framing is broken."""
    try:
        return cast("Request", _Request.FromString(encoded))
    except message.DecodeError as error:
        raise errors.Malformed(f"not an ExportMetricsServiceRequest: {error}") from error


def read_number(point: bytes) -> NumberPoint:
    """Take a NumberDataPoint apart; raises `errors.Malformed` if its framing is broken."""
    try:
        return cast("NumberPoint", _Number.FromString(point))
    except message.DecodeError as error:
        raise errors.Malformed(f"not a NumberDataPoint: {error}") from error


def read_exponential(point: bytes) -> ExponentialPoint:
    """Take an ExponentialHistogramDataPoint apart; raises `errors.Malformed` likewise."""
    try:
        return cast("ExponentialPoint", _Exponential.FromString(point))
    except message.DecodeError as error:
        raise errors.Malformed(f"not an ExponentialHistogramDataPoint: {error}") from error
