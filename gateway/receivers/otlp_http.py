"""The door for OTLP over HTTP/1.1: protobuf and JSON, admitted before the body is read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import hdrs, http_exceptions, web
from typing_extensions import override

from common.service import address
from common.wire import compression, errors, otlp, otlp_json
from gateway.receivers import door, refusals, status
from gateway.receivers.refusals import JSON, PROTOBUF

PATH: Final = "/v1/metrics"
ESTIMATE: Final = 64 << 10  # bytes reserved for a body of unknown length, until it is known better
LINGER: Final = 2.0  # seconds a refused body is still read, so that the client sees the answer
BACKLOG: Final = 1024
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
)


def _is_ours(record: logging.LogRecord) -> bool:
    """Keep bytes that are not HTTP out of the log: they get a 400, and are not our error."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, http_exceptions.HttpProcessingError)


log = logging.getLogger("headgate.gateway.http")
log.addFilter(_is_ours)


@asynccontextmanager
async def serving(
    listen: str, terms: door.Terms, traffic: door.Traffic
) -> AsyncIterator[address.Address]:
    """Serve on *listen* (``host:port``); yields the address bound.

    Leaving lets requests in flight finish for ``terms.drain`` seconds. Raises :class:`OSError` when
    the address cannot be bound.
    """
    where = address.parse(listen)
    server = _Server(_Export(terms, traffic), terms, traffic)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=terms.drain)
    await runner.setup()
    try:
        site = web.TCPSite(runner, where.host, where.port, backlog=BACKLOG)
        await site.start()
        yield address.Address(where.host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


class _Server(web.Server):
    """Makes a protocol for each connection, of which there are not too many and none is silent."""

    def __init__(self, export: _Export, terms: door.Terms, traffic: door.Traffic) -> None:
        limits = terms.limits
        super().__init__(
            self._serve,
            access_log=None,
            logger=log,
            auto_decompress=False,  # inflating is ours, with a limit
            keepalive_timeout=limits.idle_timeout,
            lingering_time=LINGER,
        )
        self._export, self._traffic = export, traffic
        self._most, self._patience = limits.max_connections, limits.read_timeout
        self._silent: dict[object, asyncio.TimerHandle] = {}  # connections without a request yet

    @override
    def __call__(self) -> web.RequestHandler:
        if len(self._connections) >= self._most:
            self._traffic.answered("503")
            return _Full()  # type: ignore[return-value]  # a factory of protocols, to asyncio
        return super().__call__()

    @override
    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        loop = asyncio.get_running_loop()
        self._silent[handler] = loop.call_later(self._patience, self._too_slow, handler)

    @override
    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        super().connection_lost(handler, exc)
        self._spoke(handler)

    def _too_slow(self, handler: web.RequestHandler) -> None:
        del self._silent[handler]
        handler.force_close()

    def _spoke(self, handler: object) -> None:
        timer = self._silent.pop(handler, None)
        if timer is not None:
            timer.cancel()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._silent:
            self._spoke(request.protocol)
        return await self._export.answer(request)


class _Full(asyncio.Protocol):
    """Says that there are too many connections already, and hangs up."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(FULL)
        transport.close()


class _Export:
    """POST /v1/metrics."""

    def __init__(self, terms: door.Terms, traffic: door.Traffic) -> None:
        self._terms, self._traffic = terms, traffic

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Return the response to *request*, refusals included."""
        kind = _media_type(request)
        try:
            body = await self._take(request, kind)
        except refusals.Refusal as refusal:
            response = refusals.response(refusal, kind)
        except (ConnectionError, web.RequestPayloadError) as error:
            response = refusals.response(refusals.bad(f"the body broke off: {error}"), kind)
            response.force_close()
        else:
            response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: kind})
        self._traffic.answered(str(response.status))
        return response

    async def _take(self, request: web.BaseRequest, kind: str) -> bytes:
        encoding = _checked(request, kind)
        terms, traffic = self._terms, self._traffic
        limits, admission = terms.limits, terms.admission
        declared = request.content_length
        if declared is not None and declared > limits.max_request_bytes:
            raise refusals.too_large(f"{declared} bytes", limits.max_request_bytes)
        overloaded = terms.intake.overloaded()
        if overloaded is not None:
            raise refusals.come_again(overloaded.after)
        ticket = _Ticket(terms, ESTIMATE if declared is None else declared)
        try:
            if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
                await request.writer.write(CONTINUE)
                request.writer.output_size = 0
            body = await _read(request, ticket, limits.max_request_bytes, limits.read_timeout)
            traffic.wire_bytes += len(body)
            if encoding:
                body = _inflated(body, encoding, limits.max_request_bytes)
                ticket.grow(ticket.size + len(body))
            traffic.inflated_bytes += len(body)
            return self._hand_over(request, body, kind)
        except errors.Malformed as error:
            raise refusals.bad(str(error)) from error
        finally:
            admission.release(ticket.size)

    def _hand_over(self, request: web.BaseRequest, body: bytes, kind: str) -> bytes:
        terms = self._terms
        if kind == JSON:
            body = otlp_json.to_protobuf(body)
        trust = terms.trust
        trusted = bool(trust) and trust.accepts(request.headers.get(hdrs.AUTHORIZATION))
        answer = terms.intake.take(body, request.remote, trusted=trusted)
        if isinstance(answer, door.Overloaded):
            raise refusals.come_again(answer.after)
        respond = otlp_json.response if kind == JSON else otlp.response
        return respond(answer.rejected, answer.message[: door.MAX_REASON])


class _Ticket:
    """The bytes a request was admitted with; owed back by whoever holds it."""

    __slots__ = ("_admission", "size")

    def __init__(self, terms: door.Terms, estimate: int) -> None:
        self._admission = terms.admission
        if not self._admission.admit(estimate):
            raise refusals.come_again(self._admission.retry_after())
        self.size = estimate

    def grow(self, size: int) -> None:
        """Correct the estimate to *size*."""
        if not self._admission.correct(self.size, size):
            raise refusals.come_again(self._admission.retry_after())
        self.size = size


async def _read(request: web.BaseRequest, ticket: _Ticket, limit: int, patience: float) -> bytes:
    """Read the body, at most *limit* bytes within *patience* seconds."""
    chunks: list[bytes] = []
    size = 0
    content = request.content
    try:
        async with asyncio.timeout(patience):
            while chunk := await content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise refusals.too_large(f"more than {limit} bytes", limit)
                if size > ticket.size:
                    ticket.grow(max(size, 2 * ticket.size))
    except TimeoutError:
        raise refusals.Refusal(
            http=408,
            code=status.DEADLINE_EXCEEDED,
            message=f"the body took longer than {patience:g} s; send smaller requests",
            headers=((hdrs.CONNECTION, "close"),),
        ) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _inflated(body: bytes, encoding: str, limit: int) -> bytes:
    try:
        return compression.inflate(body, encoding, limit)
    except compression.UnknownEncoding as error:
        raise refusals.Refusal(
            http=415,
            code=status.INVALID_ARGUMENT,
            message=str(error),
            headers=((hdrs.ACCEPT_ENCODING, "gzip, deflate, zstd, snappy, identity"),),
        ) from error
    except errors.TooLarge as error:
        raise refusals.Refusal(
            http=413, code=status.RESOURCE_EXHAUSTED, message=str(error)
        ) from error


def _checked(request: web.BaseRequest, kind: str) -> str:
    """Return the content encoding ("" for none) of what is a request to us by its headers."""
    if request.path != PATH:
        raise refusals.Refusal(
            http=404,
            code=status.NOT_FOUND,
            message=f"nothing at {request.path[:100]!r}; metrics are taken at {PATH}",
        )
    if request.method != hdrs.METH_POST:
        raise refusals.Refusal(
            http=405,
            code=status.UNIMPLEMENTED,
            message=f"{request.method[:20]!r} is not for {PATH}; use POST",
            headers=((hdrs.ALLOW, hdrs.METH_POST),),
        )
    if kind not in {PROTOBUF, JSON}:
        raise refusals.Refusal(
            http=415,
            code=status.INVALID_ARGUMENT,
            message=f"content type {kind[:100]!r} is not known here; use {PROTOBUF} or {JSON}",
        )
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    return "" if encoding == "identity" else encoding


def _media_type(request: web.BaseRequest) -> str:
    """Return the media type without its parameters, which say nothing to us."""
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
