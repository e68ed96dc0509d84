"""Take encoded requests apart between resources, scopes, metrics and points: split by size.

Source: opentelemetry/proto/metrics/v1/metrics.proto. It works on `otlp_shape`: each level is a
header (everything that is not its repeated child, unknown fields included, as upb keeps them) and
its children; putting headers and children together again is concatenation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NewType, TypeAlias, final

from common.wire import otlp_shape, protobuf

Encoded = NewType("Encoded", bytes)
"""An ExportMetricsServiceRequest that we walked or wrote; concatenating two of them merges them."""

Spans: TypeAlias = tuple[tuple[int, int], ...]
"""For each ResourceMetrics of a request its bytes, tag and length included, and its data points.

Empty where there is only one, of which the request says all.
"""

Piece: TypeAlias = tuple[bytes, int]
"""Bytes of a message, and the data points in them."""

# Headers repeat in every piece. What would grow beyond this many times its size stays whole:
# otherwise 64 MiB with a large resource and many points could ask for terabytes.
_MAX_GROWTH = 8

_FRAMING = 6  # the most that a tag and a length take
_TAGS = {field: protobuf.tag(field, protobuf.BYTES) for field in (1, 2)}


def split(body: Encoded, max_bytes: int) -> list[tuple[Encoded, int]]:
    """Cut a request into pieces of at most *max_bytes*; return each with its data points.

    Cuts fall between resources where that suffices, else between scopes, metrics and points, whose
    headers are repeated; order is kept. A piece is larger only where a single point with its
    headers is, or where the headers would make the pieces of a message more than eight times as
    large as the message. Raises `errors.Malformed` if the framing is broken.
    """
    request = otlp_shape.read(body)
    return [(Encoded(piece), points) for piece, points in _cut(request, _FRAMES, max_bytes)]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Children:
    """The repeated field at which a message is cut."""

    name: str
    field: int
    cut: Callable[[Any, int], list[Piece]]
    count: Callable[[Any], int]  # data points of one child


def _cut(message: otlp_shape.Shape, children: _Children, room: int) -> list[Piece]:
    """Cut *message* at its children, and each child that is itself too large.

    The message is consumed. A piece exceeds *room* only for the reasons that `split` gives.
    """
    whole = message.SerializeToString()
    parts = list(getattr(message, children.name))
    if len(whole) <= room:
        return [(whole, sum(map(children.count, parts)))]
    message.ClearField(children.name)
    header = message.SerializeToString()
    inside = room - len(header) - _FRAMING
    pieces = [piece for part in parts for piece in children.cut(part, inside)]
    packed = _pack(header, children.field, pieces, room, len(whole))
    return packed or [(whole, sum([points for _, points in pieces]))]


def _cut_metric(metric: otlp_shape.Metric, room: int) -> list[Piece]:
    whole = metric.SerializeToString()
    kind = metric.WhichOneof("data")
    if kind is None:
        return [(whole, 0)]
    data: otlp_shape.Points = getattr(metric, kind)
    points = list(data.data_points)
    if len(whole) <= room:
        return [(whole, len(points))]
    data.ClearField("data_points")
    header = data.SerializeToString()
    metric.ClearField(kind)
    outer = metric.SerializeToString()
    inside = room - len(outer) - _FRAMING
    pieces = _pack(
        header, otlp_shape.DATA_POINTS, [(point, 1) for point in points], inside, len(whole)
    )
    # Not packed again: a metric with two occurrences of its data is legal, and often misread.
    if not pieces or sum(len(body) + len(outer) for body, _ in pieces) > _MAX_GROWTH * len(whole):
        return [(whole, len(points))]
    number = otlp_shape.NUMBERS[kind]
    return [(outer + protobuf.framed(number, body), count) for body, count in pieces]


def _pack(
    header: bytes, field: int, children: Iterable[Piece], room: int, original: int
) -> list[Piece]:
    """Join *children* in order under copies of *header*, as many in each as *room* bytes allow.

    Returns nothing where there are no children, or where the result would outgrow *original*, the
    bytes of the message that is being cut, more than allowed.
    """
    packed: list[list[bytes]] = []
    counts: list[int] = []
    size = total = 0
    for body, points in children:
        length = protobuf.varint(len(body))
        more = 1 + len(length) + len(body)
        if not packed or size + more > room:
            packed.append([header])
            counts.append(0)
            size = len(header)
            total += size
        packed[-1] += (_TAGS[field], length, body)
        counts[-1] += points
        size += more
        total += more
    if total > _MAX_GROWTH * original:
        return []
    return [(b"".join(parts), points) for parts, points in zip(packed, counts, strict=True)]


_METRICS = _Children(
    name="metrics", field=otlp_shape.METRICS, cut=_cut_metric, count=otlp_shape.points_of
)
_SCOPES = _Children(
    name="scope_metrics",
    field=otlp_shape.SCOPE_METRICS,
    cut=lambda scope, room: _cut(scope, _METRICS, room),
    count=lambda scope: sum(map(otlp_shape.points_of, scope.metrics)),
)
_FRAMES = _Children(
    name="resource_metrics",
    field=otlp_shape.RESOURCE_METRICS,
    cut=lambda frame, room: _cut(frame, _SCOPES, room),
    count=otlp_shape.points_in,
)
