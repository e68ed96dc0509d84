"""The obvious way to batch: parse every request, merge the messages, serialise the result."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


def join(bodies: Iterable[bytes]) -> bytes:
    """Merge requests into one."""
    merged = ExportMetricsServiceRequest()
    for body in bodies:
        merged.MergeFrom(ExportMetricsServiceRequest.FromString(body))
    return merged.SerializeToString()
