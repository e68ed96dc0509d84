"""The client of an OTLP backend over gRPC: encoded requests out, status codes in.

Source: the OTLP specification, "OTLP/gRPC"; opentelemetry/proto/collector/metrics/v1; the gRPC
protocol over HTTP/2.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, final
from urllib.parse import urlsplit

from typing_extensions import override

from common.config import outputs, shared
from common.exporters import (
    answers,
    credentials,
    grpc_answers,
    grpc_channel,
    tls as certificates,
)
from common.exporters.grpc_answers import Answer
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Encoding,
    Exporter,
    Proofs,
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

# A gRPC peer calls snappy what is framed; a block of it is what remote write has.
_CODINGS: Final = {"snappy": "x-snappy-framed"}

# CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
_RETRYABLE: Final = frozenset({1, 4, 10, 11, 14, 15})


@final
class OtlpGrpcExporter(Exporter):
    """Sends batches as they are; gRPC's five bytes stand in front of each, compressed or not."""

    def __init__(
        self,
        channel: grpc_channel.Channel,
        trusted: certificates.Certificates | None,
        *,
        fixed: tuple[tuple[bytes, bytes], ...],
        proof: credentials.Proof,
        compression: str,
        attempt_timeout: float,
    ) -> None:
        self._channel, self._fixed, self._proof = channel, fixed, proof
        self._trusted = trusted
        self._timeout = attempt_timeout
        self._compression = "" if compression == "none" else compression
        self._block: tuple[Mapping[str, str], bytes] = ({}, http2.encode(fixed))

    @override
    def renew(self, output: outputs.Output) -> None:
        """Use the secrets of *output* from the next request on."""
        self._proof.renew(output)

    @override
    def proofs(self) -> Proofs:
        """Return how tokens and certificates fare."""
        proofs = self._proof.proofs()
        return proofs if self._trusted is None else proofs.plus(self._trusted.proofs())

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Return *batch* as the one request that it is."""
        body: bytes = batch.body
        if self._compression:
            coding = _CODINGS.get(self._compression, self._compression)
            body = encodings.deflate(body, coding)
        return Encoding(requests=(Request(body=body, points=batch.points),))

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt; never raises for what network or backend do.

        When the backend does not believe our token, and another can be had, it is made twice.
        """
        answer = await credentials.proven(
            self._proof, lambda headers: self._attempt(request.body, headers), unauthenticated
        )
        if isinstance(answer, Retry):
            return answer
        return verdict(answer, self._compression, patient=self._proof.patient)

    async def _attempt(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        prefix = (b"\1" if self._compression else b"\0") + len(body).to_bytes(4)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._channel.call(self._headers_block(headers), prefix, body)
        except TimeoutError:
            words = f"no answer within {self._timeout:g} s; see timeout"
            return Answer(code=grpc_answers.DEADLINE_EXCEEDED, message=words)
        return blotted(answer, headers)

    def _headers_block(self, headers: Mapping[str, str]) -> bytes:
        if headers is not self._block[0] and headers != self._block[0]:
            named = [(name.encode(), value.encode()) for name, value in headers.items()]
            self._block = (dict(headers), http2.encode([*self._fixed, *named]))
        return self._block[1]


def unauthenticated(answer: Answer) -> bool:
    """Say whether the backend did not believe who we are."""
    return answer.code == grpc_answers.UNAUTHENTICATED


def blotted(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """Return *answer* with words that do not repeat secrets of *headers*."""
    if not answer.message:
        return answer
    said = answer.message.encode(errors="replace")
    said = credentials.blotted(said, credentials.secrets_of(headers))
    return replace(answer, message=said.decode())


def verdict(answer: Answer, encoding: str = "", *, patient: bool = False) -> Verdict:
    """Sort an answer by the specification's table; *encoding* is the one of the request, if any.

    Not to be believed is final there; it is not for who is *patient*, as another token will come.
    """
    if answer.code == grpc_answers.OK:
        return _delivered(answer.body)
    said = answers.line(answer.message)
    why = f"{answer.name}: {said}" if said else answer.name
    if encoding and answer.code in {grpc_answers.UNIMPLEMENTED, grpc_answers.INTERNAL}:
        why += _remedy(answer, encoding)
    after = None if answer.details is None else answers.retry_info(answer.details)
    if answer.code == grpc_answers.RESOURCE_EXHAUSTED:
        return TooBig(why) if after is None else Retry(why, after or None)
    if answer.code in _RETRYABLE or (patient and unauthenticated(answer)):
        return Retry(why, after or None)
    return Refused(why)


def _remedy(answer: Answer, encoding: str) -> str:
    """Say what to do if the answer means that the backend cannot undo *encoding*."""
    # gRPC has no code for it: an unknown encoding is UNIMPLEMENTED like an unknown method, and
    # some servers answer INTERNAL.
    least = "none" if encoding == "gzip" else "gzip or none"
    said = answer.message.lower()
    if "compress" in said or "encoding" in said:
        return f"; the backend cannot undo compression {encoding}, set compression: {least}"
    if answer.code == grpc_answers.UNIMPLEMENTED:
        return f"; if the backend cannot undo compression {encoding}, set compression: {least}"
    return ""


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
    proof: credentials.Proof,
    compression: str,
    attempt_timeout: float,
    tls: shared.Tls,
    user_agent: str,
) -> AsyncIterator[OtlpGrpcExporter]:
    """Own the connections to *endpoint*, ``http://host:port`` (no TLS) or ``https://host:port``.

    *proof* has the headers of each request. *compression* is none, gzip, zstd or snappy, whatever
    the backend can undo, *attempt_timeout* in seconds. Nothing is connected before the first
    request. Raises :class:`OSError` if a file of *tls* cannot be used.
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
    now = asyncio.get_running_loop().time()
    trusted = certificates.Certificates(tls, now=now, alpn=("h2",)) if secure else None
    async with grpc_channel.opened(where, trusted, name) as channel:
        yield OtlpGrpcExporter(
            channel,
            trusted,
            fixed=tuple(fixed),
            proof=proof,
            compression=compression,
            attempt_timeout=attempt_timeout,
        )
