"""The HTTP door, asked by real clients over loopback."""

import asyncio
import contextlib
import gzip
import json
import ssl
import threading
import zlib

import aiohttp
import cramjam
import pytest
import uvloop
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from common.config.doors import Listen, Proxies, ServerTls
from common.wire import compression, errors
from gateway.receivers import door, otlp_http
from tests.fakes import certificates
from tests.gateway import samples
from tests.gateway.receivers import claims, connecting
from tests.gateway.samples import hung_up

pytestmark = pytest.mark.wallclock
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
AS_JSON = json.dumps({
    "resourceMetrics": [
        {"scopeMetrics": [{"metrics": [{"name": "a", "gauge": {"dataPoints": [{"asInt": "5"}]}}]}]}
    ]
})  # fmt: skip


@contextlib.asynccontextmanager
async def opened(terms: door.Terms, traffic: door.Traffic | None = None):
    async with (
        otlp_http.serving("127.0.0.1:0", terms, traffic or door.Traffic("http")) as bound,
        aiohttp.ClientSession(f"http://{bound}") as session,
    ):
        yield session


@contextlib.asynccontextmanager
async def raw(terms: door.Terms, traffic: door.Traffic | None = None):
    """Talk to the door without a client's manners."""
    serving = otlp_http.serving("127.0.0.1:0", terms, traffic or door.Traffic("http"))
    async with serving as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        yield reader, writer
        await hung_up(writer)


async def test_a_request_arrives_byte_for_byte_with_the_address_of_its_sender() -> None:
    intake, traffic = samples.Remembering(), door.Traffic("http")
    body = samples.request()
    async with (
        opened(samples.terms(intake), traffic) as session,
        session.post("/v1/metrics", data=body, headers=PROTOBUF) as response,
    ):
        assert (response.status, await response.read()) == (200, b"")
        assert response.content_type == "application/x-protobuf"
    assert intake.taken == [(body, "127.0.0.1", False)]
    assert traffic.requests == {"200": 1}
    assert (traffic.wire_bytes, traffic.inflated_bytes) == (len(body), len(body))


async def test_json_is_answered_in_json() -> None:
    intake = samples.Remembering()
    intake.answer = door.Taken(points=3, rejected=2, message="no pipeline")
    async with (
        opened(samples.terms(intake)) as session,
        session.post("/v1/metrics", data=AS_JSON, headers=JSON) as response,
    ):
        assert response.status == 200
        assert response.content_type == "application/json"
        said = json.loads(await response.read())
    assert samples.names(intake.taken[0][0]) == ["a"]
    assert int(said["partialSuccess"]["rejectedDataPoints"]) == 2
    assert said["partialSuccess"]["errorMessage"] == "no pipeline"


async def test_points_left_out_are_a_partial_success() -> None:
    intake = samples.Remembering()
    intake.answer = door.Taken(points=3, rejected=2)
    async with (
        opened(samples.terms(intake)) as session,
        session.post("/v1/metrics", data=b"", headers=PROTOBUF) as response,
    ):
        answer = metrics_service_pb2.ExportMetricsServiceResponse.FromString(await response.read())
    assert answer.partial_success.rejected_data_points == 2


ENCODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
    "x-snappy-framed": lambda body: bytes(cramjam.snappy.compress(body)),
    "zstd": lambda body: compression.deflate(body, "zstd"),
    "Identity": bytes,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_every_encoding_is_inflated_by_us(encoding: str) -> None:
    intake, body = samples.Remembering(), samples.request(points=100)
    headers = PROTOBUF | {"Content-Encoding": encoding}
    async with opened(samples.terms(intake)) as session:
        data = ENCODINGS[encoding](body)
        async with session.post("/v1/metrics", data=data, headers=headers) as response:
            assert response.status == 200, await response.read()
    assert intake.taken[0][0] == body


async def refused(session: aiohttp.ClientSession, **request) -> tuple[int, status_pb2.Status]:
    async with session.post("/v1/metrics", **({"headers": PROTOBUF} | request)) as response:
        assert response.content_type == "application/x-protobuf"
        return response.status, status_pb2.Status.FromString(await response.read())


async def test_malformed_bytes_are_400_with_the_reason_in_the_encoding_of_the_request() -> None:
    intake = samples.Remembering()
    intake.answer = errors.Malformed("the length at byte 3 is odd")
    async with opened(samples.terms(intake)) as session:
        code, said = await refused(session, data=b"\x0a\xff")
        assert (code, said.code, said.message) == (400, 3, "the length at byte 3 is odd")
        async with session.post("/v1/metrics", data="{]", headers=JSON) as response:
            assert response.status == 400
            assert json.loads(await response.read())["code"] == 3


async def test_broken_compression_is_400() -> None:
    headers = PROTOBUF | {"Content-Encoding": "gzip"}
    async with opened(samples.terms(samples.Remembering())) as session:
        data = gzip.compress(samples.request())[:-6]
        assert (await refused(session, data=data, headers=headers))[0] == 400


async def chunked(size: int):
    for _ in range(size // 1000):
        yield bytes(1000)


async def test_too_large_is_413_declared_while_reading_or_inflated() -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, max_request_bytes=10_000)
    headers = PROTOBUF | {"Content-Encoding": "gzip"}
    async with opened(terms) as session:
        for data, how in (
            (bytes(10_001), PROTOBUF),
            (chunked(20_000), PROTOBUF),
            (gzip.compress(bytes(1_000_000)), headers),
        ):
            code, said = await refused(session, data=data, headers=how)
            assert (code, said.code) == (413, 8)
            assert "10000" in said.message
        async with session.post(
            "/v1/metrics", data=samples.request(), headers=PROTOBUF
        ) as response:
            assert response.status == 200
    assert terms.admission.in_flight == 0
    assert len(intake.taken) == 1


async def test_other_types_encodings_methods_and_paths_are_refused_in_words() -> None:
    async with opened(samples.terms(samples.Remembering())) as session:
        async with session.post("/v1/metrics", data=b"x", headers={"Content-Type": "a/b"}) as r:
            assert (r.status, r.content_type) == (415, "text/plain")
            assert "'a/b'" in await r.text()
        headers = PROTOBUF | {"Content-Encoding": "br"}
        async with session.post("/v1/metrics", data=b"x", headers=headers) as r:
            assert (r.status, r.content_type) == (415, "application/x-protobuf")
            assert "gzip" in r.headers["Accept-Encoding"]
        async with session.get("/v1/metrics") as r:
            assert (r.status, r.headers["Allow"]) == (405, "POST")
        async with session.post("/v1/traces", data=b"", headers=PROTOBUF) as r:
            assert r.status == 404
            said = status_pb2.Status.FromString(await r.read())
            assert "/v1/metrics" in said.message


async def test_overload_is_503_with_whole_seconds_before_the_body_is_read() -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, max_in_flight_bytes=1000)
    assert terms.admission.admit(999)
    async with opened(terms) as session:
        async with session.post("/v1/metrics", data=b"12", headers=PROTOBUF) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
        terms.admission.release(999)
        intake.busy = door.Overloaded(4.2)
        async with session.post("/v1/metrics", data=b"", headers=PROTOBUF) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
        intake.busy, intake.answer = None, door.Overloaded(6.0)
        async with session.post("/v1/metrics", data=b"", headers=PROTOBUF) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "6")
    assert terms.admission.in_flight == 0


async def test_a_body_of_unknown_length_is_reserved_by_estimate_and_then_corrected() -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, max_in_flight_bytes=200_000)
    assert terms.admission.admit(1)
    async with opened(terms) as session:
        code, _ = await refused(session, data=chunked(400_000))
        assert code == 503
    assert terms.admission.in_flight == 1


async def test_a_client_that_asks_first_is_told_before_it_sends_the_body() -> None:
    intake = samples.Remembering()
    body = samples.request()
    head = (
        b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    )
    terms = samples.terms(intake, max_request_bytes=1000)
    async with raw(terms) as (reader, writer):
        writer.write(head % len(body))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    async with raw(terms) as (reader, writer):
        writer.write(head % 100_000)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
    assert len(intake.taken) == 1


async def test_a_slow_body_is_given_up_after_the_read_timeout() -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, read_timeout=0.05)
    async with raw(terms) as (reader, writer):
        writer.write(
            b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10\r\n\r\n123"
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer
    assert terms.admission.in_flight == 0


async def test_a_connection_that_says_nothing_is_closed_after_the_header_timeout() -> None:
    async with raw(samples.terms(samples.Remembering(), header_timeout=0.05)) as (reader, writer):
        writer.write(b"POST /v1/met")
        assert await reader.read() == b""


async def test_a_body_that_breaks_off_is_not_taken_and_releases_its_bytes() -> None:
    intake, traffic = samples.Remembering(), door.Traffic("http")
    terms = samples.terms(intake)
    async with raw(terms, traffic) as (_, writer):
        writer.write(
            b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10\r\n\r\n123"
        )
        await writer.drain()
        while not terms.admission.in_flight:  # noqa: ASYNC110 - the door tells nobody
            await asyncio.sleep(0)
        await hung_up(writer)
    assert terms.admission.in_flight == 0
    assert not intake.taken
    assert traffic.requests == {"400": 1}


async def test_beyond_the_most_connections_one_is_told_so_and_closed() -> None:
    terms = samples.terms(samples.Remembering(), max_connections=1)
    serving = otlp_http.serving("127.0.0.1:0", terms, door.Traffic("http"))
    async with serving as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        other, also = await asyncio.open_connection(host, port)
        assert (await other.read()).startswith(b"HTTP/1.1 503 ")
        await hung_up(writer)
        await hung_up(also)


async def test_a_token_that_is_not_even_text_is_none_of_ours() -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, tokens="secret")
    body = samples.request()
    async with otlp_http.serving("127.0.0.1:0", terms, door.Traffic("http")) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            b"Authorization: Bearer \xff\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await hung_up(writer)
    assert intake.taken[0][2] is False


@pytest.mark.parametrize(("clients", "headers", "who"), claims.CASES)
async def test_a_token_of_ours_makes_an_agent_and_nothing_else_does(
    clients: str, headers: dict[str, str | None], who: claims.Outcome
) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, tokens=claims.TOKENS, client_tokens=clients)
    sent = PROTOBUF | {name: value for name, value in headers.items() if value is not None}
    async with (
        opened(terms) as session,
        session.post("/v1/metrics", data=samples.request(), headers=sent) as response,
    ):
        assert response.status == (401 if who == "refused" else 200)
    assert [trusted for _, _, trusted in intake.taken] == {
        "agent": [True], "client": [False], "refused": [],
    }[who]  # fmt: skip


CHUNKED = (
    b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["binary", "length", "chunk", "header", "http2"],
)
async def test_bytes_that_are_not_http_end_in_a_refusal_and_the_door_stays_open(
    hostile: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake)
    serving = otlp_http.serving("127.0.0.1:0", terms, door.Traffic("http"))
    async with serving as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(hostile)
        writer.write_eof()
        with contextlib.suppress(ConnectionResetError):  # what was sent behind the refusal
            assert (await reader.read())[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 431", b""}
        await hung_up(writer)
        async with (
            aiohttp.ClientSession(f"http://{host}:{port}") as session,
            session.post("/v1/metrics", data=samples.request(), headers=PROTOBUF) as response,
        ):
            assert response.status == 200
    assert terms.admission.in_flight == 0
    assert not caplog.records


async def test_a_bug_behind_the_door_is_in_the_log_and_a_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    intake = samples.Remembering()
    intake.answer = RuntimeError("BUG: nobody knows")
    terms = samples.terms(intake)
    async with (
        opened(terms) as session,
        session.post("/v1/metrics", data=b"", headers=PROTOBUF) as response,
    ):
        assert response.status == 500
        assert "BUG" not in await response.text()
    assert "BUG: nobody knows" in caplog.text
    assert terms.admission.in_flight == 0


async def test_one_noisy_sender_is_told_429_while_others_are_served() -> None:
    terms = samples.terms(samples.Remembering(), max_in_flight_bytes=1000, peer_share=0.5)
    assert terms.admission.admit(499, "127.0.0.1")
    async with opened(terms) as session:
        code, said = await refused(session, data=samples.request())
        assert (code, said.code) == (429, 8)
        terms.admission.release(499, "127.0.0.1")
        assert terms.admission.admit(499, "10.0.0.1")
        async with session.post("/v1/metrics", data=samples.request(), headers=PROTOBUF) as answer:
            assert answer.status == 200
    terms.admission.release(499, "10.0.0.1")
    assert terms.admission.in_flight == 0


async def test_a_client_that_is_still_sending_sees_why_it_is_refused() -> None:
    terms = samples.terms(samples.Remembering(), max_request_bytes=1000)
    async with raw(terms) as (reader, writer):
        writer.write(
            b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 900000000\r\n\r\n" + bytes(300_000)
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in answer


async def test_leaving_closes_idle_connections_and_waits_for_answers() -> None:
    intake, body = samples.Remembering(), samples.request()
    terms = samples.terms(intake)
    closing = asyncio.Event()

    async def served(host: str, port: int) -> None:
        idle, quiet = await asyncio.open_connection(host, port)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        await reader.readuntil(b"\r\n\r\n")
        closing.set()
        assert await idle.read() == b""
        writer.write(body)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"Connection: close" in answer
        await hung_up(writer)
        await hung_up(quiet)

    async with (
        asyncio.TaskGroup() as tasks,
        otlp_http.serving("127.0.0.1:0", terms, door.Traffic("http")) as bound,
    ):
        tasks.create_task(served(*bound))
        await closing.wait()
    assert [taken for taken, _, _ in intake.taken] == [body]


def test_it_serves_on_the_loop_that_the_gateway_runs_on() -> None:
    intake, traffic, body = samples.Remembering(), door.Traffic("http"), samples.request()
    request = (
        b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )

    async def asked() -> None:
        terms = samples.terms(intake, max_connections=1)
        async with otlp_http.serving("127.0.0.1:0", terms, traffic) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            for n in range(0, len(request), 10):
                writer.write(request[n : n + 10])
                await writer.drain()
            writer.write(request * 2 + b"nonsense\r\n\r\n")
            other, also = await asyncio.open_connection(host, port)
            assert (await other.read()).startswith(b"HTTP/1.1 503 ")
            said = await reader.read()
            assert [said.count(code) for code in (b" 200 OK", b" 400 Bad")] == [3, 1]
            await hung_up(writer)
            await hung_up(also)

    uvloop.run(asked())
    assert [taken for taken, _, _ in intake.taken] == [body] * 3
    assert traffic.hostile == {"malformed_head": 1}
    assert (traffic.connections, traffic.refused_connections) == (0, 1)


async def test_a_port_in_use_is_an_error() -> None:
    terms = samples.terms(samples.Remembering())
    async with otlp_http.serving("127.0.0.1:0", terms, door.Traffic("http")) as bound:
        with pytest.raises(OSError, match="address already in use"):
            async with otlp_http.serving(str(bound), terms, door.Traffic("http")):
                pytest.fail("two doors at one port")


@pytest.mark.parametrize("compressed", [Compression.NoCompression, Compression.Gzip])
async def test_the_opentelemetry_sdk_pushes_to_it(compressed: Compression) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake)
    async with otlp_http.serving("127.0.0.1:0", terms, door.Traffic("http")) as bound:

        def push() -> None:
            exporter = OTLPMetricExporter(
                endpoint=f"http://{bound}/v1/metrics", compression=compressed
            )
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
            provider = MeterProvider([reader])
            provider.get_meter("tests").create_counter("pushed").add(3)
            assert provider.force_flush()
            provider.shutdown()

        thread = threading.Thread(target=push)
        thread.start()
        await asyncio.to_thread(thread.join)
    assert "pushed" in samples.names(intake.taken[0][0])


@pytest.mark.parametrize("loop", connecting.LOOPS)
def test_within_tls_and_behind_a_balancer_it_is_the_same_door(loop: str, tmp_path) -> None:
    files = certificates.write(tmp_path, "gateway")
    trusting = ssl.create_default_context(cafile=str(files.authority))
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    settings = Listen(
        tls=ServerTls(cert_file=str(files.certificate), key_file=str(files.key)),
        proxies=Proxies(trusted=("127.0.0.1",), proxy_protocol=True),
    )
    intake, body = samples.Remembering(), samples.request(points=5000)
    head = (
        b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Length: %d\r\n\r\n"
    )

    async def asked() -> None:
        terms = samples.terms(intake, listen=settings, max_request_bytes=len(body))
        async with otlp_http.serving("127.0.0.1:0", terms, door.Traffic("http")) as bound:
            said = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 4318\r\n"
            async with connecting.connected(bound.port, context=trusting, first=said) as (r, w):
                assert w.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
                for _ in range(2):
                    w.write(head % len(body) + body)
                    assert (await r.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                w.write(head % (1 << 30) + body)
                answer = await r.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 413 ")
                assert b"Connection: close" in answer
        assert terms.admission.in_flight == 0

    connecting.run(loop, asked)
    assert intake.taken == [(body, "192.0.2.7", False)] * 2


async def test_a_balancer_that_is_trusted_tells_who_sends() -> None:
    intake = samples.Remembering()
    settings = Listen(proxies=Proxies(trusted=("127.0.0.0/8",), forwarded_for=True))
    headers = PROTOBUF | {"X-Forwarded-For": "10.9.9.9, 192.0.2.7"}
    async with (
        opened(samples.terms(intake, listen=settings)) as session,
        session.post("/v1/metrics", data=samples.request(), headers=headers) as response,
    ):
        assert response.status == 200
    assert intake.taken[0][1] == "192.0.2.7"
