"""Small OTLP requests made of gauges whose points can be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from common.wire import otlp


def request(values: Sequence[float], *, name: str = "g", width: int = 0) -> otlp.Encoded:
    """Encode one gauge with a point for each of *values*, each about *width* bytes larger."""
    message = Request()
    frame = message.resource_metrics.add()
    attribute = frame.resource.attributes.add(key="service.name")
    attribute.value.string_value = "shop"
    metric = frame.scope_metrics.add().metrics.add(name=name)
    for value in values:
        point = metric.gauge.data_points.add(time_unix_nano=1_700_000_000 * 10**9)
        point.as_double = value
        if width:
            point.attributes.add(key="filler").value.string_value = "x" * width
    return otlp.Encoded(message.SerializeToString())


def values(*bodies: bytes) -> list[float]:
    """Return the values of all points of gauges, in order."""
    return [
        point.as_double
        for body in bodies
        for frame in Request.FromString(body).resource_metrics
        for scope in frame.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    ]
