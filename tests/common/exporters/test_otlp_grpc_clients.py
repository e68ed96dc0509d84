"""Both gRPC clients say what they should, and sort every answer as the specification does."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from common.config.shared import Tls
from common.exporters import (
    credentials,
    grpc_answers,
    grpc_channel,
    otlp_grpc,
    otlp_grpcio,
    tls as certificates_of_now,
)
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Exporter,
    Proofs,
    Refused,
    Retry,
    TooBig,
    Verdict,
)
from common.wire import otlp
from gateway.receivers import door, grpc_lean
from tests.fakes import backends, certificates, points
from tests.fakes.backends import Hang, Rpc
from tests.gateway import samples

pytestmark = pytest.mark.wallclock

CLIENTS = {"lean": otlp_grpc, "grpcio": otlp_grpcio}
Code = grpc.StatusCode
BODY = points.request([1.0, 2.0])


@pytest.fixture(params=CLIENTS)
def client(request) -> str:
    return request.param


class Fixed(credentials.Proof):
    """Headers that never change."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        return self._headers


@asynccontextmanager
async def exporting(
    client: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    proof: credentials.Proof | None = None,
    compression: str = "none",
    attempt_timeout: float = 5.0,
    tls: Tls | None = None,
):
    async with CLIENTS[client].connecting(
        url,
        proof=proof or Fixed(headers or {}),
        compression=compression,
        attempt_timeout=attempt_timeout,
        tls=tls or Tls(),
        user_agent="headgate-test/1",
    ) as exporter:
        yield exporter


async def send(exporter: Exporter, body: otlp.Encoded = BODY) -> Verdict:
    (request,) = exporter.encode(Batch(body=body, points=2, oldest=0.0)).requests
    assert request.points == 2
    return await exporter.send(request)


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_the_bytes_arrive_as_they_are_with_the_headers(client, compression) -> None:
    async with (
        backends.otlp_grpc() as backend,
        exporting(
            client, backend.url, headers={"x-tenant": "shop"}, compression=compression
        ) as exporter,
    ):
        assert await send(exporter) == Delivered()
    (received,) = backend.received
    assert received.body == BODY
    assert received.headers["x-tenant"] == "shop"
    assert received.headers["user-agent"].split(" ")[0] == "headgate-test/1"


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "snappy"])
async def test_the_lean_client_and_the_lean_door_know_four_compressions(compression) -> None:
    intake, traffic = samples.Remembering(), door.Traffic("grpc")
    body = points.request(range(500))
    async with (
        grpc_lean.serving("127.0.0.1:0", samples.terms(intake), traffic) as bound,
        exporting("lean", f"http://{bound}", compression=compression) as exporter,
    ):
        (request,) = exporter.encode(Batch(body=body, points=500, oldest=0.0)).requests
        assert await exporter.send(request) == Delivered()
    assert [taken[0] for taken in intake.taken] == [body]
    assert (traffic.wire_bytes, traffic.inflated_bytes) == (len(request.body), len(body))
    # The framing format, which is what snappy means to peers of gRPC.
    assert request.body.startswith(b"\xff\x06\0\0sNaPpY") == (compression == "snappy")


async def test_who_is_not_believed_comes_again_if_somebody_else_keeps_the_token(client) -> None:
    script = [Rpc(code=Code.UNAUTHENTICATED, details="why"), Rpc(code=Code.PERMISSION_DENIED)]
    proof = credentials.Asked(lambda: {"authorization": "Bearer mine"})
    async with (
        backends.otlp_grpc(script) as backend,
        exporting(client, backend.url, proof=proof) as exporter,
    ):
        assert await send(exporter) == Retry("UNAUTHENTICATED: why")
        assert isinstance(await send(exporter), Refused)
        assert exporter.proofs() == Proofs(refusals=1)
    assert len(backend.received) == 2


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
async def test_a_backend_that_cannot_undo_the_compression_is_told_with_the_remedy(
    compression,
) -> None:
    async with (
        backends.otlp_grpc() as backend,
        exporting("lean", backend.url, compression=compression) as exporter,
    ):
        verdict = await send(exporter)
    assert isinstance(verdict, Refused)
    remedy = f"the backend cannot undo compression {compression}, set compression: gzip or none"
    assert remedy in verdict.why


@pytest.mark.parametrize(
    ("code", "message", "encoding", "remedy"),
    [
        (
            12,
            'grpc: Decompressor is not installed for grpc-encoding "zstd"',
            "zstd",
            "; the backend cannot undo compression zstd, set compression: gzip or none",
        ),
        (12, "unknown service", "gzip", "; if the backend cannot undo compression gzip, set"),
        (13, "failed to decompress", "snappy", "; the backend cannot undo compression snappy"),
        (13, "disk full", "zstd", "disk full"),
        (12, "unknown service", "", "unknown service"),
    ],
)
def test_the_remedy_is_named_where_compression_may_be_the_cause(
    code, message, encoding, remedy
) -> None:
    verdict = otlp_grpc.verdict(grpc_answers.Answer(code=code, message=message), encoding)
    assert isinstance(verdict, Refused)
    assert remedy in verdict.why
    if not remedy.startswith(";"):
        assert verdict.why.endswith(message)


async def test_headers_are_asked_for_at_every_request(client) -> None:
    headers = {"authorization": "Bearer one"}
    async with (
        backends.otlp_grpc() as backend,
        exporting(client, backend.url, headers=headers) as exporter,
    ):
        await send(exporter)
        headers["authorization"] = "Bearer two"
        await send(exporter)
    sent = [received.headers["authorization"] for received in backend.received]
    assert sent == ["Bearer one", "Bearer two"]


async def test_every_status_is_sorted_by_the_specification_s_table(client) -> None:
    retryable = {
        Code.CANCELLED,
        Code.DEADLINE_EXCEEDED,
        Code.ABORTED,
        Code.OUT_OF_RANGE,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    }
    codes = [code for code in Code if code is not Code.OK]
    script = [Rpc(code=code, details="why") for code in codes]
    async with backends.otlp_grpc(script) as backend, exporting(client, backend.url) as exporter:
        verdicts = {code: await send(exporter) for code in codes}
    assert verdicts == {
        code: Retry(f"{code.name}: why")
        if code in retryable
        else TooBig("RESOURCE_EXHAUSTED: why")
        if code is Code.RESOURCE_EXHAUSTED
        else Refused(f"{code.name}: why")
        for code in codes
    }


async def test_retry_info_is_a_lower_bound_and_makes_exhaustion_worth_a_retry(client) -> None:
    script = [
        Rpc(code=Code.UNAVAILABLE, retry_after=2.5),
        Rpc(code=Code.RESOURCE_EXHAUSTED, retry_after=7.0),
        Rpc(code=Code.RESOURCE_EXHAUSTED, retry_after=0.0),
    ]
    async with backends.otlp_grpc(script) as backend, exporting(client, backend.url) as exporter:
        verdicts = [await send(exporter) for _ in script]
    assert verdicts == [
        Retry("UNAVAILABLE", 2.5),
        Retry("RESOURCE_EXHAUSTED", 7.0),
        Retry("RESOURCE_EXHAUSTED"),
    ]


async def test_a_partial_success_is_believed_and_a_broken_answer_is_still_a_success(client) -> None:
    script = [
        Rpc(body=otlp.response(2, "too old")),
        Rpc(body=otlp.response(0, "beware")),
        Rpc(body=b"\x0a\x63"),
    ]
    async with backends.otlp_grpc(script) as backend, exporting(client, backend.url) as exporter:
        assert await send(exporter) == Delivered(2, "too old")
        assert await send(exporter) == Delivered(0, "beware")
        verdict = await send(exporter)
    assert isinstance(verdict, Delivered)
    assert "status OK" in verdict.message


async def test_no_answer_in_time_is_worth_a_retry(client) -> None:
    async with (
        backends.otlp_grpc([Hang()]) as backend,
        exporting(client, backend.url, attempt_timeout=0.2) as exporter,
    ):
        verdict = await send(exporter)
    assert isinstance(verdict, Retry)
    assert verdict.why.startswith("DEADLINE_EXCEEDED")


async def test_nobody_there_is_worth_a_retry_and_noticed_when_somebody_comes(
    client,
    unused_tcp_port: int,
) -> None:
    async with exporting(client, f"http://127.0.0.1:{unused_tcp_port}") as exporter:
        verdict = await send(exporter)
        assert isinstance(verdict, Retry)
        assert verdict.why.startswith("UNAVAILABLE")
        async with backends.otlp_grpc(port=unused_tcp_port), asyncio.timeout(10):
            # The channel reconnects in its own time, and tells nobody.
            while not isinstance(await send(exporter), Delivered):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_a_large_request_is_not_limited_by_the_client(client) -> None:
    body = points.request(range(20_000), width=400)
    assert len(body) > 8 << 20
    async with backends.otlp_grpc() as backend, exporting(client, backend.url) as exporter:
        assert await send(exporter, body) == Delivered()
    assert backend.received[0].body == body


async def test_cancelling_an_attempt_cancels_it(client) -> None:
    async with backends.otlp_grpc([Hang()]) as backend, exporting(client, backend.url) as exporter:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await send(exporter)


async def test_tls_verifies_the_backend_and_shows_a_certificate_of_its_own(
    client, tmp_path
) -> None:
    files = certificates.write(tmp_path, "backend.test")
    mutual = grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.certificate.read_bytes())],
        root_certificates=files.authority.read_bytes(),
        require_client_auth=True,
    )
    good = Tls(
        ca_file=str(files.authority),
        cert_file=str(files.certificate),
        key_file=str(files.key),
        server_name="backend.test",
    )
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(backends.otlp_grpc(credentials=mutual))
        exporter = await stack.enter_async_context(exporting(client, backend.url, tls=good))
        assert await send(exporter) == Delivered()
        stranger = await stack.enter_async_context(
            exporting(client, backend.url, tls=Tls(server_name="backend.test"))
        )
        assert isinstance(await send(stranger), Retry)


async def test_the_lean_client_may_be_told_not_to_verify(tmp_path) -> None:
    files = certificates.write(tmp_path, "backend.test")
    theirs = grpc.ssl_server_credentials([(files.key.read_bytes(), files.certificate.read_bytes())])
    for tls, outcome in ((Tls(), Retry), (Tls(insecure_skip_verify=True), Delivered)):
        async with (
            backends.otlp_grpc(credentials=theirs) as backend,
            exporting("lean", backend.url, tls=tls) as exporter,
        ):
            assert type(await send(exporter)) is outcome


async def test_a_certificate_file_that_is_none_is_an_error_before_anything_is_sent(
    client,
    tmp_path,
) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        with pytest.raises(OSError):
            async with exporting(client, "https://127.0.0.1:1", tls=Tls(ca_file=str(path))):
                pytest.fail("a broken file was accepted")


async def test_calls_under_way_end_on_grpcio_s_former_channel(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(certificates_of_now, "EVERY", 0.0)
    files = certificates.write(tmp_path, "backend.test")
    secured = grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.certificate.read_bytes())]
    )
    tls = Tls(ca_file=str(files.authority), server_name="backend.test")
    async with (
        backends.otlp_grpc([Hang()], credentials=secured) as backend,
        exporting("grpcio", backend.url, tls=tls, attempt_timeout=1.0) as exporter,
        asyncio.TaskGroup() as tasks,
    ):
        slow = tasks.create_task(send(exporter))
        async with asyncio.timeout(5):
            while not backend.received:  # noqa: ASYNC110 - the backend tells nobody
                await asyncio.sleep(0.01)
        fresh = tmp_path / "fresh.pem"
        fresh.write_bytes(files.authority.read_bytes())
        fresh.replace(files.authority)
        former = exporter._channels._present
        assert await send(exporter) == Delivered()
        assert exporter._channels._present is not former
        assert exporter._channels._former == [former]
        verdict = await slow
        assert isinstance(verdict, Retry)
        assert verdict.why.startswith("DEADLINE_EXCEEDED")  # it was not cut off
        assert exporter._channels._former == []
    assert exporter.proofs().reloads == 1


async def test_grpcio_connects_anew_every_minute_so_that_new_replicas_get_traffic() -> None:
    async with backends.otlp_grpc() as backend, exporting("grpcio", backend.url) as exporter:
        now = asyncio.get_running_loop().time
        begun = now()
        former = exporter._channels._present
        assert 0.8 * grpc_channel.MAX_AGE < former.worn - begun < 1.2 * grpc_channel.MAX_AGE
        for _ in range(2):
            assert await send(exporter) == Delivered()
        assert exporter._channels._present is former
        former.worn = now()
        assert await send(exporter) == Delivered()
        assert exporter._channels._present is not former
        assert not exporter._channels._former
        assert former.channel.get_state() == grpc.ChannelConnectivity.SHUTDOWN
