"""The OTLP metrics messages as a change of temporality needs them: what is left alone stays bytes.

Source: opentelemetry/proto/metrics/v1/metrics.proto; the field numbers below are its own. Fields
that a schema here does not name are unknown to it, which means that upb keeps them and writes them
back. Parsing checks framing only, so this is for requests that were validated at the door.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol, TypeAlias, TypeVar, cast

from google.protobuf import message

from common.wire import errors, schema

Kind: TypeAlias = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]

DELTA, CUMULATIVE = 1, 2  # AggregationTemporality
NO_RECORDED_VALUE = 1  # DataPointFlags
NUMBERS = {"sum": 7, "histogram": 9, "exponential_histogram": 10}  # fields of Metric
RESOURCE_METRICS, SCOPE_METRICS, METRICS = 1, 2, 2

Item = TypeVar("Item")


class Repeated(Protocol[Item]):
    """A repeated field."""

    def __iter__(self) -> Iterator[Item]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, at: int) -> Item: ...
    def __delitem__(self, at: slice) -> None: ...
    def extend(self, values: Iterable[Item]) -> None: ...  # noqa: D102 - protobuf's


class Shape(Protocol):
    """What every message can do."""

    def SerializeToString(self) -> bytes: ...  # noqa: D102, N802 - protobuf's
    def DiscardUnknownFields(self) -> None: ...  # noqa: D102, N802 - protobuf's
    def ClearField(self, name: str) -> None: ...  # noqa: D102, N802 - protobuf's
    def HasField(self, name: str) -> bool: ...  # noqa: D102, N802 - protobuf's


class Content(Shape, Protocol):
    """A Sum, Histogram or ExponentialHistogram; only a Sum has `is_monotonic`."""

    data_points: Repeated[bytes]
    aggregation_temporality: int
    is_monotonic: bool


class Metric(Shape, Protocol):
    """A Metric; its content is the attribute that ``WhichOneof("data")`` names."""

    name: bytes
    unit: bytes
    sum: Content

    def WhichOneof(self, name: str) -> Kind | None: ...  # noqa: D102, N802 - protobuf's


class Scope(Shape, Protocol):
    """A ScopeMetrics."""

    scope: Repeated[bytes]
    metrics: Repeated[bytes]


class Frame(Shape, Protocol):
    """A ResourceMetrics."""

    resource: Repeated[bytes]
    scope_metrics: Repeated[Scope]


class Outline(Shape, Protocol):
    """An ExportMetricsServiceRequest, ResourceMetrics, ScopeMetrics or Metric without points."""

    resource_metrics: Repeated[Outline]
    scope_metrics: Repeated[Outline]
    metrics: Repeated[Outline]
    sum: Content
    histogram: Content
    exponential_histogram: Content

    def WhichOneof(self, name: str) -> Kind | None: ...  # noqa: D102, N802 - protobuf's


class Point(Shape, Protocol):
    """What the data points of all kinds have in common."""

    start_time_unix_nano: int
    time_unix_nano: int
    attributes: Repeated[bytes]
    flags: int


class NumberPoint(Point, Protocol):
    """A NumberDataPoint."""

    as_double: float
    as_int: int

    def WhichOneof(self, name: str) -> str | None: ...  # noqa: D102, N802 - protobuf's


class HistogramPoint(Point, Protocol):
    """A HistogramDataPoint."""

    count: int
    sum: float
    bucket_counts: Repeated[int]
    explicit_bounds: Repeated[float]


class Buckets(Protocol):
    """The buckets of an exponential histogram on one side of zero."""

    offset: int
    bucket_counts: Repeated[int]


class ExponentialPoint(Point, Protocol):
    """An ExponentialHistogramDataPoint."""

    count: int
    sum: float
    scale: int
    zero_count: int
    zero_threshold: float
    positive: Buckets
    negative: Buckets


class Described(Protocol):
    """A Resource, or an InstrumentationScope."""

    name: bytes
    version: bytes
    attributes: Repeated[bytes]


# In the words of `schema.classes`.
_MESSAGES = {
    # The outline of a request, down to the temporality of its metrics.
    "RequestOutline": "1 resource_metrics *FrameOutline",
    "FrameOutline": "2 scope_metrics *ScopeOutline",
    "ScopeOutline": "2 metrics *MetricOutline",
    "MetricOutline": "5 gauge data|Blank, 7 sum data|SumOutline, "
    "9 histogram data|HistogramOutline, 10 exponential_histogram data|HistogramOutline, "
    "11 summary data|Blank",
    "SumOutline": "2 aggregation_temporality int32, 3 is_monotonic bool",
    "HistogramOutline": "2 aggregation_temporality int32",
    "Blank": "",
    # Frames down to metrics that stay bytes, and metrics down to points that do.
    "Frame": "1 resource *bytes, 2 scope_metrics *Scope",
    "Scope": "1 scope *bytes, 2 metrics *bytes",
    "Metric": "1 name bytes, 3 unit bytes, 5 gauge data|Blank, 7 sum data|Sum, "
    "9 histogram data|Histogram, 10 exponential_histogram data|Histogram, 11 summary data|Blank",
    "Sum": "1 data_points *bytes, 2 aggregation_temporality int32, 3 is_monotonic bool",
    "Histogram": "1 data_points *bytes, 2 aggregation_temporality int32",
    # Points. Exemplars are left unknown; min and max are known in order to be left out.
    "NumberPoint": "2 start_time_unix_nano fixed64, 3 time_unix_nano fixed64, "
    "4 as_double value|double, 6 as_int value|sfixed64, 7 attributes *bytes, 8 flags uint32",
    "HistogramPoint": "2 start_time_unix_nano fixed64, 3 time_unix_nano fixed64, 4 count fixed64, "
    "5 sum ?double, 6 bucket_counts *fixed64, 7 explicit_bounds *double, 9 attributes *bytes, "
    "10 flags uint32, 11 min ?double, 12 max ?double",
    "ExponentialPoint": "1 attributes *bytes, 2 start_time_unix_nano fixed64, "
    "3 time_unix_nano fixed64, 4 count fixed64, 5 sum ?double, 6 scale sint32, "
    "7 zero_count fixed64, 8 positive Buckets, 9 negative Buckets, 10 flags uint32, "
    "12 min ?double, 13 max ?double, 14 zero_threshold double",
    "Buckets": "1 offset sint32, 2 bucket_counts *uint64",
    # Of whom a series is.
    "Resource": "1 attributes *bytes",
    "InstrumentationScope": "1 name bytes, 2 version bytes, 3 attributes *bytes",
}

_CLASSES = schema.classes("temporality", _MESSAGES)


def _read(name: str, encoded: bytes) -> object:
    try:
        return _CLASSES[name].FromString(encoded)
    except message.DecodeError as error:
        raise errors.Malformed(f"not a {name}: {error}") from error


def outline(body: bytes) -> Outline:
    """Take a request apart down to the temporality of its metrics; points are not looked at.

    Raises `errors.Malformed` if its framing is broken, as everything here does.
    """
    return cast("Outline", _read("RequestOutline", body))


def frame(encoded: bytes) -> Frame:
    """Take a ResourceMetrics apart down to its metrics."""
    return cast("Frame", _read("Frame", encoded))


def metric(encoded: bytes) -> Metric:
    """Take a Metric apart down to its points."""
    return cast("Metric", _read("Metric", encoded))


def number(encoded: bytes) -> NumberPoint:
    """Take a NumberDataPoint apart."""
    return cast("NumberPoint", _read("NumberPoint", encoded))


def histogram(encoded: bytes) -> HistogramPoint:
    """Take a HistogramDataPoint apart."""
    return cast("HistogramPoint", _read("HistogramPoint", encoded))


def exponential(encoded: bytes) -> ExponentialPoint:
    """Take an ExponentialHistogramDataPoint apart."""
    return cast("ExponentialPoint", _read("ExponentialPoint", encoded))


def resource(encoded: bytes) -> Described:
    """Take a Resource apart, of which only the attributes are known."""
    return cast("Described", _read("Resource", encoded))


def scope(encoded: bytes) -> Described:
    """Take an InstrumentationScope apart."""
    return cast("Described", _read("InstrumentationScope", encoded))
