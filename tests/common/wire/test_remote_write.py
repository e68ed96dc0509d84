"""Remote write against the obvious implementation, and its rules one by one."""

import math
import struct
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from bench.references import prompb, remote_write as reference
from common.wire import errors, otlp, protobuf, remote_write
from common.wire.remote_write import Drop, Naming, Options

NOW = 1_700_000_100_000
T = 1_700_000_000_000_000_000
MIB = 1 << 20
STALE_BITS = 0x7FF0000000000002


# What comes out, in a form that can be compared: values by their bits, NaN is not equal to itself.


def decoded(body):
    """Read requests with upb and the schema of Prometheus, strictly."""
    request = prompb.WriteRequest.FromString(body)
    assert not list(UnknownFields(request))
    series = {}
    for each in request.timeseries:
        labels = tuple((label.name, label.value) for label in each.labels)
        names = [name for name, _ in labels]
        assert names == sorted(set(names))
        assert all(name and value for name, value in labels)
        assert "__name__" in names
        assert bool(each.samples) != bool(each.histograms)
        times = [sample.timestamp for sample in [*each.samples, *each.histograms]]
        assert times == sorted(set(times))
        found = series.setdefault(labels, [])
        assert not found or found[-1][1] < times[0]
        found += [
            (bits(sample.value), sample.timestamp, sample.start_timestamp)
            for sample in each.samples
        ]
        found += map(native, each.histograms)
    metadata = {m.metric_family_name: (m.type, m.help, m.unit) for m in request.metadata}
    metadata.pop("target_info", None)
    return series, metadata


def native(histogram):
    """Return what a Histogram says, its spans and deltas as counts by index."""
    assert histogram.WhichOneof("count") == "count_int"
    assert histogram.WhichOneof("zero_count") == "zero_count_int"
    sides = []
    for side in ("negative", "positive"):
        spans, deltas = (getattr(histogram, f"{side}_{what}") for what in ("spans", "deltas"))
        assert sum(span.length for span in spans) == len(deltas)
        counts, index, count, left = {}, 0, 0, list(deltas)
        for span in spans:
            index += span.offset
            for _ in range(span.length):
                count += left.pop(0)
                counts[index] = count
                index += 1
        assert all(count >= 0 for count in counts.values())
        sides.append(tuple((index, count) for index, count in counts.items() if count))
    return (
        bits(histogram.sum),
        histogram.timestamp,
        histogram.start_timestamp,
        (histogram.count_int, histogram.zero_count_int, histogram.schema),
        (histogram.zero_threshold, histogram.reset_hint, *sides),
    )


def exemplars(body):
    """Return the exemplars of each series that has any, each once and in the order of time."""
    found = {}
    for each in prompb.WriteRequest.FromString(body).timeseries:
        labels = tuple((label.name, label.value) for label in each.labels)
        told = [
            (x.timestamp, bits(x.value), tuple((label.name, label.value) for label in x.labels))
            for x in each.exemplars
        ]
        if told:
            found.setdefault(labels, set()).update(told)
    return {labels: sorted(told) for labels, told in found.items()}


def UnknownFields(message):  # noqa: N802
    from google.protobuf.unknown_fields import UnknownFieldSet

    yield from UnknownFieldSet(message)
    for series in message.timeseries:
        yield from UnknownFieldSet(series)
        for each in [*series.samples, *series.exemplars, *series.histograms]:
            yield from UnknownFieldSet(each)


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def joined(converted):
    return b"".join(request.body for request in converted.requests)


def convert(request, options=None, now_ms=NOW):
    body = otlp.Encoded(request.SerializeToString())
    return remote_write.Converter(options or Options(), MIB).convert(body, now_ms)


def series_of(request, options=None, now_ms=NOW):
    """Return {labels: [(value, ms)]} of a conversion, without target_info."""
    view = remote_write.read(joined(convert(request, options, now_ms)))
    found = {}
    for series in view.series:
        if dict(series.labels)["__name__"] != "target_info":
            found.setdefault(series.labels, []).extend(series.samples)
    return found


# What goes in.


def attributes(pairs):
    found = []
    for key, value in pairs:
        if isinstance(value, bool):
            of = AnyValue(bool_value=value)
        elif isinstance(value, int):
            of = AnyValue(int_value=value)
        elif isinstance(value, float):
            of = AnyValue(double_value=value)
        elif isinstance(value, bytes):
            of = AnyValue(bytes_value=value)
        elif isinstance(value, list):
            of = AnyValue()
            of.array_value.values.extend(pair.value for pair in attributes(value))
        else:
            of = AnyValue(string_value=value)
        found.append(KeyValue(key=key, value=of))
    return found


def asked(*metrics, resource=(("service.name", "shop"),), scope=("", "")):
    request = ExportMetricsServiceRequest()
    frame = request.resource_metrics.add()
    frame.resource.attributes.extend(attributes(resource))
    scope_metrics = frame.scope_metrics.add()
    scope_metrics.scope.name, scope_metrics.scope.version = scope
    scope_metrics.metrics.extend(metrics)
    return request


def number(value=1.0, at=T, pairs=(), **fields):
    if isinstance(value, int):
        fields["as_int"] = value
    elif value is not None:
        fields["as_double"] = value
    return NumberDataPoint(time_unix_nano=at, attributes=attributes(pairs), **fields)


def gauge(name="load", *points, **fields):
    metric = Metric(name=name, **fields)
    metric.gauge.data_points.extend(points or [number()])
    return metric


def sum_of(name="hits", *points, monotonic=True, temporality=2, **fields):
    metric = Metric(name=name, **fields)
    metric.sum.data_points.extend(points or [number()])
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = monotonic, temporality
    return metric


def histogram(name="took", *points, temporality=2, **fields):
    metric = Metric(name=name, **fields)
    metric.histogram.data_points.extend(points)
    metric.histogram.aggregation_temporality = temporality
    return metric


def exponential(name="spread", *points, temporality=2, **fields):
    metric = Metric(name=name, **fields)
    metric.exponential_histogram.data_points.extend(points)
    metric.exponential_histogram.aggregation_temporality = temporality
    return metric


def spread(positive=(1, 2), at=T, pairs=(), offset=0, negative=(), **fields):
    """Return an exponential point whose counts add up."""
    fields = {"sum": 1.5, "zero_count": 1} | fields
    count = min(sum(positive) + sum(negative) + fields["zero_count"], 2**64 - 1)
    point = ExponentialHistogramDataPoint(
        time_unix_nano=at, attributes=attributes(pairs), **{"count": count} | fields
    )
    point.positive.offset, point.negative.offset = offset, offset
    point.positive.bucket_counts.extend(positive)
    point.negative.bucket_counts.extend(negative)
    return point


def summary(name="size", *points, **fields):
    metric = Metric(name=name, **fields)
    metric.summary.data_points.extend(points)
    return metric


texts = st.sampled_from(["", "x", "y z", "ä", 'say "no"'])
values = st.one_of(
    texts,
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=3),
    st.lists(st.tuples(st.just(""), st.one_of(texts, st.floats(), st.booleans())), max_size=2),
)
keys = st.sampled_from(
    ["a", "a.b", "a_b", "a-b", "job", "instance", "le", "quantile", "__name__", "1st", "日本", "z"]
)
pairs_of = st.lists(st.tuples(keys, values), max_size=4).map(attributes)
times = st.sampled_from([0, 1, T, T, T, T + 1, T + 10**9, T - 10**9, 5 * 10**18, 2**64 - 1])
starts = st.sampled_from([0, T - 10**12, T - 10**12, T - 5, 1, T + 10**12, 2**64 - 1])
flags = st.sampled_from([0, 0, 0, 1, 2])
doubles = st.floats().map(lambda value: struct.unpack("<d", struct.pack("<d", value))[0])


@st.composite
def number_points(draw):
    point = NumberDataPoint(
        start_time_unix_nano=draw(starts),
        time_unix_nano=draw(times),
        attributes=draw(pairs_of),
        flags=draw(flags),
    )
    match draw(st.sampled_from(["double", "double", "int", "none"])):
        case "double":
            point.as_double = draw(doubles)
        case "int":
            point.as_int = draw(st.integers(-(2**63), 2**63 - 1))
        case _:
            point.ClearField("value")
    add_exemplars(draw, point)
    return point


def add_exemplars(draw, point):
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        added = point.exemplars.add(
            time_unix_nano=draw(st.sampled_from([0, T, T + 10**9, 2**64 - 1])),
            trace_id=draw(st.sampled_from([b"", bytes(16), bytes(15), bytes(range(16))])),
            span_id=draw(st.sampled_from([b"", bytes(8), b"12345678"])),
            filtered_attributes=draw(pairs_of),
        )
        match draw(st.sampled_from(["double", "int", "none"])):
            case "double":
                added.as_double = draw(doubles)
            case "int":
                added.as_int = draw(st.integers(-(2**63), 2**63 - 1))
            case _:
                pass
        if draw(st.integers(0, 4)) == 0:
            long = "ä" * draw(st.integers(40, 130))
            added.filtered_attributes.add(key="long").value.string_value = long


@st.composite
def histogram_points(draw):
    bounds = draw(
        st.one_of(
            st.lists(st.floats(allow_nan=False), max_size=4, unique=True).map(sorted),
            st.lists(st.floats(), max_size=2),
        )
    )
    size = len(bounds) + draw(st.sampled_from([1, 1, 1, 0])) if bounds else draw(st.integers(0, 1))
    point = HistogramDataPoint(
        time_unix_nano=draw(times),
        attributes=draw(pairs_of),
        flags=draw(flags),
        count=draw(st.integers(0, 2**64 - 1)),
        explicit_bounds=bounds,
        bucket_counts=draw(st.lists(st.integers(0, 2**40), min_size=size, max_size=size)),
    )
    if draw(st.booleans()):
        point.sum = draw(doubles)
    point.start_time_unix_nano = draw(starts)
    add_exemplars(draw, point)
    return point


def buckets(draw):
    counts = st.sampled_from([0, 0, 0, 0, 1, 2, 7, 2**40])
    return {
        "offset": draw(st.sampled_from([0, 1, -1, -7, 300, 2**31 - 5, 2**31 - 1, -(2**31)])),
        "bucket_counts": draw(st.lists(counts, max_size=12)),
    }


@st.composite
def exponential_points(draw):
    point = ExponentialHistogramDataPoint(
        start_time_unix_nano=draw(starts),
        time_unix_nano=draw(times),
        attributes=draw(pairs_of),
        flags=draw(flags),
        scale=draw(st.sampled_from([0, 3, 8, 9, 10, 20, 2**31 - 1, -4, -5])),
        zero_count=draw(st.integers(0, 2)),
        zero_threshold=draw(st.sampled_from([0, 0, 1e-9, -1, math.nan, math.inf])),
        positive=buckets(draw),
        negative=buckets(draw) if draw(st.booleans()) else None,
    )
    held = sum(point.positive.bucket_counts) + sum(point.negative.bucket_counts)
    point.count = held + point.zero_count + draw(st.sampled_from([0, 0, 0, 0, 0, 1]))
    if draw(st.integers(0, 5)):
        point.sum = draw(doubles)
    add_exemplars(draw, point)
    return point


@st.composite
def summary_points(draw):
    point = SummaryDataPoint(
        start_time_unix_nano=draw(starts),
        time_unix_nano=draw(times),
        attributes=draw(pairs_of),
        flags=draw(flags),
        count=draw(st.integers(0, 2**64 - 1)),
        sum=draw(doubles),
    )
    for rank in draw(st.lists(st.sampled_from([0, 0.5, 0.99, 1, 1e-7]), max_size=3)):
        point.quantile_values.add(quantile=rank, value=draw(doubles))
    return point


@st.composite
def metrics(draw):
    metric = Metric(
        name=draw(st.sampled_from(["a.b", "a_b", "a", "a.count", "a.sum", "日本", "", "9.lives"])),
        unit=draw(st.sampled_from(["", "1", "s", "By/s", "{thing}"])),
        description=draw(st.sampled_from(["", "Helps."])),
    )
    temporality = draw(st.sampled_from([2, 2, 2, 2, 1, 0]))
    match draw(st.sampled_from(["gauge", "sum", "histogram", "summary", "exponential", "none"])):
        case "gauge":
            metric.gauge.data_points.extend(draw(st.lists(number_points(), max_size=5)))
            metric.metadata.extend(
                attributes(draw(st.sampled_from([[], [("prometheus.type", "unknown")]])))
            )
        case "sum":
            metric.sum.data_points.extend(draw(st.lists(number_points(), max_size=5)))
            metric.sum.is_monotonic = draw(st.booleans())
            metric.sum.aggregation_temporality = temporality
        case "histogram":
            metric.histogram.data_points.extend(draw(st.lists(histogram_points(), max_size=3)))
            metric.histogram.aggregation_temporality = temporality
        case "summary":
            metric.summary.data_points.extend(draw(st.lists(summary_points(), max_size=3)))
        case "exponential":
            metric.exponential_histogram.data_points.extend(
                draw(st.lists(exponential_points(), max_size=3))
            )
            metric.exponential_histogram.aggregation_temporality = temporality
        case _:
            metric.ClearField("data")
    return metric


@st.composite
def requests(draw):
    request = ExportMetricsServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        frame = request.resource_metrics.add()
        resource_keys = st.sampled_from(
            ["service.name", "service.namespace", "service.instance.id", "k8s.pod.name", "a.b"]
        )
        frame.resource.attributes.extend(
            attributes(draw(st.lists(st.tuples(resource_keys, values), max_size=4)))
        )
        for _ in range(draw(st.integers(0, 2))):
            scope = frame.scope_metrics.add()
            scope.scope.name = draw(st.sampled_from(["", "scope"]))
            scope.metrics.extend(draw(st.lists(metrics(), max_size=3)))
    return request


options = st.builds(
    Options,
    naming=st.sampled_from(Naming),
    external_labels=st.sampled_from([(), (("a_b", "outer"), ("cluster", "blue"))]),
    promote=st.sampled_from([(), ("k8s.pod.name", "a.b", "service.name")]),
    promote_without_instance=st.sampled_from([(), ("k8s.node.name", "a.b")]),
    target_info=st.booleans(),
    scope_labels=st.booleans(),
    exemplars=st.booleans(),
    native_histograms=st.sampled_from([True, True, True, False]),
    start_times=st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=3), options)
def test_it_agrees_with_the_obvious_implementation(bodies, chosen):
    converter = remote_write.Converter(chosen, MIB)
    obvious = reference.Reference(chosen)
    for request in [*bodies, bodies[0]]:  # the first again, when everything is known
        body = otlp.Encoded(request.SerializeToString())
        converted = converter.convert(body, NOW)
        expected, points, dropped = obvious.convert(body, NOW)
        assert decoded(joined(converted)) == decoded(expected)
        assert exemplars(joined(converted)) == exemplars(expected)
        assert sum(r.points for r in converted.requests) == points
        assert Counter({str(k): v for k, v in converted.dropped.items()}) == dropped
        assert points + sum(dropped.values()) == otlp.count(body)


@settings(max_examples=60, deadline=None)
@given(requests(), st.integers(1, 2_000), st.integers(0, 5_000))
def test_no_point_is_lost_however_small_requests_and_memory_are(request, max_bytes, memo_bytes):
    body = otlp.Encoded(request.SerializeToString())
    converter = remote_write.Converter(Options(max_bytes=max_bytes), memo_bytes)
    whole = remote_write.Converter(Options(), MIB).convert(body, NOW)
    for _ in range(2):
        converted = converter.convert(body, NOW)
        carried = sum(r.points for r in converted.requests)
        assert carried + sum(converted.dropped.values()) == otlp.count(body)
        series, metadata = decoded(joined(converted))
        everything, described = decoded(joined(whole))
        assert series.items() <= everything.items() or Drop.TOO_LARGE in converted.dropped
        assert metadata.items() <= described.items() or Drop.TOO_LARGE in converted.dropped
        for each in converted.requests:
            written = prompb.WriteRequest.FromString(each.body).timeseries
            samples = sum(len(s.samples) + len(s.histograms) for s in written)
            assert samples == each.samples
            assert len(each.body) <= max_bytes or each.points <= 1


@settings(max_examples=60, deadline=None)
@given(requests(), st.data())
def test_bytes_that_are_no_request_end_in_a_result_or_malformed(request, data):
    body = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        encoded = otlp.Encoded(bytes(body))
        points = otlp.count(encoded)
    except errors.Malformed:
        return
    converted = remote_write.Converter(Options(), MIB).convert(encoded, NOW)
    carried = sum(r.points for r in converted.requests)
    assert carried + sum(converted.dropped.values()) == points
    decoded(joined(converted))


# Odd but valid spellings of the same point.

PLAIN = number(2.5, pairs=[("a", "x"), ("b", "y")], start_time_unix_nano=T - 1)


DATA = PLAIN.SerializeToString()
FIELDS = [DATA[at:end] for _, _, at, _, end in protobuf.fields(DATA)]
VALUE, EARLIER = struct.pack("<d", 2.5), (T - 10**9).to_bytes(8, "little")
TIME = T.to_bytes(8, "little")

SPELLINGS = {
    "canonical": DATA,
    "reversed": b"".join(reversed(FIELDS)),
    "an unknown field behind": DATA + protobuf.framed(99, b"new"),
    "an unknown field before": protobuf.framed(99, b"new") + DATA,
    "flags of zero": DATA + b"\x40\x00",
    "another time before": b"\x19" + EARLIER + DATA,
    "another time behind": DATA.replace(TIME, EARLIER) + b"\x19" + TIME,
    "another value behind": DATA.replace(VALUE, bytes(8)) + b"\x21" + VALUE,
    "an int, then a double": b"\x31" + bytes(8) + DATA,
    "a long length": b"".join(
        (*FIELDS[:3], b"\x3a", bytes((FIELDS[3][1] | 128, 0)), FIELDS[3][2:], FIELDS[4])
    ),
    "exemplars": DATA + protobuf.framed(5, b"\x19" + bytes(8)),
}


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
@pytest.mark.parametrize("how", SPELLINGS)
def test_a_point_means_the_same_however_it_is_spelled(how, known):
    converter = remote_write.Converter(Options(target_info=False), MIB)
    expected = converter.convert(otlp.Encoded(asked(gauge("load", PLAIN)).SerializeToString()), NOW)
    if not known:
        converter = remote_write.Converter(Options(target_info=False), MIB)
    point = SPELLINGS[how]
    metric = protobuf.framed(1, b"load") + protobuf.framed(5, protobuf.framed(1, point))
    resource = asked().resource_metrics[0].resource.SerializeToString()
    frame = protobuf.framed(1, resource) + protobuf.framed(2, protobuf.framed(2, metric))
    found = converter.convert(otlp.Encoded(protobuf.framed(1, frame)), NOW)
    assert joined(found) == joined(expected)


def test_a_resource_in_two_occurrences_is_merged():
    one, two = (
        asked(resource=[("service.name", "shop")]),
        asked(resource=[("service.instance.id", "7")]),
    )
    frame = b"".join(
        (
            one.resource_metrics[0].SerializeToString(),
            asked(gauge(), resource=()).resource_metrics[0].SerializeToString(),
            protobuf.framed(1, two.resource_metrics[0].resource.SerializeToString()),
        )
    )
    converted = remote_write.Converter(Options(), MIB).convert(
        otlp.Encoded(protobuf.framed(1, frame)), NOW
    )
    (series,) = remote_write.read(joined(converted)).series
    assert series.labels == (("__name__", "load"), ("instance", "7"), ("job", "shop"))


# The rules, one by one.


def test_an_exposition_comes_back_as_it_was_when_naming_is_plain():
    request = asked(
        sum_of(
            "node_cpu_seconds_total",
            number(12.5, pairs=[("cpu", "0"), ("_mode", "idle")]),
            unit="s",
        ),
        gauge("go:load__x", number(3)),
        resource=[("service.name", "node"), ("service.instance.id", "10.0.0.1:9100")],
        scope=("headgate/agent", "1"),
    )
    own = (("instance", "10.0.0.1:9100"), ("job", "node"))
    assert series_of(request, Options(naming=Naming.PLAIN, scope_labels=False)) == {
        (("__name__", "node_cpu_seconds_total"), ("_mode", "idle"), ("cpu", "0"), *own): [
            (12.5, T // 10**6)
        ],
        (("__name__", "go:load__x"), *own): [(3.0, T // 10**6)],
    }


def test_job_joins_namespace_and_name_and_nothing_overrides_it():
    request = asked(
        gauge("load", number(pairs=[("job", "mine")])),
        resource=[("service.namespace", "front"), ("service.name", "shop")],
    )
    chosen = Options(external_labels=(("job", "theirs"), ("zone", "b")))
    (labels,) = series_of(request, chosen)
    assert labels == (("__name__", "load"), ("job", "front/shop"), ("zone", "b"))


@pytest.mark.parametrize(
    ("identity", "labels"),
    [
        ([], {"k8s_node_name", "zone"}),
        ([("service.name", "shop")], {"job", "k8s_node_name", "zone"}),
        ([("service.instance.id", "")], {"k8s_node_name", "zone"}),
        ([("service.instance.id", "i")], {"instance", "zone"}),
    ],
)
def test_more_becomes_labels_where_no_instance_tells_series_apart(identity, labels):
    request = asked(
        gauge("load", number()),
        resource=[*identity, ("k8s.node.name", "n1"), ("zone", "z"), ("other", "o")],
    )
    chosen = Options(
        promote=("zone",), promote_without_instance=("k8s.node.name",), target_info=False
    )
    (found,) = series_of(request, chosen)
    assert dict(found).keys() == {"__name__", *labels}


def test_layers_of_labels_override_one_another_from_external_to_scope():
    pairs = [("otel.scope.name", "attribute"), ("pod", "attribute")]
    request = asked(
        gauge("load", number(pairs=pairs), number(pairs=[])),
        resource=[("pod", "promoted"), ("zone", "promoted")],
        scope=("scope", ""),
    )
    outer = (("pod", "external"), ("zone", "external"), ("cluster", "external"))
    one, two = map(
        dict, series_of(request, Options(promote=("pod", "zone"), external_labels=outer))
    )
    assert one == {
        "__name__": "load",
        "cluster": "external",
        "otel_scope_name": "scope",
        "pod": "attribute",
        "zone": "promoted",
    }
    assert two["pod"] == "promoted"


def test_colliding_attributes_are_joined_in_the_order_of_their_keys():
    pairs = [("a_b", "3"), ("a.b", "2"), ("a-b", "1"), ("__name__", "no"), ("void", "")]
    (labels,) = series_of(asked(gauge("load", number(pairs=pairs)), resource=()))
    assert labels == (("__name__", "load"), ("a_b", "1;2;3"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (-5, "-5"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (math.inf, "Infinity"),
        (math.nan, "NaN"),
        (b"\x00\xff", "AP8="),
        ([("", 1), ("", 'a"b'), ("", math.nan), ("", b"x")], '[1,"a\\"b","NaN","eA=="]'),
    ],
)
def test_a_value_that_is_no_string_is_spelled(value, text):
    (labels,) = series_of(asked(gauge("load", number(pairs=[("v", value)]))))
    assert dict(labels)["v"] == text


def test_a_map_is_spelled_as_json_in_the_order_of_its_keys():
    point = number()
    entries = point.attributes.add(key="v").value.kvlist_value.values
    entries.extend(attributes([("b", 1.5), ("a", "x")]))
    entries.add(key="c")
    (labels,) = series_of(asked(gauge("load", point)))
    assert dict(labels)["v"] == '{"a":"x","b":1.5,"c":null}'


def test_a_histogram_becomes_cumulative_buckets_a_sum_and_a_count():
    point = HistogramDataPoint(
        time_unix_nano=T, count=7, sum=9.5, bucket_counts=[1, 2, 4], explicit_bounds=[0.5, 1e21]
    )
    found = series_of(asked(histogram("took", point, unit="s"), resource=()))
    name = "took_seconds"
    assert {labels: value for labels, ((value, _),) in found.items()} == {
        (("__name__", f"{name}_bucket"), ("le", "0.5")): 1,
        (("__name__", f"{name}_bucket"), ("le", "1000000000000000000000")): 3,
        (("__name__", f"{name}_bucket"), ("le", "+Inf")): 7,
        (("__name__", f"{name}_sum"),): 9.5,
        (("__name__", f"{name}_count"),): 7,
    }


def test_a_histogram_without_a_sum_has_none_and_one_without_buckets_has_the_last():
    point = HistogramDataPoint(time_unix_nano=T, count=2)
    names = [dict(labels) for labels in series_of(asked(histogram("took", point), resource=()))]
    assert names == [{"__name__": "took_bucket", "le": "+Inf"}, {"__name__": "took_count"}]


def test_a_bound_of_infinity_is_the_last_bucket():
    point = HistogramDataPoint(
        time_unix_nano=T, count=3, bucket_counts=[1, 2, 0], explicit_bounds=[1, math.inf]
    )
    found = series_of(asked(histogram("took", point), resource=()))
    assert [dict(labels).get("le") for labels in found] == ["1", "+Inf", None]


def test_a_summary_becomes_quantiles_a_sum_and_a_count():
    point = SummaryDataPoint(time_unix_nano=T, count=2, sum=3)
    point.quantile_values.add(quantile=0.5, value=1)
    point.quantile_values.add(quantile=1, value=2)
    found = series_of(asked(summary("size", point), resource=()))
    assert {labels: value for labels, ((value, _),) in found.items()} == {
        (("__name__", "size"), ("quantile", "0.5")): 1,
        (("__name__", "size"), ("quantile", "1")): 2,
        (("__name__", "size_sum"),): 3,
        (("__name__", "size_count"),): 2,
    }


def test_no_recorded_value_ends_every_series_of_the_point():
    request = asked(
        gauge("load", number(None, flags=1)),
        histogram("took", HistogramDataPoint(time_unix_nano=T, flags=1, explicit_bounds=[1, 2])),
        summary("size", SummaryDataPoint(time_unix_nano=T, flags=1)),
    )
    found = series_of(request)
    assert len(found) == 1 + 5 + 2
    assert {bits(value) for samples in found.values() for value, _ in samples} == {STALE_BITS}


def test_zero_negative_zero_and_nan_arrive_with_their_bits():
    for value in (0.0, -0.0, math.nan, -math.inf):
        ((found, _),) = next(iter(series_of(asked(gauge("load", number(value)))).values()))
        assert bits(found) == bits(value)


def test_a_point_without_a_time_gets_the_time_of_receipt():
    (samples,) = series_of(asked(gauge("load", number(at=0)))).values()
    assert samples == [(1.0, NOW)]


def test_samples_of_a_series_are_put_in_the_order_of_time():
    points = [number(float(i), at=T + i * 10**9) for i in (2, 0, 1)]
    (samples,) = series_of(asked(gauge("load", *points))).values()
    assert [value for value, _ in samples] == [0.0, 1.0, 2.0]


def test_of_two_points_in_one_millisecond_the_last_counts_and_the_other_is_counted():
    converted = convert(asked(gauge("load", number(1.0), number(2.0, at=T + 1))))
    (series,) = remote_write.read(joined(converted)).series
    assert series.samples == ((2.0, T // 10**6),)
    assert converted.dropped == {Drop.DUPLICATE: 1}


def test_a_histogram_gives_way_to_a_gauge_called_like_one_of_its_series():
    point = HistogramDataPoint(time_unix_nano=T, count=2)
    converted = convert(asked(gauge("took.count"), histogram("took", point)))
    assert converted.dropped == {Drop.DUPLICATE: 1}
    assert [m.family for m in remote_write.read(joined(converted)).metadata] == ["took_count"]


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (sum_of(temporality=1), Drop.DELTA_UNSUPPORTED),
        (histogram("took", HistogramDataPoint(), temporality=1), Drop.DELTA_UNSUPPORTED),
        (exponential("spread", spread(), temporality=1), Drop.DELTA_UNSUPPORTED),
        (exponential("spread", spread(), temporality=0), Drop.INVALID_POINT),
        (exponential("spread", spread(sum=None)), Drop.UNSUPPORTED_TYPE),
        (exponential("spread", spread(pairs=[("a", "x" * 3_000_001)])), Drop.TOO_LARGE),
        (sum_of(temporality=0), Drop.INVALID_POINT),
        (gauge("日本"), Drop.UNNAMEABLE),
        (gauge("load", number(None)), Drop.INVALID_POINT),
        (histogram("took", HistogramDataPoint(bucket_counts=[1, 2])), Drop.INVALID_POINT),
        (
            histogram("took", HistogramDataPoint(bucket_counts=[1, 2, 3], explicit_bounds=[2, 1])),
            Drop.INVALID_POINT,
        ),
        (gauge("load", number(pairs=[("a", "x" * 3_000_001)])), Drop.TOO_LARGE),
    ],
    ids=[
        "delta sum",
        "delta histogram",
        "delta exponential histogram",
        "exponential histogram without temporality",
        "exponential histogram without a sum",
        "exponential histogram with a label of 3 MB",
        "no temporality",
        "no name",
        "no value",
        "counts without bounds",
        "bounds that fall",
        "a label of 3 MB",
    ],
)
def test_what_cannot_be_carried_is_counted_with_a_reason(metric, reason):
    converted = convert(asked(metric))
    assert (converted.requests, converted.dropped) == ((), {reason: 1})


def test_exemplars_go_with_counters_and_the_buckets_they_are_in_and_not_with_gauges():
    given = [Exemplar(as_double=value, time_unix_nano=T) for value in (0.5, 1.0, 7.0, math.nan)]
    plain = asked(
        sum_of("hits", number(exemplars=given[:1])),
        sum_of("level", number(exemplars=given[:1]), monotonic=False),
        gauge("load", number(exemplars=given[:1])),
        histogram("took", HistogramDataPoint(
            time_unix_nano=T, count=3, bucket_counts=[1, 1, 1], explicit_bounds=[0.5, 5],
            exemplars=given,
        )),
        exponential("spread", spread(exemplars=given[1:2])),
        resource=(),
    )  # fmt: skip
    converter = remote_write.Converter(Options(), MIB)
    converted = converter.convert(otlp.Encoded(plain.SerializeToString()), NOW)
    found = exemplars(joined(converted))
    assert {labels: [value for _, value, _ in told] for labels, told in found.items()} == {
        (("__name__", "hits_total"),): [bits(0.5)],
        (("__name__", "took_bucket"), ("le", "0.5")): [bits(0.5)],
        (("__name__", "took_bucket"), ("le", "5")): [bits(1.0)],
        (("__name__", "took_bucket"), ("le", "+Inf")): [bits(7.0)],
        (("__name__", "spread"),): [bits(1.0)],
    }
    assert converter.exemplars_dropped == 1  # the one that is in no bucket
    assert converted.dropped == {}


def test_exemplars_change_nothing_about_samples_and_can_be_left_out():
    def of(*exemplars):
        return asked(sum_of("hits", number(2.5, pairs=[("a", "b")], exemplars=exemplars)))

    one = Exemplar(as_int=1, time_unix_nano=T)
    with_one, without = convert(of(one)), convert(of())
    assert decoded(joined(with_one)) == decoded(joined(without))
    assert with_one.requests[0].points == 1
    assert joined(convert(of(one), Options(exemplars=False))) == joined(without)


def test_an_exemplar_that_cannot_be_sent_is_counted_and_its_point_is_sent():
    bare = [Exemplar(time_unix_nano=T)]
    stale = number(None, flags=1, exemplars=[Exemplar(as_int=1)])
    lone = HistogramDataPoint(time_unix_nano=T, count=1, exemplars=[Exemplar(as_int=1)])
    request = asked(
        sum_of("hits", number(exemplars=bare)), sum_of("misses", stale),
        gauge("took.count", number()), histogram("took", lone), resource=(),
    )  # fmt: skip
    converter = remote_write.Converter(Options(), MIB)
    converted = converter.convert(otlp.Encoded(request.SerializeToString()), NOW)
    assert exemplars(joined(converted)) == {}
    assert sum(r.points for r in converted.requests) == 3
    assert converted.dropped == {Drop.DUPLICATE: 1}
    assert converter.exemplars_dropped == 3


def test_an_exponential_histogram_is_one_series_of_its_familys_name():
    request = asked(
        exponential("spread", spread([3, 1], at=T + 10**9), spread([2, 1]), unit="s"), resource=()
    )
    (converted,) = convert(request).requests
    assert (converted.points, converted.samples) == (2, 2)
    series, metadata = decoded(converted.body)
    assert metadata == {"spread_seconds": (3, "", "seconds")}
    (points,) = series.values()
    assert [(at, count) for _, at, _, (count, _, _), _ in points] == [
        (T // 10**6, 4),
        (T // 10**6 + 1000, 5),
    ]
    assert [*series] == [(("__name__", "spread_seconds"),)]


def test_exponential_histograms_that_are_not_wanted_are_dropped_and_counted():
    request = asked(exponential("spread", spread(), spread()), gauge("load"))
    converted = convert(request, Options(native_histograms=False))
    assert converted.dropped == {Drop.UNSUPPORTED_TYPE: 2}
    assert len(remote_write.read(joined(converted)).series) == 1


def test_no_series_has_samples_and_histograms_and_the_samples_stay():
    took = HistogramDataPoint(time_unix_nano=T, count=2)
    request = asked(
        exponential("load", spread(), spread(pairs=[("a", "b")])), gauge("load"),
        exponential("took.count", spread()), histogram("took", took), resource=(),
    )  # fmt: skip
    converted = convert(request)
    assert converted.dropped == {Drop.DUPLICATE: 2}
    series, _ = decoded(joined(converted))
    assert {dict(labels)["__name__"]: len(points[0]) for labels, points in series.items()} == {
        "load": 5,  # the one with the attribute
        "took_bucket": 3,
        "took_count": 3,
    }


@pytest.mark.parametrize(
    ("began", "said"),
    [(T - 10**9, T // 10**6 - 1000), (T, T // 10**6), (0, 0), (T + 10**7, 0), (2**64 - 1, 0)],
    ids=["before", "at once", "unknown", "later", "never"],
)
def test_what_counts_says_since_when_if_it_is_asked_to(began, said):
    start = {"time_unix_nano": T, "start_time_unix_nano": began}
    request = asked(
        sum_of("hits", number(start_time_unix_nano=began)),
        sum_of("level", number(start_time_unix_nano=began), monotonic=False),
        gauge("load", number(start_time_unix_nano=began)),
        histogram("took", HistogramDataPoint(count=1, sum=1, **start)),
        summary("size", SummaryDataPoint(count=1, **start)),
        exponential("spread", spread(start_time_unix_nano=began)),
        resource=(),
    )
    series, _ = decoded(joined(convert(request, Options(start_times=True))))
    found = {dict(labels)["__name__"]: point[2] for labels, (point,) in series.items()}
    counting = ["hits_total", "took_bucket", "took_sum", "took_count", "size_sum", "size_count"]
    assert found == dict.fromkeys([*counting, "spread"], said) | {"level": 0, "load": 0}
    silent = prompb.WriteRequest.FromString(joined(convert(request)))
    assert not any(s.start_timestamp for each in silent.timeseries for s in each.samples)


def test_utf8_names_and_labels_are_kept():
    request = asked(
        sum_of("http.hits", number(pairs=[("http.path", "/"), ("日本", "x")]), unit="{hit}"),
        resource=[("pod.name", "p"), ("service.name", "shop")],
    )
    for naming, name in ((Naming.UTF8, "http.hits"), (Naming.UTF8_SUFFIXES, "http.hits_total")):
        (labels,) = series_of(request, Options(naming=naming, promote=("pod.name",)))
        assert labels == (
            ("__name__", name), ("http.path", "/"), ("job", "shop"), ("pod.name", "p"),
            ("日本", "x"),
        )  # fmt: skip


def test_identity_is_job_and_instance_however_a_resource_is_spelled():
    converter = remote_write.Converter(Options(), MIB)

    def of(*pairs):
        resource = asked(resource=pairs).resource_metrics[0].resource
        return converter.identity(resource.SerializeToString())

    shop = of(("service.name", "shop"), ("service.instance.id", "1"))
    assert shop == of(("pod", "x"), ("service.instance.id", "1"), ("service.name", "shop"))
    assert shop == of(("service.name", "shop"), ("service.instance.id", "1"))
    others = [
        of(("service.name", "shop"), ("service.instance.id", "2")),
        of(("service.name", "shop")),
        of(("service.instance.id", "shop")),
        of(("service.namespace", "a"), ("service.name", "shop"), ("service.instance.id", "1")),
        of(),
    ]
    assert len({shop, *others}) == 6
    with pytest.raises(errors.Malformed):
        converter.identity(b"\xff")


def test_metadata_describe_every_family():
    hinted = gauge("weird")
    hinted.metadata.extend(attributes([("prometheus.type", "unknown")]))
    state = sum_of("state", monotonic=False)
    state.metadata.extend(attributes([("prometheus.type", "stateset")]))
    point = HistogramDataPoint(time_unix_nano=T)
    request = asked(
        sum_of("hits", unit="By/s", description="Helps."), hinted, state, histogram("took", point)
    )
    view = remote_write.read(joined(convert(request)))
    assert {m.family: (m.kind, m.help, m.unit) for m in view.metadata} == {
        "hits_bytes_per_second_total": ("counter", "Helps.", "bytes_per_second"),
        "weird": ("unknown", "", ""),
        "state": ("stateset", "", ""),
        "took": ("histogram", "", ""),
    }


INFO = [("service.name", "shop"), ("service.instance.id", "7"), ("k8s.pod.name", "shop-1")]


def infos(converted):
    series = remote_write.read(joined(converted)).series
    return [s for s in series if dict(s.labels)["__name__"] == "target_info"]


def test_target_info_has_the_other_attributes_and_the_newest_time_and_is_no_point():
    points = [number(at=T), number(at=T + 5 * 10**9, pairs=[("a", "b")])]
    converted = convert(asked(gauge("load", *points), resource=INFO))
    (series,) = infos(converted)
    assert dict(series.labels) == {
        "__name__": "target_info",
        "instance": "7",
        "job": "shop",
        "k8s_pod_name": "shop-1",
    }
    assert series.samples == ((1.0, T // 10**6 + 5_000),)
    assert [(r.points, r.samples) for r in converted.requests] == [(2, 3)]


@pytest.mark.parametrize(
    ("resource", "points"),
    [(INFO[:2], [number()]), (INFO[2:], [number()]), (INFO, [number(None)])],
    ids=["identity only", "no identity", "no points"],
)
def test_there_is_no_target_info_without_something_to_say(resource, points):
    assert infos(convert(asked(gauge("load", *points), resource=resource))) == []


def test_target_info_comes_once_a_minute_and_never_goes_back_in_time():
    converter = remote_write.Converter(Options(), MIB)
    times = []
    for seconds in (0, 30, 59, 60, 30, 90, 125, 100_000, 200):
        at = T + seconds * 10**9
        body = asked(gauge("load", number(at=at)), resource=INFO).SerializeToString()
        now = (T // 10**9 + min(seconds, 300)) * 1000  # 100,000 is a clock that runs ahead
        for series in infos(converter.convert(otlp.Encoded(body), now)):
            times += [(ms - T // 10**6) // 1000 for _, ms in series.samples]
    assert times == [0, 60, 125, 300]


def test_a_point_never_straddles_two_requests():
    point = HistogramDataPoint(
        time_unix_nano=T, count=7, sum=1, bucket_counts=[1] * 11, explicit_bounds=range(10)
    )
    later = HistogramDataPoint()
    later.CopyFrom(point)
    later.time_unix_nano = T + 10**9
    counter = sum_of("hits", *[number(pairs=[("n", n)]) for n in range(20)])
    request = asked(histogram("took", point, later), counter, resource=())
    converted = convert(request, Options(max_bytes=900))
    assert len(converted.requests) > 3
    for each in converted.requests:
        view = remote_write.read(each.body)
        names = [dict(s.labels)["__name__"] for s in view.series]
        assert len(each.body) <= 900
        assert names.count("took_bucket") == 11 * names.count("took_count")
        described = {m.family for m in view.metadata}
        assert {
            name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            for name in names
        } == (described)
    assert sum(r.points for r in converted.requests) == 22


def test_labels_cannot_blow_up_a_body_without_measure():
    resource = [("k", "x" * 60_000), ("service.name", "shop")]
    points = [number(float(n), pairs=[("n", n)]) for n in range(3_000)]
    chosen = Options(promote=("k",), max_bytes=1_000_000)
    request = asked(gauge("load", *points), resource=resource)
    converted = convert(request, chosen)
    limit = 32 * request.ByteSize() + 17 * chosen.max_bytes
    assert sum(len(r.body) for r in converted.requests) < limit
    assert converted.dropped[Drop.TOO_LARGE] > 1_000
    assert sum(r.points for r in converted.requests) + converted.dropped[Drop.TOO_LARGE] == 3_000


def test_what_is_remembered_stays_within_its_bound():
    converter = remote_write.Converter(Options(), 400_000)
    for send in range(20):
        points = [number(pairs=[("n", f"{send}-{n}")]) for n in range(300)]
        request = asked(gauge("load", *points), resource=[("service.name", str(send % 3))])
        converter.convert(otlp.Encoded(request.SerializeToString()), NOW)
    assert 0 < converter.origins.size <= 200_000


def test_a_series_that_is_known_is_not_learnt_again():
    converter = remote_write.Converter(Options(), MIB)
    body = otlp.Encoded(asked(gauge("load", number(pairs=[("a", "b")]))).SerializeToString())
    converter.convert(body, NOW)
    size = converter.origins.size
    converter.convert(body, NOW)
    assert (converter.origins.size, converter.origins.misses) == (size, 1)


def test_bytes_that_cannot_be_a_request_are_malformed():
    converter = remote_write.Converter(Options(), MIB)
    bad = protobuf.framed(1, protobuf.framed(1, b"\xff") + protobuf.framed(2, b""))
    with pytest.raises(errors.Malformed):
        converter.convert(otlp.Encoded(bad), NOW)
    with pytest.raises(errors.Malformed):
        converter.convert(otlp.Encoded(b"\x0a\x05"), NOW)
