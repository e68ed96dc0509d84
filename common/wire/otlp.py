"""OTLP metrics requests as bytes: validate, take out the resources, put others in, answer.

A request is a list of ResourceMetrics frames. Enrichment changes the Resource of a frame and
nothing else, so a frame is its Resource and the rest, and the rest is copied untouched: unknown
fields, duplicates, odd orders and all. This module is the front of its room: attributes of a
Resource live in `otlp_attributes`, selection by metric name and splitting by size in
`otlp_pieces`; their names are importable from here.

Sources: opentelemetry/proto/collector/metrics/v1/metrics_service.proto, metrics/v1/metrics.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast, final

from google.protobuf import message
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from common.wire import errors, otlp_shape, protobuf
from common.wire.otlp_attributes import (
    attribute,
    attribute_keys,
    string_attributes,
    without_attributes,
)
from common.wire.otlp_pieces import Encoded, select, split

__all__ = [
    "Encoded",
    "Frame",
    "attribute",
    "attribute_keys",
    "count",
    "frames",
    "partial_success",
    "response",
    "select",
    "splice",
    "split",
    "string_attributes",
    "without_attributes",
]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One ResourceMetrics message, apart from its tag and length."""

    resource: bytes
    """The Resource message, ``b""`` if absent; several occurrences are merged (concatenated)."""
    rest: bytes
    """Every other field of the ResourceMetrics, in order, as it came."""
    points: int
    """Data points inside; never 0 in what `frames` returns."""


def frames(body: bytes) -> tuple[Frame, ...]:
    """Validate an ExportMetricsServiceRequest in full and return its frames, in order.

    Frames without data points carry nothing and are left out, as are fields of the request that are
    not ResourceMetrics. Raises `errors.Malformed` for anything that is not a request: broken
    framing, strings that are not UTF-8, messages nested more than 100 deep.
    """
    counts = [otlp_shape.points_in(frame) for frame in _full_frames(body)]
    # message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
    found: list[Frame] = []
    index = 0
    for number, wire_type, _, at, end in protobuf.fields(body):
        if number == 1 and wire_type == protobuf.BYTES:
            points = counts[index]
            index += 1
            if points:
                found.append(_frame(body, at, end, points))
    return tuple(found)


def _frame(body: bytes, start: int, end: int, points: int) -> Frame:
    # ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; ... }
    resources = [
        (tag_at, at, behind)
        for number, wire_type, tag_at, at, behind in protobuf.fields(body, start, end)
        if number == 1 and wire_type == protobuf.BYTES
    ]
    if not resources:
        return Frame(resource=b"", rest=body[start:end], points=points)
    if len(resources) == 1 and resources[0][0] == start:  # all known senders: one, and first
        _, at, behind = resources[0]
        return Frame(resource=body[at:behind], rest=body[behind:end], points=points)
    rest: list[bytes] = []
    for tag_at, _, behind in resources:
        rest.append(body[start:tag_at])
        start = behind
    rest.append(body[start:end])
    resource = b"".join([body[at:behind] for _, at, behind in resources])
    return Frame(resource=resource, rest=b"".join(rest), points=points)


def splice(frame: Frame, resource: bytes) -> Encoded:
    """Return a request of just *frame*, with *resource* in the place of its own.

    An empty *resource* is left out. Requests may be concatenated: ``b"".join`` of several is one.
    """
    # Only two lengths change, so the rest is one copy, whatever the number of points.
    rest = frame.rest
    if not resource:
        return Encoded(b"".join((b"\x0a", protobuf.varint(len(rest)), rest)))
    size = protobuf.varint(len(resource))
    total = protobuf.varint(1 + len(size) + len(resource) + len(rest))
    return Encoded(b"".join((b"\x0a", total, b"\x0a", size, resource, rest)))


def count(body: bytes) -> int:
    """Validate a request in full, as `frames` does, and return its number of data points."""
    return sum([otlp_shape.points_in(frame) for frame in _full_frames(body)])


def response(rejected: int = 0, message: str = "") -> bytes:
    """Encode an ExportMetricsServiceResponse, empty for full success.

    *rejected* data points, or a warning *message* with 0 rejected, become its partial_success.
    """
    if not rejected and not message:
        return b""
    # ExportMetricsPartialSuccess { int64 rejected_data_points = 1; string error_message = 2; }
    parts = b"\x08" + protobuf.varint(rejected) if rejected else b""
    if message:
        parts += protobuf.framed(2, message.encode())
    return protobuf.framed(1, parts)


def partial_success(response: bytes) -> tuple[int, str]:
    """Return the rejected data points and the message of a response; (0, "") is full success.

    A negative number of points, which no honest server sends, reads as 0. Raises
    `errors.Malformed` if *response* is not an ExportMetricsServiceResponse.
    """
    if not response:
        return 0, ""
    try:
        answer = metrics_service_pb2.ExportMetricsServiceResponse.FromString(response)
    except message.DecodeError as error:
        raise errors.Malformed(f"not an ExportMetricsServiceResponse: {error}") from error
    partial = answer.partial_success
    return max(0, partial.rejected_data_points), partial.error_message


def _full_frames(body: bytes) -> Iterable[otlp_shape.Frame]:
    try:
        request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
    except message.DecodeError as error:
        raise errors.Malformed(f"not an ExportMetricsServiceRequest: {error}") from error
    return cast("Iterable[otlp_shape.Frame]", request.resource_metrics)
