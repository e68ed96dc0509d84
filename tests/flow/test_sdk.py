"""The real OpenTelemetry SDK through a real gateway process, over both doors."""

import asyncio

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpExporter,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from cli.demo import sink
from cli.demo.arrivals import Arrivals
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.timeout(60)]


def record(exporter: GrpcExporter | HttpExporter, service: str) -> None:
    """Record one counter, one histogram and one gauge, export once, and shut down."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(
        metric_readers=[reader],
        resource=Resource(
            {"service.name": service, "service.instance.id": f"{service}-1", "team": "t"}
        ),
    )
    meter = provider.get_meter("flow", "1.0")
    meter.create_counter("orders", unit="{order}", description="Orders taken.").add(
        7, {"shop": "a"}
    )
    histogram = meter.create_histogram(
        "latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1]
    )
    for value in (0.05, 0.5, 5):
        histogram.record(value, {"shop": "a"})
    meter.create_gauge("room", unit="By").set(12, {"shop": "a"})
    provider.shutdown()


async def push(gateway: programs.Gateway) -> None:
    grpc = GrpcExporter(endpoint=gateway.grpc, insecure=True)
    http = HttpExporter(endpoint=f"{gateway.http}/v1/metrics")
    await asyncio.to_thread(record, grpc, "over-grpc")
    await asyncio.to_thread(record, http, "over-http")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_what_the_sdk_pushes_arrives_at_an_otlp_backend(protocol: str, tmp_path) -> None:
    arrivals = Arrivals()
    names = sink.Names(otlp_grpc="p", otlp_http="p", remote_write="-")
    async with sink.serving(arrivals, names) as at:
        endpoint = at.otlp_grpc if protocol == "grpc" else at.otlp_http
        output = {"otlp": {"endpoint": endpoint, "protocol": protocol}}
        pipeline = {"name": "p", "output": output, "batch": {"linger": 0.1}}
        async with programs.gateway(tmp_path, {"pipelines": [pipeline]}) as gateway:
            await push(gateway)

            async def delivered() -> bool:
                return (await gateway.ledger("p"))["delivered"] == 6

            await programs.until(delivered, "six points delivered")
            assert (await gateway.ledger("p"))["balance"] == 0
    assert arrivals.points == {"p": 6}
    services = {dict(resource)["service.name"] for resource in arrivals.resources}
    assert services == {"over-grpc", "over-http"}
    assert {e.metric for e in arrivals.examples} == {"orders", "latency", "room"}


@pytest.mark.needs_prometheus
async def test_what_the_sdk_pushes_is_found_in_prometheus_by_promql(tmp_path) -> None:
    async with programs.prometheus(tmp_path) as prometheus:
        pipeline = {
            "name": "p",
            "output": {
                "remote_write": {"url": prometheus.write_url, "external_labels": {"cluster": "c"}}
            },
            "batch": {"linger": 0.1},
        }
        async with programs.gateway(tmp_path, {"pipelines": [pipeline]}) as gateway:
            await push(gateway)

            async def series(promql: str, count: int):
                async def found():
                    result = await prometheus.query(promql)
                    return result if len(result) == count else None

                return await programs.until(found, f"{count} series for {promql}")

            orders = await series('orders_total{shop="a"}', 2)
            assert {
                (s["metric"]["job"], s["metric"]["instance"], s["metric"]["cluster"], s["value"][1])
                for s in orders
            } == {
                ("over-grpc", "over-grpc-1", "c", "7"),
                ("over-http", "over-http-1", "c", "7"),
            }
            buckets = await series('latency_seconds_bucket{job="over-grpc"}', 3)
            assert {(s["metric"]["le"], s["value"][1]) for s in buckets} == {
                ("0.1", "1"),
                ("1", "2"),
                ("+Inf", "3"),
            }
            (total,) = await series('latency_seconds_sum{job="over-http"}', 1)
            assert float(total["value"][1]) == pytest.approx(5.55)
            (room,) = await series('room_bytes{job="over-grpc"}', 1)
            assert room["value"][1] == "12"
            (median,) = await series(
                'histogram_quantile(0.5, latency_seconds_bucket{job="over-grpc"})', 1
            )
            assert 0.1 < float(median["value"][1]) < 1
            assert await series('target_info{team="t"}', 2)
