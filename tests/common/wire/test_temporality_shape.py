"""Messages are taken apart as far as needed, and put together again without loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from bench.references import otlp as reference
from common.wire import errors, protobuf, temporality_shape as shape
from tests.fakes import otlp_wire, temporality_wire

Request = metrics_service_pb2.ExportMetricsServiceRequest
READERS = {
    metrics_pb2.NumberDataPoint: shape.number,
    metrics_pb2.HistogramDataPoint: shape.histogram,
    metrics_pb2.ExponentialHistogramDataPoint: shape.exponential,
}


@given(otlp_wire.requests)
def test_frames_metrics_and_points_survive(body: bytes) -> None:
    for resource_metrics in Request.FromString(body).resource_metrics:
        whole = resource_metrics.SerializeToString()
        frame = shape.frame(whole)
        again = protobuf.framed(1, frame.SerializeToString())
        assert reference.canonical(again) == protobuf.framed(1, whole)
        for scope in resource_metrics.scope_metrics:
            for metric in scope.metrics:
                whole = metric.SerializeToString()
                again = shape.metric(whole).SerializeToString()
                assert metrics_pb2.Metric.FromString(again).SerializeToString() == whole
                for point in reference.points_of(metric):
                    reader = READERS.get(type(point))
                    if reader is not None:
                        whole = point.SerializeToString()
                        again = reader(whole).SerializeToString()
                        assert type(point).FromString(again).SerializeToString() == whole


@given(temporality_wire.histories)
def test_the_outline_tells_the_temporality_of_every_metric(bodies: list[bytes]) -> None:
    for body in bodies:
        expected = [
            (kind, kind in shape.NUMBERS and getattr(metric, kind).aggregation_temporality)
            for frame in Request.FromString(body).resource_metrics
            for scope in frame.scope_metrics
            for metric in scope.metrics
            for kind in [metric.WhichOneof("data")]
        ]
        found = [
            (kind, kind in shape.NUMBERS and getattr(metric, kind).aggregation_temporality)
            for frame in shape.outline(body).resource_metrics
            for scope in frame.scope_metrics
            for metric in scope.metrics
            for kind in [metric.WhichOneof("data")]
        ]
        assert found == expected


@pytest.mark.parametrize(
    "read",
    [
        shape.outline, shape.frame, shape.metric, shape.number, shape.histogram,
        shape.exponential, shape.resource, shape.scope,
    ],
)  # fmt: skip
def test_broken_framing_is_malformed(read) -> None:
    with pytest.raises(errors.Malformed, match=r"not a [A-Z]"):
        read(b"\x0a\x05")
