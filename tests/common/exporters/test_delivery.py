"""Every point offered is delivered or lost for a reason; a dead backend stops nobody else."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings, strategies as st

from common.config.shared import Batching, Retrying
from common.exporters.delivery import delivering
from common.exporters.destination import Destination
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Encoding,
    Exporter,
    Refused,
    Request,
    Retry,
    TooBig,
    Verdict,
)
from common.service.ledger import DropReason, Ledger
from tests.fakes import points

HANG = "hang"
QUICK = Batching(max_bytes=1 << 20, linger=1.0)
PATIENT = Retrying(initial=1.0, max_interval=4.0, max_age=60.0)


class Scripted(Exporter):
    """Answers from a script, then with success; each attempt takes *seconds*."""

    def __init__(self, script: Iterable[Verdict | str] = (), seconds: float = 0.0) -> None:
        self.script = deque(script)
        self.seconds = seconds
        self.attempts: list[tuple[float, bytes]] = []
        self.encoded = 0
        self.flying = self.most_flying = 0

    def encode(self, batch: Batch) -> Encoding:
        self.encoded += 1
        return Encoding(requests=(Request(body=batch.body, points=batch.points),))

    async def send(self, request: Request) -> Verdict:
        self.attempts.append((asyncio.get_running_loop().time(), request.body))
        self.flying += 1
        self.most_flying = max(self.flying, self.most_flying)
        try:
            verdict = self.script.popleft() if self.script else Delivered()
            if verdict == HANG:
                await asyncio.Event().wait()
            await asyncio.sleep(self.seconds)
        finally:
            self.flying -= 1
        assert not isinstance(verdict, str)
        return verdict

    @property
    def values(self) -> list[float]:
        return points.values(*[body for _, body in self.attempts])


class Limited(Scripted):
    """Takes requests of up to *limit* bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    async def send(self, request: Request) -> Verdict:
        verdict = await super().send(request)
        return TooBig("too large") if len(request.body) > self.limit else verdict


class InParts(Scripted):
    """Needs a request for each point, and cannot carry the first of them."""

    def encode(self, batch: Batch) -> Encoding:
        self.encoded += 1
        requests = [
            Request(body=points.request([value]), points=1)
            for value in points.values(batch.body)[1:]
        ]
        return Encoding(requests=tuple(requests), dropped={DropReason.DELTA_UNSUPPORTED: 1})


@dataclass(slots=True)
class Watched(Ledger):
    """A ledger that proves itself at each entry."""

    def drop(self, points: int, reason: DropReason) -> None:
        Ledger.drop(self, points, reason)
        assert self.balance() == 0
        assert self.held >= 0

    def deliver(self, points: int) -> None:
        Ledger.deliver(self, points)
        assert self.balance() == 0
        assert self.held >= 0


def running(
    exporter: Scripted,
    ledger: Ledger,
    *,
    name: str = "shop",
    batching: Batching = QUICK,
    retrying: Retrying = PATIENT,
    queue_bytes: int = 1 << 20,
    concurrency: int = 1,
):
    return delivering(
        name,
        exporter,
        ledger,
        batching=batching,
        retrying=retrying,
        queue_bytes=queue_bytes,
        lanes=(concurrency, concurrency),
        random=lambda: 0.5,
    )


@contextmanager
def ended_by(kind: type[Exception]) -> Iterator[None]:
    """The block ends by the exception *kind*, alone or in a group."""
    ended = False
    try:
        yield
    except* kind:
        ended = True
    assert ended, f"{kind.__name__} did not come"


def give(destination: Destination, ledger: Ledger, *values: float, width: int = 0) -> bool:
    ledger.receive(len(values), {})
    return destination.offer(points.request(values, width=width), len(values))


def fate(ledger: Ledger) -> dict[str, int]:
    assert ledger.balance() == 0
    lost = {reason: n for reason, n in ledger.dropped.items() if n}
    return {"delivered": ledger.delivered, "held": ledger.held, **lost}


async def test_points_are_sent_together_when_the_linger_is_over() -> None:
    exporter, ledger = Scripted(), Watched("p")
    async with running(exporter, ledger) as destination:
        assert give(destination, ledger, 1.0, 2.0)
        await asyncio.sleep(0.4)
        assert give(destination, ledger, 3.0)
        assert fate(ledger) == {"delivered": 0, "held": 3}
        await asyncio.sleep(10)
        assert fate(ledger) == {"delivered": 3, "held": 0}
        assert destination.bytes_held == 0
    ((at, body),) = exporter.attempts
    assert at == pytest.approx(1.0)
    assert points.values(body) == [1.0, 2.0, 3.0]


async def test_leaving_normally_delivers_at_once_what_still_waits_for_company(clock) -> None:
    exporter, ledger = Scripted(), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0)
    assert fate(ledger) == {"delivered": 1, "held": 0}
    assert clock() == 0.0


async def test_leaving_normally_goes_on_retrying() -> None:
    exporter, ledger = Scripted([Retry("down"), Retry("down")]), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0)
    assert fate(ledger) == {"delivered": 1, "held": 0}
    assert [at for at, _ in exporter.attempts] == [0.0, 1.0, 3.0]


async def test_a_batch_is_converted_once_however_often_it_is_sent() -> None:
    exporter, ledger = Scripted([Retry("down")] * 4), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0)
    assert (exporter.encoded, len(exporter.attempts)) == (1, 5)


async def test_the_backend_s_wish_to_wait_is_a_lower_bound() -> None:
    exporter, ledger = Scripted([Retry("busy", after=33.0)]), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0)
    assert [at for at, _ in exporter.attempts] == [0.0, 33.0]


async def test_a_dead_backend_is_retried_and_then_its_points_are_dropped_as_too_old() -> None:
    exporter, ledger = Scripted([Retry("connection refused")] * 1000), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0, 2.0)
        await asyncio.sleep(30)
        assert fate(ledger) == {"delivered": 0, "held": 2}
        stats = destination.stats()
        assert stats.condition.state == "failing"
        assert stats.condition.last_error == "connection refused"
        assert stats.oldest_age == pytest.approx(30.0)
        assert stats.attempts == stats.retries + 1 > 5
        await asyncio.sleep(31)
        assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.TOO_OLD: 2}


async def test_the_other_destination_of_the_same_process_feels_nothing() -> None:
    dead, alive = Scripted([HANG]), Scripted()
    one, other = Watched("dead"), Watched("alive")
    with ended_by(TimeoutError):
        async with (
            asyncio.timeout(1000),
            running(dead, one, name="dead", queue_bytes=500) as stuck,
            running(alive, other, name="alive") as free,
        ):
            for turn in range(100):
                give(stuck, one, float(turn))
                assert give(free, other, float(turn))
                await asyncio.sleep(2)
            assert fate(other) == {"delivered": 100, "held": 0}
    assert fate(one)["held"] == 0
    assert one.dropped[DropReason.INBOX_FULL] > 80


async def test_what_aged_behind_a_batch_tried_in_vain_is_not_tried_for_as_long_again() -> None:
    exporter, ledger = Scripted([Retry("no answer")] * 1000, seconds=20.0), Watched("p")
    small = Batching(max_bytes=1, linger=0.0)
    async with running(exporter, ledger, batching=small) as destination:
        for value in range(50):
            give(destination, ledger, float(value))
        await asyncio.sleep(81)
        assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.TOO_OLD: 50}
    assert set(exporter.values) == {0.0}


async def test_old_points_still_get_their_attempt_when_nothing_is_wrong() -> None:
    exporter, ledger = Scripted([Delivered()], seconds=100.0), Watched("p")
    small = Batching(max_bytes=1, linger=0.0)
    async with running(exporter, ledger, batching=small) as destination:
        give(destination, ledger, 1.0)
        give(destination, ledger, 2.0)
    assert fate(ledger) == {"delivered": 2, "held": 0}


async def test_a_limit_of_no_age_at_all_means_one_attempt_each() -> None:
    exporter, ledger = Scripted([Retry("down")]), Watched("p")
    never = Retrying(max_age=0.0)
    async with running(exporter, ledger, retrying=never) as destination:
        give(destination, ledger, 1.0)
        await asyncio.sleep(5)
        give(destination, ledger, 2.0)
        await asyncio.sleep(5)
    assert fate(ledger) == {"delivered": 1, "held": 0, DropReason.TOO_OLD: 1}


async def test_a_refusal_is_final_and_counted(caplog) -> None:
    exporter, ledger = Scripted([Refused("HTTP 401: who are you")]), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0, 2.0)
        await asyncio.sleep(2)
        assert destination.stats().condition.state == "failing"
        give(destination, ledger, 3.0)
    assert fate(ledger) == {"delivered": 1, "held": 0, DropReason.REFUSED: 2}
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("WARNING", "destination is failing"),
        ("ERROR", "points lost: refused"),
        ("WARNING", "destination works again"),
    ]
    assert caplog.records[1].why == "HTTP 401: who are you"


async def test_a_partial_success_is_believed_but_never_beyond_what_was_sent(caplog) -> None:
    exporter, ledger = Scripted([Delivered(2, "too new"), Delivered(99, "liar")]), Watched("p")
    small = Batching(max_bytes=1 << 20, linger=0.0)
    async with running(exporter, ledger, batching=small) as destination:
        give(destination, ledger, 1.0, 2.0, 3.0)
        await asyncio.sleep(1)
        give(destination, ledger, 4.0)
    assert fate(ledger) == {"delivered": 1, "held": 0, DropReason.REJECTED_BY_BACKEND: 3}
    assert len(exporter.attempts) == 2
    assert [(line.getMessage(), line.points, line.why) for line in caplog.records] == [
        ("points lost: rejected_by_backend", 2, "too new"),
        ("points lost: rejected_by_backend, until the end", 1, "liar"),
    ]


async def test_a_backend_that_rejects_again_and_again_is_quoted_every_eleven_seconds(
    caplog,
) -> None:
    ledger, small = Watched("p"), Batching(max_bytes=1 << 20, linger=0.0)
    script = [Delivered(1, f"old by {number} s") for number in range(30)]
    async with running(Scripted(script), ledger, batching=small) as destination:
        for number in range(30):
            give(destination, ledger, float(number))
            await asyncio.sleep(1)
    told = [(line.points, line.why) for line in caplog.records if line.levelname == "ERROR"]
    assert told == [(1, "old by 0 s"), (11, "old by 11 s"), (11, "old by 22 s"), (7, "old by 29 s")]
    assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.REJECTED_BY_BACKEND: 30}


async def test_a_batch_that_is_too_big_is_halved_until_it_fits() -> None:
    exporter, ledger = Limited(2000), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, *map(float, range(100)), width=60)
    assert fate(ledger) == {"delivered": 100, "held": 0}
    arrived = [body for _, body in exporter.attempts if len(body) <= 2000]
    assert points.values(*arrived) == list(map(float, range(100)))


async def test_a_single_point_that_is_too_big_is_lost_alone(caplog) -> None:
    exporter, ledger = Limited(2000), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0)
        give(destination, ledger, 2.0, width=3000)
        give(destination, ledger, 3.0)
    assert fate(ledger) == {"delivered": 2, "held": 0, DropReason.TOO_LARGE: 1}
    (line,) = [line for line in caplog.records if line.levelname == "ERROR"]
    assert (line.getMessage(), line.why, line.points) == ("points lost: too_large", "too large", 1)
    (line,) = [line for line in caplog.records if line.levelname == "WARNING"]
    assert line.max_bytes == 64 << 10  # however small what was refused


async def test_the_size_that_a_backend_takes_is_learnt(caplog) -> None:
    exporter, ledger = Limited(300_000), Watched("p")
    async with running(exporter, ledger, queue_bytes=1 << 24) as destination:
        for turn in range(4):
            give(destination, ledger, *map(float, range(1000)), width=900)
            await asyncio.sleep(5)
            if turn == 0:
                exporter.attempts.clear()
    assert fate(ledger) == {"delivered": 4000, "held": 0}
    assert all(len(body) <= 300_000 for _, body in exporter.attempts)
    (line,) = caplog.records
    assert line.getMessage() == (
        "the backend takes smaller requests than batch.max_bytes; lower it"
    )
    assert 64 << 10 <= line.max_bytes <= 300_000


async def test_a_refusal_of_every_size_changes_no_limit_and_costs_few_requests(caplog) -> None:
    exporter, ledger = Limited(0), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, *map(float, range(2000)), width=20)
    assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.TOO_LARGE: 2000}
    assert len(exporter.attempts) < 20
    assert [line.getMessage() for line in caplog.records] == ["points lost: too_large"]


async def test_only_a_smaller_request_that_passes_proves_that_size_was_what_mattered(
    caplog,
) -> None:
    exporter, ledger = Scripted([TooBig("quota"), Refused("quota"), Refused("quota")]), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, *map(float, range(2000)), width=200)
    assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.REFUSED: 2000}
    assert not [line for line in caplog.records if "batch.max_bytes" in line.getMessage()]


async def test_what_the_protocol_cannot_carry_is_dropped_and_the_requests_follow_in_order() -> None:
    script = [Delivered(), Refused("bad"), Retry("busy"), Delivered()]
    exporter, ledger = InParts(script), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0, 2.0, 3.0, 4.0)
    assert fate(ledger) == {
        "delivered": 2,
        "held": 0,
        DropReason.DELTA_UNSUPPORTED: 1,
        DropReason.REFUSED: 1,
    }
    assert exporter.values == [2.0, 3.0, 4.0, 4.0]


async def test_nothing_is_booked_twice_when_a_converted_batch_is_too_big() -> None:
    exporter, ledger = InParts([TooBig("large"), Delivered(), TooBig("large")]), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, width=200)
    # Halves of three: each loses its first to the protocol; one later request is too big for good.
    assert fate(ledger) == {
        "delivered": 3,
        "held": 0,
        DropReason.DELTA_UNSUPPORTED: 2,
        DropReason.TOO_LARGE: 1,
    }


async def test_a_batch_of_which_nothing_can_be_carried_is_still_accounted_for() -> None:
    exporter, ledger = InParts(), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0)
    assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.DELTA_UNSUPPORTED: 1}
    assert exporter.attempts == []


async def test_order_is_kept_with_one_request_in_flight() -> None:
    exporter = Scripted([Delivered(), Retry("busy"), Delivered()], seconds=3.0)
    ledger = Watched("p")
    tiny = Batching(max_bytes=1, linger=0.0)
    async with running(exporter, ledger, batching=tiny) as destination:
        for value in range(5):
            give(destination, ledger, float(value))
    assert exporter.values == [0.0, 1.0, 1.0, 2.0, 3.0, 4.0]
    assert exporter.most_flying == 1


async def test_several_requests_may_be_in_flight_and_one_that_hangs_leaves_room() -> None:
    exporter, ledger = Scripted([HANG], seconds=1.0), Watched("p")
    tiny = Batching(max_bytes=1, linger=0.0)
    with ended_by(TimeoutError):
        async with (
            asyncio.timeout(100),
            running(exporter, ledger, batching=tiny, concurrency=3) as destination,
        ):
            for value in range(9):
                give(destination, ledger, float(value))
            await asyncio.sleep(4.5)
            assert fate(ledger) == {"delivered": 8, "held": 1}
    assert exporter.most_flying == 3
    assert fate(ledger) == {"delivered": 8, "held": 0, DropReason.SHUTDOWN: 1}


async def test_a_backend_that_hangs_while_draining_loses_what_is_held_to_the_deadline() -> None:
    exporter, ledger = Scripted([Delivered(), HANG]), Watched("p")
    tiny = Batching(max_bytes=1, linger=0.0)
    with ended_by(TimeoutError):
        async with asyncio.timeout(10), running(exporter, ledger, batching=tiny) as destination:
            for value in range(3):
                give(destination, ledger, float(value))
    assert fate(ledger) == {"delivered": 1, "held": 0, DropReason.SHUTDOWN: 2}


async def test_leaving_by_an_exception_abandons_at_once_and_books_it(clock) -> None:
    exporter, ledger = Scripted([Retry("down")] * 99), Watched("p")
    with ended_by(OSError):
        async with running(exporter, ledger) as destination:
            give(destination, ledger, 1.0)
            await asyncio.sleep(2)
            give(destination, ledger, 2.0)
            raise OSError("elsewhere")
    assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.SHUTDOWN: 2}
    assert clock() == 2.0


async def test_what_comes_after_the_end_is_booked_as_lost_to_it() -> None:
    exporter, ledger = Scripted(), Watched("p")
    async with running(exporter, ledger) as destination:
        give(destination, ledger, 1.0)
    assert not give(destination, ledger, 2.0)
    assert fate(ledger) == {"delivered": 1, "held": 0, DropReason.SHUTDOWN: 1}


async def test_a_new_destination_may_take_over_the_ledger_while_the_old_one_drains() -> None:
    slow, quick, ledger = Scripted(seconds=50.0), Scripted(), Watched("p")
    async with running(quick, ledger) as new:
        async with running(slow, ledger) as old:
            give(old, ledger, 1.0)
            give(new, ledger, 2.0)
            await asyncio.sleep(5)
            assert fate(ledger) == {"delivered": 1, "held": 1}
        assert fate(ledger) == {"delivered": 2, "held": 0}


async def test_an_encoding_that_loses_points_is_a_bug_and_says_so() -> None:
    class Forgetful(Scripted):
        def encode(self, batch: Batch) -> Encoding:
            return Encoding(requests=(Request(body=batch.body, points=batch.points - 1),))

    ledger = Watched("p")
    with pytest.raises(ExceptionGroup) as error:
        async with running(Forgetful(), ledger) as destination:
            give(destination, ledger, 1.0, 2.0)
    assert error.group_contains(RuntimeError, match="BUG: 2 points were encoded as 1")
    assert fate(ledger) == {"delivered": 0, "held": 0, DropReason.SHUTDOWN: 2}


async def test_an_idle_destination_says_so() -> None:
    async with running(Scripted(), Watched("p")) as destination:
        stats = destination.stats()
    assert (stats.condition.state, stats.oldest_age, stats.bytes_held) == ("idle", 0.0, 0)


VERDICTS = st.one_of(
    st.builds(Delivered, st.integers(0, 4)),
    st.builds(Retry, st.just("busy"), st.none() | st.floats(0, 90)),
    st.just(Refused("no")),
    st.just(TooBig("large")),
    st.just(HANG),
)
STEPS = st.tuples(st.floats(0, 20), st.integers(0, 6), st.integers(0, 200))


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(VERDICTS, max_size=12),
    steps=st.lists(STEPS, max_size=12),
    seconds=st.floats(0, 10),
    concurrency=st.integers(1, 3),
    queue_bytes=st.integers(1, 3000),
    max_bytes=st.integers(1, 1500),
    kind=st.sampled_from([Scripted, InParts]),
    ending=st.sampled_from(["normal", "raise"]),
)
async def test_the_account_balances_at_every_moment_of_any_history(  # noqa: PLR0917 - hypothesis names them
    script, steps, seconds, concurrency, queue_bytes, max_bytes, kind, ending
) -> None:
    exporter: Scripted = kind(script, seconds)
    ledger = Watched("p")
    with suppress(TimeoutError, ExceptionGroup):
        async with (
            asyncio.timeout(400),
            running(
                exporter,
                ledger,
                batching=Batching(max_bytes=max_bytes, linger=1.0),
                queue_bytes=queue_bytes,
                concurrency=concurrency,
            ) as destination,
        ):
            for wait, count, width in steps:
                await asyncio.sleep(wait)
                give(destination, ledger, *map(float, range(count)), width=width)
                assert ledger.balance() == 0
                assert destination.stats().points_held == ledger.held
            if ending == "raise":
                raise OSError
    assert ledger.balance() == 0
    assert ledger.held == 0
    assert destination.bytes_held == 0
    assert destination.stats().points_held == 0
