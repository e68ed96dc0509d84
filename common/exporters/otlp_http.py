"""The client of an OTLP backend over HTTP with protobuf.

Source: the OTLP specification, "OTLP/HTTP".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import final

from typing_extensions import override

from common.config import outputs, shared
from common.exporters import answers, credentials, http_posting
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
from common.wire import compression as codings, errors, otlp

DEFAULT_PATH = "/v1/metrics"

_CONTENT_TYPE = "application/x-protobuf"
_RETRYABLE = frozenset({429, 502, 503, 504})  # everything else is final


@final
class OtlpHttpExporter(Exporter):
    """Posts batches as they are, compressed once."""

    def __init__(
        self,
        poster: http_posting.Poster,
        *,
        proof: credentials.Proof,
        compression: str,
        now: Callable[[], float],
    ) -> None:
        self._poster, self._proof = poster, proof
        self._compression, self._now = compression, now

    @override
    def renew(self, output: outputs.Output) -> None:
        """Use the secrets of *output* from the next request on."""
        self._proof.renew(output)

    @override
    def proofs(self) -> Proofs:
        """Return how tokens and certificates fare."""
        return self._poster.proofs()

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Return *batch* as one compressed request."""
        body = codings.deflate(batch.body, self._compression)
        return Encoding(requests=(Request(body=body, points=batch.points),))

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt; never raises for what network or backend do."""
        answer = await self._poster.post(request.body)
        return answer if isinstance(answer, Retry) else verdict(answer, self._now())


def verdict(answer: http_posting.Answer, now: float) -> Verdict:
    """Sort an answer by the specification's table; *now* is in seconds since the Unix epoch."""
    if 200 <= answer.status < 300:
        return _delivered(answer)
    if answer.status in _RETRYABLE:
        return Retry(answer.why, answers.retry_after(answer.retry_after, now, answer.date))
    if answer.status == 413:
        return TooBig(answer.why)
    if 300 <= answer.status < 400:
        return Refused(f"{answer.why}; redirects are not followed, change the endpoint")
    return Refused(answer.why)


def _delivered(answer: http_posting.Answer) -> Delivered:
    if answer.content_type.partition(";")[0].strip().lower() != _CONTENT_TYPE:
        return Delivered()  # "OK" in plain text, or nothing: the status says it all
    try:
        rejected, message = otlp.partial_success(answer.body)
    except errors.Malformed as error:
        # The points are there, and sending them again would double them.
        return Delivered(message=f"HTTP {answer.status}, but {answers.line(str(error))}")
    return Delivered(rejected, answers.line(message))


@asynccontextmanager
async def connecting(
    url: str,
    *,
    proof: credentials.Proof,
    compression: str,
    attempt_timeout: float,
    tls: shared.Tls,
    user_agent: str,
    now: Callable[[], float],
) -> AsyncIterator[OtlpHttpExporter]:
    """Own the connections to *url*, path included.

    *proof* has the headers of each request. *compression* is one of `codings.deflate`, the
    *attempt_timeout* in seconds; *now* answers seconds since the Unix epoch, for dates in
    Retry-After. Raises :class:`OSError` if a file of *tls* cannot be used.
    """
    headers = {"user-agent": user_agent, "content-type": _CONTENT_TYPE}
    if compression != "none":
        headers["content-encoding"] = compression
    async with http_posting.posting(
        url, headers=headers, proof=proof, attempt_timeout=attempt_timeout, tls=tls
    ) as poster:
        yield OtlpHttpExporter(poster, proof=proof, compression=compression, now=now)
