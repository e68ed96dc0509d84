"""The OTLP metrics messages down to the data points, which stay bytes: names and counts cheaply.

Source: opentelemetry/proto/metrics/v1/metrics.proto. Fields that are not named here are unknown to
this schema, which means that upb keeps them, in order, and writes them back; so taking messages
apart and putting them together again loses nothing that a receiver of the full schema could see.
Parsing 1,000 points this way takes 0.02 µs a point, with the full schema 0.54 µs; it validates the
framing only, hence it is for requests that were validated before (`otlp.frames`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Protocol, TypeVar, cast

from google.protobuf import message

from common.wire import errors, schema

Item_co = TypeVar("Item_co", covariant=True)


class Repeated(Protocol[Item_co]):
    """A repeated field."""

    def __iter__(self) -> Iterator[Item_co]: ...
    def __len__(self) -> int: ...


class Shape(Protocol):
    """What every message can do."""

    def SerializeToString(self) -> bytes: ...  # noqa: D102, N802 - protobuf's
    def ClearField(self, name: str) -> None: ...  # noqa: D102, N802 - protobuf's


class Points(Shape, Protocol):
    """A Gauge, Sum, Histogram, ExponentialHistogram or Summary: points are field 1."""

    data_points: Repeated[bytes]


class Metric(Shape, Protocol):
    """A Metric: its name, and one of the five kinds of data."""

    name: str

    def WhichOneof(self, name: str) -> str | None: ...  # noqa: D102, N802 - protobuf's


class Scope(Shape, Protocol):
    """A ScopeMetrics."""

    metrics: Repeated[Metric]


class Frame(Shape, Protocol):
    """A ResourceMetrics."""

    scope_metrics: Repeated[Scope]


class Request(Shape, Protocol):
    """An ExportMetricsServiceRequest."""

    resource_metrics: Repeated[Frame]


# Metric.data: field number and name of each kind.
KINDS = {5: "gauge", 7: "sum", 9: "histogram", 10: "exponential_histogram", 11: "summary"}
NUMBERS = {name: number for number, name in KINDS.items()}
RESOURCE_METRICS = 1  # ExportMetricsServiceRequest.resource_metrics
SCOPE_METRICS = 2  # ResourceMetrics.scope_metrics
METRICS = 2  # ScopeMetrics.metrics
DATA_POINTS = 1  # of all five kinds

# In the words of `schema.classes`. What is `*bytes` beside the large fields is known only so that
# it is written in its place, before them; repeated, because occurrences of a message merge, and
# this schema cannot merge bytes.
_classes = schema.classes(
    "otlp_shape",
    {
        "Request": f"{RESOURCE_METRICS} resource_metrics *Frame",
        "Frame": f"1 resource *bytes, {SCOPE_METRICS} scope_metrics *Scope",
        "Scope": f"1 scope *bytes, {METRICS} metrics *Metric",
        "Metric": "1 name string, 2 description *bytes, 3 unit *bytes, "
        + ", ".join(f"{number} {name} data|Points" for number, name in KINDS.items()),
        "Points": f"{DATA_POINTS} data_points *bytes",
    },
)
_Request, _Frame = _classes["Request"], _classes["Frame"]

# One C call to reach the points instead of two attribute lookups and a formatted name.
_reach: dict[str, Callable[[object], Repeated[bytes]]] = {
    name: attrgetter(f"{name}.data_points") for name in KINDS.values()
}


def read(encoded: bytes) -> Request:
    """Take a request apart; raises `errors.Malformed` if its framing is broken."""
    try:
        return cast("Request", _Request.FromString(encoded))
    except message.DecodeError as error:
        raise errors.Malformed(f"not an ExportMetricsServiceRequest: {error}") from error


def read_frame(encoded: bytes) -> Frame:
    """Take a ResourceMetrics apart; raises `errors.Malformed` if its framing is broken."""
    try:
        return cast("Frame", _Frame.FromString(encoded))
    except message.DecodeError as error:
        raise errors.Malformed(f"not a ResourceMetrics: {error}") from error


def points_of(metric: Metric) -> int:
    """Count the data points of a metric; works on the full schema's Metric as well."""
    name = metric.WhichOneof("data")
    return 0 if name is None else len(_reach[name](metric))


def points_in(frame: Frame) -> int:
    """Count the data points of a ResourceMetrics; works on the full schema's as well."""
    # Written out instead of calling points_of: 0.1 of 0.8 µs per metric.
    total = 0
    for scope in frame.scope_metrics:
        for metric in scope.metrics:
            name = metric.WhichOneof("data")
            if name is not None:
                total += len(_reach[name](metric))
    return total


def tally(frame: Frame) -> tuple[int, int]:
    """Count the data points of metrics with and without a name, of the full schema's frame too."""
    named = unnamed = 0
    for scope in frame.scope_metrics:
        for metric in scope.metrics:
            kind = metric.WhichOneof("data")
            if kind is not None:
                if metric.name:
                    named += len(_reach[kind](metric))
                else:
                    unnamed += len(_reach[kind](metric))
    return named, unnamed
