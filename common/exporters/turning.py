"""An exporter whose batches are brought to the temporality that its backend wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from typing_extensions import override

from common.config import outputs
from common.exporters.outcomes import (
    Batch,
    Encoding,
    Exporter,
    Prepared,
    Recognition,
    Request,
    Verdict,
)
from common.service.ledger import DropReason
from common.wire import temporality


@final
class TurningExporter(Exporter):
    """Turns each batch once, when it is prepared; all else is done by the exporter within.

    A batch that is lost afterwards needs no undoing: totals that come later include what was in it,
    and between deltas it is a gap, which their start times tell.
    """

    def __init__(
        self, within: Exporter, turner: temporality.Turner, now: Callable[[], float]
    ) -> None:
        self._within, self._turner, self._now = within, turner, now

    @override
    def recognition(self) -> Recognition | None:
        """Return what the exporter within does."""
        return self._within.recognition()

    @override
    def series(self) -> temporality.Stats:
        """Return what is remembered of series."""
        return self._turner.stats()

    @override
    def identity(self, resource: bytes) -> bytes | None:
        """Return what the exporter within does."""
        return self._within.identity(resource)

    @override
    def renew(self, output: outputs.Output) -> None:
        """Have the exporter within use the secrets of *output*."""
        self._within.renew(output)

    @override
    def prepare(self, batch: Batch) -> Prepared:
        """Turn the points of *batch*, then have the exporter within prepare what is left."""
        turned = self._turner.convert(batch.body, batch.points, self._now())
        prepared = self._within.prepare(
            Batch(body=turned.body, points=turned.points, oldest=batch.oldest)
        )
        dropped = dict(prepared.dropped)
        for why, points in turned.dropped.items():
            reason = DropReason[why.name]
            dropped[reason] = dropped.get(reason, 0) + points
        return Prepared(batch=prepared.batch, dropped=dropped)

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Return what the exporter within does."""
        return self._within.encode(batch)

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt with the exporter within."""
        return await self._within.send(request)
