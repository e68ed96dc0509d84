"""Memory of targets that are gone goes back to the kernel, not only to the C library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from agent import targets
from common.service import memory

PAUSE: Final = 5.0  # seconds; who goes does not go alone, and lets go of its memory a moment later
OnTargets = Callable[[Mapping[str, targets.Target]], None]


@asynccontextmanager
async def relieving(
    update: OnTargets, give_back: Callable[[], None] = memory.give_back
) -> AsyncIterator[OnTargets]:
    """Yield what calls *update* and, `PAUSE` after targets have gone, *give_back*.

    glibc keeps what is freed between pieces that are not: of 29 MB that 100 targets of 500 series
    took, 29 stayed with the process, and 4 after this (``agent-rss-after`` of `bench.throughput`).
    """
    gone = asyncio.Event()
    known: frozenset[str] = frozenset()

    def updating(wanted: Mapping[str, targets.Target]) -> None:
        nonlocal known
        update(wanted)
        if known - wanted.keys():
            gone.set()
        known = frozenset(wanted)

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_giving_back(gone, give_back))
        try:
            yield updating
        finally:
            waiting.cancel()


async def _giving_back(gone: asyncio.Event, give_back: Callable[[], None]) -> None:
    while True:
        await gone.wait()
        await asyncio.sleep(PAUSE)
        gone.clear()
        give_back()
