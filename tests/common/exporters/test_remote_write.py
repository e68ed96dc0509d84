"""The remote-write client converts once, says what 1.0 asks for, and sorts answers by it."""

from contextlib import asynccontextmanager

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.config.shared import Tls
from common.exporters import remote_write as client, remote_write_versions
from common.exporters.http_posting import Answer
from common.exporters.outcomes import Batch, Delivered, Refused, Retry, TooBig, Verdict
from common.service.ledger import DropReason
from common.wire import compression, otlp, remote_write
from tests.fakes import backends, points
from tests.fakes.backends import Http

BODY = points.request([1.5])
NOW = 1_790_000_000.0


def batch(body: otlp.Encoded, count: int) -> Batch:
    return Batch(body=body, points=count, oldest=0.0)


@asynccontextmanager
async def exporting(url: str, max_bytes: int = 1 << 20):
    async with client.connecting(
        url,
        headers={"x-tenant": "shop"},
        converter=remote_write.Converter(remote_write.Options(max_bytes=max_bytes), 1 << 20),
        attempt_timeout=5.0,
        tls=Tls(),
        user_agent="headgate-test/1",
        now=lambda: NOW,
    ) as exporter:
        yield exporter


def sorted_as(status: int, body: bytes = b"", after: str = "") -> Verdict:
    answer = Answer(status=status, content_type="text/plain", retry_after=after or None, body=body)
    return remote_write_versions.verdict_v1(answer, NOW)


@pytest.mark.wallclock
async def test_a_series_arrives_in_a_snappy_block_with_the_headers_of_1_0() -> None:
    async with backends.http([Http(status=204)]) as backend, exporting(backend.url) as exporter:
        (request,) = exporter.encode(batch(BODY, 1)).requests
        assert await exporter.send(request) == Delivered()
    (received,) = backend.received
    wanted = {
        "content-type": "application/x-protobuf",
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "0.1.0",
        "user-agent": "headgate-test/1",
        "x-tenant": "shop",
    }
    assert {key: received.headers[key] for key in wanted} == wanted
    view = remote_write.read(compression.inflate(received.body, "snappy", 1 << 20))
    samples = {dict(series.labels)["__name__"]: series.samples for series in view.series}
    assert samples["g"] == ((1.5, 1_700_000_000_000),)


async def test_points_of_all_requests_and_drops_are_the_points_of_the_batch() -> None:
    message = ExportMetricsServiceRequest()
    metrics = message.resource_metrics.add().scope_metrics.add().metrics
    delta = metrics.add(name="requests")
    delta.sum.aggregation_temporality = 1
    delta.sum.data_points.add(as_double=1)
    metrics.add(name="latency").exponential_histogram.data_points.add(count=1)
    mixed = otlp.Encoded(message.SerializeToString() + points.request(range(40), width=100))
    distinct = [points.request([1.0], name=f"g{n}", width=100) for n in range(40)]
    body = otlp.Encoded(b"".join([mixed, *distinct]))
    async with exporting("http://127.0.0.1:1", max_bytes=2000) as exporter:
        encoding = exporter.encode(batch(body, 82))
    assert len(encoding.requests) > 2
    assert encoding.dropped[DropReason.DELTA_UNSUPPORTED] == 1
    assert encoding.dropped[DropReason.UNSUPPORTED_TYPE] >= 1
    assert sum(r.points for r in encoding.requests) + sum(encoding.dropped.values()) == 82


def test_server_errors_and_429_are_retried_and_other_client_errors_are_not() -> None:
    kinds = {status: type(sorted_as(status)) for status in range(200, 600)}
    assert {s for s, kind in kinds.items() if kind is Retry} == {429, *range(500, 600)}
    assert {s for s, kind in kinds.items() if kind is TooBig} == {413}
    assert {s for s, kind in kinds.items() if kind is Delivered} == set(range(200, 300))
    rest = {kind for kind in kinds.values() if kind not in {Retry, TooBig, Delivered}}
    assert rest == {Refused}


def test_retry_after_is_a_lower_bound_on_both() -> None:
    assert sorted_as(503, after="3") == Retry("HTTP 503", 3.0)
    assert sorted_as(429, after="4") == Retry("HTTP 429", 4.0)


def test_a_refusal_shows_what_the_backend_says() -> None:
    assert sorted_as(400, b"out of order sample\n") == Refused("HTTP 400: out of order sample")
    why = sorted_as(400, b"x" * 100_000)
    assert isinstance(why, Refused)
    assert len(why.why) < 400


@pytest.mark.parametrize("drop", list(remote_write.Drop))
def test_every_reason_of_the_conversion_has_one_in_the_ledger(drop) -> None:
    (reason,) = client._reasons({drop: 3})
    assert reason in {drop.value, DropReason.UNSUPPORTED_TYPE}
    assert client._reasons({drop: 3}) == {reason: 3}


def test_reasons_that_the_ledger_does_not_tell_apart_add_up() -> None:
    dropped = client._reasons(dict.fromkeys(remote_write.Drop, 2))
    assert sum(dropped.values()) == 2 * len(remote_write.Drop)
