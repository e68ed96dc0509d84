"""The HTTP client says what it should, and sorts every answer as the specification does."""

from contextlib import asynccontextmanager

import pytest

from common.config.shared import Tls
from common.exporters import credentials, otlp_http
from common.exporters.http_posting import Answer
from common.exporters.outcomes import Batch, Delivered, Refused, Retry, TooBig, Verdict
from common.wire import compression as codings, otlp
from tests.fakes import backends, points
from tests.fakes.backends import Http

BODY = points.request([1.0, 2.0])
PROTOBUF = "application/x-protobuf"
NOW = 1_790_000_000.0


@asynccontextmanager
async def exporting(url: str, compression: str = "none"):
    async with otlp_http.connecting(
        url,
        proof=credentials.Asked(lambda: {"x-tenant": "shop"}),
        compression=compression,
        attempt_timeout=5.0,
        tls=Tls(),
        user_agent="headgate-test/1",
        now=lambda: NOW,
    ) as exporter:
        yield exporter


def sorted_as(status: int, body: bytes = b"", kind: str = PROTOBUF, after: str = "") -> Verdict:
    answer = Answer(status=status, content_type=kind, retry_after=after or None, body=body)
    return otlp_http.verdict(answer, NOW)


@pytest.mark.wallclock
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "snappy"])
async def test_a_request_is_compressed_once_and_says_so(compression) -> None:
    async with backends.http() as backend, exporting(f"{backend.url}/x", compression) as exporter:
        (request,) = exporter.encode(Batch(body=BODY, points=2, oldest=0.0)).requests
        assert [await exporter.send(request) for _ in range(2)] == [Delivered(), Delivered()]
    assert request.points == 2
    first, second = backend.received
    assert first.body == second.body == request.body
    assert codings.inflate(first.body, compression.replace("none", ""), 1 << 20) == BODY
    assert first.headers.get("content-encoding", "none") == compression
    assert first.headers["content-type"] == PROTOBUF
    assert first.headers["user-agent"] == "headgate-test/1"
    assert first.headers["x-tenant"] == "shop"
    assert first.path == "/x"


@pytest.mark.wallclock
async def test_what_the_backend_answers_becomes_the_verdict() -> None:
    script = [
        Http(body=otlp.response(1, "late"), headers={"content-type": PROTOBUF}),
        Http(status=503, headers={"retry-after": "7"}, body=b"busy"),
    ]
    async with backends.http(script) as backend, exporting(backend.url) as exporter:
        (request,) = exporter.encode(Batch(body=BODY, points=2, oldest=0.0)).requests
        verdicts = [await exporter.send(request) for _ in script]
    assert verdicts == [Delivered(1, "late"), Retry("HTTP 503: busy", 7.0)]


def test_only_four_statuses_are_worth_another_attempt() -> None:
    kinds = {status: type(sorted_as(status)) for status in range(200, 600)}
    assert {s for s, kind in kinds.items() if kind is Retry} == {429, 502, 503, 504}
    assert {s for s, kind in kinds.items() if kind is TooBig} == {413}
    assert {s for s, kind in kinds.items() if kind is Delivered} == set(range(200, 300))
    assert {kind for s, kind in kinds.items() if kind not in {Retry, TooBig, Delivered}} == {
        Refused
    }


def test_retry_after_is_understood_as_seconds_and_as_a_date() -> None:
    assert sorted_as(503, after="12") == Retry("HTTP 503", 12.0)
    assert sorted_as(429, after="Mon, 21 Sep 2026 14:13:30 GMT") == Retry("HTTP 429", 10.0)
    assert sorted_as(503, after="later") == Retry("HTTP 503")


def test_the_reason_is_in_the_words_of_the_backend() -> None:
    assert sorted_as(400, backends.status(3, "bad unit")) == Refused("HTTP 400: bad unit")
    assert sorted_as(401, b"who?", "text/plain") == Refused("HTTP 401: who?")


def test_a_redirect_names_the_remedy() -> None:
    assert sorted_as(308) == Refused("HTTP 308; redirects are not followed, change the endpoint")


def test_a_partial_success_is_believed() -> None:
    assert sorted_as(200, otlp.response(3, "old")) == Delivered(3, "old")
    assert sorted_as(200, otlp.response(0, "beware")) == Delivered(0, "beware")


@pytest.mark.parametrize(("body", "kind"), [(b"OK", "text/plain"), (b"", ""), (b"{}", "text/json")])
def test_a_success_in_another_language_is_a_success(body, kind) -> None:
    assert sorted_as(200, body, kind) == Delivered()


def test_a_success_that_cannot_be_read_is_one_with_a_warning() -> None:
    verdict = sorted_as(200, b"\x0a\x63")
    assert isinstance(verdict, Delivered)
    assert verdict.message.startswith("HTTP 200, but not an ExportMetricsServiceResponse")
