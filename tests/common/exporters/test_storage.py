"""With a buffer nothing is lost that the disk took: a crash, a full memory, a new destination."""

import asyncio
from contextlib import asynccontextmanager, suppress

from hypothesis import given, settings as hypothesis_settings, strategies as st

from common.config.outputs import Buffer
from common.config.shared import Batching
from common.exporters.delivery import delivering
from common.exporters.outcomes import Delivered, Refused, Retry
from common.service.ledger import DropReason
from tests.common.exporters.test_delivery import (
    HANG,
    PATIENT,
    QUICK,
    Scripted,
    Watched,
    ended_by,
    fate,
    give,
)
from tests.fakes import points
from tests.fakes.logs import Lease, Memory

SIZE = len(points.request([1.0]))
ONE_EACH = Batching(max_bytes=1, linger=0.0)


def stored(
    exporter: Scripted,
    ledger: Watched,
    lease: Lease,
    *,
    order: str = "oldest",
    queue_bytes: int = 1 << 20,
    batching: Batching = QUICK,
    lanes: tuple[int, int] = (1, 1),
):
    return delivering(
        "shop",
        exporter,
        ledger,
        batching=batching,
        retrying=PATIENT,
        queue_bytes=queue_bytes,
        lanes=lanes,
        random=lambda: 0.5,
        lease=lease,
        buffer=Buffer(dir="anywhere", order=order),
    )


@asynccontextmanager
async def given_up(seconds: float):
    """The block is left by a timeout, as at the end of the grace period."""
    with ended_by(TimeoutError):
        async with asyncio.timeout(seconds):
            yield


async def test_what_is_delivered_is_settled() -> None:
    exporter, ledger, log = Scripted(), Watched("p"), Memory()
    async with stored(exporter, ledger, Lease(log)) as destination:
        await asyncio.sleep(0)
        for value in range(5):
            give(destination, ledger, float(value))
        assert destination.stats().points_held == 5
        await asyncio.sleep(2)
        assert (log.points, log.unread) == (0, 0)
    assert fate(ledger) == {"delivered": 5, "held": 0}
    assert ledger.stored == 0


async def test_what_memory_has_no_room_for_is_read_from_disk_in_order() -> None:
    exporter, ledger, log = Scripted(seconds=1.0), Watched("p"), Memory()
    async with stored(
        exporter, ledger, Lease(log), queue_bytes=3 * SIZE, batching=ONE_EACH
    ) as destination:
        await asyncio.sleep(0)
        for value in range(20):
            give(destination, ledger, float(value))
        assert destination.bytes_held <= 3 * SIZE
        assert log.unread > 10
    assert exporter.values == list(map(float, range(20)))
    assert fate(ledger) == {"delivered": 20, "held": 0}


async def test_what_comes_while_the_disk_is_read_does_not_overtake() -> None:
    exporter, ledger, log = Scripted(), Watched("p"), Memory(reading=5.0)
    async with stored(
        exporter, ledger, Lease(log), queue_bytes=2 * SIZE, batching=ONE_EACH
    ) as destination:
        await asyncio.sleep(0)
        for value in range(30):
            give(destination, ledger, float(value))
            await asyncio.sleep(0.5)
    assert exporter.values == list(map(float, range(30)))


async def test_newest_first_sends_what_is_new_before_the_backlog() -> None:
    exporter, ledger, log = Scripted(seconds=1.0), Watched("p"), Memory()
    for value in range(10):
        log.append(points.request([float(value)]), 1, (), in_hand=False, written=None)
    ledger.recover(10)
    async with stored(
        exporter, ledger, Lease(log), order="newest", queue_bytes=8 * SIZE, batching=ONE_EACH
    ) as destination:
        await asyncio.sleep(0.5)
        give(destination, ledger, 100.0)
        await asyncio.sleep(1)
        assert 100.0 in exporter.values[:3]
    assert sorted(exporter.values) == [*map(float, range(10)), 100.0]
    assert fate(ledger) == {"delivered": 11, "held": 0}


async def test_what_is_left_at_the_end_stays_on_disk(caplog) -> None:
    exporter, ledger, log = Scripted([Delivered(), HANG]), Watched("p"), Memory()
    caplog.set_level("INFO")
    async with given_up(10):  # noqa: SIM117 - one in the other
        async with stored(exporter, ledger, Lease(log), batching=ONE_EACH) as destination:
            await asyncio.sleep(0)
            for value in range(5):
                give(destination, ledger, float(value))
    assert fate(ledger) == {"delivered": 1, "held": 4}
    assert (log.points, log.unread, ledger.stored) == (4, 4, 4)
    (line,) = [r for r in caplog.records if r.getMessage() == "points stay in the buffer"]
    assert line.points == 4


async def test_a_batch_that_was_partly_delivered_is_held_whole_and_its_points_counted_again() -> (
    None
):
    class Halves(Scripted):
        def encode(self, batch):
            from common.exporters.outcomes import Encoding, Request

            return Encoding(
                requests=tuple(
                    Request(body=points.request([value]), points=1)
                    for value in points.values(batch.body)
                )
            )

    exporter, ledger, log = Halves([Delivered(), Refused("no"), HANG]), Watched("p"), Memory()
    async with given_up(10):  # noqa: SIM117 - one in the other
        async with stored(exporter, ledger, Lease(log)) as destination:
            await asyncio.sleep(0)
            give(destination, ledger, 1.0, 2.0, 3.0)
    assert log.points == 3
    assert (ledger.received, ledger.recovered) == (5, 2)
    assert fate(ledger) == {"delivered": 1, "held": 3, DropReason.REFUSED: 1}


async def test_another_destination_takes_over_at_once_what_the_first_did_not_settle() -> None:
    dead, alive = Scripted([Retry("down")] * 1000), Scripted()
    ledger, log = Watched("p"), Memory()
    former, next_one = Lease(log), Lease(log, first=False)

    async def first(leave: asyncio.Event, ready: asyncio.Event) -> None:
        async with stored(dead, ledger, former, batching=ONE_EACH) as destination:
            await asyncio.sleep(0)
            for value in range(3):
                give(destination, ledger, float(value))
            ready.set()
            await leave.wait()
        next_one.moved_in.set()

    leave, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first(leave, ready))
        await ready.wait()
        async with stored(alive, ledger, next_one, batching=ONE_EACH) as destination:
            former.wanted.set()
            give(destination, ledger, 3.0)
            await asyncio.sleep(5)
            assert alive.values == []
            leave.set()
    assert alive.values == [0.0, 1.0, 2.0, 3.0]
    assert fate(ledger) == {"delivered": 4, "held": 0}


async def test_a_disk_that_fails_leaves_what_memory_can_hold() -> None:
    exporter, ledger, log = Scripted([HANG]), Watched("p"), Memory(failing="no space left")
    told: list[bool] = []
    async with given_up(10):  # noqa: SIM117 - one in the other
        async with stored(exporter, ledger, Lease(log), queue_bytes=2 * SIZE) as destination:
            await asyncio.sleep(0)
            for value in range(3):
                ledger.receive(1, {})
                destination.offer(points.request([float(value)]), 1, (), told.append)
            assert not destination.has_room(SIZE)
    assert told == [False, False, False]
    assert fate(ledger) == {
        "delivered": 0, "held": 0, DropReason.BUFFER_FAILED: 1, DropReason.SHUTDOWN: 2,
    }  # fmt: skip


async def test_what_the_disk_does_not_take_does_not_overtake_what_it_took() -> None:
    exporter, ledger, log = Scripted(seconds=1.0), Watched("p"), Memory()
    async with stored(
        exporter, ledger, Lease(log), queue_bytes=6 * SIZE, batching=ONE_EACH
    ) as destination:
        for value in range(4):  # nothing is in memory yet: its turn has not come
            give(destination, ledger, float(value))
        log.failing = "input/output error"
        give(destination, ledger, 4.0)
        log.failing = ""
        for value in range(5, 9):
            give(destination, ledger, float(value))
    assert exporter.values == list(map(float, range(9)))
    assert fate(ledger) == {"delivered": 9, "held": 0}


async def test_what_could_not_be_written_comes_back_to_memory() -> None:
    exporter, ledger, log = Scripted(), Watched("p"), Memory()
    lease = Lease(log, first=False)
    async with stored(exporter, ledger, lease, queue_bytes=2 * SIZE) as destination:
        for value in range(3):
            give(destination, ledger, float(value))
        failed = [entry for entry in log.entries if entry.state == "unread"]
        await asyncio.sleep(0)
        for entry in failed:
            log.settle(entry.number)
        assert lease.failed is not None
        lease.failed(failed)
        lease.moved_in.set()
    assert fate(ledger) == {"delivered": 2, "held": 0, DropReason.BUFFER_FAILED: 1}
    assert exporter.values == [0.0, 1.0]


async def test_a_backlog_that_is_deleted_is_lost_and_ends_the_wait_for_it() -> None:
    exporter, ledger, log = Scripted(), Watched("p"), Memory()
    lease = Lease(log)
    async with stored(exporter, ledger, lease, queue_bytes=SIZE) as destination:
        for value in range(4):
            give(destination, ledger, float(value))
        gone = log.delete_unread()
        assert lease.lost is not None
        lease.lost(gone, DropReason.BUFFER_FULL, "the limit was reached")
    assert gone == 4
    assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.BUFFER_FULL: 4}


async def test_what_vanished_from_the_disk_is_lost_with_memory() -> None:
    exporter, ledger, log = Scripted([HANG]), Watched("p"), Memory()
    async with given_up(10):  # noqa: SIM117 - one in the other
        async with stored(exporter, ledger, Lease(log), batching=ONE_EACH) as destination:
            await asyncio.sleep(0)
            give(destination, ledger, 1.0, 2.0)
            give(destination, ledger, 3.0)
            log.vanish(0)
    assert fate(ledger) == {"delivered": 0, "held": 1, DropReason.SHUTDOWN: 2}
    assert ledger.held == log.points


async def test_a_required_buffer_says_when_it_would_have_to_delete() -> None:
    exporter, ledger, log = Scripted(), Watched("p"), Memory()
    async with stored(exporter, ledger, Lease(log)) as destination:
        assert destination.has_room(1 << 20)
        log.bytes_on_disk = 1 << 30
        assert not destination.has_room(1)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    script=st.lists(
        st.sampled_from([Delivered(), Delivered(1, "no"), Retry("down"), Refused("never")]),
        max_size=8,
    ),
    counts=st.lists(st.integers(1, 4), max_size=12),
    queue_bytes=st.sampled_from([1, 2 * SIZE, 1 << 20]),
    max_bytes=st.sampled_from([1, 3 * SIZE, 1 << 20]),
    reading=st.sampled_from([0.0, 0.7]),
    order=st.sampled_from(["oldest", "newest"]),
    lanes=st.integers(1, 3),
    patience=st.sampled_from([1.0, 1000.0]),
)
async def test_the_account_balances_and_nothing_is_lost_but_what_is_booked(  # noqa: PLR0917 - hypothesis names them
    script, counts, queue_bytes, max_bytes, reading, order, lanes, patience
) -> None:
    exporter, ledger, log = Scripted(script, 0.3), Watched("p"), Memory(reading=reading)
    number = 0.0
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(patience),
            stored(
                exporter, ledger, Lease(log), order=order, queue_bytes=queue_bytes,
                batching=Batching(max_bytes=max_bytes, linger=0.5), lanes=(lanes, lanes),
            ) as destination,
        ):  # fmt: skip
            for count in counts:
                give(destination, ledger, *[number + n for n in range(count)])
                number += count
                assert ledger.balance() == 0
                await asyncio.sleep(0.2)
    assert ledger.balance() == 0
    assert ledger.held == log.points == ledger.stored
    assert ledger.received - ledger.recovered == number
    if patience > 500:
        assert ledger.held == 0
