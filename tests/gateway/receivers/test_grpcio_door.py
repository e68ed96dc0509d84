"""What both gRPC doors do before they read a message, and with connections."""

import asyncio
import contextlib
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from common.config.doors import Http2, Listen, Proxies, ServerTls
from common.service import files
from common.service.settings import SettingsError
from common.wire import compression
from common.wire.http2 import frames
from gateway.receivers import door, grpc_lean, otlp_grpc
from tests.fakes import certificates
from tests.gateway import samples
from tests.gateway.receivers import grpc_wire

pytestmark = pytest.mark.wallclock
FORWARDING = Listen(proxies=Proxies(trusted=("127.0.0.0/8",), forwarded_for=True))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
PATIENCE = 5.0  # seconds; what is waited for takes less


DOORS = {"grpcio": otlp_grpc.serving, "lean": grpc_lean.serving}
GRPCIO, LEAN = DOORS.values()


@pytest.fixture(params=DOORS.values(), ids=DOORS)
def serving(request):
    return request.param


@contextlib.asynccontextmanager
async def opened(
    serving, terms: door.Terms, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[tuple[grpc.aio.Channel, door.Traffic, str]]:
    traffic = door.Traffic("grpc")
    async with (
        serving("127.0.0.1:0", terms, traffic) as bound,
        channel(str(bound), credentials) as client,
    ):
        yield client, traffic, str(bound)


def channel(where: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    # A pool of its own: channels with equal settings would share one connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        return grpc.aio.insecure_channel(where, options=options)
    named = [*options, ("grpc.ssl_target_name_override", "gateway")]
    return grpc.aio.secure_channel(where, credentials, options=named)


def begun(client: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = ()):
    """A call whose headers were sent, and nothing else."""
    return client.stream_unary(otlp_grpc.EXPORT)(metadata=metadata)


async def refusal(call) -> grpc.aio.AioRpcError:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    return caught.value


async def until(true) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - nothing tells when it is
            await asyncio.sleep(0.005)


def retry_delay(error: grpc.aio.AioRpcError) -> float:
    packed = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    info = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(packed).details[0].Unpack(info)
    return info.retry_delay.ToMilliseconds() / 1000


# ---- before the message


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (None, "a bearer token is needed"),
        ("Bearer other", "the bearer token is not known here"),
        ("Basic one", "the bearer token is not known here"),
    ],
)
async def test_who_may_not_send_is_told_before_the_message(
    serving, shown: str | None, words: str
) -> None:
    terms = samples.terms(samples.Remembering(), client_tokens="one\ntwo")
    async with opened(serving, terms) as (client, traffic, _):
        error = await refusal(begun(client, () if shown is None else (("authorization", shown),)))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert words in error.details()
    assert traffic.requests == {"unauthenticated": 1}
    assert (terms.admission.in_flight, terms.admission.admitted) == (0, 0)


@pytest.mark.parametrize(
    ("shown", "trusted"), [("Bearer one", False), ("bearer two", False), ("Bearer agent", True)]
)
async def test_clients_and_agents_with_a_token_may_send(serving, shown: str, trusted: bool) -> None:  # noqa: FBT001
    intake = samples.Remembering()
    terms = samples.terms(intake, tokens="agent", client_tokens="one\ntwo")
    async with opened(serving, terms) as (client, _, _):
        call = client.unary_unary(otlp_grpc.EXPORT)
        await call(samples.request(), metadata=(("authorization", shown),))
    assert intake.taken == [(samples.request(), "127.0.0.1", trusted)]


async def test_overload_is_told_before_the_message(serving) -> None:
    intake = samples.Remembering()
    intake.busy = door.Overloaded(5.0)
    async with opened(serving, samples.terms(intake)) as (client, _, _):
        error = await refusal(begun(client))
    assert (error.code(), retry_delay(error)) == (grpc.StatusCode.UNAVAILABLE, 5.0)


async def test_a_call_is_admitted_by_estimate_and_corrected_by_its_message(serving) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake)
    async with opened(serving, terms) as (client, _, _):
        call = begun(client)
        await until(lambda: terms.admission.in_flight)
        assert terms.admission.in_flight == otlp_grpc.ESTIMATE
        await call.write(samples.request())
        await call.done_writing()
        assert await call == b""
    assert terms.admission.in_flight == 0
    assert terms.admission.peers == 0


async def test_scarce_memory_turns_calls_away_before_their_message(serving) -> None:
    terms = samples.terms(samples.Remembering())
    terms.admission.scarce = True
    async with opened(serving, terms) as (client, _, _):
        error = await refusal(begun(client))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert terms.admission.refused == {"bytes": 0, "peer": 0, "memory": 1}


async def test_one_address_cannot_take_everything(serving) -> None:
    most = 10 * otlp_grpc.ESTIMATE
    terms = samples.terms(
        samples.Remembering(), listen=FORWARDING, max_in_flight_bytes=most, peer_share=0.15
    )
    noisy, quiet = ((("x-forwarded-for", address),) for address in ("192.0.2.1", "192.0.2.2"))
    async with opened(serving, terms) as (client, _, _):
        first = begun(client, noisy)
        await until(lambda: terms.admission.in_flight)
        error = await refusal(begun(client, noisy))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert terms.admission.refused == {"bytes": 0, "peer": 1, "memory": 0}
        second = begun(client, quiet)
        await until(lambda: terms.admission.peers == 2)
        for call in (first, second):
            call.cancel()
        await until(lambda: terms.admission.in_flight == 0)


@pytest.mark.parametrize(
    ("listen", "address"), [(FORWARDING, "192.0.2.1"), (samples.LISTEN, "127.0.0.1")]
)
async def test_balancers_that_are_trusted_say_who_calls(
    serving, listen: Listen, address: str
) -> None:
    intake = samples.Remembering()
    async with opened(serving, samples.terms(intake, listen=listen)) as (client, _, _):
        call = client.unary_unary(otlp_grpc.EXPORT)
        claims = (("x-forwarded-for", "10.9.9.9"), ("x-forwarded-for", "192.0.2.1, 127.0.0.9"))
        await call(samples.request(), metadata=claims)
    assert intake.taken[0][1] == address


async def test_a_client_that_gives_up_owes_nothing(serving) -> None:
    terms = samples.terms(samples.Remembering())
    async with opened(serving, terms) as (client, _, _):
        call = begun(client)
        await until(lambda: terms.admission.in_flight)
        call.cancel()
        await until(lambda: terms.admission.in_flight == 0)


@pytest.mark.parametrize("sent", [0, 1])
async def test_a_slow_sender_is_given_up(serving, sent: int) -> None:
    terms = samples.terms(samples.Remembering(), read_timeout=0.2)
    async with opened(serving, terms) as (client, traffic, _):
        call = begun(client)
        for _ in range(sent):
            await call.write(samples.request())  # and no end of the stream
        error = await refusal(call)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "not complete after 0.2 s" in error.details()
        assert traffic.timeouts == {"body": 1}
        assert terms.admission.in_flight == 0
        assert await client.unary_unary(otlp_grpc.EXPORT)(samples.request()) == b""


@pytest.mark.parametrize(
    ("messages", "words"),
    [((), "no message"), ((b"", b""), "several"), ((samples.request(), b""), "several")],
)
async def test_a_call_has_exactly_one_message(
    serving, messages: tuple[bytes, ...], words: str
) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake)
    async with opened(serving, terms) as (client, traffic, _):
        error = await refusal(client.stream_unary(otlp_grpc.EXPORT)(iter(messages)))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert words in error.details()
    assert not intake.taken
    assert traffic.requests == {"unimplemented": 1}
    assert terms.admission.in_flight == 0


async def test_a_health_check_has_a_message_too(serving) -> None:
    async with opened(serving, samples.terms(samples.Remembering())) as (client, _, _):
        error = await refusal(client.stream_unary(otlp_grpc.HEALTH)(iter(())))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_what_grpcio_refuses_by_itself_is_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    terms = samples.terms(samples.Remembering(), max_request_bytes=1000)
    async with opened(GRPCIO, terms) as (client, traffic, _):
        for _ in range(5):  # each takes grpcio a tenth of a second
            error = await refusal(client.unary_unary(otlp_grpc.EXPORT)(bytes(2000)))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await until(lambda: traffic.requests == {"cancelled": 5})
    assert terms.admission.in_flight == 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# ---- encodings


def literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frame(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + b"\0\0\0\x01" + payload


def call_with(encoding: str, message: bytes) -> bytes:
    """A whole call as a client sends it that compresses in a way grpcio does not know."""
    headers = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", otlp_grpc.EXPORT.encode()),
        (b":authority", b"x"), (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),  # codespell:ignore te
        (b"grpc-encoding", encoding.encode()),
    ]  # fmt: skip
    block = b"".join(literal(*header) for header in headers)
    data = b"\x01" + len(message).to_bytes(4) + message
    return PREFACE + frame(1, 4, block) + frame(0, 1, data)


async def heard(where: str, said: bytes, *until: bytes) -> bytes:
    """Say something, and return what is heard up to the first of *until*, or the end."""
    host, _, port = where.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    answer = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while chunk := await reader.read(1 << 16):
                answer += chunk
                if any(end in answer for end in until):
                    break
    except ConnectionError:
        pass  # an end like any other
    finally:
        await samples.hung_up(writer)
    return answer


OK = b"grpc-status\x010"
INTERNAL = b"grpc-status\x0213"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
async def test_encodings_reach_us_as_far_as_grpcio_lets_them(serving, encoding: str) -> None:
    # grpcio answers those it does not know by itself, with INTERNAL: the specification of gRPC
    # would have UNIMPLEMENTED.
    status = INTERNAL if serving is GRPCIO and encoding in {"zstd", "snappy"} else OK
    intake = samples.Remembering()
    body = samples.request(points=50)
    async with opened(serving, samples.terms(intake)) as (_, _, where):
        sent = call_with(encoding, compression.deflate(body, encoding))
        assert status in await heard(where, sent, status)
    assert [taken[0] for taken in intake.taken] == ([body] if status == OK else [])


# ---- connections


async def test_connections_end_in_good_order_when_they_are_old(serving) -> None:
    terms = samples.terms(samples.Remembering(), max_connection_age=0.2, connection_grace=0.1)
    async with opened(serving, terms) as (client, _, where):
        assert b"max_age" in await heard(where, PREFACE)  # a GOAWAY, then the end
        for _ in range(50):  # nothing is lost while connections come and go
            assert await client.unary_unary(otlp_grpc.EXPORT)(samples.request()) == b""
            await asyncio.sleep(0.01)


async def test_a_client_that_does_not_answer_a_ping_is_gone(serving) -> None:
    terms = samples.terms(
        samples.Remembering(), keepalive_interval=0.2, keepalive_timeout=0.2, max_connection_age=0
    )
    async with opened(serving, terms) as (_, _, where):
        assert b"ping_timeout" in await heard(where, PREFACE)


async def test_a_silent_client_holds_no_connection_longer_than_its_time(serving) -> None:
    terms = samples.terms(samples.Remembering(), header_timeout=0.2)
    async with opened(serving, terms) as (_, _, where):
        async with asyncio.timeout(PATIENCE / 2):
            assert PREFACE[24:] not in await heard(where, b"")


async def test_connections_beyond_the_limit_are_closed(serving) -> None:
    terms = samples.terms(samples.Remembering(), max_connections=2)
    async with opened(serving, terms) as (client, _, where), channel(where) as second:
        for open_ in (client, second):
            assert await open_.unary_unary(otlp_grpc.EXPORT)(samples.request()) == b""
        said = b"" if serving is GRPCIO else grpc_lean.FULL
        assert await heard(where, PREFACE) == said
        assert await client.unary_unary(otlp_grpc.EXPORT)(samples.request()) == b""


# ---- TLS


class Mounted:
    """The files of a Secret, and clients that know them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.versions = folder, 0
        self.server, self.clients = self.make("gateway"), self.make("client")
        self.put()

    def make(self, name: str) -> certificates.Files:
        self.versions += 1
        made = self.folder / str(self.versions)
        made.mkdir()
        return certificates.write(made, name, hours=self.versions)

    def put(self) -> None:
        for name, source in (
            ("tls.crt", self.server.certificate),
            ("tls.key", self.server.key),
            ("ca.crt", self.clients.authority),
        ):
            shutil.copy(source, self.folder / "new")
            (self.folder / "new").replace(self.folder / name)

    def terms(self, *, mutual: bool, intake: door.Intake | None = None) -> door.Terms:
        tls = ServerTls(
            cert_file=str(self.folder / "tls.crt"),
            key_file=str(self.folder / "tls.key"),
            client_ca_file=str(self.folder / "ca.crt") if mutual else "",
        )
        return samples.terms(intake or samples.Remembering(), listen=Listen(tls=tls))

    def client(self, shown: certificates.Files | None = None) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            self.server.authority.read_bytes(),
            shown and shown.key.read_bytes(),
            shown and shown.certificate.read_bytes(),
        )


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mounted:
    monkeypatch.setattr(files, "EVERY", 0.01)
    return Mounted(tmp_path)


async def answers(where: str, credentials: grpc.ChannelCredentials) -> bool:
    """Say whether a new connection with *credentials* comes about and is served."""
    async with channel(where, credentials) as client:
        try:
            await client.unary_unary(otlp_grpc.EXPORT)(samples.request(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
    return True


async def test_tls_is_spoken_and_nothing_else(serving, mounted: Mounted) -> None:
    intake = samples.Remembering()
    terms = mounted.terms(mutual=False, intake=intake)
    async with opened(serving, terms, mounted.client()) as (client, traffic, where):
        assert await client.unary_unary(otlp_grpc.EXPORT)(samples.request()) == b""
        assert traffic.tls_not_after > 0
        async with channel(where) as plain:
            error = await refusal(plain.unary_unary(otlp_grpc.EXPORT)(samples.request()))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert intake.taken == [(samples.request(), "127.0.0.1", False)]


async def test_clients_have_to_show_a_certificate_of_the_authority(
    serving, mounted: Mounted
) -> None:
    async with opened(serving, mounted.terms(mutual=True)) as (_, _, where):
        assert await answers(where, mounted.client(mounted.clients))
        assert not await answers(where, mounted.client())
        assert not await answers(where, mounted.client(mounted.server))


async def test_new_files_are_used_and_connections_live_on(serving, mounted: Mounted) -> None:
    before = mounted.client(mounted.clients)
    async with opened(serving, mounted.terms(mutual=True), before) as (client, traffic, where):
        assert await client.unary_unary(otlp_grpc.EXPORT)(samples.request()) == b""
        first, clients = traffic.tls_not_after, mounted.clients
        mounted.server, mounted.clients = mounted.make("gateway"), mounted.make("client")
        mounted.put()
        await until(lambda: traffic.tls_not_after > first)
        assert await answers(where, mounted.client(mounted.clients))
        assert not await answers(where, before)
        assert not await answers(where, mounted.client(clients))
        assert await client.unary_unary(otlp_grpc.EXPORT)(samples.request()) == b""


async def test_new_files_that_cannot_be_used_change_nothing(serving, mounted: Mounted) -> None:
    async with opened(serving, mounted.terms(mutual=True)) as (_, traffic, where):
        (mounted.folder / "new").write_text("no certificate")
        (mounted.folder / "new").replace(mounted.folder / "tls.crt")
        await until(lambda: traffic.tls_reload_errors)
        assert await answers(where, mounted.client(mounted.clients))


async def test_files_that_cannot_be_used_at_the_start_are_the_users_to_mend(
    serving, mounted: Mounted
) -> None:
    (mounted.folder / "tls.key").unlink()
    with pytest.raises(SettingsError, match=r"^listen\.tls\.key_file: cannot read"):
        async with opened(serving, mounted.terms(mutual=False)):
            pytest.fail("no key, and yet TLS")


async def test_http2_is_agreed_on(serving, mounted: Mounted) -> None:
    async with opened(serving, mounted.terms(mutual=False)) as (_, _, where):
        context = ssl.create_default_context(cafile=str(mounted.server.authority))
        context.set_alpn_protocols(["http/1.1", "h2"])
        host, _, port = where.rpartition(":")
        _, writer = await asyncio.open_connection(
            host, int(port), ssl=context, server_hostname="gateway"
        )
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        writer.transport.abort()  # what grpcio has sent meanwhile would be data after the end
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_headers_are_taken_up_to_the_limit(serving) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, listen=Listen(http2=Http2(max_header_bytes=100_000)))
    async with opened(serving, terms) as (client, _, _):
        export = client.unary_unary(otlp_grpc.EXPORT)
        with pytest.raises(grpc.aio.AioRpcError):
            await export(samples.request(), metadata=(("a", "x" * 300_000),))
        await export(samples.request(), metadata=(("a", "x" * 40_000),))
    assert len(intake.taken) == 1


class Alarmed(door.Traffic):
    """Counts, and says so."""

    def __init__(self) -> None:
        super().__init__("grpc")
        self.alarm = asyncio.Event()

    def attacked(self, kind: str) -> None:
        super().attacked(kind)
        self.alarm.set()


async def test_a_request_that_grpcio_cannot_bear_does_not_close_the_door(caplog) -> None:
    intake, traffic = samples.Remembering(), Alarmed()
    te = (b"te", b"trailers")  # codespell:ignore te
    fatal = grpc_wire.head(1, te, path=b"/x/\xef", ended=True)
    async with (
        otlp_grpc.serving("127.0.0.1:0", samples.terms(intake), traffic) as at,
        asyncio.timeout(2 * PATIENCE),
    ):
        for time in (1, 2):
            _, writer = await asyncio.open_connection(at.host, at.port)
            writer.write(frames.PREFACE + frames.settings(()) + fatal)
            await traffic.alarm.wait()
            traffic.alarm.clear()
            writer.close()
            async with channel(str(at)) as client:
                export = client.unary_unary(otlp_grpc.EXPORT)
                await export(samples.request(), wait_for_ready=True)
            assert traffic.hostile == {"fatal": time}
    assert len(intake.taken) == 2
    assert "the door is opened again" in caplog.text
