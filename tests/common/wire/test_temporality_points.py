"""Points that serializers write are turned by position, and mean what those of any form do."""

from __future__ import annotations

import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2

from common.wire import protobuf, temporality_points, temporality_rules, temporality_shape
from common.wire.temporality_identity import Identities
from common.wire.temporality_points import Points
from common.wire.temporality_rules import Reason
from common.wire.temporality_state import States

METRIC = b"m" * 16
Point = metrics_pb2.NumberDataPoint


def turning() -> Points:
    states = States(1 << 20, 60.0, 0)
    return Points(temporality_rules.accumulate, Identities(1, 1 << 10), states, 9e-9)


def point(value: float, at: int, key: str = "k" * 10, start: int = 1) -> bytes:
    made = Point(start_time_unix_nano=start, time_unix_nano=at)
    if isinstance(value, int):
        made.as_int = value
    else:
        made.as_double = value
    made.attributes.add(key=key).value.string_value = "value"
    return made.SerializeToString()


def reordered(data: bytes) -> bytes:
    return b"".join([data[tag:end] for _, _, tag, _, end in reversed(protobuf.fields(data))])


def turned(points: Points, *data: bytes, monotonic: bool = True) -> list[Point]:
    framed = b"".join(points.numbers(data, METRIC, monotonic=monotonic))
    content = metrics_pb2.Sum.FromString(framed)
    return list(content.data_points)


@pytest.mark.parametrize("value", [3, 3.5])
def test_a_form_of_its_own_is_the_same_series(value: float) -> None:
    points = turning()
    usual, odd = point(value, 5), reordered(point(value, 6))
    found = turned(points, usual, odd, point(value, 7))
    totals = [p.as_int if isinstance(value, int) else p.as_double for p in found]
    assert totals == [value, 2 * value, 3 * value]
    assert [p.start_time_unix_nano for p in found] == [1, 1, 1]


def test_what_serializers_write_is_not_read_as_a_message(monkeypatch) -> None:
    def read(_: bytes) -> None:
        raise AssertionError("a message was read")

    points = turning()
    monkeypatch.setattr(temporality_shape, "number", read)
    found = turned(points, *(point(2, 5, key) for key in "abc"), *(point(0.5, 7, k) for k in "abc"))
    assert [p.as_double or p.as_int for p in found] == [2, 2, 2, 2.5, 2.5, 2.5]
    with pytest.raises(AssertionError, match="was read"):
        turned(points, reordered(point(2, 9)))


def test_a_point_grows_by_its_start_at_any_length() -> None:
    for size in (*range(85, 100), *range(465, 480), 20_000):
        (found,) = turned(turning(), point(1.0, 5, "k" * size, 0))
        assert found.attributes[0].key == "k" * size
        assert (found.start_time_unix_nano, found.as_double) == (5, 1.0)


def test_points_with_more_to_them_are_kept_whole() -> None:
    made = Point.FromString(point(1.5, 5))
    made.exemplars.add(as_double=9.0)
    made.flags = 2
    stranger = protobuf.framed(99, b"unknown")
    points = turning()
    (found,) = turned(points, made.SerializeToString() + stranger)
    assert found.exemplars == made.exemplars
    assert found.flags == 2
    assert stranger in found.SerializeToString()
    (found,) = turned(points, point(1.5, 6))
    assert found.as_double == 3.0


def test_absurdly_many_attributes_are_as_good_as_few() -> None:
    points = turning()
    made = [point(2, at) + b"\x3a\x00" * 20_000 for at in (5, 6)]
    assert [p.as_int for p in turned(points, *made)] == [2, 4]


@pytest.mark.parametrize(
    "data", [b"", b"\x19", b"\x11\x00", b"\x19" + bytes(8), b"\x19" + bytes(8) + b"\x3a\x00"]
)
def test_short_points_have_no_value(data: bytes) -> None:
    assert temporality_points._times(data) == (b"\0", (0, 0))


def test_points_without_a_value_are_invalid() -> None:
    points = turning()
    assert turned(points, b"", Point(time_unix_nano=3).SerializeToString()) == []
    assert points.dropped == {Reason.INVALID_POINT: 2}


def test_composites_say_what_they_lack() -> None:
    points = turning()
    framed = b"".join(points.histograms([b"", b""], METRIC))
    (found,) = metrics_pb2.Histogram.FromString(framed).data_points
    assert (found.start_time_unix_nano, found.time_unix_nano) == (9, 9)
    assert points.dropped == {Reason.OUT_OF_ORDER: 1}
    framed = b"".join(points.exponentials([b""], METRIC + b"e"))
    (other,) = metrics_pb2.ExponentialHistogram.FromString(framed).data_points
    assert other.time_unix_nano == 9
