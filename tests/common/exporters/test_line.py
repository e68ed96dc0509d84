"""Batches are full or old, keep order, and hold exactly what was put in."""

from hypothesis import given, strategies as st

from bench.references import exporters as reference
from common.config.shared import Batching
from common.exporters.line import Line
from common.exporters.loads import Piece, Receipt
from tests.fakes import points

ONE = points.request([1.0])
TWO = points.request([2.0])


def piece(body: bytes = ONE, arrived: float = 0.0, count: int = 1, **more) -> Piece:
    return Piece(body, count, arrived, **more)


def line(max_bytes: int = 1 << 20, linger: float = 2.0) -> Line:
    return Line(Batching(max_bytes=max_bytes, linger=linger), 4)


def test_bodies_wait_for_company_until_the_linger_of_the_first_is_over() -> None:
    waiting = line()
    assert waiting.due(0) is None
    assert list(waiting.add(piece(ONE, 10.0), ())) == [0]
    assert list(waiting.add(piece(TWO, 11.0), ())) == []
    assert (waiting.due(0), waiting.oldest(), waiting.size) == (12.0, 10.0, len(ONE) + len(TWO))
    assert waiting.take(0, 11.9, hurry=False) is None
    load = waiting.take(3, 12.0, hurry=False)
    assert load is not None
    assert (load.batch.body, load.batch.points, load.batch.oldest) == (ONE + TWO, 2, 10.0)
    assert (waiting.due(0), waiting.oldest(), waiting.size) == (None, None, 0)


def test_in_a_hurry_nothing_waits_for_company() -> None:
    waiting = line()
    waiting.add(piece(), ())
    load = waiting.take(0, 0.0, hurry=True)
    assert load is not None
    assert waiting.take(0, 0.0, hurry=True) is None


def test_a_batch_that_is_exactly_full_leaves_at_once() -> None:
    waiting = line(len(ONE) + len(TWO), 60.0)
    waiting.add(piece(ONE), ())
    assert list(waiting.add(piece(TWO), ())) == [0]
    load = waiting.take(0, 0.0, hurry=False)
    assert load is not None
    assert load.batch.points == 2


def test_a_body_that_does_not_fit_any_more_starts_the_next_batch() -> None:
    waiting = line(len(ONE) + len(TWO) - 1, 60.0)
    waiting.add(piece(ONE, 3.0), ())
    waiting.add(piece(TWO, 5.0), ())
    load = waiting.take(0, 5.0, hurry=False)
    assert load is not None
    assert load.batch.body == ONE
    assert list(waiting.left()) == [0]
    assert (waiting.oldest(), waiting.due(0)) == (5.0, 65.0)


def test_what_is_new_goes_before_a_backlog_which_fills_the_batch_up() -> None:
    waiting = line(3 * len(ONE), 60.0)
    for number in range(4):
        waiting.add(piece(ONE, -100.0, receipt=Receipt(number, 1, 1), backlog=True), ())
    waiting.add(piece(TWO, 5.0), ())
    load = waiting.take(0, 5.0, hurry=False)
    assert load is not None
    assert [one.backlog for one in load.pieces] == [False, True, True]
    assert (load.left, load.unbacked) == (3, 1)


def test_all_that_waits_can_be_given_up() -> None:
    waiting = line()
    waiting.add(piece(ONE), ())
    waiting.add(piece(TWO, backlog=True), ())
    assert [one.body for one in waiting.drain()] == [ONE, TWO]
    assert (waiting.size, waiting.oldest()) == (0, None)


@given(st.lists(st.integers(1, 8), max_size=30), st.integers(1, 4000), st.lists(st.booleans()))
def test_nothing_is_lost_or_reordered(counts, max_bytes, pauses) -> None:
    waiting = line(max_bytes, 1.0)
    bodies = []
    taken = []
    for number, count in enumerate(counts):
        body = points.request(range(count), name=f"g{number}")
        bodies.append(body)
        waiting.add(piece(body, float(number), count), ())
        if number < len(pauses) and pauses[number]:
            while (load := waiting.take(0, float(number), hurry=False)) is not None:
                taken.append(load)
    while (load := waiting.take(0, 0.0, hurry=True)) is not None:
        taken.append(load)
    assert b"".join([load.batch.body for load in taken]) == reference.join(bodies)
    assert sum(load.batch.points for load in taken) == sum(counts)
    assert all(load.size <= max_bytes or len(load.pieces) == 1 for load in taken)
    assert waiting.size == 0
