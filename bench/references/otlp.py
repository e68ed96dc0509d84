"""The obvious way to do what `common.wire.otlp` does: decode all, change it, encode it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

Request = metrics_service_pb2.ExportMetricsServiceRequest


def canonical(body: bytes) -> bytes:
    """Return the request as upb writes it: equal in meaning becomes equal in bytes."""
    return Request.FromString(body).SerializeToString()


def splice(body: bytes, resource: bytes) -> bytes:
    """Put *resource* into every ResourceMetrics."""
    request = Request.FromString(body)
    for frame in request.resource_metrics:
        frame.resource.ParseFromString(resource)
    return request.SerializeToString()


def points_of(metric: metrics_pb2.Metric) -> list[object]:
    """Return the data points of a metric."""
    kind = metric.WhichOneof("data")
    return [] if kind is None else list(getattr(metric, kind).data_points)


def points_per_frame(body: bytes) -> list[int]:
    """Count points frame by frame."""
    return [
        sum(len(points_of(metric)) for scope in frame.scope_metrics for metric in scope.metrics)
        for frame in Request.FromString(body).resource_metrics
    ]


def count(body: bytes) -> int:
    """Count the points of a request."""
    return sum(points_per_frame(body))


def tallies(body: bytes) -> list[tuple[int, int]]:
    """Count points frame by frame: those of metrics with a name, and those of others."""
    return [
        (
            sum(len(points_of(m)) for s in frame.scope_metrics for m in s.metrics if m.name),
            sum(len(points_of(m)) for s in frame.scope_metrics for m in s.metrics if not m.name),
        )
        for frame in Request.FromString(body).resource_metrics
    ]


def named(body: bytes) -> list[metrics_pb2.ResourceMetrics]:
    """Return the frames that have points of metrics with a name, the points of others left out."""
    kept = []
    for frame, (points, refused) in zip(
        Request.FromString(body).resource_metrics, tallies(body), strict=True
    ):
        if points and refused:
            alone = Request(resource_metrics=[frame])
            (frame,) = Request.FromString(  # noqa: PLW2901
                select(alone.SerializeToString(), bool)
            ).resource_metrics
        if points:
            kept.append(frame)
    return kept


def select(body: bytes, keep: Callable[[str], bool]) -> bytes:
    """Rebuild the request of the metrics that *keep* accepts, if it rejects any."""
    request = Request.FromString(body)
    everything = [m for f in request.resource_metrics for s in f.scope_metrics for m in s.metrics]
    if all(keep(metric.name) for metric in everything):
        return body
    for index, frame in reversed(list(enumerate(request.resource_metrics))):
        metrics = [metric for scope in frame.scope_metrics for metric in scope.metrics]
        if all(keep(metric.name) for metric in metrics):
            continue
        for at, scope in reversed(list(enumerate(frame.scope_metrics))):
            for place, metric in reversed(list(enumerate(scope.metrics))):
                if not keep(metric.name):
                    del scope.metrics[place]
            if not scope.metrics:
                del frame.scope_metrics[at]
        if not frame.scope_metrics:
            del request.resource_metrics[index]
    return request.SerializeToString()


def leaves(body: bytes) -> Iterator[tuple[bytes | None, ...]]:
    """Yield every data point with all that it belongs to; childless messages too."""
    request = Request.FromString(body)
    for frame in request.resource_metrics:
        scopes = list(frame.scope_metrics)
        frame.ClearField("scope_metrics")
        outer = frame.SerializeToString()
        if not scopes:
            yield outer, None, None, None, None
        for scope in scopes:
            metrics = list(scope.metrics)
            scope.ClearField("metrics")
            middle = scope.SerializeToString()
            if not metrics:
                yield outer, middle, None, None, None
            for metric in metrics:
                yield from ((outer, middle, *leaf) for leaf in _leaves_of(metric))


def _leaves_of(metric: metrics_pb2.Metric) -> list[tuple[bytes | None, ...]]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return [(metric.SerializeToString(), None, None)]
    data = getattr(metric, kind)
    points = [point.SerializeToString() for point in data.data_points]
    data.ClearField("data_points")
    inner = kind.encode() + b":" + data.SerializeToString()
    metric.ClearField(kind)
    outer = metric.SerializeToString()
    return [(outer, inner, point) for point in points] or [(outer, inner, None)]


def split(body: bytes, max_bytes: int) -> list[bytes]:
    """Cut a request point by point, measuring as it goes; for metrics of one kind, sums."""
    pieces: list[Request] = []
    size = max_bytes
    for frame in Request.FromString(body).resource_metrics:
        for scope in frame.scope_metrics:
            for metric in scope.metrics:
                target = None
                for point in metric.sum.data_points:
                    size += point.ByteSize() + 3
                    if size >= max_bytes or target is None:
                        if size >= max_bytes:
                            pieces.append(Request())
                            size = frame.resource.ByteSize() + scope.scope.ByteSize()
                        new = pieces[-1].resource_metrics.add(resource=frame.resource)
                        inner = new.scope_metrics.add(scope=scope.scope)
                        target = inner.metrics.add(name=metric.name, unit=metric.unit)
                    target.sum.data_points.append(point)
    return [piece.SerializeToString() for piece in pieces]


def string_attributes(resource: bytes) -> dict[str, str]:
    """Return the string attributes; the first of a repeated key."""
    found: dict[str, str] = {}
    for pair in resource_pb2.Resource.FromString(resource).attributes:
        if pair.value.WhichOneof("value") == "string_value" and pair.key not in found:
            found[pair.key] = pair.value.string_value
    return found
