"""Deltas become totals and totals deltas; nothing else changes, and no point goes unaccounted."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from bench.references import otlp as counting, temporality as reference
from common.wire import errors, otlp, protobuf, temporality
from common.wire.temporality import Accumulator, Differ, Reason, Turned
from tests.fakes import otlp_wire, points as gauges, temporality_wire

Request = metrics_service_pb2.ExportMetricsServiceRequest
DELTA, CUMULATIVE = 1, 2
NOW = 2e-6
BEGAN = 1_000


def accumulator(max_bytes: int = 1 << 24, expiry: float = 60.0) -> Accumulator:
    return Accumulator(max_bytes=max_bytes, expiry=expiry, seed=5)


def differ(max_bytes: int = 1 << 24, expiry: float = 60.0, began: int = BEGAN) -> Differ:
    return Differ(max_bytes=max_bytes, expiry=expiry, seed=5, began=began / 1e9)


def message(kind: str, *points: dict[str, Any], temporality: int, **more: Any) -> Any:
    """Return a request of one metric whose points are *points*."""
    request = Request()
    frame = request.resource_metrics.add()
    frame.resource.attributes.add(key="service.name").value.string_value = "shop"
    metric = frame.scope_metrics.add().metrics.add(name="m", unit="s", description="Helps.")
    content = getattr(metric, kind)
    content.aggregation_temporality = temporality
    if kind == "sum":
        content.is_monotonic = more.get("is_monotonic", True)
    for fields in points:
        point = content.data_points.add()
        for name, value in fields.items():
            match name:
                case "attributes":
                    for key in value:
                        point.attributes.add(key=key).value.string_value = key
                case "positive" | "negative":
                    getattr(point, name).offset = value[0]
                    getattr(point, name).bucket_counts.extend(value[1:])
                case "at":
                    point.time_unix_nano = value
                case "start":
                    point.start_time_unix_nano = value
                case _ if isinstance(value, list):
                    getattr(point, name).extend(value)
                case _:
                    setattr(point, name, value)
    return request


def convert(turner: temporality.Turner, request: Any, now: float = NOW) -> Turned:
    body = otlp.Encoded(request.SerializeToString())
    return turner.convert(body, counting.count(body), now)


def points(turned: Turned) -> list[Any]:
    """Return the points of a request of at most one metric."""
    metrics = [
        metric
        for frame in Request.FromString(turned.body).resource_metrics
        for scope in frame.scope_metrics
        for metric in scope.metrics
    ]
    return [] if not metrics else counting.points_of(metrics[0])


def sums(turner: temporality.Turner, *fields: dict[str, Any], **more: Any) -> list[Any]:
    """Return start, time and value of what becomes of a sum's points, and reasons of the others."""
    temporality = DELTA if isinstance(turner, Accumulator) else CUMULATIVE
    found: list[Any] = []
    for one in fields:
        turned = convert(turner, message("sum", one, temporality=temporality, **more))
        assert turned.points + sum(turned.dropped.values()) == 1
        for point in points(turned):
            value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
            found.append((point.start_time_unix_nano, point.time_unix_nano, value))
        found += turned.dropped
    return found


# Deltas to totals


def test_deltas_add_up_from_the_start_of_the_first_across_gaps() -> None:
    found = sums(
        accumulator(),
        {"as_int": 3, "start": 10, "at": 20},
        {"as_int": 4, "start": 20, "at": 30},
        {"as_int": 5, "start": 90, "at": 99},
    )
    assert found == [(10, 20, 3), (10, 30, 7), (10, 99, 12)]


@pytest.mark.parametrize("start", [0, 21])
def test_a_total_without_a_start_begins_with_its_first_delta(start: int) -> None:
    found = sums(accumulator(), {"as_int": 3, "start": start, "at": 20}, {"as_int": 1, "at": 30})
    assert found == [(20, 20, 3), (20, 30, 4)]


def test_what_is_not_younger_is_out_of_order_and_adds_nothing() -> None:
    found = sums(
        accumulator(),
        {"as_int": 3, "at": 20},
        {"as_int": 3, "at": 20},
        {"as_int": 3, "at": 19},
        {"as_int": 1, "at": 21},
    )
    assert found == [(20, 20, 3), Reason.OUT_OF_ORDER, Reason.OUT_OF_ORDER, (20, 21, 4)]


def test_integers_stay_integers_until_they_do_not_fit() -> None:
    top = 2**63 - 1
    values = [top - 1, 1, 1, 5]
    found = sums(accumulator(), *({"as_int": v, "at": n} for n, v in enumerate(values, 1)))
    assert [(v, type(v)) for _, _, v in found] == [
        (top - 1, int), (top, int), (2.0**63, float), (2.0**63 + 5, float)
    ]  # fmt: skip


def test_integers_and_doubles_add_up_to_doubles() -> None:
    found = sums(accumulator(), {"as_int": 1, "at": 1}, {"as_double": 0.5, "at": 2})
    assert found == [(1, 1, 1), (1, 2, 1.5)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_one_bad_delta_does_not_spoil_the_total(value: float) -> None:
    found = sums(
        accumulator(), {"as_double": 1, "at": 1}, {"as_double": value, "at": 2}, {"at": 3},
        {"as_double": 1, "at": 4},
    )  # fmt: skip
    assert found == [(1, 1, 1), Reason.INVALID_POINT, Reason.INVALID_POINT, (1, 4, 2)]


def test_sums_that_are_not_monotonic_may_fall() -> None:
    found = sums(accumulator(), {"as_int": 1, "at": 1}, {"as_int": -5, "at": 2}, is_monotonic=False)
    assert found == [(1, 1, 1), (1, 2, -4)]


def test_a_total_beyond_the_doubles_begins_anew() -> None:
    turner = accumulator()
    found = sums(
        turner, {"as_double": 1.5e308, "at": 1}, {"as_double": 1.5e308, "start": 1, "at": 2}
    )
    assert found == [(1, 1, 1.5e308), (1, 2, 1.5e308)]
    assert turner.stats().resets == 1


def test_the_result_says_which_temporality_it_has() -> None:
    for turner, before, after in ((accumulator(), 1, 2), (differ(began=0), 2, 1)):
        turned = convert(
            turner, message("sum", {"as_int": 1, "start": 5, "at": 9}, temporality=before)
        )
        (frame,) = Request.FromString(turned.body).resource_metrics
        (metric,) = frame.scope_metrics[0].metrics
        assert metric.sum.aggregation_temporality == after
        assert (metric.name, metric.unit, metric.description) == ("m", "s", "Helps.")
        assert metric.sum.is_monotonic


def test_a_point_without_a_value_passes_and_ends_the_series() -> None:
    for turner, kind in ((accumulator(), DELTA), (differ(), CUMULATIVE)):
        sums(turner, {"as_int": 3, "at": 20})
        marker = message("sum", {"flags": 1, "at": 21}, temporality=kind)
        (passed,) = points(convert(turner, marker))
        assert (passed.flags, passed.time_unix_nano, passed.WhichOneof("value")) == (1, 21, None)
        assert turner.stats().series == 0
        late = message("sum", {"as_int": 3, "at": 30}, temporality=kind)
        convert(turner, late)
        marker = message("sum", {"flags": 1, "at": 30}, temporality=kind)
        assert convert(turner, marker).dropped == {Reason.OUT_OF_ORDER: 1}


def test_points_without_a_time_get_the_time_at_which_they_came() -> None:
    turner = accumulator()
    assert sums(turner, {"as_int": 3}, {"as_int": 3}) == [(2000, 2000, 3), Reason.OUT_OF_ORDER]
    assert (
        points(convert(turner, message("sum", {"as_int": 1}, temporality=1), 3e-6))[0].as_int == 4
    )


HISTOGRAM = {
    "start": 5, "explicit_bounds": [1.0, 2.0], "min": 0.5, "max": 3.0,
}  # fmt: skip


def test_histograms_add_up_without_their_extremes() -> None:
    turner = accumulator()
    one = HISTOGRAM | {"at": 10, "count": 3, "sum": 4.5, "bucket_counts": [1, 2, 0]}
    two = HISTOGRAM | {"at": 20, "count": 2, "sum": -1.0, "bucket_counts": [0, 1, 1]}
    (first, second) = points(convert(turner, message("histogram", one, two, temporality=DELTA)))
    assert (first.count, first.sum, [*first.bucket_counts]) == (3, 4.5, [1, 2, 0])
    assert (second.count, second.sum, [*second.bucket_counts]) == (5, 3.5, [1, 3, 1])
    assert [*second.explicit_bounds] == [1.0, 2.0]
    assert (second.start_time_unix_nano, second.time_unix_nano) == (5, 20)
    assert not any(point.HasField(name) for point in (first, second) for name in ("min", "max"))


def test_a_histogram_with_other_bounds_begins_anew() -> None:
    turner = accumulator()
    one = {"start": 5, "at": 10, "count": 3, "explicit_bounds": [1.0], "bucket_counts": [1, 2]}
    two = {"start": 10, "at": 20, "count": 2, "explicit_bounds": [9.0], "bucket_counts": [1, 1]}
    found = points(convert(turner, message("histogram", one, two, temporality=DELTA)))
    assert [(p.start_time_unix_nano, p.count) for p in found] == [(5, 3), (10, 2)]
    assert (turner.stats().series, turner.stats().resets) == (1, 1)


def test_a_histogram_that_contradicts_itself_is_invalid() -> None:
    bad = {"at": 10, "explicit_bounds": [1.0], "bucket_counts": [1]}
    turned = convert(accumulator(), message("histogram", bad, temporality=DELTA))
    assert (turned.points, turned.dropped) == (0, {Reason.INVALID_POINT: 1})


def test_exponential_histograms_add_up_at_the_lower_scale() -> None:
    one = {"at": 10, "start": 5, "count": 3, "sum": 4.0, "scale": 1, "positive": (0, 1, 2)}
    two = {"at": 20, "start": 10, "count": 3, "sum": 4.0, "scale": 0, "positive": (0, 1, 2)}
    found = points(
        convert(accumulator(), message("exponential_histogram", one, two, temporality=DELTA))
    )
    assert (found[1].scale, found[1].count, found[1].sum) == (0, 6, 8.0)
    assert (found[1].positive.offset, [*found[1].positive.bucket_counts]) == (0, [4, 2])
    assert found[1].start_time_unix_nano == 5


def test_exemplars_are_kept() -> None:
    for kind in ("sum", "histogram", "exponential_histogram"):
        request = message(kind, {"at": 10}, {"at": 20}, temporality=DELTA)
        content = getattr(request.resource_metrics[0].scope_metrics[0].metrics[0], kind)
        for point in content.data_points:
            if kind == "sum":
                point.as_int = 1
            point.exemplars.add(as_double=1.5, trace_id=b"t" * 16)
        found = points(convert(accumulator(), request))
        assert [p.exemplars[0].trace_id for p in found] == [b"t" * 16] * 2


# Totals to deltas


def test_the_first_total_is_the_baseline_of_those_after_it() -> None:
    found = sums(
        differ(),
        {"as_int": 30, "start": 10, "at": 20},
        {"as_int": 34, "start": 10, "at": 30},
        {"as_int": 34, "start": 10, "at": 40},
    )
    assert found == [Reason.BASELINE, (20, 30, 4), (30, 40, 0)]


def test_a_series_that_began_after_us_is_all_new() -> None:
    turner = differ()
    assert sums(turner, {"as_int": 30, "start": BEGAN + 1, "at": BEGAN + 9}) == [
        (BEGAN + 1, BEGAN + 9, 30)
    ]
    assert sums(turner, {"as_int": 31, "start": BEGAN + 1, "at": BEGAN + 10}) == [
        (BEGAN + 9, BEGAN + 10, 1)
    ]


def test_a_series_that_may_have_been_forgotten_is_not_all_new() -> None:
    turner = differ(expiry=5.0)
    new = {"as_int": 30, "start": BEGAN + 1, "at": BEGAN + 9}
    assert sums(turner, new) == [(BEGAN + 1, BEGAN + 9, 30)]
    later = message("sum", new | {"at": BEGAN + 20, "as_int": 40}, temporality=CUMULATIVE)
    assert convert(turner, later, 100.0).dropped == {Reason.BASELINE: 1}
    assert turner.stats().expiries == 1
    other = {"as_int": 7, "start": BEGAN + 10, "at": BEGAN + 12, "attributes": ["new"]}
    assert convert(turner, message("sum", other, temporality=CUMULATIVE), 100.0).points == 1


def test_a_smaller_total_was_reset_and_came_since() -> None:
    found = sums(
        differ(),
        {"as_int": 30, "start": 10, "at": 20},
        {"as_int": 4, "start": 10, "at": 30},
        {"as_int": 9, "start": 10, "at": 40},
    )
    assert found == [Reason.BASELINE, (20, 30, 4), (30, 40, 5)]


def test_a_later_start_is_a_reset_even_if_the_total_is_not_smaller() -> None:
    turner = differ()
    found = sums(turner, {"as_int": 3, "start": 10, "at": 20}, {"as_int": 9, "start": 25, "at": 30})
    assert found == [Reason.BASELINE, (25, 30, 9)]
    assert turner.stats().resets == 1


def test_what_is_out_of_order_does_not_move_the_baseline() -> None:
    found = sums(
        differ(), {"as_int": 30, "at": 20}, {"as_int": 90, "at": 20}, {"as_int": 31, "at": 21}
    )
    assert found == [Reason.BASELINE, Reason.OUT_OF_ORDER, (20, 21, 1)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_bad_total_does_not_move_the_baseline(value: float) -> None:
    found = sums(
        differ(),
        {"as_double": 3, "at": 1},
        {"as_double": value, "at": 2},
        {"as_double": 4, "at": 3},
    )
    assert found == [Reason.BASELINE, Reason.INVALID_POINT, (1, 3, 1)]


def test_differences_beyond_integers_are_doubles() -> None:
    found = sums(differ(), {"as_int": 1, "at": 1}, {"as_double": 1.5, "at": 2})
    assert found == [Reason.BASELINE, (1, 2, 0.5)]


@pytest.mark.parametrize(
    ("count", "buckets"), [(2, [2, 0, 0]), (5, [0, 5, 0])], ids=["count", "bucket"]
)
def test_a_histogram_of_which_any_part_is_smaller_was_reset(count: int, buckets: list[int]) -> None:
    one = HISTOGRAM | {"at": 10, "count": 4, "sum": 9.0, "bucket_counts": [2, 2, 0]}
    two = HISTOGRAM | {"at": 20, "count": count, "sum": 3.0, "bucket_counts": buckets}
    turned = convert(differ(), message("histogram", one, two, temporality=CUMULATIVE))
    (point,) = points(turned)
    assert (point.count, point.sum, [*point.bucket_counts]) == (count, 3.0, buckets)
    assert (point.start_time_unix_nano, turned.dropped) == (10, {Reason.BASELINE: 1})


def test_the_sum_of_a_histogram_may_fall() -> None:
    one = HISTOGRAM | {"at": 10, "count": 4, "sum": 9.0, "bucket_counts": [2, 2, 0]}
    two = HISTOGRAM | {"at": 20, "count": 5, "sum": 3.0, "bucket_counts": [3, 2, 0]}
    (point,) = points(convert(differ(), message("histogram", one, two, temporality=CUMULATIVE)))
    assert (point.count, point.sum, [*point.bucket_counts]) == (1, -6.0, [1, 0, 0])
    assert not point.HasField("min")
    assert not point.HasField("max")


def test_other_bounds_are_another_baseline() -> None:
    one = HISTOGRAM | {"at": 10, "count": 1, "bucket_counts": [1, 0, 0]}
    two = one | {"at": 20, "explicit_bounds": [1.0, 7.0]}
    three = two | {"at": 30, "count": 2, "bucket_counts": [1, 1, 0]}
    turned = convert(differ(), message("histogram", one, two, three, temporality=CUMULATIVE))
    assert turned.dropped == {Reason.BASELINE: 2}
    assert [(p.start_time_unix_nano, p.count) for p in points(turned)] == [(20, 1)]


def test_an_exponential_histogram_may_lower_its_scale() -> None:
    one = {"at": 10, "count": 3, "scale": 1, "positive": (0, 1, 2)}
    two = {"at": 20, "count": 5, "scale": 0, "positive": (0, 4, 1)}
    (point,) = points(
        convert(differ(), message("exponential_histogram", one, two, temporality=CUMULATIVE))
    )
    assert (point.scale, point.count) == (0, 2)
    assert (point.positive.offset, [*point.positive.bucket_counts]) == (0, [1, 1])


# What is not affected


def test_a_body_without_affected_metrics_is_returned_as_it_is() -> None:
    others = [
        gauges.request([1.0, 2.0]),
        message("sum", {"as_int": 1, "at": 1}, temporality=CUMULATIVE, is_monotonic=False),
        message("sum", {"as_int": 1, "at": 1}, temporality=0),
    ]
    bodies = [o if isinstance(o, bytes) else otlp.Encoded(o.SerializeToString()) for o in others]
    for turner in (accumulator(), differ()):
        for body in bodies:
            count = counting.count(body)
            turned = turner.convert(otlp.Encoded(body), count, NOW)
            assert turned == Turned(body=otlp.Encoded(body), points=count, dropped={})
            assert turned.body is body
        assert turner.stats().series == 0


def test_what_looks_like_a_delta_inside_a_point_is_none() -> None:
    for tail in (b"\x10\x01\x18\x01", b"\x10\x01"):
        attribute = protobuf.framed(7, protobuf.framed(1, b"key" + tail))
        data = protobuf.framed(1, protobuf.framed(1, attribute))
        body = protobuf.framed(2, protobuf.framed(2, protobuf.framed(7, data)))
        request = otlp.Encoded(protobuf.framed(1, body))
        assert accumulator().convert(request, 1, NOW).body is request


@pytest.mark.parametrize(
    ("content", "affected"),
    [
        (b"\x10\x01" + b"\x0a\x00", True),  # in front of the points
        (b"\x10\x02\x10\x01" + b"\x0a\x00", True),  # the last one wins
        (b"\x10\x01" + b"\x0a\x00" + b"\x10\x02", False),
        (b"\x90\x00\x81\x80\x00" + b"\x0a\x00", True),  # longer than it needs to be
        (b"\x0a\x00" + b"\x10\x81\x80\x80\x80\x10", True),  # bits beyond 32 are dropped
        (b"\x0a\x00" + b"\x12\x01\x01", False),  # of another wire type: unknown
    ],
)
def test_the_temporality_is_what_protobuf_says(content: bytes, *, affected: bool) -> None:
    body = protobuf.framed(2, protobuf.framed(2, protobuf.framed(7, content)))
    request = otlp.Encoded(protobuf.framed(1, body))
    turned = accumulator().convert(request, 1, NOW)
    assert (turned.body is not request) == affected
    assert bool(turned.dropped) == affected


def test_the_kind_is_the_last_one() -> None:
    delta = protobuf.framed(7, b"\x0a\x00\x10\x01")
    gauge = protobuf.framed(5, b"\x0a\x00")
    body = otlp.Encoded(protobuf.framed(1, protobuf.framed(2, protobuf.framed(2, delta + gauge))))
    assert accumulator().convert(body, 1, NOW).body is body


def test_other_frames_are_copied_and_frames_without_points_vanish() -> None:
    gauge = gauges.request([1.0])
    delta = message("sum", {"at": 1}, temporality=DELTA).SerializeToString()
    stranger = protobuf.framed(9, b"unknown")
    body = otlp.Encoded(gauge + delta + stranger + gauge)
    turned = accumulator().convert(body, 3, NOW)
    assert turned.body == gauge + stranger + gauge
    assert (turned.points, turned.dropped) == (2, {Reason.INVALID_POINT: 1})


def test_other_metrics_and_scopes_of_a_frame_are_kept() -> None:
    request = message("sum", {"as_int": 1, "at": 1}, temporality=CUMULATIVE)
    scope = request.resource_metrics[0].scope_metrics[0]
    scope.metrics.add(name="g").gauge.data_points.add(as_int=1)
    request.resource_metrics[0].scope_metrics.add(schema_url="u")
    turned = convert(differ(), request)
    assert (turned.points, turned.dropped) == (1, {Reason.BASELINE: 1})
    del scope.metrics[0]
    assert turned.body == request.SerializeToString()


def test_a_body_that_is_none_is_malformed() -> None:
    with pytest.raises(errors.Malformed, match="RequestOutline"):
        accumulator().convert(otlp.Encoded(b"\x0a\x05"), 0, NOW)


# State


def test_attributes_in_another_order_are_the_same_series() -> None:
    found = sums(
        accumulator(),
        {"as_int": 1, "at": 1, "attributes": ["a", "b", "c"]},
        {"as_int": 1, "at": 2, "attributes": ["c", "a", "b"]},
        {"as_int": 1, "at": 3, "attributes": ["a", "b", "c"]},
        {"as_int": 1, "at": 4, "attributes": ["a", "b"]},
    )
    assert [value for _, _, value in found] == [1, 2, 3, 1]


def test_a_state_that_is_full_forgets_what_was_not_seen_for_longest() -> None:
    turner = accumulator(max_bytes=10_000)
    for at in range(1, 200):
        sums(turner, {"as_int": 1, "at": at}, {"as_int": 1, "at": at, "attributes": [str(at)]})
        assert turner.stats().size <= 10_000
    assert turner.stats().evictions > 150
    assert sums(turner, {"as_int": 1, "at": 500}) == [(1, 500, 200)]
    again = {"as_int": 1, "start": 500, "at": 501, "attributes": ["1"]}
    assert sums(turner, again) == [(500, 501, 1)]


def test_a_series_that_no_longer_comes_is_forgotten() -> None:
    turner = accumulator(expiry=5.0)
    request = message("sum", {"as_int": 1, "at": 1}, temporality=DELTA)
    convert(turner, request, 10.0)
    assert convert(turner, request, 15.0).dropped == {Reason.OUT_OF_ORDER: 1}
    assert turner.stats().expiries == 0
    # What was out of order did not count as seen: a time far in the future is not for ever.
    assert convert(turner, request, 15.1).points == 1
    assert turner.stats().expiries == 1


def test_without_room_for_anything_every_delta_begins_anew() -> None:
    turner = accumulator(max_bytes=1)
    assert sums(turner, {"as_int": 1, "at": 1}, {"as_int": 2, "at": 2}) == [(1, 1, 1), (2, 2, 2)]
    assert (turner.stats().series, turner.stats().evictions) == (0, 2)


@pytest.mark.parametrize("kind", ["sum", "histogram", "exponential_histogram"])
def test_the_bytes_of_the_state_are_about_those_that_it_takes(kind: str) -> None:
    fields: list[dict[str, Any]] = []
    for n in range(3_000):
        one: dict[str, Any] = {"at": 10**18, "attributes": [f"key {n}", f"another {n}"]}
        if kind == "sum":
            one["as_double"] = n + 0.5
        elif kind == "histogram":
            one |= {"count": 10**6 + n, "bucket_counts": [10**6 + n + b for b in range(9)]}
            one["explicit_bounds"] = [float(b) for b in range(8)]
        else:
            one |= {"count": 10**6 + n, "positive": (0, *(10**6 + n + b for b in range(8)))}
        fields.append(one)
    body = otlp.Encoded(message(kind, *fields, temporality=DELTA).SerializeToString())
    turner = accumulator()
    tracemalloc.start()
    try:
        turner.convert(body, 3_000, NOW)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.75 <= taken / turner.stats().size <= 1.15


# Laws


def agree(bodies: list[bytes], began: int | None) -> None:
    """Check that bytes and objects say the same of *bodies*, one after the other."""
    obvious = reference.Reference(began)
    turner = accumulator(expiry=1e9) if began is None else differ(expiry=1e9, began=began)
    dropped: Counter[str] = Counter()
    for body in bodies:
        came = counting.count(body)
        turned = turner.convert(otlp.Encoded(body), came, NOW)
        expected = obvious.convert(body, NOW)
        assert reference.canonical(turned.body) == reference.canonical(expected)
        assert turned.points == counting.count(turned.body)
        assert turned.points + sum(turned.dropped.values()) == came
        dropped.update(turned.dropped)
        assert dropped == obvious.dropped
    assert turner.stats().series == len(obvious.series)


@settings(max_examples=150, deadline=None)
@given(temporality_wire.histories, st.sampled_from([None, BEGAN]))
def test_histories_agree_with_decoding_everything(bodies: list[bytes], began: int | None) -> None:
    agree(bodies, began)


@settings(max_examples=75, deadline=None)
@given(otlp_wire.histories, st.sampled_from([None, BEGAN]))
def test_odd_bytes_agree_with_decoding_everything(bodies: list[bytes], began: int | None) -> None:
    agree([body for body in bodies if is_valid(body)], began)


def is_valid(body: bytes) -> bool:
    try:
        otlp.count(body)
    except errors.Malformed:
        return False
    return True


@settings(max_examples=50, deadline=None)
@given(temporality_wire.histories, st.integers(0, 20_000), st.sampled_from([Accumulator, Differ]))
def test_a_small_state_keeps_its_bound_and_the_account(
    bodies: list[bytes], max_bytes: int, direction: type[temporality.Turner]
) -> None:
    turner = accumulator(max_bytes, 2.0) if direction is Accumulator else differ(max_bytes, 2.0)
    for now, body in enumerate(bodies):
        came = counting.count(body)
        turned = turner.convert(otlp.Encoded(body), came, float(now))
        assert turned.points == counting.count(turned.body)
        assert turned.points + sum(turned.dropped.values()) == came
        assert turner.stats().size <= max_bytes


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 9), st.integers(0, 1000), st.lists(st.integers(0, 99), min_size=3)
        ),
        min_size=2,
        max_size=10,
    ),
    st.sampled_from(["sum", "histogram", "exponential_histogram"]),
)
def test_deltas_to_totals_to_deltas_is_where_we_were(
    deltas: list[tuple[int, int, list[int]]], kind: str
) -> None:
    there, back = accumulator(), differ(began=10**9)
    time, sent, returned = 10, [], []
    for wait, value, counts in deltas:
        one: dict[str, Any] = {"start": time, "at": time + wait}
        time += wait
        total = sum(counts[:3])
        if kind == "sum":
            one["as_double"] = value / 4
        elif kind == "histogram":
            one |= {"count": total, "sum": value / 4, "bucket_counts": counts[:3]}
            one["explicit_bounds"] = [1.0, 2.0]
        else:
            one |= {"count": total, "sum": value / 4, "scale": 3, "positive": (2, *counts[:3])}
        request = message(kind, one, temporality=DELTA)
        sent.append(reference.canonical(request.SerializeToString()))
        turned = convert(there, request)
        turned = back.convert(turned.body, turned.points, NOW)
        returned.append(reference.canonical(turned.body))
    assert returned[0] == b""  # the baseline
    for came, went in zip(returned[1:], sent[1:], strict=True):
        assert explained(came) == explained(went)


def explained(body: bytes) -> str:
    """Spell a request; an offset of no buckets says nothing."""
    request = Request.FromString(body)
    for point in counting.points_of(request.resource_metrics[0].scope_metrics[0].metrics[0]):
        if hasattr(point, "positive") and not point.positive.bucket_counts:
            point.ClearField("positive")
    return str(request)
