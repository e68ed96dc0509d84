"""Parts stay within their size, and exemplars give way to points."""

import pytest

from bench.references import prompb
from common.wire import remote_write_parts, remote_write_series
from common.wire.remote_write_parts import Composite, Native
from common.wire.remote_write_series import label

HEAD = remote_write_series.head(label("__name__", "took"))
EXEMPLAR = (5, b"\x1a\x0b\x11" + bytes(8) + b"\x18\x05")
LONG = (6, b"\x1a\x82\x02\x0a\xfd\x01\x0a\xfa\x01" + b"x" * 250 + b"\x18\x06")


def read(parts):
    found = []
    for body, points, samples in parts:
        series = prompb.WriteRequest.FromString(body).timeseries
        assert samples == sum(len(each.samples) + len(each.histograms) for each in series)
        found.append((points, [len(each.exemplars) for each in series]))
    return found


def samples(count):
    return [(ms, bytes(8)) for ms in range(count)]


def test_exemplars_go_with_the_first_samples_of_a_series():
    parts, left_out = remote_write_parts.of_samples(HEAD, samples(10), [EXEMPLAR], 200)
    assert (read(parts), left_out) == ([(4, [1]), (4, [0]), (2, [0])], 0)
    assert all(len(body) <= 200 for body, _, _ in parts)


def test_exemplars_without_room_are_counted_and_cost_no_point():
    parts, left_out = remote_write_parts.of_samples(HEAD, samples(1), [EXEMPLAR, LONG], 200)
    assert (read(parts), left_out) == ([(1, [0])], 2)


def test_native_histograms_are_cut_between_points():
    points = [Native(milliseconds=n, body=b"\x08\x01" * 20, exemplars=[EXEMPLAR]) for n in range(5)]
    parts, left_out = remote_write_parts.of_natives(HEAD, points, 200)
    assert (read(parts), left_out) == ([(2, [1]), (2, [1]), (1, [1])], 0)
    long = Native(milliseconds=9, body=b"\x08\x01" * 20, exemplars=[LONG, EXEMPLAR])
    parts, left_out = remote_write_parts.of_natives(HEAD, [points[0], long], 200)
    assert (read(parts), left_out) == ([(2, [1])], 2)
    assert all(len(body) <= 200 for body, _, _ in parts)


@pytest.mark.parametrize("start", [b"", remote_write_series.start(3)])
@pytest.mark.parametrize("milliseconds", [1_700_000_000_000, 7])
def test_a_composite_has_its_exemplars_in_the_series_they_belong_to(start, milliseconds):
    make = remote_write_series.started_head if start else remote_write_series.head
    heads = (make(label("le", "1")), make(label("le", "+Inf")))
    point = Composite(
        milliseconds=milliseconds, heads=heads, values=(bytes(8),) * 2, start=start,
        exemplars={heads[1]: [EXEMPLAR, EXEMPLAR]},
    )  # fmt: skip
    parts, left_out = remote_write_parts.of_composites([point], 1_000)
    assert (read(parts), left_out) == ([(1, [0, 1])], 0)
    parts, left_out = remote_write_parts.of_composites([point], 50)
    assert (read(parts), left_out) == ([(1, [0, 0])], 2)
    series = prompb.WriteRequest.FromString(parts[0][0]).timeseries
    assert [(s.samples[0].timestamp, s.samples[0].start_timestamp) for s in series] == [
        (milliseconds, 3 if start else 0)
    ] * 2
