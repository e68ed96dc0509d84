"""The units of a frame: known by what they say besides numbers, whichever way they are found."""

import random

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from common.wire import remote_write_units as units
from tests.common.wire import test_remote_write as plain
from tests.common.wire.test_remote_write import T

SEED = 7


def frame_of(*metrics, **fields):
    return plain.asked(*metrics, **fields).resource_metrics[0].SerializeToString()


def row(count=4, **fields):
    points = [plain.number(float(n), at=T + n, pairs=[("n", f"{n:03}")]) for n in range(count)]
    return plain.gauge("load", *points, **fields)


def keys(frame):
    return units.walk(frame, SEED).keys


def test_points_of_one_length_are_a_row_and_have_the_keys_of_a_walk(monkeypatch):
    frame = frame_of(row(), plain.sum_of("hits", *row().gauge.data_points))
    quick = units.walk(frame, SEED)
    assert [spot.row is not None for spot in quick.spots] == [True, True]
    monkeypatch.setattr(units, "_row", lambda *_: None)
    slow = units.walk(frame, SEED)
    assert (quick.keys, quick.starts) == (slow.keys, slow.starts)
    assert [spot.places() for spot in quick.spots] == [spot.places() for spot in slow.spots]


@settings(max_examples=60, deadline=None)
@given(plain.requests())
def test_rows_change_nothing_for_whatever_senders_send(request):
    for each in request.resource_metrics:
        frame = each.SerializeToString()
        quick = units.walk(frame, SEED)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(units, "_row", lambda *_: None)
            slow = units.walk(frame, SEED)
        if slow is None:
            assert quick is None
            continue
        assert (quick.keys, quick.starts, quick.others) == (slow.keys, slow.starts, slow.others)
        assert units.units(frame, quick) == units.units(frame, slow)


def test_numbers_are_no_part_of_a_key_and_everything_else_is():
    base = keys(frame_of(row()))
    later = plain.gauge("load", *[
        plain.number(n + 0.5, at=T + 99, pairs=[("n", f"{n:03}")]) for n in range(4)
    ])  # fmt: skip
    assert keys(frame_of(later)) == base
    for other in (
        frame_of(row(unit="s")),
        frame_of(row(description="Helps.")),
        frame_of(row(), scope=("other", "")),
        frame_of(plain.sum_of("load", *row().gauge.data_points)),
        frame_of(plain.gauge("load", *[
            plain.number(n, at=T, pairs=[("n", f"{n:03}")]) for n in range(4)
        ])),  # whole numbers
    ):  # fmt: skip
        assert set(keys(other)).isdisjoint(base)
    assert units.walk(frame_of(row()), SEED + 1).keys != base


@pytest.mark.parametrize("order", [[3, 1, 0, 2], [2, 3]])
def test_a_key_does_not_depend_on_where_a_point_stands(order):
    points = row().gauge.data_points
    base = keys(frame_of(row()))
    assert keys(frame_of(plain.gauge("load", *[points[n] for n in order]))) == [
        base[n] for n in order
    ]


@settings(max_examples=60, deadline=None)
@given(plain.requests(), st.integers(0, 2**32))
def test_what_is_left_is_what_was_not_taken(request, seed):
    chance = random.Random(seed)
    for each in request.resource_metrics:
        frame = each.SerializeToString()
        walked = units.walk(frame, SEED)
        if walked is None:
            continue
        taken = {n for n in range(len(walked.starts)) if chance.random() < 0.5}
        left = ResourceMetrics.FromString(units.rest(frame, walked, taken))
        assert left.resource == each.resource
        again = units.walk(left.SerializeToString(), SEED)
        kept = [key for n, key in enumerate(walked.keys) if n not in taken]
        # A metric all of whose points were taken is gone; the others stand in their order.
        assert ([] if again is None else again.keys) == kept
        assert (0 if again is None else again.others) == walked.others


@pytest.mark.parametrize(
    "frame",
    [
        b"\x0a\x00\x0a\x00",  # a Resource in two parts
        b"\x12\x00\x0a\x00",  # behind its metrics
        b"\x0a\x00\x12\x04\x0a\x00\x0a\x00",  # a scope in two parts
    ],
)
def test_frames_that_lie_oddly_are_left_alone(frame):
    assert units.walk(frame, SEED) is None
