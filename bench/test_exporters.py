"""Joining requests into a batch must stay a copy of bytes, and cheap per request."""

from bench.references import exporters as reference
from common.config.shared import Batching
from common.exporters.line import Line
from common.exporters.loads import Piece
from common.exporters.slots import Slots
from tests.fakes import points

BODIES = [points.request(range(50), name=f"g{n}", width=40) for n in range(20)]
BATCHING = Batching(max_bytes=2 << 20, linger=1.0)


def test_batching_twenty_requests_of_fifty_points(guard) -> None:
    line = Line(BATCHING, 4)

    def subject() -> object:
        for body in BODIES:
            line.add(Piece(body, 50, 0.0), ())
        return line.take(0, 0.0, hurry=True)

    guard(subject, reference=lambda: reference.join(BODIES))


def test_batching_twenty_requests_of_fifty_points_in_the_order_of_their_series(guard) -> None:
    slots = Slots(BATCHING, 1, lambda resource: resource)

    def subject() -> object:
        for body in BODIES:
            slots.add(Piece(body, 50, 0.0), ())
        load = slots.take(0, 0.0, hurry=True)
        assert load is not None
        return slots.done(load)

    guard(subject, reference=lambda: reference.join(BODIES))
