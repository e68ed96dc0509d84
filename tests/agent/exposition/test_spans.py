"""Spans become buckets one after the other, as long as there is room for them."""

import pytest

from agent.exposition import model, spans
from common.wire import errors
from tests.fakes import metric_families as made


def side(*told: tuple[int, int]):
    return made.make(
        "Histogram",
        positive_span=[made.make("BucketSpan", offset=o, length=n) for o, n in told],
    ).positive_span


def test_gaps_are_buckets_without_a_count_and_deltas_run_across_them() -> None:
    told = side((-3, 2), (2, 1), (0, 1))
    assert spans.width(told, 4) == 6
    assert spans.dense(told, [5, -2, 1, 1]) == (-3, (5, 3, 0, 0, 4, 5))


def test_a_span_of_no_buckets_is_a_side_without_any() -> None:
    assert spans.width(side((0, 0)), 0) == 0
    assert spans.dense(side((0, 0)), []) == spans.NONE == spans.dense(side(), [])


@pytest.mark.parametrize(
    ("told", "counts", "message"),
    [
        ([(0, 2)], 1, "have 2 buckets, with counts of 1"),
        ([(0, 1)], 2, "have 1 buckets, with counts of 2"),
        ([(0, 2), (-1, 1)], 3, "span 1 of a native histogram begins 1 buckets before"),
        ([(0, 4294967295)], 0, "have 4294967295 buckets, with counts of 0"),
    ],
)
def test_spans_that_cannot_be_are_refused(told, counts: int, message: str) -> None:
    with pytest.raises(errors.Malformed, match=message):
        spans.width(side(*told), counts)


def test_one_histogram_and_all_of_a_body_have_their_limit() -> None:
    room = spans.Room(model.Limits(buckets=10))
    with pytest.raises(errors.TooLarge, match="of 11 buckets over the limit of 10"):
        room.take(11)
    for _ in range(model.NATIVE_FACTOR):
        room.take(10)
    with pytest.raises(errors.TooLarge, match="more than 160 buckets in one body"):
        room.take(1)


def test_exemplars_of_a_body_have_a_limit() -> None:
    room = spans.Room(model.Limits(samples=2))
    room.take_exemplars(2 * model.NATIVE_FACTOR)
    with pytest.raises(errors.TooLarge, match="with more than 32 exemplars in one body"):
        room.take_exemplars(1)
    spans.Room(model.Limits(samples=0)).take_exemplars(1 << 40)
