"""How one load is sent: prepared, cut where it must be, tried until its fate is certain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

from common.config import shared
from common.exporters import backoff, cutting, loads
from common.exporters.account import Account
from common.exporters.loads import Load, Supply
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Encoding,
    Exporter,
    Request,
    Retry,
    TooBig,
    Verdict,
)
from common.exporters.reporting import Reporter
from common.service.ledger import DropReason

_CANNOT_CARRY: Final = "the destination cannot be told them"
_LEAST_BATCH: Final = 64 << 10  # bytes; every backend takes that much, so less is not learnt


@final
class Sender:
    """Sends loads of one destination, any number at a time."""

    def __init__(
        self,
        exporter: Exporter,
        account: Account,
        reporter: Reporter,
        supply: Supply,
        retrying: shared.Retrying,
        *,
        now: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.attempts = 0  # requests sent so far, repetitions included
        self.retries = 0  # of these, repetitions
        self._exporter, self._account, self._reporter = exporter, account, reporter
        self._supply, self._retrying = supply, retrying
        self._now, self._random = now, random
        self._last_attempt = float("-inf")

    async def send(self, load: Load) -> None:
        """Send *load*, and book each of its points when its fate is certain."""
        batch = load.batch
        if self._is_hopeless(batch):
            why = self._reporter.condition.last_error
            self._account.drop(load, batch.points, DropReason.TOO_OLD, why)
            return
        prepared = self._exporter.prepare(batch)
        self._account.drop_all(load, prepared.dropped, _CANNOT_CARRY)
        if prepared.batch.points != load.left:
            raise RuntimeError(f"BUG: {batch.points} points were prepared as something else")
        if not load.left:
            return
        for piece in loads.cut(prepared.batch, self._supply.max_bytes):
            await self._deliver(load, piece)
        if load.left:
            raise RuntimeError(f"BUG: the fate of {load.left} points of a batch is unknown")

    def _is_hopeless(self, batch: Batch) -> bool:
        # Every batch gets its attempt, however old; but what aged behind one that was tried in vain
        # a moment ago does not take its time to time out as well.
        now = self._now()
        just_tried = now - self._last_attempt < self._retrying.initial
        return self._reporter.failing and just_tried and now - batch.oldest > self._retrying.max_age

    async def _deliver(self, load: Load, batch: Batch) -> None:
        cutter = cutting.Cutter(batch)
        why, passed = "", False
        while True:
            piece, lost = cutter.take()
            if lost:
                self._account.drop(load, lost, DropReason.TOO_LARGE, why)
            if piece is None:
                break
            verdict = await self._send(load, piece)
            if isinstance(verdict, TooBig):
                why = verdict.why
                cutter.refuse(piece)
            else:
                passed = passed or isinstance(verdict, Delivered)
        if cutter.refused is not None and passed:
            # Only now is it certain that size was what the backend minded.
            limit = max(_LEAST_BATCH, cutter.refused // 2)
            if limit < self._supply.max_bytes:
                self._supply.max_bytes = limit
                self._reporter.narrowed(limit, cutter.refused, why)

    async def _send(self, load: Load, batch: Batch) -> Verdict | None:
        """Send all requests of *batch* and book them; a `TooBig` has booked nothing."""
        encoding = self._exporter.encode(batch)
        _check(encoding, batch)
        verdict: Verdict | None = None
        for index, request in enumerate(encoding.requests):
            verdict = await self._persist(request, batch.oldest)
            if index == 0:
                if isinstance(verdict, TooBig):
                    return verdict
                self._account.drop_all(load, encoding.dropped, _CANNOT_CARRY)
            self._account.book(load, request.points, verdict)
        if not encoding.requests:
            self._account.drop_all(load, encoding.dropped, _CANNOT_CARRY)
        # Only a first request may still be cut: of the later ones' batch, parts were booked.
        return None if isinstance(verdict, TooBig) else verdict

    async def _persist(self, request: Request, oldest: float) -> Verdict:
        """Send *request* until its fate is certain; a `Retry` means that it grew too old."""
        attempts = 0
        while True:
            attempts += 1
            self.attempts += 1
            verdict = await self._exporter.send(request)
            self._last_attempt = self._now()
            if not isinstance(verdict, Retry):
                return verdict
            self._reporter.failed(verdict.why)
            pause = backoff.pause(
                self._retrying,
                attempts=attempts,
                after=verdict.after,
                age=self._now() - oldest,
                random=self._random,
            )
            if pause is None:
                return verdict
            await asyncio.sleep(pause)
            self.retries += 1


def _check(encoding: Encoding, batch: Batch) -> None:
    found = sum(request.points for request in encoding.requests) + sum(encoding.dropped.values())
    if found != batch.points:
        raise RuntimeError(f"BUG: {batch.points} points were encoded as {found}")
