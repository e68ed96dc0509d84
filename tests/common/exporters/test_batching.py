"""Batches are full or old, keep order, and hold exactly what was put in."""

from hypothesis import given, settings, strategies as st

from bench.references import exporters as reference
from common.config.shared import Batching
from common.exporters.batching import Batcher
from common.wire import otlp
from tests.fakes import points

ONE = points.request([1.0])
TWO = points.request([2.0])


def test_bodies_wait_for_company_until_the_linger_of_the_first_is_over() -> None:
    batcher = Batcher(Batching(max_bytes=1 << 20, linger=2.0))
    assert batcher.due is None
    assert batcher.add(ONE, 1, 10.0) == []
    assert batcher.add(TWO, 1, 11.0) == []
    assert (batcher.due, batcher.oldest, batcher.size) == (12.0, 10.0, len(ONE) + len(TWO))
    (batch,) = batcher.flush()
    assert (batch.body, batch.points, batch.oldest) == (ONE + TWO, 2, 10.0)
    assert (batcher.due, batcher.oldest, batcher.size) == (None, None, 0)


def test_flushing_nothing_gives_nothing() -> None:
    assert Batcher(Batching()).flush() == []


def test_a_batch_that_is_exactly_full_leaves_at_once() -> None:
    batcher = Batcher(Batching(max_bytes=len(ONE) + len(TWO), linger=60.0))
    assert batcher.add(ONE, 1, 0.0) == []
    assert [batch.points for batch in batcher.add(TWO, 1, 0.0)] == [2]


def test_a_body_that_does_not_fit_any_more_starts_the_next_batch() -> None:
    batcher = Batcher(Batching(max_bytes=len(ONE) + len(TWO) - 1, linger=60.0))
    batcher.add(ONE, 1, 3.0)
    (batch,) = batcher.add(TWO, 1, 5.0)
    assert batch.body == ONE
    assert (batcher.oldest, batcher.due) == (5.0, 65.0)


def test_a_body_that_is_too_large_alone_is_split_behind_what_waited() -> None:
    large = points.request(range(100), width=50)
    batcher = Batcher(Batching(max_bytes=2000, linger=60.0))
    batcher.add(ONE, 1, 0.0)
    batches = batcher.add(large, 100, 1.0)
    assert batches[0].body == ONE
    assert len(batches) > 3
    assert all(len(batch.body) <= 2000 for batch in batches)
    assert points.values(*[batch.body for batch in batches[1:]]) == list(range(100))
    assert sum(batch.points for batch in batches) == 101


def test_metrics_without_points_do_not_make_batches_of_nothing() -> None:
    empty = b"".join(points.request([], name="empty" * 40) for _ in range(20))
    body = otlp.Encoded(empty + points.request([1.0]))
    batcher = Batcher(Batching(max_bytes=300, linger=60.0))
    assert [batch.points for batch in batcher.add(body, 1, 0.0)] == [1]


def test_a_narrowed_batcher_makes_smaller_batches_and_never_larger_ones() -> None:
    batcher = Batcher(Batching(max_bytes=len(ONE) * 2, linger=60.0))
    batcher.narrow(len(ONE))
    batcher.narrow(len(ONE) * 9)
    assert [batch.points for batch in batcher.add(ONE, 1, 0.0)] == [1]


@settings(max_examples=50)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40)), max_size=12),
    max_bytes=st.integers(1, 2000),
)
def test_all_batches_together_say_what_all_bodies_said(sizes, max_bytes) -> None:
    batcher = Batcher(Batching(max_bytes=max_bytes, linger=1.0))
    bodies, batches = [], []
    for turn, (count, width) in enumerate(sizes):
        body = points.request([turn * 100.0 + n for n in range(count)], width=width)
        bodies.append(body)
        batches += batcher.add(body, count, float(turn))
    batches += batcher.flush()
    sent = [batch.body for batch in batches]
    assert points.values(*sent) == points.values(reference.join(bodies))
    for batch in batches:
        assert batch.points == len(points.values(batch.body))
        assert len(batch.body) <= max_bytes or batch.points <= 1
    assert [batch.oldest for batch in batches] == sorted(batch.oldest for batch in batches)
