"""The client of an OTLP backend over gRPC: encoded requests out, status codes in.

Source: the OTLP specification, "OTLP/gRPC"; opentelemetry/proto/collector/metrics/v1; the gRPC
protocol over HTTP/2.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, final
from urllib.parse import urlsplit

from typing_extensions import override

from common.config import shared
from common.exporters import answers, grpc_answers, grpc_channel, tls as certificates
from common.exporters.grpc_answers import Answer
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Encoding,
    Exporter,
    Refused,
    Request,
    Retry,
    TooBig,
    Verdict,
)
from common.service import address
from common.wire import compression as encodings, errors, http2, otlp

METHOD: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
DEFAULT_PORT: Final = 4317

# CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
_RETRYABLE: Final = frozenset({1, 4, 10, 11, 14, 15})


@final
class OtlpGrpcExporter(Exporter):
    """Sends batches as they are; gRPC's five bytes stand in front of each, compressed or not."""

    def __init__(
        self,
        channel: grpc_channel.Channel,
        *,
        fixed: tuple[tuple[bytes, bytes], ...],
        headers: Callable[[], Mapping[str, str]],
        compression: str,
        attempt_timeout: float,
    ) -> None:
        self._channel, self._fixed, self._headers = channel, fixed, headers
        self._timeout = attempt_timeout
        self._compression = "" if compression == "none" else compression
        self._block: tuple[Mapping[str, str], bytes] = ({}, http2.encode(fixed))

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Return *batch* as the one request that it is."""
        body: bytes = batch.body
        if self._compression:
            body = encodings.deflate(body, self._compression)
        return Encoding(requests=(Request(body=body, points=batch.points),))

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt; never raises for what network or backend do."""
        size = len(request.body)
        prefix = (b"\1" if self._compression else b"\0") + size.to_bytes(4)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._channel.call(self._headers_block(), prefix, request.body)
        except TimeoutError:
            words = f"no answer within {self._timeout:g} s; see timeout"
            answer = Answer(code=grpc_answers.DEADLINE_EXCEEDED, message=words)
        return verdict(answer)

    def _headers_block(self) -> bytes:
        headers = self._headers()
        if headers != self._block[0]:
            named = [(name.encode(), value.encode()) for name, value in headers.items()]
            self._block = (dict(headers), http2.encode([*self._fixed, *named]))
        return self._block[1]


def verdict(answer: Answer) -> Verdict:
    """Sort an answer by the specification's table."""
    if answer.code == grpc_answers.OK:
        return _delivered(answer.body)
    said = answers.line(answer.message)
    why = f"{answer.name}: {said}" if said else answer.name
    after = None if answer.details is None else answers.retry_info(answer.details)
    if answer.code == grpc_answers.RESOURCE_EXHAUSTED:
        return TooBig(why) if after is None else Retry(why, after or None)
    return Retry(why, after or None) if answer.code in _RETRYABLE else Refused(why)


def _delivered(body: bytes) -> Delivered:
    try:
        rejected, message = otlp.partial_success(body)
    except errors.Malformed as error:
        # The status says OK: the points are there, and sending them again would double them.
        return Delivered(message=f"status OK, but the answer is {answers.line(str(error))}")
    return Delivered(rejected, answers.line(message))


@asynccontextmanager
async def connecting(
    endpoint: str,
    *,
    headers: Callable[[], Mapping[str, str]],
    compression: str,
    attempt_timeout: float,
    tls: shared.Tls,
    user_agent: str,
) -> AsyncIterator[OtlpGrpcExporter]:
    """Own the connections to *endpoint*, ``http://host:port`` (no TLS) or ``https://host:port``.

    *headers* is asked at every request; names are lower case. *compression* is none, gzip, zstd or
    whatever else the backend can undo, *attempt_timeout* in seconds. Nothing is connected before
    the first request. Raises :class:`OSError` if a file of *tls* cannot be used.
    """
    parts = urlsplit(endpoint)
    where = address.Address(parts.hostname or "", parts.port or DEFAULT_PORT)
    secure = parts.scheme == "https"
    name = tls.server_name or where.host
    authority = str(address.Address(name, where.port)) if tls.server_name else str(where)
    fixed: list[tuple[bytes, bytes]] = [
        (b":method", b"POST"),
        (b":scheme", parts.scheme.encode()),
        (b":path", METHOD.encode()),
        (b":authority", authority.encode("idna" if not authority.isascii() else "ascii")),
        (b"te", b"trailers"),  # codespell:ignore te
        (b"content-type", b"application/grpc"),
        (b"user-agent", user_agent.encode()),
        (b"grpc-timeout", f"{max(1, int(attempt_timeout * 1000))}m".encode()),
    ]
    if compression != "none":
        fixed.append((b"grpc-encoding", compression.encode()))
    context = certificates.context(tls) if secure else None
    async with grpc_channel.opened(where, context, name) as channel:
        yield OtlpGrpcExporter(
            channel,
            fixed=tuple(fixed),
            headers=headers,
            compression=compression,
            attempt_timeout=attempt_timeout,
        )
