"""The remote-write client converts once, says what a version asks for, and sorts answers by it."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.config.shared import Tls
from common.exporters import credentials, remote_write as client, remote_write_versions
from common.exporters.http_posting import Answer
from common.exporters.outcomes import Batch, Delivered, Refused, Retry, TooBig, Verdict
from common.service.ledger import DropReason
from common.wire import compression, otlp, remote_write, remote_write_v2
from tests.fakes import backends, points, remote_write_v2 as strict
from tests.fakes.backends import Break, Http

BODY = points.request([1.5])
NOW = 1_790_000_000.0


def batch(body: otlp.Encoded, count: int) -> Batch:
    return Batch(body=body, points=count, oldest=0.0)


@asynccontextmanager
async def exporting(
    url: str, max_bytes: int = 1 << 20, encoder: remote_write_v2.Encoder | None = None
):
    async with client.connecting(
        url,
        proof=credentials.Asked(lambda: {"x-tenant": "shop"}),
        converter=remote_write.Converter(remote_write.Options(max_bytes=max_bytes), 1 << 20),
        attempt_timeout=5.0,
        tls=Tls(),
        user_agent="headgate-test/1",
        now=lambda: NOW,
        encoder=encoder,
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
    latency = metrics.add(name="latency").exponential_histogram
    latency.aggregation_temporality = 2
    latency.data_points.add(count=1, zero_count=1)  # without a sum
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


def resource(name: str, pod: str) -> bytes:
    request = ExportMetricsServiceRequest()
    of = request.resource_metrics.add().resource
    of.attributes.add(key="service.name").value.string_value = name
    of.attributes.add(key="k8s.pod.name").value.string_value = pod
    return of.SerializeToString()


async def test_an_identity_is_job_and_instance() -> None:
    async with exporting("http://127.0.0.1:9") as exporter:
        shop = exporter.identity(resource("shop", "a"))
        assert shop == exporter.identity(resource("shop", "b"))
        assert shop != exporter.identity(resource("bank", "a"))


async def test_exemplars_that_cannot_be_sent_are_counted_beside_the_shapes() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="hits")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    metric.sum.data_points.add(as_double=1.0).exemplars.add()
    async with exporting("http://127.0.0.1:9") as exporter:
        encoding = exporter.encode(batch(otlp.Encoded(request.SerializeToString()), 1))
        assert [each.points for each in encoding.requests] == [1]
        assert exporter.recognition().exemplars_dropped == 1


@pytest.mark.parametrize("drop", list(remote_write.Drop))
def test_every_reason_of_the_conversion_has_one_in_the_ledger(drop) -> None:
    (reason,) = client._reasons({drop: 3})
    assert reason in {drop.value, DropReason.UNSUPPORTED_TYPE}
    assert client._reasons({drop: 3}) == {reason: 3}


def test_reasons_that_the_ledger_does_not_tell_apart_add_up() -> None:
    dropped = client._reasons(dict.fromkeys(remote_write.Drop, 2))
    assert sum(dropped.values()) == 2 * len(remote_write.Drop)


@asynccontextmanager
async def speaking_v2(script=(), policy=strict.honest):
    """Yield a strict receiver, an exporter that shall speak 2.0 with it, and a request."""
    encoder = remote_write_v2.Encoder(1 << 20)
    async with (
        strict.receiving(script, policy=policy) as receiver,
        exporting(receiver.url, encoder=encoder) as exporter,
    ):
        (request,) = exporter.encode(batch(BODY, 1)).requests
        yield receiver, exporter, request


def versions_of(receiver: strict.Receiver) -> list[str]:
    return [write.version for write in receiver.writes]


@pytest.mark.wallclock
async def test_2_0_is_spoken_with_who_knows_it() -> None:
    async with speaking_v2() as (receiver, exporter, request):
        assert await exporter.send(request) == Delivered()
    assert receiver.problems == []
    (write,) = receiver.writes
    assert (write.version, write.headers["x-tenant"]) == ("2.0", "shop")
    (series,) = write.named("g")
    assert [(sample.value, sample.ms) for sample in series.samples] == [(1.5, 1_700_000_000_000)]


@pytest.mark.wallclock
@pytest.mark.parametrize("policy", [strict.only_v1, strict.only_v1_silently])
async def test_who_does_not_know_2_0_gets_the_same_in_1_0_at_once_and_from_then_on(
    policy, caplog
) -> None:
    async with speaking_v2(policy=policy) as (receiver, exporter, request):
        assert await exporter.send(request) == Delivered()
        (later,) = exporter.encode(batch(points.request([2.5]), 1)).requests
        assert later.draft is None
        assert await exporter.send(later) == Delivered()
        assert await exporter.send(request) == Delivered()  # as if it had waited since then
    assert receiver.problems == []
    assert versions_of(receiver) == ["2.0", "1.0", "1.0", "1.0"]
    values = [write.named("g")[0].samples[0].value for write in receiver.writes]
    assert values == [1.5, 1.5, 2.5, 1.5]
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "does not know remote write 2.0" in line.message


@pytest.mark.wallclock
async def test_2_0_is_tried_again_after_an_hour(caplog, monkeypatch) -> None:
    async with speaking_v2([strict.UNKNOWN_VERSION]) as (receiver, exporter, request):
        await exporter.send(request)
        clock = asyncio.get_running_loop().time
        monkeypatch.setattr(exporter, "_clock", lambda: clock() + 3601.0)
        (later,) = exporter.encode(batch(BODY, 1)).requests
        assert await exporter.send(later) == Delivered()
    assert versions_of(receiver) == ["2.0", "1.0", "2.0"]
    assert "spoken again" in caplog.records[-1].message


@pytest.mark.wallclock
async def test_a_request_in_1_0_may_be_tried_again_like_any_other() -> None:
    script = [strict.UNKNOWN_VERSION, Break(), Http(status=503), None]
    async with speaking_v2(script) as (receiver, exporter, request):
        for kind in (Retry, Retry, Delivered):
            assert isinstance(await exporter.send(request), kind)
    assert versions_of(receiver) == ["2.0", "1.0", "1.0", "1.0"]


@pytest.mark.wallclock
async def test_who_knows_neither_version_has_refused() -> None:
    script = [strict.UNKNOWN_VERSION, Http(status=415)]
    async with speaking_v2(script) as (receiver, exporter, request):
        assert await exporter.send(request) == Refused("HTTP 415")
    assert versions_of(receiver) == ["2.0", "1.0"]


@pytest.mark.wallclock
async def test_requests_in_flight_at_once_are_all_sent_in_1_0_and_that_is_logged_once(
    caplog,
) -> None:
    async with speaking_v2(policy=strict.only_v1) as (receiver, exporter, request):
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(exporter.send(request)) for _ in range(4)]
        assert [task.result() for task in sent] == [Delivered()] * 4
    assert versions_of(receiver).count("1.0") == 4
    assert len(caplog.records) == 1


@pytest.mark.wallclock
async def test_1_0_ignores_what_a_backend_says_it_has_written() -> None:
    script = [Http(status=204, headers=strict.written(0))]
    async with strict.receiving(script) as receiver, exporting(receiver.url) as exporter:
        (request,) = exporter.encode(batch(BODY, 1)).requests
        assert await exporter.send(request) == Delivered()
    assert receiver.problems == []
    assert versions_of(receiver) == ["1.0"]


async def test_what_2_0_remembers_is_part_of_the_memory_that_is_shown() -> None:
    encoder = remote_write_v2.Encoder(1 << 20)
    async with exporting("http://127.0.0.1:1", encoder=encoder) as exporter:
        before = exporter.recognition()
        exporter.encode(batch(BODY, 1))
        after = exporter.recognition()
    async with exporting("http://127.0.0.1:1") as plain:
        assert before.max_bytes == plain.recognition().max_bytes + encoder.book.max_bytes
    assert after.size - before.size == encoder.book.size > 0
