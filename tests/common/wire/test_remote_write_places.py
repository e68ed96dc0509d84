"""Where the numbers of a point are: found from its fields, and nothing else is taken for one."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, SummaryDataPoint

from common.wire import remote_write_places as places
from tests.common.wire.test_remote_write import T, number

HISTOGRAM, SUMMARY = places.HISTOGRAM, places.SUMMARY
SEED = 3


def words(point, unit):
    """Return the numbers at the places of a unit, by what they are."""
    found = {"time": point[unit.time : unit.time + 8]}
    found["values"] = [point[at : at + 8] for at, _ in unit.values]
    found["buckets"] = [
        int.from_bytes(point[unit.buckets + 8 * n : unit.buckets + 8 * n + 8], "little")
        for n in range(unit.bucket_count)
    ]
    return found


def histogram(**fields):
    point = HistogramDataPoint(
        start_time_unix_nano=1, time_unix_nano=T, count=9, sum=4.5, explicit_bounds=[1, 2],
        bucket_counts=[2, 3, 4], **fields,
    )  # fmt: skip
    point.attributes.add(key="a").value.string_value = "b"
    return point.SerializeToString()


@pytest.mark.parametrize(("value", "kind"), [(1.5, places.DOUBLE), (7, places.INT)])
@pytest.mark.parametrize("start", [0, 5])
def test_a_number_has_a_time_and_a_value(value, kind, start):
    point = number(value, start_time_unix_nano=start).SerializeToString()
    key = places.number_key(point, 0, len(point), SEED)
    unit = places.number(point, 0, key)
    assert words(point, unit)["time"] == T.to_bytes(8, "little")
    assert [role for _, role in unit.values] == [kind]
    assert (unit.start, unit.idle) == (1 if start else None, ())


def test_a_histogram_has_counts_a_sum_and_buckets_and_its_extremes_are_idle():
    point = histogram(min=0.5, max=3.5)
    unit = places.composite(point, (0, len(point)), HISTOGRAM, SEED)
    assert words(point, unit)["buckets"] == [2, 3, 4]
    assert [role for _, role in unit.values] == [places.UNSIGNED, places.DOUBLE]
    assert len(unit.idle) == 2


def test_a_summary_has_a_value_for_each_quantile():
    point = SummaryDataPoint(time_unix_nano=T, count=3, sum=1.0)
    for rank in (0.5, 0.9):
        point.quantile_values.add(quantile=rank, value=rank * 2)
    body = point.SerializeToString()
    unit = places.composite(body, (0, len(body)), SUMMARY, SEED)
    assert len(unit.values) == 4


def test_bounds_and_quantiles_belong_to_the_key():
    base = histogram()
    other = base.replace(b"\x00\x00\x00\x00\x00\x00\x00\x40", b"\x00\x00\x00\x00\x00\x00\x08\x40")
    assert other != base
    keys = {places.composite(b, (0, len(b)), HISTOGRAM, SEED).key for b in (base, other)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    "point",
    [
        b"",  # no time
        b"\x19" + bytes(8),  # no value
        b"\x11" + bytes(8) + b"\x21" + bytes(8),  # no time
        b"\x21" + bytes(8) + b"\x19" + bytes(8),  # another order
        b"\x19" + bytes(8) + b"\xa1\x00" + bytes(8),  # a tag of two bytes
    ],
)
def test_numbers_written_otherwise_have_no_key(point):
    assert places.number_key(point, 0, len(point), SEED) == b""


@pytest.mark.parametrize(
    "point",
    [
        b"\x21" + bytes(8),  # no time
        b"\x19" + bytes(8) + b"\x19" + bytes(8),  # a time twice
        b"\x21" + bytes(8) + b"\x19" + bytes(8),  # another order
        b"\x19" + bytes(8) + b"\x32\x07" + bytes(7),  # buckets that are cut
        b"\x19" + bytes(8) + b"\x32\x08" + bytes(8) + b"\x32\x08" + bytes(8),  # buckets twice
    ],
)
def test_histograms_written_otherwise_are_no_units(point):
    assert places.composite(point, (0, len(point)), HISTOGRAM, SEED) is None
