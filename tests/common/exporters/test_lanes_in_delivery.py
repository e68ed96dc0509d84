"""Lanes open while a slow receiver has much to do, and close after calm; order stays."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from common.config.shared import Batching, Retrying
from common.exporters.delivery import delivering
from common.exporters.destination import Destination
from common.exporters.lanes import CALM, PERIOD
from common.exporters.outcomes import Batch, Delivered, Encoding, Exporter, Request, Retry, Verdict
from common.service.ledger import Ledger
from common.wire import otlp
from tests.fakes import points

TOOK = 0.25  # seconds of a request
SENDERS = [f"sender-{number}" for number in range(32)]
MOST = 16


def frame(who: str, value: float) -> otlp.Encoded:
    (found,) = otlp.frames(points.request([value]))
    return otlp.splice(found, otlp.attribute("service.instance.id", who))


EIGHT = Batching(max_bytes=8 * len(frame(SENDERS[-1], 1.0)), linger=0.5)
PATIENT = Retrying(initial=1.0, max_interval=1.0, max_age=600.0)


class Slow(Exporter):
    """Takes its time, and sees to it that no series is in two requests at once."""

    def __init__(self) -> None:
        self.down = False
        self.flying: set[str] = set()
        self.requests = self.most = 0
        self.taken: dict[str, list[float]] = defaultdict(list)

    def identity(self, resource: bytes) -> bytes:
        return _who(resource).encode()

    def encode(self, batch: Batch) -> Encoding:
        return Encoding(requests=(Request(body=batch.body, points=batch.points),))

    async def send(self, request: Request) -> Verdict:
        frames = list(otlp.frames(request.body))
        senders = {_who(each.resource) for each in frames}
        assert not senders & self.flying
        self.flying |= senders
        self.requests += 1
        self.most = max(self.most, self.requests)
        await asyncio.sleep(TOOK)
        self.requests -= 1
        self.flying -= senders
        if self.down:
            return Retry("down")
        for each in frames:
            self.taken[_who(each.resource)] += points.values(otlp.splice(each, b""))
        return Delivered()


def _who(resource: bytes) -> str:
    for pair in Resource.FromString(resource).attributes:
        if pair.key == "service.instance.id":
            return pair.value.string_value
    return ""


class Load:
    """Senders that number what they send."""

    def __init__(
        self, destination: Destination, ledger: Ledger, senders: Sequence[str] = SENDERS
    ) -> None:
        self._destination, self._ledger, self._senders = destination, ledger, senders
        self._number = 0
        self.lanes: list[int] = []  # how many were open after each round

    async def rounds(self, count: int, pause: float) -> None:
        """Send a point from everybody, *count* times, and *pause* after each."""
        for _ in range(count):
            for who in self._senders:
                self._ledger.receive(1, {})
                assert self._destination.offer(frame(who, float(self._number)), 1)
            self._number += 1
            await asyncio.sleep(pause)
            self.lanes.append(self._destination.stats().lanes)

    async def much(self, seconds: float) -> None:
        """Send what ten lanes have to do: 40 full batches a second, of a quarter second each."""
        await self.rounds(int(seconds / 0.1), 0.1)

    def all_in_order(self, exporter: Slow) -> bool:
        wanted = [float(number) for number in range(self._number)]
        return exporter.taken == dict.fromkeys(self._senders, wanted)


def running(exporter: Exporter, ledger: Ledger, lanes: tuple[int, int] = (1, MOST)):
    return delivering(
        "shop",
        exporter,
        ledger,
        batching=EIGHT,
        retrying=PATIENT,
        queue_bytes=1 << 24,
        lanes=lanes,
        random=lambda: 0.5,
    )


async def test_lanes_open_under_load_and_close_after_calm_and_order_stays() -> None:
    exporter, ledger = Slow(), Ledger("p")
    async with running(exporter, ledger) as destination:
        load = Load(destination, ledger)
        assert destination.stats().lanes == 1
        await load.much(20)
        assert load.lanes == sorted(load.lanes), "none is closed while there is much to do"
        assert (load.lanes[-1], exporter.most) == (MOST, MOST)
        await asyncio.sleep(EIGHT.linger + 2 * TOOK)
        assert ledger.held == 0, "sixteen lanes caught up with what one could not do"
        await asyncio.sleep(CALM - EIGHT.linger - 4 * TOOK)
        assert destination.stats().lanes == MOST, "a short lull closes none"
        await asyncio.sleep(4 * TOOK + 2 * PERIOD)
        assert destination.stats().lanes == 1
        assert load.all_in_order(exporter)
        load.lanes.clear()
        await load.much(10)
        assert load.lanes[-1] == MOST, "what was closed opens again"
    assert load.all_in_order(exporter)
    assert (ledger.delivered, ledger.held) == (len(SENDERS) * 300, 0)
    assert ledger.balance() == 0


async def test_a_lull_that_is_over_in_time_closes_no_lane() -> None:
    exporter, ledger = Slow(), Ledger("p")
    async with running(exporter, ledger) as destination:
        load = Load(destination, ledger)
        await load.much(10)
        for _ in range(3):
            await asyncio.sleep(CALM / 2)
            await load.much(5)
            assert load.lanes[-1] == MOST
    assert load.all_in_order(exporter)


async def test_little_to_do_needs_no_second_lane_however_slow_the_receiver_is() -> None:
    exporter, ledger = Slow(), Ledger("p")
    async with running(exporter, ledger) as destination:
        load = Load(destination, ledger, SENDERS[:8])
        await load.rounds(200, 1.1 * TOOK)  # a full batch each time, so that one lane just does
        assert set(load.lanes) == {1}
    assert exporter.most == 1
    assert load.all_in_order(exporter)


async def test_a_receiver_that_is_down_is_not_asked_by_more_lanes() -> None:
    exporter, ledger = Slow(), Ledger("p")
    exporter.down = True
    async with running(exporter, ledger) as destination:
        load = Load(destination, ledger)
        await load.much(20)
        assert exporter.most <= 2, "more than before the first answer said that it is down"
        exporter.down = False
        await load.much(20)
        assert load.lanes[-1] == MOST
    assert load.all_in_order(exporter)


@pytest.mark.parametrize("lanes", [(1, 1), (4, 4), (2, 6)])
async def test_there_are_never_fewer_or_more_than_the_settings_say(lanes: tuple[int, int]) -> None:
    exporter, ledger = Slow(), Ledger("p")
    async with running(exporter, ledger, lanes) as destination:
        load = Load(destination, ledger)
        assert destination.stats().lanes == lanes[0]
        await load.much(10)
        assert (destination.stats().lanes, exporter.most) == (lanes[1], lanes[1])
        await asyncio.sleep(200)  # one lane needs half of it for what it was given
        assert ledger.held == 0
        assert destination.stats().lanes == lanes[0]
    assert load.all_in_order(exporter)
