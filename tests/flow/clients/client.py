"""The OpenTelemetry SDK of Python: records what every client of these tests records, and pushes it.

Arguments: protocol (grpc, http/protobuf), endpoint, compression (none, gzip), service.
"""

import sys

import grpc
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as over_grpc
from opentelemetry.exporter.otlp.proto.http import Compression, metric_exporter as over_http
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
)
from opentelemetry.sdk.resources import Resource


def exporter(protocol: str, endpoint: str, compression: str) -> MetricExporter:
    if protocol == "grpc":
        chosen = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        return over_grpc.OTLPMetricExporter(endpoint, insecure=True, compression=chosen, timeout=20)
    return over_http.OTLPMetricExporter(
        f"{endpoint}/v1/metrics", compression=Compression(compression), timeout=20
    )


def main(protocol: str, endpoint: str, compression: str, service: str) -> int:
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        metric_readers=[reader],
        resource=Resource(
            {"service.name": service, "service.instance.id": f"{service}-1", "team": "t"}
        ),
    )
    meter = provider.get_meter("flow", "1.0")
    shop = {"shop": "ä"}
    meter.create_counter("orders", unit="{order}", description="Orders taken.").add(7, shop)
    latency = meter.create_histogram(
        "latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1]
    )
    for value in (0.05, 0.5, 5):
        latency.record(value, shop)
    meter.create_gauge("room", unit="By").set(12.5, shop)
    metrics = reader.get_metrics_data()
    assert metrics is not None
    to = exporter(protocol, endpoint, compression)
    result = to.export(metrics)
    to.shutdown()
    return 0 if result is MetricExportResult.SUCCESS else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
