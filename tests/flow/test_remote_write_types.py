"""The real Prometheus takes every type that we write, and reads it back as what it was."""

import math

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.config import gateway
from common.exporters import build
from common.exporters.outcomes import Batch, Delivered, Retry, Verdict
from common.service import clock
from common.wire import otlp
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.timeout(60), pytest.mark.needs_prometheus]

NATIVE = ("native-histograms", "exemplar-storage")
TRACE, SPAN = bytes(range(16)), bytes(range(8))


def request(now: int, scale: int = 0) -> otlp.Encoded:
    message = ExportMetricsServiceRequest()
    frame = message.resource_metrics.add()
    frame.resource.attributes.add(key="service.name").value.string_value = "shop"
    metrics = frame.scope_metrics.add().metrics
    hits = metrics.add(name="hits").sum
    hits.is_monotonic, hits.aggregation_temporality = True, 2
    took = metrics.add(name="took").histogram
    spread = metrics.add(name="spread").exponential_histogram
    took.aggregation_temporality = spread.aggregation_temporality = 2
    points = [
        hits.data_points.add(as_double=7),
        took.data_points.add(count=3, sum=4.5, bucket_counts=[1, 1, 1], explicit_bounds=[1, 2]),
        spread.data_points.add(count=22, sum=50.5, scale=scale, zero_count=2),
    ]
    for point in points:
        point.time_unix_nano = now
        given = point.exemplars.add(as_double=1.5, trace_id=TRACE, span_id=SPAN)
        given.filtered_attributes.add(key="path").value.string_value = "/x"
    # At scale 0: ten in (1, 2], none in (2, 32], five in (32, 64]; and five in [-0.5, -0.25).
    points[2].positive.bucket_counts.extend([10, 0, 0, 0, 0, 5])
    points[2].negative.offset = -2
    points[2].negative.bucket_counts.append(5)
    return otlp.Encoded(message.SerializeToString())


async def sent(
    prometheus: programs.Prometheus, body: otlp.Encoded, *, natives: bool = True
) -> Verdict:
    section = gateway.RemoteWriteOutput(url=prometheus.write_url, native_histograms=natives)
    output = gateway.Output(remote_write=section)
    async with build.exporting(output, now=clock.unix_seconds) as exporter:
        (encoded,) = exporter.encode(Batch(body=body, points=3, oldest=0.0)).requests
        return await exporter.send(encoded)


async def value(prometheus: programs.Prometheus, promql: str) -> float:
    (found,) = await prometheus.query(promql)
    return float(found["value"][1])


async def test_native_histograms_and_exemplars_are_read_back(tmp_path) -> None:
    async with programs.prometheus(tmp_path, features=NATIVE) as prometheus:
        now = clock.unix_seconds()
        # This Prometheus keeps no exemplar of a histogram that it does not know yet.
        assert await sent(prometheus, request(int(now * 1e9) - 10**9)) == Delivered()
        assert await sent(prometheus, request(int(now * 1e9))) == Delivered()
        assert await value(prometheus, "hits_total") == 7
        assert await value(prometheus, "histogram_count(spread)") == 22
        assert await value(prometheus, "histogram_sum(spread)") == 50.5
        # Of 22 observations 5 are below -0.25 and 7 not above 0; the last five are above 32.
        assert await value(prometheus, "histogram_fraction(-1, -0.25, spread)") == 5 / 22
        assert await value(prometheus, "histogram_fraction(1, 2, spread)") == 10 / 22
        assert await value(prometheus, "histogram_fraction(2, 32, spread)") == 0
        assert await value(prometheus, "histogram_fraction(32, 64, spread)") == 5 / 22
        for name, le in (("hits_total", None), ("took_bucket", "2"), ("spread", None)):
            (series,) = await prometheus.exemplars(name, now)
            assert series["seriesLabels"].get("le") == le
            exemplar = series["exemplars"][-1]
            assert exemplar["labels"] == {
                "trace_id": TRACE.hex(), "span_id": SPAN.hex(), "path": "/x",
            }  # fmt: skip
            assert float(exemplar["value"]) == 1.5
            assert math.isclose(exemplar["timestamp"], now, abs_tol=0.002)


async def test_a_finer_scale_is_merged_without_losing_an_observation(tmp_path) -> None:
    async with programs.prometheus(tmp_path, features=NATIVE) as prometheus:
        assert (
            await sent(prometheus, request(int(clock.unix_seconds() * 1e9), scale=20))
            == Delivered()
        )
        assert await value(prometheus, "histogram_count(spread)") == 22
        # Six buckets of scale 20 from 1 on are all in the first one of scale 8 above 1.
        assert (
            await value(prometheus, f"histogram_fraction(1, {2 ** (1 / 256)!r}, spread)") == 15 / 22
        )


async def test_one_that_has_them_disabled_takes_the_rest_if_they_are_not_sent(tmp_path) -> None:
    async with programs.prometheus(tmp_path) as prometheus:
        body = request(int(clock.unix_seconds() * 1e9))
        refused = await sent(prometheus, body)
        assert isinstance(refused, Retry)
        assert "native histograms are disabled" in refused.why
        assert await sent(prometheus, body, natives=False) == Delivered()
        assert await value(prometheus, "hits_total") == 7
        assert await prometheus.query("spread") == []
