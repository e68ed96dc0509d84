"""The door for OTLP over gRPC, on grpcio; encoded messages pass through it as bytes.

Methods are registered as taking a stream, for then a call begins with its headers: who may not
send, or has to wait, is told so before the message is read. grpcio hands a message over when all of
it has arrived; what is being read is bounded by its flow control and the message limit.

Messages are inflated by us, with a limit: grpcio's own inflation
(``grpc.per_message_decompression``) is off. It does not tell then how a message was compressed, so
that is read off its first bytes, which is certain: a request begins with 0x0a, gzip with 0x1f8b,
which no protobuf message does; a zlib header could be an unknown varint field, but what follows
would not pass its checksum. Calls with a ``grpc-encoding`` that grpcio does not know (zstd, snappy)
never reach us: it answers INTERNAL, where the specification of gRPC has UNIMPLEMENTED.

A request whose path is no UTF-8 makes grpcio give the whole server up (1.85), after which nobody
would listen. It is opened again then, and the request counted; other calls under way are lost, and
their clients send again.

Neither the PROXY protocol nor the oldest version of TLS can be set here, which the settings refuse;
connections beyond the limit are closed without being counted.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, NoReturn, TypeAlias, cast
from urllib.parse import unquote

import grpc
from typing_extensions import override

from common.config import headers
from common.service import address
from common.wire import compression, errors, otlp, protobuf
from gateway.commit import Commit
from gateway.receivers import door, peers, status, tls, trust

log = logging.getLogger("headgate.gateway.grpcio")

EXPORT: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
HEALTH: Final = "/grpc.health.v1.Health/Check"
ESTIMATE: Final = 64 << 10  # bytes a call is admitted with until its message is here
FATAL: Final = "fatal"  # the kind of such requests, where hostile ones are counted
LOOK: Final = 0.5  # seconds between looks whether grpcio still serves
NEVER_MS: Final = 0x7FFF_FFFF  # what grpcio takes for never
PING_MS: Final = 10_000  # how often clients may ping; SDKs in the field do so every 10 to 30 s
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse { ServingStatus status = 1; }

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Method: TypeAlias = Callable[[object, Context], Awaitable[bytes]]
"""Answers a call; its first argument is another way to read, which nobody takes."""


@asynccontextmanager
async def serving(
    listen: str, terms: door.Terms, traffic: door.Traffic
) -> AsyncIterator[address.Address]:
    """Serve on *listen* (``host:port``); yields the address bound.

    Leaving lets requests in flight finish for ``terms.drain`` seconds. Raises :class:`OSError` when
    the address cannot be bound, and :class:`~common.service.settings.SettingsError` for
    certificates that cannot be used.
    """
    exporting = _Export(terms, traffic)
    methods = _Methods({EXPORT: exporting.export, HEALTH: _health(terms.healthy)})
    secure = terms.listen.tls
    certificates = tls.Certificates(secure, ("h2",), traffic) if secure.cert_file else None

    def opened(where: address.Address) -> tuple[grpc.aio.Server, address.Address]:
        server = grpc.aio.server(options=_options(terms))
        server.add_generic_rpc_handlers((methods,))
        return server, address.Address(where.host, _bind(server, where, certificates))

    server, bound = opened(address.parse(listen))

    async def keep() -> None:
        nonlocal server
        while True:
            try:
                await server.wait_for_termination(LOOK)
            except UnicodeDecodeError:
                traffic.attacked(FATAL)
                log.warning("grpcio gave its server up for a request; the door is opened again")
                await server.stop(None)  # lets go of the connections that are left
                server, _ = opened(bound)
                await server.start()

    async with asyncio.TaskGroup() as tasks:
        await server.start()
        work = [tasks.create_task(keep())]
        if certificates is not None:
            work.append(tasks.create_task(certificates.follow()))
        try:
            yield bound
        finally:
            for task in work:
                task.cancel()
            await server.stop(terms.drain)


def _bind(
    server: grpc.aio.Server, where: address.Address, certificates: tls.Certificates | None
) -> int:
    """Let *server* listen on *where*, and return the port."""
    try:
        if certificates is None:
            return server.add_insecure_port(str(where))
        return server.add_secure_port(str(where), _credentials(certificates))
    except RuntimeError as error:
        raise OSError(
            errno.EADDRINUSE, f"cannot listen on {where} for OTLP gRPC; is the port in use?"
        ) from error


def _options(terms: door.Terms) -> list[tuple[str, int]]:
    limits, http2 = terms.limits, terms.listen.http2
    return [
        ("grpc.per_message_decompression", 0),
        ("grpc.max_receive_message_length", min(limits.max_request_bytes, 0x7FFF_FFFF)),
        ("grpc.max_concurrent_streams", http2.max_concurrent_streams),
        ("grpc.max_metadata_size", http2.max_header_bytes),
        ("grpc.so_reuseport", int(terms.reuse_port)),  # else a port in use is an error
        ("grpc.max_allowed_incoming_connections", limits.max_connections),
        ("grpc.server_handshake_timeout_ms", _ms(limits.header_timeout)),
        ("grpc.max_connection_idle_ms", max(1000, _ms(limits.idle_timeout))),
        # grpcio itself makes the age a tenth more or less.
        ("grpc.max_connection_age_ms", _ms(limits.max_connection_age) or NEVER_MS),
        ("grpc.max_connection_age_grace_ms", _ms(limits.connection_grace)),
        ("grpc.keepalive_time_ms", _ms(limits.keepalive_interval) or NEVER_MS),
        ("grpc.keepalive_timeout_ms", _ms(limits.keepalive_timeout)),
        ("grpc.http2.ping_timeout_ms", _ms(limits.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_MS),
    ]


def _ms(seconds: float) -> int:
    return min(NEVER_MS, int(seconds * 1000))


def _credentials(certificates: tls.Certificates) -> grpc.ServerCredentials:
    """Make credentials that follow *certificates* from one handshake to the next."""
    served = certificates.current

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        # Called in a thread of grpcio's before each handshake; None: as before.
        nonlocal served
        current = certificates.current
        if current is served:
            return None
        served = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(served),
        fetch,  # type: ignore[arg-type]  # its type forgets None
        require_client_authentication=served.client_ca is not None,
    )


def _configuration(identity: tls.Identity) -> grpc.ServerCertificateConfiguration:
    pairs = [(identity.key, identity.chain)]
    return grpc.ssl_server_certificate_configuration(pairs, root_certificates=identity.client_ca)


class _Methods(grpc.GenericRpcHandler):
    """Finds a method by its path; grpcio answers UNIMPLEMENTED for the others."""

    def __init__(self, methods: dict[str, Method]) -> None:
        self._methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            path: grpc.stream_unary_rpc_method_handler(method) for path, method in methods.items()
        }

    @override
    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._methods.get(handler_call_details.method)


class _Export:
    """MetricsService/Export."""

    def __init__(self, terms: door.Terms, traffic: door.Traffic) -> None:
        self._terms, self._traffic = terms, traffic
        self._limit, self._patience = terms.limits.max_request_bytes, terms.limits.read_timeout
        proxies = terms.listen.proxies
        self._networks = peers.networks(proxies.trusted) if proxies.forwarded_for else ()

    async def export(self, _: object, context: Context) -> bytes:
        traffic, admission, intake = self._traffic, self._terms.admission, self._terms.intake
        peer, trusted = await self._let_in(context)
        overloaded = intake.overloaded()
        if overloaded is not None:
            await self._come_again(context, overloaded.after)
        held = ESTIMATE
        if not admission.admit(held, peer):
            await self._come_again(context, admission.retry_after())
        try:
            message = await self._message(context)
            traffic.wire_bytes += len(message)
            if not admission.correct(held, len(message), peer):
                await self._come_again(context, admission.retry_after())
            held = len(message)
            body = _inflated(message, self._limit)
            if body is not message:
                if not admission.correct(held, len(message) + len(body), peer):
                    await self._come_again(context, admission.retry_after())
                held = len(message) + len(body)
            traffic.inflated_bytes += len(body)
            answer = intake.take(body, peer, trusted=trusted)
            if isinstance(answer, door.Overloaded):
                await self._come_again(context, answer.after, answer.points)
            if answer.commit is not None:
                await self._written(context, answer.commit, answer.points)
        except errors.Malformed as error:
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except errors.TooLarge as error:
            await self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        finally:
            admission.release(held, peer)
        traffic.answered("ok")
        return _response(answer)

    async def _let_in(self, context: Context) -> tuple[str | None, bool]:
        """Return the client's address and whether it is an agent, unless it may not send at all."""
        shown, claims, forwarded = _metadata(context)
        who = trust.standing(self._terms.trust, self._terms.clients, shown, claims)
        if who == "stranger":
            words = (
                "a bearer token is needed; send it as authorization: Bearer <token>"
                if shown is None
                else "the bearer token is not known here; is it the current one?"
            )
            await self._refuse(context, grpc.StatusCode.UNAUTHENTICATED, words)
        return peers.forwarded(forwarded, _address(context.peer()), self._networks), who == "agent"

    async def _message(self, context: Context) -> bytes:
        """Read the only message of a call."""
        try:
            async with asyncio.timeout(self._patience):
                message = await _read(context)
                more = None if message is None else await _read(context)
        except TimeoutError:
            self._traffic.timeouts["body"] = self._traffic.timeouts.get("body", 0) + 1
            words = (
                f"the request was not complete after {self._patience:g} s; "
                "send it faster, or smaller ones"
            )
            await self._refuse(context, grpc.StatusCode.DEADLINE_EXCEEDED, words)
        if message is None:
            await self._end(context)
        if more is not None:
            words = "the request has several messages; a unary call has one"
            await self._refuse(context, grpc.StatusCode.UNIMPLEMENTED, words)
        return message

    async def _end(self, context: Context) -> NoReturn:
        """End a call without a message: its sender forgot it, unless the call is over anyway.

        It is when the sender gave up, and when the message was larger than the limit, which grpcio
        answers by itself (RESOURCE_EXHAUSTED): both count as ``cancelled``.
        """
        words = "the request has no message; a unary call has one"
        try:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, words)
        except grpc.aio.AbortError:
            self._traffic.answered("unimplemented")
            raise
        except (grpc.aio.InternalError, asyncio.CancelledError) as error:
            self._traffic.answered("cancelled")
            raise asyncio.CancelledError from error  # which grpcio does not log as an error of ours

    async def _written(self, context: Context, commit: Commit, points: int) -> None:
        """Wait until what was taken is on disk.

        grpcio ends the call, and this with it, when the client gives up or its deadline passes.
        """
        traffic, settled = self._traffic, asyncio.Event()
        commit.when_settled(settled.set)
        traffic.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await settled.wait()
        except TimeoutError:
            commit.forget()
            await self._unwritten(context, "late", door.LATE, points)
        except asyncio.CancelledError:
            commit.forget()
            traffic.not_written("gone")
            traffic.answered("cancelled")
            raise
        finally:
            traffic.waiting -= 1
        if commit.failed:
            await self._unwritten(context, "failed", door.FAILED, points)

    async def _unwritten(
        self, context: Context, why: door.Unwritten, words: str, points: int
    ) -> NoReturn:
        self._traffic.not_written(why)
        message = f"{words}; send it again in {door.AGAIN:.1f} s"
        await self._refuse(context, grpc.StatusCode.UNAVAILABLE, message, door.AGAIN, points)

    async def _come_again(self, context: Context, after: float, points: int = 1) -> NoReturn:
        message = f"too much is waiting; come again in {after:.1f} s"
        await self._refuse(context, grpc.StatusCode.UNAVAILABLE, message, after, points)

    async def _refuse(
        self,
        context: Context,
        code: grpc.StatusCode,
        message: str,
        after: float | None = None,
        points: int = 1,
    ) -> NoReturn:
        """Refuse a request, *points* of which are to be sent again *after* some seconds."""
        self._traffic.answered(code.name.lower())
        if after is not None:
            self._traffic.refused_points += points
        message = message[: door.MAX_REASON]
        details = status.encoded(code.value[0], message, retry_after=after)
        await context.abort(code, message, (("grpc-status-details-bin", details),))


def _response(answer: door.Taken) -> bytes:
    if not answer.rejected and not answer.message:
        return b""  # ExportMetricsServiceResponse: full success leaves partial_success unset
    return otlp.response(answer.rejected, answer.message[: door.MAX_REASON])


def _inflated(message: bytes, limit: int) -> bytes:
    """Return the request inside *message*, see the module's words on how compression is told."""
    if message[:1] == b"\x0a":
        return message
    if message[:2] == b"\x1f\x8b":
        return compression.inflate(message, "gzip", limit)
    # RFC 1950: method 8 in the low nibble, and the first two bytes are a multiple of 31.
    if message[:1] and message[0] & 15 == 8 and int.from_bytes(message[:2]) % 31 == 0:
        try:
            return compression.inflate(message, "deflate", limit)
        except errors.Malformed:
            return message
    return message


async def _read(context: Context) -> bytes | None:
    """Read the next message of a call; ``None``: there is none."""
    received: object = await context.read()  # its type forgets the end
    return None if received is grpc.aio.EOF else cast("bytes", received)


def _metadata(context: Context) -> tuple[str | bytes | None, bool, list[str]]:
    """Return the token shown, if any, whether by an agent, and for whom balancers call."""
    shown: str | bytes | None = None
    claims = False
    forwarded: list[str] = []
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            shown = value
        elif key == "x-forwarded-for":
            forwarded.append(value if isinstance(value, str) else value.decode("latin-1"))
        elif key == headers.AGENT:
            claims = True
    return shown, claims, forwarded


@lru_cache(maxsize=4096)  # connections live long, and parsing costs 1 µs a request
def _address(peer: str) -> str | None:
    """Return the address in grpcio's ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    family, _, rest = peer.partition(":")
    if family not in {"ipv4", "ipv6"}:
        return None
    return peers.canonical(unquote(rest).rpartition(":")[0].strip("[]"))


def _health(healthy: Callable[[], bool]) -> Method:
    async def check(_: object, context: Context) -> bytes:
        # message HealthCheckRequest { string service = 1; }
        message = await _read(context)
        if message is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the request has no message")
        try:
            found = [
                message[at:end] for number, _, _, at, end in protobuf.fields(message) if number == 1
            ]
        except errors.Malformed as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        service = found[-1] if found else b""
        if service not in {b"", EXPORT.split("/")[1].encode()}:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return SERVING if healthy() else NOT_SERVING

    return check
