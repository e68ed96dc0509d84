"""A batch that is too big is cut until it fits, without trying in vain what cannot pass."""

from hypothesis import given, settings, strategies as st

from common.exporters.cutting import Cutter
from common.exporters.outcomes import Batch
from tests.fakes import points


def batch(values, width=0) -> Batch:
    body = points.request(values, width=width)
    return Batch(body=body, points=len(values), oldest=7.0)


def play(whole: Batch, limit: int) -> tuple[list[Batch], int, int]:
    """Send to a backend that takes *limit* bytes: what passed, was lost, was tried in vain."""
    cutter, passed, lost, vain = Cutter(whole), [], 0, 0
    while True:
        piece, gone = cutter.take()
        lost += gone
        if piece is None:
            return passed, lost, vain
        if len(piece.body) > limit:
            vain += 1
            cutter.refuse(piece)
        else:
            passed.append(piece)


def test_a_batch_that_fits_is_sent_as_it_is() -> None:
    whole = batch(range(5))
    assert play(whole, 10_000) == ([whole], 0, 0)


def test_the_halves_are_sent_in_order_with_the_age_of_the_whole() -> None:
    whole = batch(range(64), width=20)
    passed, lost, vain = play(whole, len(whole.body) * 6 // 10)
    assert points.values(*[piece.body for piece in passed]) == list(range(64))
    assert {piece.oldest for piece in passed} == {7.0}
    assert (lost, vain) == (0, 1)


def test_a_single_point_that_does_not_fit_is_lost_alone() -> None:
    small = points.request([1.0])
    large = points.request([2.0], width=5000)
    whole = Batch(body=small + large + small, points=3, oldest=0.0)
    passed, lost, _ = play(whole, 4000)
    assert points.values(*[piece.body for piece in passed]) == [1.0, 1.0]
    assert lost == 1


def test_a_backend_that_refuses_every_size_is_asked_a_few_times_only() -> None:
    passed, lost, vain = play(batch(range(4096), width=30), 0)
    assert (passed, lost) == ([], 4096)
    assert vain <= 16


@settings(max_examples=50)
@given(
    widths=st.lists(st.integers(0, 300), min_size=1, max_size=12),
    limit=st.integers(0, 2000),
)
def test_every_point_passes_or_is_lost_and_no_refused_size_is_repeated(widths, limit) -> None:
    bodies = [points.request([float(n)], width=width) for n, width in enumerate(widths)]
    passed, lost, _ = play(Batch(body=b"".join(bodies), points=len(bodies), oldest=0.0), limit)
    arrived = points.values(*[piece.body for piece in passed])
    assert len(arrived) + lost == len(widths)
    assert arrived == sorted(arrived)
    assert arrived == [float(n) for n, body in enumerate(bodies) if len(body) <= limit]
