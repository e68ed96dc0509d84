"""What real receivers hold of deltas is their totals: every series, every sample, nothing else."""

import asyncio
from pathlib import Path

import pytest

from common.service import clock
from tests.flow import programs, read_back, read_back_deltas
from tests.flow.test_read_back import (
    REFEREES,
    Referee,
    Strict,
    agree,
    compare,
    compare_samples,
    pushing,
    settled,
    writing,
)

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(120)]

RESOURCES = 6  # of each sender


@pytest.mark.parametrize("referee", REFEREES)
async def test_a_receiver_holds_the_totals_of_the_deltas_that_were_pushed(
    tmp_path: Path, referee: Referee
) -> None:
    expected = read_back.Expected()
    begin = int(clock.unix_seconds() * 1000) - 60_000
    senders = {
        who: read_back_deltas.Sender(who, RESOURCES, begin, expected) for who in ("grpc", "http")
    }
    async with referee.store(tmp_path) as store:
        async with programs.gateway(tmp_path, writing(store, read_back_deltas.OUTPUT)) as gateway:
            async with pushing(gateway) as doors, asyncio.TaskGroup() as tasks:
                for who, sender in senders.items():
                    tasks.create_task(push_all(getattr(doors, who), sender))
            await settled(gateway, expected)
            ledger = await gateway.ledger("p")
            own = await programs.metrics(gateway)
        held = await store.held()
    agree(ledger, expected)
    assert expected.dropped == {"out_of_order": 2 * RESOURCES}
    assert own['headgate_gateway_series{pipeline="p"}'] == 5 * 2 * RESOURCES
    compare_samples(held, expected, referee)
    natives = expected.held.histograms if referee.natives else {}
    compare(held.histograms, natives, referee.same_native)
    if isinstance(store, Strict):
        assert store.metadata() == expected.metadata


async def push_all(push, sender: read_back_deltas.Sender) -> None:
    for n in range(read_back.SENDS):
        await push(sender.request(n), n)
