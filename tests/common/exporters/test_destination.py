"""What a destination takes is bounded, and how it stands can be seen."""

import asyncio

import pytest

from common.config.shared import Batching
from common.service.ledger import DropReason
from tests.common.exporters.test_delivery import (
    HANG,
    Scripted,
    Watched,
    ended_by,
    fate,
    give,
    running,
)
from tests.fakes import points


async def test_the_bound_covers_what_waits_what_is_batched_and_what_is_being_sent() -> None:
    exporter, ledger = Scripted([HANG]), Watched("p")
    size = len(points.request([1.0]))
    small = Batching(max_bytes=size, linger=1.0)
    with ended_by(TimeoutError):
        async with (
            asyncio.timeout(50),
            running(exporter, ledger, batching=small, queue_bytes=3 * size) as destination,
        ):
            taken = []
            for value in range(5):
                taken.append(give(destination, ledger, float(value)))
                await asyncio.sleep(1)
                assert destination.bytes_held <= 3 * size
            assert taken == [True, True, True, False, False]
            assert destination.stats().oldest_age == pytest.approx(5.0)
            assert destination.stats().points_held == ledger.held == 3
    assert fate(ledger) == {
        "delivered": 0,
        "held": 0,
        DropReason.INBOX_FULL: 2,
        DropReason.SHUTDOWN: 3,
    }


async def test_a_body_larger_than_the_queue_is_taken_when_nothing_is_held() -> None:
    exporter, ledger = Scripted(), Watched("p")
    async with running(exporter, ledger, queue_bytes=10) as destination:
        assert give(destination, ledger, 1.0)
        assert not give(destination, ledger, 2.0)
    assert fate(ledger) == {"delivered": 1, "held": 0, DropReason.INBOX_FULL: 1}
