"""The former destination sends what it has before the next one begins, unless it cannot."""

import asyncio

from common.config.shared import Batching
from common.exporters.delivery import delivering
from common.service.ledger import Ledger
from gateway import handover
from tests.common.exporters.test_delivery import HANG, PATIENT, Scripted, give


def destination(exporter: Scripted, ledger: Ledger, before: asyncio.Event | None):
    return delivering(
        "shop",
        exporter,
        ledger,
        batching=Batching(linger=0.0),
        retrying=PATIENT,
        queue_bytes=1 << 20,
        random=lambda: 0.5,
        turn=lambda: handover.wait(before),
    )


async def former(turns: handover.Handover, exporter: Scripted, ledger: Ledger, seconds: float):
    with turns.turn("shop", "http://x") as before:
        async with destination(exporter, ledger, before) as entered:
            give(entered, ledger, 1.0)
            await asyncio.sleep(seconds)


async def test_the_first_waits_for_nobody_nor_does_one_that_sends_elsewhere(clock) -> None:
    turns = handover.Handover()
    with (
        turns.turn("shop", "http://x") as first,
        turns.turn("shop", "http://y") as elsewhere,
        turns.turn("other", "http://x") as other,
    ):
        assert (first, elsewhere, other) == (None, None, None)
    with turns.turn("shop", "http://x") as later:
        assert later is None
    await handover.wait(None)
    assert clock() == 0.0


async def test_the_next_sends_when_the_former_has_ended() -> None:
    turns, ledger = handover.Handover(), Ledger("p")
    slow, quick = Scripted(seconds=2.0), Scripted()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(former(turns, slow, ledger, 1.0))
        await asyncio.sleep(0.5)
        with turns.turn("shop", "http://x") as before:
            async with destination(quick, ledger, before) as entered:
                give(entered, ledger, 2.0)
    assert (slow.values, quick.values) == ([1.0], [2.0])
    assert quick.attempts[0][0] >= slow.attempts[0][0] + 2.0


async def test_one_that_cannot_send_holds_the_next_up_for_some_seconds_only() -> None:
    turns, ledger = handover.Handover(), Ledger("p")
    stuck, quick = Scripted([HANG]), Scripted()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(former(turns, stuck, ledger, 1000.0))
        await asyncio.sleep(0.5)
        with turns.turn("shop", "http://x") as before:
            async with destination(quick, ledger, before) as entered:
                give(entered, ledger, 2.0)
        task.cancel()
    ((at, _),) = quick.attempts
    assert at == 0.5 + handover.PATIENCE
    assert ledger.balance() == 0
