"""Both gRPC doors, grpcio's and the lean one, asked by real clients over loopback."""

import asyncio
import contextlib
import gzip
import threading

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from common.wire import errors
from gateway.receivers import door, grpc_lean, otlp_grpc
from tests.gateway import samples
from tests.gateway.receivers import claims
from tests.gateway.samples import hung_up

pytestmark = pytest.mark.wallclock


DOORS = {"grpcio": otlp_grpc.serving, "lean": grpc_lean.serving}


@pytest.fixture(params=DOORS.values(), ids=DOORS)
def serving(request):
    return request.param


@contextlib.asynccontextmanager
async def opened(serving, terms: door.Terms, traffic: door.Traffic | None = None, **options):
    traffic = traffic or door.Traffic("grpc")
    async with (
        serving("127.0.0.1:0", terms, traffic) as bound,
        grpc.aio.insecure_channel(str(bound), **options) as channel,
    ):
        yield channel.unary_unary(otlp_grpc.EXPORT), channel, traffic


async def refused(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def details(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    packed = dict(error.trailing_metadata() or ())
    return status_pb2.Status.FromString(packed["grpc-status-details-bin"])


async def test_a_request_arrives_byte_for_byte_with_the_address_of_its_sender(serving) -> None:
    intake = samples.Remembering()
    body = samples.request()
    async with opened(serving, samples.terms(intake)) as (export, _, traffic):
        assert await export(body) == b""
        assert intake.taken == [(body, "127.0.0.1", False)]
    assert traffic.requests == {"ok": 1}
    assert (traffic.wire_bytes, traffic.inflated_bytes) == (len(body), len(body))


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests_are_inflated_by_us(
    serving, compression: grpc.Compression
) -> None:
    intake = samples.Remembering()
    body = samples.request(points=500)
    async with opened(serving, samples.terms(intake), compression=compression) as (
        export,
        _,
        traffic,
    ):
        await export(body)
        assert intake.taken[0][0] == body
    assert traffic.wire_bytes < traffic.inflated_bytes == len(body)


async def test_an_empty_request_is_a_success(serving) -> None:
    intake = samples.Remembering()
    async with opened(serving, samples.terms(intake)) as (export, _, _):
        assert await export(b"") == b""
    assert intake.taken == [(b"", "127.0.0.1", False)]


async def test_an_unknown_field_that_looks_like_a_zlib_header_stays_a_request(serving) -> None:
    intake = samples.Remembering()
    body = b"\x78\x9c\x01" + samples.request()  # field 15 as a varint
    async with opened(serving, samples.terms(intake)) as (export, _, _):
        await export(body)
    assert intake.taken[0][0] == body


async def test_malformed_bytes_are_an_invalid_argument_with_the_reason(serving) -> None:
    intake = samples.Remembering()
    intake.answer = errors.Malformed("the length at byte 3 is odd")
    async with opened(serving, samples.terms(intake)) as (export, _, traffic):
        error = await refused(export(b"\x0a\xff"))
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the length at byte 3 is odd",
    )
    violation = error_details_pb2.BadRequest()
    assert details(error).details[0].Unpack(violation)
    assert traffic.requests == {"invalid_argument": 1}


async def test_gzip_that_no_flag_tells_of_is_an_invalid_argument_if_broken(serving) -> None:
    intake = samples.Remembering()
    async with opened(serving, samples.terms(intake)) as (export, _, _):
        error = await refused(export(gzip.compress(samples.request())[:-6]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not intake.taken


HOW = [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]


@pytest.mark.parametrize("how", HOW)
async def test_too_large_is_resource_exhausted_compressed_or_inflated(serving, how) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, max_request_bytes=10_000)
    async with opened(serving, terms, compression=how) as (export, _, _):
        error = await refused(export(b"\x0a" + bytes(20_000)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-status-details-bin" not in dict(error.trailing_metadata() or ()) or not any(
            detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details(error).details
        )
        await export(samples.request())
    assert len(intake.taken) == 1
    assert terms.admission.in_flight == 0


async def test_overload_is_unavailable_with_a_delay(serving) -> None:
    intake = samples.Remembering()
    intake.answer = door.Overloaded(7.5)
    terms = samples.terms(intake)
    async with opened(serving, terms) as (export, _, traffic):
        error = await refused(export(samples.request()))
        assert terms.admission.in_flight == 0
    info = error_details_pb2.RetryInfo()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert details(error).details[0].Unpack(info)
    assert info.retry_delay.ToMilliseconds() == 7500
    assert traffic.requests == {"unavailable": 1}


async def test_too_many_bytes_in_flight_elsewhere_is_unavailable(serving) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, max_in_flight_bytes=1000)
    assert terms.admission.admit(999)
    async with opened(serving, terms) as (export, _, _):
        error = await refused(export(samples.request()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        terms.admission.release(999)
        await export(samples.request())
    assert len(intake.taken) == 1


async def test_nothing_is_looked_at_while_no_destination_has_room(serving) -> None:
    intake = samples.Remembering()
    intake.busy = door.Overloaded(5.0)
    async with opened(serving, samples.terms(intake)) as (export, _, _):
        error = await refused(export(gzip.compress(bytes(1000))))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_points_left_out_are_a_partial_success(serving) -> None:
    intake = samples.Remembering()
    intake.answer = door.Taken(points=5, rejected=2, message="no pipeline")
    async with opened(serving, samples.terms(intake)) as (export, _, _):
        answer = metrics_service_pb2.ExportMetricsServiceResponse.FromString(
            await export(samples.request())
        )
    assert answer.partial_success.rejected_data_points == 2
    assert answer.partial_success.error_message == "no pipeline"


@pytest.mark.parametrize(("clients", "headers", "who"), claims.CASES)
async def test_a_token_of_ours_makes_an_agent_and_nothing_else_does(
    serving, clients: str, headers: dict[str, str | None], who: claims.Outcome
) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, tokens=claims.TOKENS, client_tokens=clients)
    metadata = [(name, value) for name, value in headers.items() if value is not None]
    async with opened(serving, terms) as (export, _, _):
        if who == "refused":
            error = await refused(export(samples.request(), metadata=metadata))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        else:
            await export(samples.request(), metadata=metadata)
    assert [trusted for _, _, trusted in intake.taken] == {
        "agent": [True], "client": [False], "refused": [],
    }[who]  # fmt: skip


async def test_other_services_are_unimplemented(serving) -> None:
    path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    async with opened(serving, samples.terms(samples.Remembering())) as (_, channel, _):
        error = await refused(channel.unary_unary(path)(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(("healthy", "said"), [(True, b"\x08\x01"), (False, b"\x08\x02")])
async def test_health_is_told_the_grpc_way(serving, healthy: bool, said: bytes) -> None:  # noqa: FBT001
    async with opened(serving, samples.terms(samples.Remembering(), healthy=healthy)) as (
        _,
        channel,
        _,
    ):
        check = channel.unary_unary(otlp_grpc.HEALTH)
        service = otlp_grpc.EXPORT.split("/")[1].encode()
        assert await check(b"") == said
        assert await check(b"\x0a" + bytes([len(service)]) + service) == said
        assert (await refused(check(b"\x0a\x01x"))).code() is grpc.StatusCode.NOT_FOUND
        assert (await refused(check(b"\x0a"))).code() is grpc.StatusCode.INVALID_ARGUMENT


def literal(name: bytes, value: bytes) -> bytes:
    """A header as RFC 7541 6.2.2 writes it plainly."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return b"".join((len(payload).to_bytes(3), bytes((kind, flags)), stream.to_bytes(4), payload))


def by_hand(encoding: bytes, message: bytes) -> bytes:
    """One call as a client would send it that compresses in a way grpcio does not know."""
    headers = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", otlp_grpc.EXPORT.encode()),
        (b":authority", b"x"), (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),  # codespell:ignore te
        (b"grpc-encoding", encoding),
    ]  # fmt: skip
    data = b"\x01" + len(message).to_bytes(4) + message
    return b"".join(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            frame(4, 0, 0, b""),
            frame(1, 4, 1, b"".join(literal(*header) for header in headers)),
            frame(0, 1, 1, data),
        )
    )


GRPCIO, LEAN = DOORS.values()
HOSTILE = {
    # grpcio answers INTERNAL, where the specification of gRPC would have UNIMPLEMENTED.
    "unknown encoding": (
        by_hand(b"br", b"whatever"), {GRPCIO: b"grpc-status\x0213", LEAN: b"grpc-status\x0212"},
    ),
    "wrong encoding": (
        by_hand(b"gzip", b"compressed by its flag only"),
        {GRPCIO: b"grpc-status\x013", LEAN: b"grpc-status\x013"},
    ),
    "http/1": (b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n", {}),
    "binary": (bytes(range(256)) * 10, {}),
}  # fmt: skip


@pytest.mark.parametrize(("hostile", "answers"), HOSTILE.values(), ids=HOSTILE)
async def test_hostile_bytes_reach_nobody_and_the_door_stays_open(
    serving, hostile: bytes, answers: dict
) -> None:
    intake, answer = samples.Remembering(), answers.get(serving, b"")
    terms = samples.terms(intake)
    async with serving("127.0.0.1:0", terms, door.Traffic("grpc")) as bound:
        reader, writer = await asyncio.open_connection(*bound)
        writer.write(hostile)
        answered = b""
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(10):
                while chunk := await reader.read(1 << 16):
                    answered += chunk
                    if answer and answer in answered:
                        break
        assert answer in answered
        await hung_up(writer)
        async with grpc.aio.insecure_channel(str(bound)) as channel:
            await channel.unary_unary(otlp_grpc.EXPORT)(samples.request())
    assert len(intake.taken) == 1
    assert terms.admission.in_flight == 0


async def test_a_port_in_use_is_an_error_in_words(serving) -> None:
    terms = samples.terms(samples.Remembering())
    async with serving("127.0.0.1:0", terms, door.Traffic("grpc")) as bound:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{bound.port}"):
            async with serving(str(bound), terms, door.Traffic("grpc")):
                pytest.fail("two doors at one port")


async def test_the_door_closes_after_the_requests_inside(serving) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake)
    async with contextlib.AsyncExitStack() as stack:
        open_door = serving("127.0.0.1:0", terms, door.Traffic("grpc"))
        async with open_door as bound:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(str(bound)))
            export = channel.unary_unary(otlp_grpc.EXPORT)
            call = export(samples.request())
            await intake.reached.wait()
        assert await call == b""
        with pytest.raises(grpc.aio.AioRpcError):
            await export(samples.request(), timeout=0.2)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:4711", "10.1.2.3"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::1"),
        ("ipv6:[2001:db8::5]:4711", "2001:db8::5"),
        ("ipv6:%5B::ffff:10.1.2.3%5D:4711", "10.1.2.3"),
        ("unix:/tmp/socket", None),
        ("", None),
    ],
)
def test_grpcio_spells_addresses_its_own_way(peer: str, address: str | None) -> None:
    assert otlp_grpc._address(peer) == address


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_the_opentelemetry_sdk_pushes_to_it(serving, compression: str) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake)
    async with serving("127.0.0.1:0", terms, door.Traffic("grpc")) as bound:

        def push() -> None:
            codes = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
            exporter = OTLPMetricExporter(
                endpoint=f"http://{bound}", insecure=True, compression=codes[compression]
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


@contextlib.asynccontextmanager
async def waiting(serving):
    """Push a request, which is taken and waits for the disk."""
    intake = samples.Remembering()
    commit, terms = intake.wait_for_disk(), samples.terms(intake)
    async with opened(serving, terms) as (export, channel, traffic):
        call = export(samples.request())
        await intake.reached.wait()
        yield call, commit, channel, terms, traffic


async def test_success_is_told_when_the_disk_has_it(serving) -> None:
    async with waiting(serving) as (call, commit, _, terms, traffic):
        assert (terms.admission.in_flight, traffic.waiting) == (len(samples.request()), 1)
        assert not call.done()
        commit.done(written=True)
        assert await call == b""
    assert (terms.admission.in_flight, traffic.waiting, traffic.requests) == (0, 0, {"ok": 1})


async def test_what_could_not_be_written_is_unavailable_with_a_delay(serving) -> None:
    async with waiting(serving) as (call, commit, _, terms, traffic):
        commit.done(written=False)
        error = await refused(call)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        info = error_details_pb2.RetryInfo()
        assert details(error).details[0].Unpack(info)
        assert info.retry_delay.ToMilliseconds() == 1000 * door.AGAIN
    assert (traffic.waiting, traffic.unwritten["failed"]) == (0, 1)
    assert (terms.admission.in_flight, traffic.requests) == (0, {"unavailable": 1})


async def test_what_is_settled_already_is_answered_at_once(serving) -> None:
    intake = samples.Remembering()
    intake.wait_for_disk().done(written=False)
    async with opened(serving, samples.terms(intake)) as (export, _, _):
        assert (await refused(export(samples.request()))).code() is grpc.StatusCode.UNAVAILABLE


async def nobody_waits(terms: door.Terms, traffic: door.Traffic) -> None:
    """Wait until what was held for the disk is given back; nothing tells when."""
    async with asyncio.timeout(5.0):
        while terms.admission.in_flight or traffic.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_a_client_that_gives_up_is_not_waited_for(serving) -> None:
    async with waiting(serving) as (call, commit, _, terms, traffic):
        call.cancel()
        await nobody_waits(terms, traffic)
        commit.done(written=True)
    assert (traffic.requests, traffic.unwritten["gone"]) == ({"cancelled": 1}, 1)


async def test_a_connection_that_ends_is_not_waited_for(serving) -> None:
    async with waiting(serving) as (call, commit, channel, terms, traffic):
        await channel.close()
        with pytest.raises(asyncio.CancelledError):
            await call
        await nobody_waits(terms, traffic)
        commit.done(written=True)
    assert (traffic.requests, traffic.unwritten["gone"]) == ({"cancelled": 1}, 1)


async def test_the_deadline_of_a_client_ends_the_wait(serving) -> None:
    intake = samples.Remembering()
    commit = intake.wait_for_disk()
    terms = samples.terms(intake)
    async with opened(serving, terms) as (export, _, traffic):
        error = await refused(export(samples.request(), timeout=0.2))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await nobody_waits(terms, traffic)
        commit.done(written=True)
    assert sum(traffic.unwritten.values()) == 1, "late or gone, whoever sees it first"


async def test_a_disk_that_hangs_is_given_up_like_one_that_failed(serving) -> None:
    intake = samples.Remembering()
    commit = intake.wait_for_disk()
    terms = samples.terms(intake, read_timeout=0.2)
    async with opened(serving, terms) as (export, _, traffic):
        error = await refused(export(samples.request()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        await nobody_waits(terms, traffic)
        commit.done(written=True)
    assert (traffic.requests, traffic.unwritten["late"]) == ({"unavailable": 1}, 1)


async def test_a_door_that_closes_waits_for_the_disk_as_long_as_it_may(serving) -> None:
    intake, traffic = samples.Remembering(), door.Traffic("grpc")
    terms = samples.terms(intake)
    async with contextlib.AsyncExitStack() as stack:
        bound = await stack.enter_async_context(serving("127.0.0.1:0", terms, traffic))
        async with grpc.aio.insecure_channel(str(bound)) as channel:
            commit = intake.wait_for_disk()
            call = channel.unary_unary(otlp_grpc.EXPORT)(samples.request())
            await intake.reached.wait()
            asyncio.get_running_loop().call_later(0.05, lambda: commit.done(written=True))
            await stack.aclose()  # which gives requests 0.2 s
            assert await call == b""
    assert traffic.requests == {"ok": 1}


async def test_a_door_that_closes_does_not_wait_longer_than_it_may(serving) -> None:
    intake, traffic = samples.Remembering(), door.Traffic("grpc")
    terms = samples.terms(intake)
    async with contextlib.AsyncExitStack() as stack:
        bound = await stack.enter_async_context(serving("127.0.0.1:0", terms, traffic))
        async with grpc.aio.insecure_channel(str(bound)) as channel:
            commit = intake.wait_for_disk()
            call = channel.unary_unary(otlp_grpc.EXPORT)(samples.request())
            await intake.reached.wait()
            await stack.aclose()
            assert (await refused(call)).code() is grpc.StatusCode.UNAVAILABLE
    await nobody_waits(terms, traffic)
    commit.done(written=True)
    assert (traffic.requests, traffic.unwritten["gone"]) == ({"cancelled": 1}, 1)


async def test_points_that_are_to_come_again_are_counted_as_far_as_they_are_known(serving) -> None:
    intake = samples.Remembering()
    async with opened(serving, samples.terms(intake)) as (export, _, traffic):
        intake.answer = door.Overloaded(1.0, 40)
        await refused(export(samples.request()))
        assert traffic.refused_points == 40
        intake.busy = door.Overloaded(1.0)
        await refused(export(samples.request()))
        assert traffic.refused_points == 41, "nobody has read it"
        intake.busy, intake.answer = None, errors.Malformed("odd")
        await refused(export(samples.request()))
        assert traffic.refused_points == 41, "it shall not come again"
        commit = intake.wait_for_disk()
        commit.done(written=False)
        await refused(export(samples.request()))
        assert traffic.refused_points == 42
