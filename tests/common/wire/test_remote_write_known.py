"""Known shapes fare as the obvious way would have them, whatever changes from send to send."""

import random
import struct
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench.references import remote_write as reference
from common.wire import errors, otlp, remote_write, remote_write_known
from common.wire.remote_write import Drop, Options
from tests.common.wire import test_remote_write as plain
from tests.common.wire.test_remote_write import MIB, NOW, T, decoded, joined
from tests.fakes import otlp_wire

STEP = 10_000_000_000  # ns from one send to the next


@pytest.fixture(autouse=True)
def _small_frames_too(monkeypatch):
    monkeypatch.setattr(remote_write_known, "SMALL", 0)


def points_of(request):
    for frame in request.resource_metrics:
        for scope in frame.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is not None:
                    yield kind, getattr(metric, kind).data_points


def next_send(request, chance):
    """Return what the same sender sends next: other times, other values, nothing else."""
    other = ExportMetricsServiceRequest()
    other.CopyFrom(request)
    for kind, points in points_of(other):
        for point in points:
            if point.time_unix_nano in range(T - STEP, 2**62):
                point.time_unix_nano += STEP
            _renew(kind, point, chance)
    return other


def _renew(kind, point, chance):
    if kind in {"gauge", "sum"}:
        if point.HasField("as_double"):
            point.as_double = chance.choice([0.0, -0.0, 1.5, -1e308, float("inf")])
        elif point.HasField("as_int"):
            point.as_int = chance.randrange(-(2**63), 2**63)
    elif kind == "histogram":
        point.count = chance.randrange(1, 2**63) if point.count else 0
        counts = [chance.randrange(2**40) for _ in point.bucket_counts]
        point.bucket_counts[:] = counts
        if point.HasField("sum"):
            point.sum = chance.random()
    elif kind == "summary":
        point.sum = chance.random() if point.sum else 0
        for each in point.quantile_values:
            each.value = chance.random() if each.value else 0


def disturbed(request, chance):
    """Return a request with something about its points changed: order, number, exemplars, zeros."""
    other = ExportMetricsServiceRequest()
    other.CopyFrom(request)
    for kind, points in points_of(other):
        match chance.randrange(6):
            case 0:
                mixed = [*points]
                chance.shuffle(mixed)
                del points[:]
                points.extend(mixed)
            case 1 if len(points):
                del points[chance.randrange(len(points))]
            case 2 if len(points):
                points.add().CopyFrom(points[0])
                points[-1].attributes.add(key="new").value.string_value = "x"
            case 3 if len(points) and kind != "summary":
                points[-1].exemplars.add(as_double=1, time_unix_nano=T)
            case 4 if len(points) and kind in {"gauge", "sum"}:
                points[0].as_int = 7
            case _:
                pass
    return other


def told_by_any(body, obvious, family):
    """Return what the metrics of one family say: where they differ, any of them may be believed."""
    found = []
    for frame in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in frame.scope_metrics:
            for metric in scope.metrics:
                alone = plain.asked(metric, resource=())
                said, *_ = reference.Reference(obvious.options).convert(encoded(alone), NOW)
                found.append(decoded(said)[1].get(family))
    return found


def alike(fast, obvious, body):
    """Convert *body* both ways and compare everything that can be told apart."""
    converted = fast.convert(body, NOW)
    expected, points, dropped = obvious.convert(body, NOW)
    assert plain.exemplars(joined(converted)) == plain.exemplars(expected)
    series, metadata = decoded(joined(converted))
    expected_series, expected_metadata = decoded(expected)
    assert series == expected_series
    assert metadata.keys() == expected_metadata.keys()
    for family, said in metadata.items():
        assert said == expected_metadata[family] or said in told_by_any(body, obvious, family)
    assert sum(r.points for r in converted.requests) == points
    assert Counter({str(k): v for k, v in converted.dropped.items()}) == dropped
    assert points + sum(dropped.values()) == otlp.count(body)
    return converted


@settings(max_examples=40, deadline=None)
@given(plain.requests(), plain.options, st.integers(0, 2**32), st.data())
def test_it_agrees_with_the_obvious_way_whatever_changes(request, chosen, seed, data):
    chance = random.Random(seed)
    fast = remote_write.Converter(chosen, MIB, seed)
    obvious = reference.Reference(chosen)
    for _ in range(data.draw(st.integers(3, 7))):
        request = next_send(request, chance)
        sent = [request]
        match data.draw(st.sampled_from(["same", "same", "disturbed", "twice", "beside"])):
            case "disturbed":
                sent = [disturbed(request, chance)]
            case "twice":
                following = next_send(request, chance)
                sent = [request, following]
                request = following
            case "beside":
                sent = [request, data.draw(plain.requests())]
        body = otlp.Encoded(b"".join([each.SerializeToString() for each in sent]))
        alike(fast, obvious, body)


@settings(max_examples=60, deadline=None)
@given(st.lists(otlp_wire.SEEDS, min_size=1, max_size=2), st.integers(0, 2**32))
def test_unusual_bytes_fare_as_on_the_plain_path(seeds, seed):
    chance = random.Random(seed)
    fast, slow = (remote_write.Converter(Options(), MIB, seed) for _ in range(2))
    bodies = [otlp_wire._request(each) for each in seeds]
    for _ in range(5):
        # The same bytes again but for some eight of them behind a tag of a time, count or value.
        bodies = [_renumbered(body, chance) for body in bodies]
        body = otlp.Encoded(b"".join(bodies))
        try:
            otlp.count(body)
        except errors.Malformed:
            return
        converted = fast.convert(body, NOW)
        slow.known.senders.max_bytes = 0
        expected = slow.convert(body, NOW)
        assert decoded(joined(converted))[0] == decoded(joined(expected))[0]
        assert converted.dropped == expected.dropped
        assert sum(r.points for r in converted.requests) == sum(r.points for r in expected.requests)


def _renumbered(body, chance):
    out = bytearray(body)
    for at in range(len(out) - 8):
        if out[at] in {0x11, 0x19, 0x21, 0x29, 0x31} and chance.random() < 0.02:
            out[at + 1 : at + 9] = struct.pack("<Q", T + chance.randrange(2**40))
    return bytes(out)


def shop(points=20, **changes):
    metric = plain.gauge("load", *[
        plain.number(float(n), at=T + changes.get("later", 0), pairs=[("n", str(n))])
        for n in changes.get("order", range(points))
    ])  # fmt: skip
    return plain.asked(metric, resource=(("service.name", "shop"), ("service.instance.id", "1")))


def encoded(request):
    return otlp.Encoded(request.SerializeToString())


def taught(*, sends=3, seed=1):
    converter = remote_write.Converter(Options(), MIB, seed)
    for n in range(sends):
        converter.convert(encoded(shop(later=n * STEP)), NOW)
    return converter


def test_a_shape_is_learnt_when_its_sender_is_seen_again_and_recognised_from_then_on():
    known = taught(sends=5).known
    assert (known.learnt, known.recognised, known.rearranged) == (1, 3, 0)


def test_shuffled_points_are_found_one_by_one_and_make_the_same_request():
    converter = taught()
    straight = converter.convert(encoded(shop(later=5 * STEP)), NOW)
    mixed = converter.convert(encoded(shop(later=5 * STEP, order=[*reversed(range(20))])), NOW)
    assert joined(mixed) == joined(straight)
    assert (converter.known.learnt, converter.known.rearranged) == (1, 1)


def test_an_order_that_comes_again_is_learnt_and_recognised_from_then_on():
    converter = taught()
    order = [*reversed(range(20))]
    for n in range(5, 9):
        converter.convert(encoded(shop(later=n * STEP, order=order)), NOW)
    known = converter.known
    assert (known.learnt, known.rearranged, known.recognised) == (2, 1, 3)


def test_points_without_attributes_are_known_like_others():
    converter, obvious = remote_write.Converter(Options(), MIB, 1), reference.Reference(Options())
    for n in range(5):
        points = [plain.number(1.5, at=T + n * STEP), plain.number(2.5, at=T + n * STEP + 10**9)]
        alike(converter, obvious, encoded(plain.asked(plain.gauge("load", points[0]))))
        alike(converter, obvious, encoded(plain.asked(plain.gauge("load", *points))))
    assert converter.known.learnt


def test_points_that_vanish_or_are_new_leave_the_others_alone():
    converter, obvious = taught(), reference.Reference(Options())
    obvious.convert(encoded(shop()), NOW)
    for order in ([*range(1, 20)], [*range(5)], [*range(20), 77], [77, 3]):
        later = 6 * STEP + len(order)
        alike(converter, obvious, encoded(shop(later=later, order=order)))
    assert converter.known.rearranged >= 3


def test_two_sends_of_one_sender_in_a_body_stay_in_the_order_of_time():
    converter = taught()
    body = b"".join([encoded(shop(later=n * STEP)) for n in (5, 6)])
    (request,) = converter.convert(otlp.Encoded(body), NOW).requests
    series, _ = decoded(request.body)
    assert {len(samples) for samples in series.values()} == {2}
    assert converter.known.recognised == 3


def test_sends_out_of_order_are_put_in_order_and_freed_of_duplicates():
    converter, obvious = taught(), reference.Reference(Options())
    obvious.convert(encoded(shop()), NOW)
    body = b"".join([encoded(shop(later=n * STEP)) for n in (6, 5, 6)])
    converted = alike(converter, obvious, otlp.Encoded(body))
    assert converted.dropped == {Drop.DUPLICATE: 20}


@pytest.mark.parametrize("at", [0, 1, 2**63, 10**6 * (2**35 - 1), 10**6 * 2**42])
def test_times_that_do_not_fit_six_bytes_take_the_plain_path(at):
    converter, obvious = taught(), reference.Reference(Options())
    obvious.convert(encoded(shop()), NOW)
    request = shop(later=4 * STEP)
    request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[3].time_unix_nano = at
    alike(converter, obvious, encoded(request))


def test_counts_too_large_for_exact_sums_take_the_plain_path():
    def took(count, later):
        point = plain.HistogramDataPoint(
            time_unix_nano=T + later, count=count, sum=1.5, explicit_bounds=[1, 2],
            bucket_counts=[count, count, count], min=0.5, max=later,
        )  # fmt: skip
        return encoded(plain.asked(plain.histogram("took", point)))

    converter, obvious = remote_write.Converter(Options(), MIB, 1), reference.Reference(Options())
    for n, count in enumerate([5, 6, 7, 2**63, 2**53 + 1, 8]):
        alike(converter, obvious, took(count, (n + 1) * STEP))
    assert converter.known.recognised == 4  # with other minima and maxima, too


def test_what_is_dropped_for_its_shape_is_dropped_each_time():
    metrics = plain.sum_of("delta", temporality=1), plain.gauge("load")
    converter, obvious = remote_write.Converter(Options(), MIB, 1), reference.Reference(Options())
    for n in range(4):
        request = plain.asked(*metrics)
        for _, points in points_of(request):
            points[0].time_unix_nano += n * STEP
        converted = alike(converter, obvious, encoded(request))
        assert converted.dropped == {Drop.DELTA_UNSUPPORTED: 1}
    assert converter.known.recognised == 2


def test_an_attribute_that_takes_the_place_of_a_promoted_one_entangles_two_senders():
    chosen = Options(promote=("pod",))

    def of(pod, *own, later=0):
        return plain.asked(
            plain.gauge("load", plain.number(1.0, at=T + later, pairs=own)),
            resource=(("service.name", "shop"), ("pod", pod)),
        ).SerializeToString()

    converter, obvious = remote_write.Converter(chosen, MIB, 1), reference.Reference(chosen)
    for n in range(4):
        alike(converter, obvious, otlp.Encoded(of("a", later=n * STEP)))
    both = of("a", later=5 * STEP) + of("b", ("pod", "a"), later=5 * STEP)
    converted = alike(converter, obvious, otlp.Encoded(both))
    assert converted.dropped == {Drop.DUPLICATE: 1}


def test_a_series_of_the_rest_that_is_known_too_is_a_duplicate():
    converter, obvious = taught(), reference.Reference(Options())
    obvious.convert(encoded(shop()), NOW)
    request = shop(later=4 * STEP)
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    points.add().CopyFrom(points[0])
    points[-1].exemplars.add(as_double=1)  # the same series and time, spelt otherwise
    converted = alike(converter, obvious, encoded(request))
    assert converted.dropped == {Drop.DUPLICATE: 1}


def test_senders_that_never_repeat_themselves_are_not_learnt_for_ever():
    converter = remote_write.Converter(Options(), MIB, 1)
    for n in range(100):
        converter.convert(encoded(shop(order=range(20 * n, 20 * n + 20))), NOW)
    assert converter.known.learnt <= 8


def test_recipes_stay_within_their_bytes():
    converter = remote_write.Converter(Options(), 200_000, 1)
    for n in range(200):
        request = shop()
        request.resource_metrics[0].resource.attributes.add(key="n").value.int_value = n % 50
        converter.convert(encoded(request), NOW)
    senders = converter.known.senders
    assert senders.evictions
    assert 0 < senders.size <= senders.max_bytes


def test_requests_are_cut_between_frames_and_each_tells_its_metadata():
    chosen = Options(max_bytes=4_000)
    converter = remote_write.Converter(chosen, MIB, 1)

    def body(later):
        frames = []
        for n in range(6):
            request = shop(later=later)
            request.resource_metrics[0].resource.attributes[1].value.string_value = str(n)
            frames.append(encoded(request))
        return otlp.Encoded(b"".join(frames))

    for n in range(3):
        requests = converter.convert(body(n * STEP), NOW).requests
    assert converter.known.recognised == 6
    assert len(requests) > 1
    for request in requests:
        series, metadata = decoded(request.body)
        assert len(request.body) <= 4_000
        assert set(metadata) == {"load"}
        assert len(series) == request.points == request.samples


def counting(later, *, exemplars=(), exponential=False, began=T - STEP, points=20):
    """Return counters, gauges and a histogram of one sender; exemplars at the first of each."""
    start = {"start_time_unix_nano": began}
    hits = [
        plain.number(float(n), at=T + later, pairs=[("n", str(n))], **start) for n in range(points)
    ]
    loads = [plain.number(n, at=T + later, pairs=[("n", str(n))], **start) for n in range(points)]
    took = plain.HistogramDataPoint(
        time_unix_nano=T + later, count=3, sum=1.5, explicit_bounds=[1, 2], bucket_counts=[1, 1, 1],
        **start,
    )  # fmt: skip
    for point in (hits[0], loads[0], took):
        point.exemplars.extend(exemplars)
    metrics = [
        plain.sum_of("hits", *hits), plain.gauge("load", *loads), plain.histogram("took", took),
    ]  # fmt: skip
    if exponential:
        metrics.append(plain.exponential("spread", plain.spread(at=T + later)))
    return plain.asked(*metrics, resource=(("service.name", "shop"),))


@pytest.mark.parametrize("chosen", [Options(), Options(start_times=True)], ids=["bare", "started"])
def test_only_points_with_exemplars_and_exponential_histograms_take_the_plain_path(
    chosen, monkeypatch
):
    converter, obvious = remote_write.Converter(chosen, MIB, 1), reference.Reference(chosen)
    for n in range(4):
        alike(converter, obvious, encoded(counting(n * STEP)))
    rests = []
    add = remote_write.Converter._add

    def noted(self, conversion, body):
        rests.append(otlp.count(otlp.Encoded(body)))
        return add(self, conversion, body)

    monkeypatch.setattr(remote_write.Converter, "_add", noted)
    one = plain.Exemplar(as_int=1, time_unix_nano=T)
    for n in range(4, 8):  # an exemplar that stays the same makes no shape that is recognised
        alike(converter, obvious, encoded(counting(n * STEP, exemplars=[one], exponential=True)))
    # A counter, a histogram and an exponential histogram; of the gauge with its exemplar the first.
    assert rests[0] == 4
    assert set(rests[1:]) <= {4, 3}
    assert converter.known.recognised == 2
    assert converter.known.rearranged == 4


def test_starts_of_known_shapes_are_those_of_the_plain_path():
    chosen = Options(start_times=True)
    converter, obvious = remote_write.Converter(chosen, MIB, 1), reference.Reference(chosen)
    for n, began in enumerate(
        [T - STEP, T, 1, T + 2 * STEP, T + 99 * STEP, 2**64 - 1, T + 6 * STEP]
    ):
        alike(converter, obvious, encoded(counting(n * STEP, began=began)))
    assert converter.known.recognised == 5
    for n, order in enumerate([7, 20, 3]):
        later = (20 + n) * STEP
        alike(converter, obvious, encoded(counting(later, points=order)))
    assert converter.known.rearranged


def test_points_without_a_start_are_known_like_others():
    chosen = Options(start_times=True)
    converter, obvious = remote_write.Converter(chosen, MIB, 1), reference.Reference(chosen)
    for n in range(4):
        (request,) = alike(converter, obvious, encoded(counting(n * STEP, began=0))).requests
    assert converter.known.recognised == 2
    assert not any(start for points in decoded(request.body)[0].values() for *_, start in points)
