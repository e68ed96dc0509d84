"""The door for OTLP over gRPC, on grpcio; encoded messages pass through it as bytes.

grpcio hands a message over when all of it has arrived, so admission here bounds what is worked on;
what is being read is bounded by grpcio's flow control and the message limit. Messages are inflated
by us, with a limit: grpcio's own inflation (``grpc.per_message_decompression``) is off. It does not
tell then how a message was compressed, so that is read off its first bytes, which is certain: a
request begins with 0x0a, gzip with 0x1f8b, which no protobuf message does; a zlib header could be
an unknown varint field, but what follows would not pass its checksum.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, NoReturn, TypeAlias
from urllib.parse import unquote

import grpc
from typing_extensions import override

from common.service import address
from common.wire import compression, errors, otlp, protobuf
from gateway.receivers import door, status

EXPORT: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
HEALTH: Final = "/grpc.health.v1.Health/Check"
MAX_STREAMS: Final = 256  # of one connection at a time; more wait on the client's side
MAX_METADATA: Final = 16 << 10  # bytes of a request's headers
PING_MS: Final = 10_000  # how often clients may ping; SDKs in the field do so every 10 to 30 s
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse { ServingStatus status = 1; }

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Method: TypeAlias = Callable[[bytes, Context], Awaitable[bytes]]


@asynccontextmanager
async def serving(
    listen: str, terms: door.Terms, traffic: door.Traffic
) -> AsyncIterator[address.Address]:
    """Serve on *listen* (``host:port``); yields the address bound.

    Leaving lets requests in flight finish for ``terms.drain`` seconds. Raises :class:`OSError` when
    the address cannot be bound.
    """
    server = grpc.aio.server(options=_options(terms))
    exporting = _Export(terms, traffic)
    methods: dict[str, Method] = {EXPORT: exporting.export, HEALTH: _health(terms.healthy)}
    server.add_generic_rpc_handlers((_Methods(methods),))
    where = address.parse(listen)
    try:
        port = server.add_insecure_port(str(where))
    except RuntimeError as error:
        raise OSError(
            errno.EADDRINUSE, f"cannot listen on {where} for OTLP gRPC; is the port in use?"
        ) from error
    await server.start()
    try:
        yield address.Address(where.host, port)
    finally:
        await server.stop(terms.drain)


def _options(terms: door.Terms) -> list[tuple[str, int]]:
    limits = terms.limits
    return [
        ("grpc.per_message_decompression", 0),
        ("grpc.max_receive_message_length", min(limits.max_request_bytes, 0x7FFF_FFFF)),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.max_metadata_size", MAX_METADATA),
        ("grpc.so_reuseport", 0),  # a port in use is an error, not a coin toss
        ("grpc.max_connection_idle_ms", max(1000, int(limits.idle_timeout * 1000))),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_MS),
    ]


class _Methods(grpc.GenericRpcHandler):
    """Finds a method by its path; grpcio answers UNIMPLEMENTED for the others."""

    def __init__(self, methods: dict[str, Method]) -> None:
        self._methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            path: grpc.unary_unary_rpc_method_handler(method) for path, method in methods.items()
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
        self._trusting = terms.trust
        self._limit = terms.limits.max_request_bytes

    async def export(self, message: bytes, context: Context) -> bytes:
        traffic, admission, intake = self._traffic, self._terms.admission, self._terms.intake
        traffic.wire_bytes += len(message)
        held = len(message)
        overloaded = intake.overloaded()
        if overloaded is not None:
            await self._come_again(context, overloaded.after)
        if not admission.admit(held):
            await self._come_again(context, admission.retry_after())
        try:
            body = _inflated(message, self._limit)
            if body is not message:
                if not admission.correct(held, len(message) + len(body)):
                    await self._come_again(context, admission.retry_after())
                held = len(message) + len(body)
            traffic.inflated_bytes += len(body)
            trusted = bool(self._trusting) and self._trusting.accepts(_authorization(context))
            answer = intake.take(body, _address(context.peer()), trusted=trusted)
        except errors.Malformed as error:
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except errors.TooLarge as error:
            await self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        finally:
            admission.release(held)
        if isinstance(answer, door.Overloaded):
            await self._come_again(context, answer.after)
        traffic.answered("ok")
        if not answer.rejected and not answer.message:
            return b""  # ExportMetricsServiceResponse: full success leaves partial_success unset
        return otlp.response(answer.rejected, answer.message[: door.MAX_REASON])

    async def _come_again(self, context: Context, after: float) -> NoReturn:
        message = f"too much is waiting; come again in {after:.1f} s"
        await self._refuse(context, grpc.StatusCode.UNAVAILABLE, message, after)

    async def _refuse(
        self, context: Context, code: grpc.StatusCode, message: str, after: float | None = None
    ) -> NoReturn:
        self._traffic.answered(code.name.lower())
        message = message[: door.MAX_REASON]
        details = status.encoded(code.value[0], message, retry_after=after)
        await context.abort(code, message, (("grpc-status-details-bin", details),))


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


def _authorization(context: Context) -> str | bytes | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return value
    return None


@lru_cache(maxsize=4096)  # connections live long, and parsing costs 1 µs a request
def _address(peer: str) -> str | None:
    """Return the address in grpcio's ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    family, _, rest = peer.partition(":")
    if family not in {"ipv4", "ipv6"}:
        return None
    host = unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0]
    return host.removeprefix("::ffff:") if "." in host else host


def _health(healthy: Callable[[], bool]) -> Method:
    async def check(message: bytes, context: Context) -> bytes:
        # message HealthCheckRequest { string service = 1; }
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
