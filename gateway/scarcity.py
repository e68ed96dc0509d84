"""Keeps the process below what its cgroup allows: while memory is scarce, clients have to wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from common.service import memory
from common.service.memory import Memory
from common.service.telemetry import Reading, single
from gateway.receivers.admission import Admission

log = logging.getLogger("headgate.gateway.memory")

# Seconds between two looks. What is admitted in that time is bounded as well, by
# limits.max_in_flight_bytes; a look costs 60 µs, a ten-thousandth of one core.
EVERY: Final = 0.5
TRIM: Final = (
    20  # looks, while memory is scarce, until the C library is asked again to give some up
)


class Scarcity:
    """Tells *admission* whether more than *fraction* of what *read* says may be used is in use."""

    def __init__(
        self,
        admission: Admission,
        fraction: float,
        read: Callable[[], Memory],
        give_back: Callable[[], None] = memory.give_back,
    ) -> None:
        self._admission, self._fraction = admission, fraction
        self._read, self._give_back = read, give_back
        self._looks = 0  # since memory became scarce
        self.last = read()

    async def follow(self) -> None:
        """Look now and then, for ever."""
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """Look once."""
        found = self._read()
        before = self._admission.scarce
        if memory.scarce(found, self._fraction, before=before):
            if self._looks % TRIM == 0:
                # What looks used may be free, but kept by the C library: then it would stay scarce.
                self._give_back()
                found = self._read()
            self._looks += 1
        now = memory.scarce(found, self._fraction, before=before)
        self.last, self._admission.scarce = found, now
        if not now:
            self._looks = 0
        if now != before:
            words = {"used_bytes": found.used, "limit_bytes": found.limit}
            if now:
                log.warning("memory is scarce, clients are told to wait", extra=words)
            else:
                log.info("memory suffices again", extra=words)

    def readings(self) -> Iterable[Reading]:
        """Return what was found last."""
        limit = inf if self.last.limit is None else self.last.limit
        yield single(
            "gauge",
            "headgate_gateway_memory_used_bytes",
            "Bytes of memory in use, as the cgroup counts it without file cache; of the process "
            "alone where nothing is limited.",
            self.last.used,
            "max",
        )
        yield single(
            "gauge",
            "headgate_gateway_memory_limit_bytes",
            "Bytes of memory that the cgroup allows; infinite where nothing is limited.",
            limit,
            "max",
        )
