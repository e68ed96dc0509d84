"""The client of a Prometheus remote-write backend, protocol 1.0.

Source: "Prometheus Remote-Write 1.0 specification".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import final

from typing_extensions import override

from common.config import shared
from common.exporters import answers, http_posting
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Encoding,
    Exporter,
    Recognition,
    Refused,
    Request,
    Retry,
    TooBig,
    Verdict,
)
from common.service.ledger import DropReason
from common.wire import compression, remote_write

_HEADERS: Mapping[str, str] = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}


@final
class RemoteWriteExporter(Exporter):
    """Converts batches to series and posts them; meant for one request in flight.

    Series must arrive in the order of time, so a destination of this kind has a concurrency of 1.
    """

    def __init__(
        self,
        poster: http_posting.Poster,
        converter: remote_write.Converter,
        now: Callable[[], float],
    ) -> None:
        self._poster, self._converter, self._now = poster, converter, now

    @override
    def recognition(self) -> Recognition:
        """Return the counters of the converter's memory."""
        known = self._converter.known
        return Recognition(
            recognised=known.recognised,
            rearranged=known.rearranged,
            learnt=known.learnt,
            evictions=known.senders.evictions,
            size=known.senders.size,
            max_bytes=known.senders.max_bytes,
        )

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Convert and compress; what remote write cannot carry is dropped with its reason."""
        converted = self._converter.convert(batch.body, int(self._now() * 1000))
        return Encoding(
            requests=tuple(
                [
                    Request(body=compression.deflate(request.body, "snappy"), points=request.points)
                    for request in converted.requests
                ]
            ),
            dropped=_reasons(converted.dropped),
        )

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt; never raises for what network or backend do."""
        answer = await self._poster.post(request.body)
        return answer if isinstance(answer, Retry) else verdict(answer, self._now())


def _reasons(dropped: Mapping[remote_write.Drop, int]) -> Mapping[DropReason, int]:
    """Translate into the ledger's words; what it has none of its own for is unsupported."""
    found: dict[DropReason, int] = {}
    for drop, points in dropped.items():
        reason = DropReason.__members__.get(drop.name, DropReason.UNSUPPORTED_TYPE)
        found[reason] = found.get(reason, 0) + points
    return found


def verdict(answer: http_posting.Answer, now: float) -> Verdict:
    """Sort an answer as the specification does; *now* is in seconds since the Unix epoch.

    2xx is final; 5xx and 429 are tried again; no other 4xx is. A 413 is not tried again either: the
    halves of the batch are other requests.
    """
    if 200 <= answer.status < 300:
        return Delivered()
    if answer.status >= 500 or answer.status == 429:
        return Retry(answer.why, answers.retry_after(answer.retry_after, now, answer.date))
    if answer.status == 413:
        return TooBig(answer.why)
    if 300 <= answer.status < 400:
        return Refused(f"{answer.why}; redirects are not followed, change the url")
    return Refused(answer.why)


@asynccontextmanager
async def connecting(
    url: str,
    *,
    headers: Mapping[str, str],
    converter: remote_write.Converter,
    attempt_timeout: float,
    tls: shared.Tls,
    user_agent: str,
    now: Callable[[], float],
) -> AsyncIterator[RemoteWriteExporter]:
    """Own the connections to *url*; *attempt_timeout* is in seconds.

    *now* answers seconds since the Unix epoch, for points without a timestamp and for dates in
    Retry-After. Raises :class:`OSError` if a file of *tls* cannot be used.
    """
    headers = {"user-agent": user_agent, **headers, **_HEADERS}
    async with http_posting.posting(
        url, headers=headers, attempt_timeout=attempt_timeout, tls=tls
    ) as poster:
        yield RemoteWriteExporter(poster, converter, now)
