"""Runs a destination from its first moment to the last point it delivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from common.config import outputs, shared
from common.exporters.destination import Destination
from common.exporters.lanes import Lanes
from common.exporters.line import Line
from common.exporters.outcomes import Exporter
from common.exporters.slots import Slots
from common.exporters.storage import Lease
from common.service.ledger import Ledger


async def _at_once() -> None:
    """Wait for nobody."""


@asynccontextmanager
async def delivering(
    name: str,
    exporter: Exporter,
    ledger: Ledger,
    *,
    batching: shared.Batching,
    retrying: shared.Retrying,
    queue_bytes: int,
    lanes: tuple[int, int] = (1, 1),
    random: Callable[[], float],
    lease: Lease | None = None,
    buffer: outputs.Buffer | None = None,
    turn: Callable[[], Awaitable[None]] = _at_once,
) -> AsyncIterator[Destination]:
    """Run a destination called *name*, for logs, with a request in flight in each of its *lanes*.

    There are as many as the first of *lanes* says at least, and the second at most. Where the
    exporter wants series in order, each keeps to one lane; else order is kept with one lane only.
    Points offered are booked in *ledger* where their fate becomes certain; a ledger may be shared
    by several destinations. *queue_bytes* bounds all that is in memory. *random* answers numbers in
    [0, 1). With a *lease* everything goes to disk as well, as *buffer* says.
    Nothing is sent before *turn* has returned.

    Leaving normally takes no more and delivers what is held, retrying as long as the outer deadline
    allows, or until another destination wants the lease; leaving by an exception or a cancellation
    books what only memory holds as SHUTDOWN.
    """
    least, most = lanes
    ordered = exporter.identity(b"") is not None
    supply = Slots(batching, least, exporter.identity) if ordered else Line(batching, most)
    destination = Destination(
        name,
        exporter,
        ledger,
        supply=supply,
        lanes=Lanes(least, most),
        retrying=retrying,
        queue_bytes=queue_bytes,
        random=random,
        lease=lease,
        buffer=buffer,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            senders = [
                tasks.create_task(destination.work(lane, turn), name=f"deliver {name} {lane}")
                for lane in range(most)
            ]
            beside = [tasks.create_task(destination.feed(), name=f"feed {name}")]
            if least < most:
                beside.append(tasks.create_task(destination.adapt(), name=f"lanes of {name}"))
            yield destination
            destination.close()
            beside.append(tasks.create_task(destination.give_way(senders)))
            await asyncio.wait(senders)
            for task in beside:
                task.cancel()
    finally:
        destination.abandon()
