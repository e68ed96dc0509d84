"""The client of a Prometheus remote-write backend, in 1.0, or in 2.0 where the backend knows it.

Sources: "Prometheus Remote-Write 1.0 specification", "Prometheus Remote-Write 2.0 specification".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import final
from urllib.parse import urlsplit

from typing_extensions import override

from common.config import outputs, shared
from common.exporters import credentials, http_posting, remote_write_versions as versions
from common.exporters.outcomes import (
    Batch,
    Encoding,
    Exporter,
    Proofs,
    Recognition,
    Request,
    Retry,
    Verdict,
)
from common.service.ledger import DropReason
from common.wire import compression, remote_write, remote_write_v2


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
        *,
        proof: credentials.Proof,
        encoder: remote_write_v2.Encoder | None = None,
        host: str = "",
    ) -> None:
        self._poster, self._converter, self._now = poster, converter, now
        self._proof = proof
        self._encoder, self._spoken = encoder, versions.Spoken()
        self._clock = asyncio.get_running_loop().time
        self._log = logging.getLogger("headgate.exporters.remote_write").getChild(host)

    @override
    def renew(self, output: outputs.Output) -> None:
        """Use the secrets of *output* from the next request on."""
        self._proof.renew(output)

    @override
    def proofs(self) -> Proofs:
        """Return how tokens and certificates fare."""
        return self._poster.proofs()

    @override
    def recognition(self) -> Recognition:
        """Return the counters of the converter's memory, and of what 2.0 remembers besides."""
        known, book = self._converter.known, self._encoder and self._encoder.book
        return Recognition(
            recognised=known.recognised,
            rearranged=known.rearranged,
            learnt=known.learnt,
            evictions=known.senders.evictions + (book.evictions if book else 0),
            size=known.senders.size + (book.size if book else 0),
            max_bytes=known.senders.max_bytes + (book.max_bytes if book else 0),
            exemplars_dropped=self._converter.exemplars_dropped,
        )

    @override
    def identity(self, resource: bytes, /) -> bytes:
        """Return job and instance, which tell the series of a Resource from those of others."""
        return self._converter.identity(resource)

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Convert and compress; what remote write cannot carry is dropped with its reason."""
        converted = self._converter.convert(batch.body, int(self._now() * 1000))
        return Encoding(
            requests=tuple([self._request(made) for made in converted.requests]),
            dropped=_reasons(converted.dropped),
        )

    def _request(self, made: remote_write.Request) -> Request:
        if self._encoder is None:
            return Request(body=compression.deflate(made.body, "snappy"), points=made.points)
        body = bytes(made.body)
        if not self._spoken.is_v2(self._clock()):
            older = self._encoder.downgrade(body)
            return Request(body=compression.deflate(older, "snappy"), points=made.points)
        newer = self._encoder.encode(body)
        return Request(
            body=compression.deflate(newer.body, "snappy"),
            points=made.points,
            draft=remote_write_v2.Draft(body=body, counts=newer.counts),
        )

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt; never raises for what network or backend do.

        If it turns out that the backend does not know 2.0, it is made again in 1.0.
        """
        body, draft = request.body, request.draft
        if draft is not None and self._encoder is not None:
            if self._spoken.is_v2(self._clock()):
                said = await self._send_v2(body, request.points, draft.counts)
                if not isinstance(said, versions.OtherVersion):
                    return said
                self._note_refusal(said.why)
            body = compression.deflate(self._encoder.downgrade(draft.body), "snappy")
        answer = await self._poster.post(body, versions.V1)
        return answer if isinstance(answer, Retry) else versions.verdict_v1(answer, self._now())

    async def _send_v2(
        self, body: bytes, points: int, counts: remote_write_v2.Counts
    ) -> Verdict | versions.OtherVersion:
        answer = await self._poster.post(body, versions.V2)
        if isinstance(answer, Retry):
            return answer
        verdict = versions.verdict_v2(answer, self._now(), points=points, counts=counts)
        taken = 200 <= answer.status < 300 and not isinstance(verdict, versions.OtherVersion)
        if taken and self._spoken.take():
            self._log.warning("the backend knows remote write 2.0 now, which is spoken again")
        return verdict

    def _note_refusal(self, why: str) -> None:
        if self._spoken.refuse(self._clock()):
            extra = {"why": why, "again_after_seconds": versions.FORGET_AFTER}
            self._log.warning(
                "the backend does not know remote write 2.0; 1.0 is spoken, which has no start "
                "times",
                extra=extra,
            )


def _reasons(dropped: Mapping[remote_write.Drop, int]) -> Mapping[DropReason, int]:
    """Translate into the ledger's words; what it has none of its own for is unsupported."""
    found: dict[DropReason, int] = {}
    for drop, points in dropped.items():
        reason = DropReason.__members__.get(drop.name, DropReason.UNSUPPORTED_TYPE)
        found[reason] = found.get(reason, 0) + points
    return found


@asynccontextmanager
async def connecting(
    url: str,
    *,
    proof: credentials.Proof,
    converter: remote_write.Converter,
    attempt_timeout: float,
    tls: shared.Tls,
    user_agent: str,
    now: Callable[[], float],
    encoder: remote_write_v2.Encoder | None = None,
) -> AsyncIterator[RemoteWriteExporter]:
    """Own the connections to *url*; *attempt_timeout* is in seconds.

    With an *encoder* 2.0 is spoken, unless the backend does not know it; what *converter* makes may
    have start times then.

    *proof* has the headers of each request. *now* answers seconds since the Unix epoch, for points
    without a timestamp and for dates in Retry-After. Raises :class:`OSError` if a file of *tls*
    cannot be used.
    """
    headers = {"user-agent": user_agent}
    async with http_posting.posting(
        url, headers=headers, proof=proof, attempt_timeout=attempt_timeout, tls=tls
    ) as poster:
        host = urlsplit(url).hostname or ""
        yield RemoteWriteExporter(poster, converter, now, proof=proof, encoder=encoder, host=host)
