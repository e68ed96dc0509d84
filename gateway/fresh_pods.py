"""Runs the holding of fresh pods' data: the clock, the informer's news, and what goes on when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from common.config import gateway
from common.enrichment import association, pods
from common.kube import reflector
from common.service.telemetry import Reading, labelled, single
from gateway.holding import Holding, Parcel
from gateway.kubernetes import Knowledge

log = logging.getLogger("headgate.gateway.fresh_pods")

PassOn = Callable[[Parcel], int]
"""Sends a parcel on; returns the points that no pipeline was there for."""
NAME: Final = "headgate_gateway_fresh_pod"


class Doorstep:
    """Where the intake leaves data whose pod is not known yet; made by anybody, run by `keeping`.

    Before and after `keeping`, and while the API server does not answer, nothing waits.
    """

    def __init__(self, config: gateway.Enrichment, known: Knowledge) -> None:
        self._known = known
        self._now = asyncio.get_running_loop().time
        self._wanted = config.fresh_pod_hold > 0 and known.informer is not None
        self._open = False
        self._waiting = asyncio.Event()
        self.holding = Holding(
            known.index,
            seconds=config.fresh_pod_hold,
            max_bytes=config.fresh_pod_bytes,
            memo_bytes=config.fresh_pod_memo_bytes,
        )

    def waits(self, missing: association.Missing) -> bool:
        """Say whether data of the pod that is *missing* shall be held."""
        return self._open and self.holding.waits(missing, informed=self._known.informed)

    def hold(self, missing: association.Missing, parcel: Parcel) -> Sequence[Parcel]:
        """Take *parcel*; return what must go on at once, in order."""
        self._waiting.set()
        return self.holding.hold(missing, parcel, self._now())

    def waiting(self, identity: association.Identity) -> dict[str, object] | None:
        """Return what waits for *identity*, as plain values, or ``None``."""
        found = self.holding.waiting(identity, self._now())
        if found is None:
            return None
        return {"points": found.points, "bytes": found.size, "seconds_left": found.seconds}

    def in_vain(self, identity: association.Identity) -> bool:
        """Say whether *identity* was waited for in vain."""
        return self.holding.in_vain(identity)

    def page(self) -> dict[str, object]:
        """Return the account of what waits and waited, for ``/debug/ledger``."""
        holding = self.holding
        return {
            "taken": holding.taken,
            "held": holding.points,
            "released": sum(holding.released.values()),
            "balance": holding.balance(),
            "released_by": {why: n for why, n in holding.released.items() if n},
        }

    def readings(self) -> Iterable[Reading]:
        """Return the own metrics of waiting."""
        holding = self.holding
        for name, words, value in (
            ("held_points", "Data points that wait for their pod to become known.", holding.points),
            ("held_bytes", "Bytes of such data, with what keeping it costs.", holding.size),
            ("held_limit_bytes", "The most bytes of such data.", holding.max_bytes),
            ("memo_bytes", "Bytes of identities waited for in vain.", holding.vain.size),
            ("memo_limit_bytes", "The most bytes of such identities.", holding.vain.max_bytes),
        ):
            yield single("gauge", f"{NAME}_{name}", words, value)
        words = "Data points that waited and went on, by what ended the wait."
        name = f"{NAME}_released_points_total"
        yield labelled("counter", name, words, "why", holding.released)
        words = "Identities waited for in vain that were forgotten for lack of room."
        name = f"{NAME}_memo_evictions_total"
        yield single("counter", name, words, holding.vain.evictions)

    def open(self) -> None:
        """Let data wait from now on."""
        self._open = self._wanted

    def close(self) -> list[Parcel]:
        """Let nothing wait any more; return what does."""
        self._open = False
        return self.holding.empty()

    async def expired(self) -> list[Parcel]:
        """Wait until something has waited long enough; return that, or nothing now and then."""
        due = self.holding.due
        if due is None:
            self._waiting.clear()
            await self._waiting.wait()
            return []
        await asyncio.sleep(due - self._now())
        return self.holding.expire(self._now())


@asynccontextmanager
async def keeping(doorstep: Doorstep, known: Knowledge, pass_on: PassOn) -> AsyncIterator[None]:
    """Let data wait on *doorstep*; what has waited is given to *pass_on*.

    A pod that becomes known releases its data before the informer tells the next thing, and so
    before any later request. Leaving, in whatever way, passes on all that waits; the destinations
    must still be there.
    """

    def send(parcels: Iterable[Parcel]) -> None:
        lost = sum([pass_on(parcel) for parcel in parcels])
        if lost:
            log.error("held points lost: no pipeline is configured", extra={"points": lost})

    def changed(change: reflector.Change[pods.PodFacts]) -> None:
        send(doorstep.holding.changed(change))

    async def expire() -> None:
        while True:
            send(await doorstep.expired())

    async with asyncio.TaskGroup() as tasks:
        expiring = tasks.create_task(expire(), name="fresh pods")
        known.listeners.append(changed)
        doorstep.open()
        try:
            yield
        finally:
            known.listeners.remove(changed)
            expiring.cancel()
            send(doorstep.close())
