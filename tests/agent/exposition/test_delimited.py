"""The protobuf format: the samples that Prometheus makes of it, or an error with its place."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from agent.exposition import delimited, model, numbers
from bench.references import delimited as reference
from common.wire import errors
from tests.fakes import metric_families as made

LIMITS = model.Limits()
STALE = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]


def value(number: float):
    return made.make("Gauge", value=number)


def bucket(bound: float, count: int, **fields):
    return made.make("Bucket", upper_bound=bound, cumulative_count=count, **fields)


def span(offset: int, length: int):
    return made.make("BucketSpan", offset=offset, length=length)


def time(seconds: int, nanos: int = 0):
    return made.make("Timestamp", seconds=seconds, nanos=nanos)


def parse(*families, limits: model.Limits = LIMITS, classic: bool = True) -> model.Exposition:
    return delimited.parse(made.body(families), limits, classic=classic)


def rows(found: model.Exposition):
    return [
        (name.decode(), {n.decode(): v.decode() for n, v in labels}, number)
        for name, labels, number in zip(
            found.names, found.labels, found.values.tolist(), strict=True
        )
    ]


def test_single_numbers_are_one_sample_each() -> None:
    found = parse(
        made.family(
            "a_total",
            made.COUNTER,
            made.metric({"x": "1"}, counter=made.make("Counter", value=3)),
            made.metric({"x": "2"}),
            help=b"How many.",
            unit=b"apples",
        ),
        made.family("b", made.GAUGE, made.metric(gauge=value(-1.5), timestamp_ms=1234)),
        made.family("c", made.UNTYPED, made.metric(untyped=made.make("Untyped", value=2))),
    )
    assert rows(found) == [
        ("a_total", {"x": "1"}, 3),
        ("a_total", {"x": "2"}, 0),
        ("b", {}, -1.5),
        ("c", {}, 2),
    ]
    assert found.format is model.Format.PROTOBUF
    assert found.times.tolist() == [-1, -1, 1234, -1]
    assert found.families == {
        b"a_total": (b"counter", b"How many.", b"apples"),
        b"b": (b"gauge", b"", b""),
        b"c": (b"unknown", b"", b""),
    }
    assert (found.uncounted, len(found.value_at)) == (0, 0)


def test_a_summary_is_its_quantiles_its_sum_and_its_count() -> None:
    quantiles = [made.make("Quantile", quantile=q, value=v) for q, v in ((0.5, 2), (1, 7))]
    summary = made.make("Summary", sample_count=4, sample_sum=9.5, quantile=quantiles)
    found = parse(made.family("s", made.SUMMARY, made.metric({"a": "b"}, summary=summary)))
    assert rows(found) == [
        ("s", {"a": "b", "quantile": "0.5"}, 2),
        ("s", {"a": "b", "quantile": "1.0"}, 7),
        ("s_sum", {"a": "b"}, 9.5),
        ("s_count", {"a": "b"}, 4),
    ]


@pytest.mark.parametrize(
    ("kind", "word"), [(made.HISTOGRAM, b"histogram"), (made.GAUGE_HISTOGRAM, b"gaugehistogram")]
)
def test_a_classic_histogram_is_its_buckets_its_sum_and_its_count(kind: int, word: bytes) -> None:
    histogram = made.make(
        "Histogram", sample_count=4, sample_sum=9.5, bucket=[bucket(1, 2), bucket(2e6, 3)]
    )
    found = parse(made.family("h", kind, made.metric({"a": "b"}, histogram=histogram)))
    assert rows(found) == [
        ("h_bucket", {"a": "b", "le": "1.0"}, 2),
        ("h_bucket", {"a": "b", "le": "2e+06"}, 3),
        ("h_bucket", {"a": "b", "le": "+Inf"}, 4),
        ("h_sum", {"a": "b"}, 9.5),
        ("h_count", {"a": "b"}, 4),
    ]
    assert found.families[b"h"].type == word
    assert not found.natives and not found.classic_of_native


def test_a_bucket_for_everything_is_the_last() -> None:
    histogram = made.make(
        "Histogram", sample_count=9, bucket=[bucket(math.inf, 4), bucket(math.inf, 5)]
    )
    found = parse(made.family("h", made.HISTOGRAM, made.metric(histogram=histogram)))
    assert rows(found)[0] == ("h_bucket", {"le": "+Inf"}, 4)
    assert found.names == [b"h_bucket", b"h_sum", b"h_count"]


def test_counts_that_are_not_whole_come_first() -> None:
    histogram = made.make(
        "Histogram",
        sample_count=9,
        sample_count_float=2.5,
        bucket=[bucket(1, 4, cumulative_count_float=1.5)],
    )
    found = parse(made.family("h", made.HISTOGRAM, made.metric(histogram=histogram)))
    assert found.values.tolist() == [1.5, 2.5, 0, 2.5]


BOTH = made.make(
    "Histogram",
    sample_count=3,
    sample_sum=7.5,
    schema=2,
    zero_count=1,
    zero_threshold=0.25,
    positive_span=[span(1, 2)],
    positive_delta=[1, 0],
    bucket=[bucket(1, 2)],
)


def test_a_native_histogram_is_one_sample_and_its_classic_series_are_marked() -> None:
    family = made.family("h", made.HISTOGRAM, made.metric({"a": "b"}, histogram=BOTH))
    found = parse(family)
    assert found.names == [b"h", b"h_bucket", b"h_bucket", b"h_sum", b"h_count"]
    assert found.values.tolist() == [3, 2, 3, 7.5, 3]
    assert found.classic_of_native == {1, 2, 3, 4}
    native = found.natives[0]
    assert (native.positive_offset, native.positive, native.schema) == (1, (1, 1), 2)
    only = parse(family, classic=False)
    assert (only.names, len(only.natives), only.classic_of_native) == ([b"h"], 1, frozenset())


def test_a_native_histogram_without_buckets_has_no_classic_series() -> None:
    histogram = made.make("Histogram", positive_span=[span(0, 0)])
    found = parse(made.family("h", made.GAUGE_HISTOGRAM, made.metric(histogram=histogram)))
    assert (found.names, found.natives[0].gauge) == ([b"h"], True)


def test_native_and_classic_ones_stand_in_one_family() -> None:
    classic = made.make("Histogram", sample_count=1, bucket=[bucket(1, 1)])
    found = parse(
        made.family(
            "h",
            made.HISTOGRAM,
            made.metric({"a": "1"}, histogram=classic),
            made.metric({"a": "2"}, histogram=BOTH, timestamp_ms=5),
        )
    )
    assert list(found.natives) == [4]
    assert found.classic_of_native == {5, 6, 7, 8}
    assert found.times.tolist() == [-1] * 4 + [5] * 5


def test_start_timestamps_are_samples_behind_all_others() -> None:
    start = time(1_700_000_000, 500_000_000)
    found = parse(
        made.family(
            "a",
            made.COUNTER,
            made.metric({"x": "1"}, counter=made.make("Counter", start_timestamp=start)),
            made.metric({"x": "2"}, counter=made.make("Counter", start_timestamp=time(0))),
        ),
        made.family(
            "s",
            made.SUMMARY,
            made.metric(summary=made.make("Summary", start_timestamp=start), timestamp_ms=7),
        ),
        made.family(
            "h",
            made.HISTOGRAM,
            made.metric(histogram=made.make("Histogram", start_timestamp=start)),
        ),
    )
    assert found.uncounted == 3
    assert rows(found)[-3:] == [
        ("a_created", {"x": "1"}, 1_700_000_000.5),
        ("s_created", {}, 1_700_000_000.5),
        ("h_created", {}, 1_700_000_000.5),
    ]
    assert found.times.tolist()[-3:] == [model.UNTIMED] * 3


def test_exemplars_stand_beside_counters_and_buckets() -> None:
    told = made.make(
        "Exemplar", label=made.labels({"trace_id": "ab"}), value=0.5, timestamp=time(1, 2_000_000)
    )
    untimed = made.make("Exemplar", value=2)
    counter = made.make("Counter", exemplar=told)
    histogram = made.make("Histogram", bucket=[bucket(1, 1), bucket(2, 1, exemplar=untimed)])
    found = parse(
        made.family("a", made.COUNTER, made.metric(), made.metric(counter=counter)),
        made.family("h", made.HISTOGRAM, made.metric(histogram=histogram)),
    )
    assert found.exemplars == {
        1: (((b"trace_id", b"ab"),), 0.5, 1002),
        3: ((), 2.0, model.UNTIMED),
    }


def test_no_number_is_a_stale_marker() -> None:
    found = parse(made.family("a", made.GAUGE, made.metric(gauge=value(STALE))))
    assert found.values.tobytes() == numbers.NAN.tobytes()


def test_a_time_before_1970_is_one_that_is_out_of_bounds() -> None:
    found = parse(made.family("a", made.GAUGE, made.metric(gauge=value(1), timestamp_ms=-1)))
    assert found.times.tolist() == [0]


GOOD = made.family("good", made.GAUGE, made.metric(gauge=value(1)))


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (made.family("", made.GAUGE, made.metric()), "'': the family has no name"),
        (made.family("a", 6, made.metric()), "'a': 6 is no type of metric; expected 0 to 5"),
        (made.family("a", -1, made.metric()), "-1 is no type of metric"),
        (made.make("MetricFamily", name=b"\xff", metric=[made.metric()]), "name is not UTF-8"),
        (made.family("a", 0, made.metric(), help=b"\xff"), "the help is not UTF-8"),
        (made.family("a", 0, made.metric(), unit=b"\xff"), "the unit is not UTF-8"),
        (made.family("a", 0, made.metric({"": "b"})), "a label name is empty"),
        (
            made.family(
                "a", 4, made.metric({"le": "1"}, histogram=made.make("Histogram", sample_count=1))
            ),
            "a label name is empty, reserved or repeated",
        ),
        (
            made.family(
                "a",
                4,
                made.metric(histogram=made.make("Histogram", positive_span=[span(0, 1)])),
            ),
            "spans of a native histogram have 1 buckets, with counts of 0",
        ),
    ],
)
def test_a_broken_family_is_refused_with_its_place(family, message: str) -> None:
    size = len(made.body([GOOD]))
    with pytest.raises(errors.Malformed, match=f"family at byte {size}, .*{message}"):
        parse(GOOD, family)


def test_bytes_that_are_no_messages_are_refused() -> None:
    with pytest.raises(errors.Malformed, match="family at byte 0, '': not a MetricFamily"):
        delimited.parse(b"\x01\x0a", LIMITS)
    with pytest.raises(errors.Malformed, match="family at byte 0, 'a': not a Metric"):
        delimited.parse(b"\x06\x0a\x01a\x22\x01\x0a", LIMITS)
    with pytest.raises(errors.Malformed, match="family at byte 0: 5 bytes announced"):
        delimited.parse(b"\x05a", LIMITS)


def test_a_family_without_metrics_is_nothing() -> None:
    found = parse(made.family("", 99), GOOD)
    assert (found.names, list(found.families)) == ([b"good"], [b"good"])
    assert parse().names == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (model.Limits(samples=4), "at least 5 samples exceed the limit of 4"),
        (model.Limits(labels=1), "2 labels over the limit of 1"),
        (model.Limits(label_value_bytes=1), "a label value of 2 bytes over the limit of 1"),
        (model.Limits(buckets=1), "a native histogram of 2 buckets over the limit of 1"),
    ],
)
def test_limits_name_the_family_the_value_and_themselves(
    limits: model.Limits, message: str
) -> None:
    family = made.family("h", made.HISTOGRAM, made.metric({"a": "bc"}, histogram=BOTH))
    with pytest.raises(errors.TooLarge, match=f"family at byte 0, 'h': {message}"):
        parse(family, limits=limits)
    exact = model.Limits(samples=5, labels=2, label_name_bytes=2, label_value_bytes=2, buckets=2)
    assert len(parse(family, limits=exact).names) == 5


def test_metrics_over_the_limit_are_counted_before_they_are_read() -> None:
    family = b"\x0a\x01a" + b"\x22\x00" * 100_000
    with pytest.raises(errors.TooLarge, match="at least 100000 samples exceed"):
        delimited.parse(b"\xc3\x9a\x0c" + family, LIMITS)


def test_families_of_nothing_are_not_read_without_end() -> None:
    with pytest.raises(errors.TooLarge, match="family at byte 3: more families than the 3 samples"):
        delimited.parse(bytes(4), model.Limits(samples=3))
    assert delimited.parse(bytes(3), model.Limits(samples=3)).names == []
    assert delimited.parse(bytes(4), model.Limits(samples=0)).names == []


# Reading again and again.


def test_series_that_stay_are_the_same_lists_and_others_are_not() -> None:
    reader = delimited.Reader(LIMITS)
    family = made.family("h", made.HISTOGRAM, made.metric({"a": "b"}, histogram=BOTH))
    first, second = (reader.read(made.body([family])) for _ in range(2))
    assert second.names is first.names and second.labels is first.labels
    assert model.same_series(first, second)
    third = reader.read(made.body([family, GOOD]))
    assert third.names is not first.names
    assert not model.same_series(second, third)


def test_what_is_remembered_is_that_of_one_body() -> None:
    reader = delimited.Reader(LIMITS)
    empty = reader.held_bytes
    of = [made.metric({"n": str(n)}, counter=made.make("Counter", value=1)) for n in range(3_000)]
    large = made.body([made.family("a", made.COUNTER, *of)])
    reader.read(large)
    held = reader.held_bytes
    assert empty < held
    reader.read(large)
    assert reader.held_bytes == held
    reader.read(made.body([GOOD]))
    assert reader.held_bytes < held / 100


def test_an_error_leaves_the_reader_as_it_was() -> None:
    reader = delimited.Reader(LIMITS)
    first = reader.read(made.body([GOOD]))
    with pytest.raises(errors.Malformed):
        reader.read(made.body([GOOD, made.family("", 0, made.metric())]))
    assert reader.read(made.body([GOOD])).names is first.names


# Whatever hypothesis invents.

_TEXTS = st.text(st.sampled_from("aä1 \n"), max_size=3)
_LABELS = st.dictionaries(st.sampled_from(["a", "b c", "ä"]), _TEXTS, max_size=2)
_NUMBERS = st.sampled_from([0.0, 1.0, -2.5, 1e300, math.inf, math.nan, 0.1])
_COUNTS = st.integers(0, 1 << 40)
_TIMES = st.builds(time, st.sampled_from([0, 1, 1_700_000_000]), st.integers(0, 999_999_999))
_EXEMPLARS = st.builds(
    lambda labels, **fields: made.make("Exemplar", label=made.labels(labels), **fields),
    _LABELS,
    value=st.sampled_from([0.5, 2.0]),
) | st.builds(
    lambda labels, **fields: made.make("Exemplar", label=made.labels(labels), **fields),
    _LABELS,
    value=st.sampled_from([0.5, 2.0]),
    timestamp=_TIMES,
)


def _optional(name: str, **fields):
    """Make messages with any of *fields*."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: made.make(name, **given))


_BUCKETS = st.lists(
    _optional(
        "Bucket",
        cumulative_count=_COUNTS,
        upper_bound=_NUMBERS,
        exemplar=_EXEMPLARS,
        cumulative_count_float=st.sampled_from([0.0, 1.5]),
    ),
    max_size=4,
)


@st.composite
def _sides(draw, name: str):
    told = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3))
    size = sum(length for _, length in told)
    counts = draw(st.lists(st.integers(0, 300), min_size=size, max_size=size))
    deltas = [after - before for before, after in zip([0, *counts], counts, strict=False)]
    spans = [span(offset, length) for offset, length in told]
    if told:
        spans[0].offset = draw(st.integers(-9, 9))
    return {f"{name}_span": spans, f"{name}_delta": deltas}


@st.composite
def _histograms(draw):
    made_of = draw(
        _optional(
            "Histogram",
            sample_count=_COUNTS,
            sample_sum=_NUMBERS,
            bucket=_BUCKETS,
            start_timestamp=_TIMES,
            schema=st.integers(-4, 8),
            zero_threshold=st.sampled_from([0.0, 1e-128]),
            zero_count=st.integers(0, 5),
            exemplars=st.lists(_EXEMPLARS, max_size=2),
        )
    )
    for name in ("positive", "negative"):
        made_of.MergeFrom(made.make("Histogram", **draw(_sides(name))))
    return made_of


_DATA = {
    made.COUNTER: (
        "counter",
        _optional("Counter", value=_NUMBERS, exemplar=_EXEMPLARS, start_timestamp=_TIMES),
    ),
    made.GAUGE: ("gauge", _optional("Gauge", value=_NUMBERS)),
    made.UNTYPED: ("untyped", _optional("Untyped", value=_NUMBERS)),
    made.SUMMARY: (
        "summary",
        _optional(
            "Summary",
            sample_count=_COUNTS,
            sample_sum=_NUMBERS,
            quantile=st.lists(_optional("Quantile", quantile=_NUMBERS, value=_NUMBERS), max_size=3),
            start_timestamp=_TIMES,
        ),
    ),
    made.HISTOGRAM: ("histogram", _histograms()),
    made.GAUGE_HISTOGRAM: ("histogram", _histograms()),
}


@st.composite
def _families(draw):
    kind = draw(st.sampled_from(list(_DATA)))
    field, data = _DATA[kind]
    metrics = [
        made.metric(labels, timestamp_ms=stamp, **{field: of})
        for labels, stamp, of in draw(
            st.lists(st.tuples(_LABELS, st.sampled_from([0, 0, 5]), data), max_size=3)
        )
    ]
    return made.family(draw(st.sampled_from(["a", "b_total", "ä"])), kind, *metrics)


def _comparable(exposition: model.Exposition) -> list[reference.Sample]:
    found = []
    for i, (name, labels) in enumerate(zip(exposition.names, exposition.labels, strict=True)):
        exemplar, native = exposition.exemplars.get(i), exposition.natives.get(i)
        stamp = int(exposition.times[i])
        found.append(
            reference.Sample(
                name,
                dict(labels),
                float(exposition.values[i]),
                None if stamp == model.UNTIMED else stamp,
                exemplar and _told(exemplar),
                native and _native(native),
                i in exposition.classic_of_native,
            )
        )
    return found


def _told(exemplar: model.Exemplar):
    time = None if exemplar.time == model.UNTIMED else exemplar.time
    return dict(exemplar.labels), exemplar.value, time


def _native(native: model.Native):
    def by_index(offset: int, counts: tuple[int, ...]) -> dict[int, int]:
        return {offset + i: count for i, count in enumerate(counts) if count}

    return {
        "schema": native.schema,
        "fractional": native.fractional,
        "sum": native.sum,
        "count": native.count,
        "zero_count": native.zero_count,
        "zero_threshold": native.zero_threshold,
        "positive": by_index(native.positive_offset, native.positive),
        "negative": by_index(native.negative_offset, native.negative),
        "exemplars": [_told(each) for each in native.exemplars],
    }


@settings(max_examples=150)
@given(st.lists(st.lists(_families(), max_size=4), min_size=1, max_size=3))
def test_bodies_in_a_row_are_read_as_the_obvious_way_reads_each(bodies) -> None:
    reader = delimited.Reader(LIMITS)
    before: model.Exposition | None = None
    for families in bodies:
        found = reader.read(made.body(families))
        expected = reference.samples(made.read(made.body(families)))
        # A NaN equals none, but is written as every other.
        assert repr(_comparable(found)) == repr(
            [each._replace(value=float(each.value)) for each in expected]
        )
        if before is not None:
            same = [(s.name, s.labels) for s in _comparable(before)] == [
                (s.name, s.labels) for s in _comparable(found)
            ]
            assert same == (found.labels is before.labels)
        before = found


@settings(max_examples=100)
@given(st.lists(_families(), min_size=1, max_size=3), st.lists(_NUMBERS, min_size=9, max_size=9))
def test_new_numbers_in_a_known_body_are_read_as_the_obvious_way_reads_them(
    families, values
) -> None:
    reader = delimited.Reader(LIMITS)
    first = reader.read(made.body(families))
    renewed = iter(values)
    for family in families:
        field = _DATA[family.type][0]
        for metric in family.metric:
            if field in ("counter", "gauge", "untyped"):
                getattr(metric, field).value = next(renewed)
            elif field == "histogram":
                metric.histogram.sample_sum = next(renewed)
    found = reader.read(made.body(families))
    assert found.names is first.names and found.labels is first.labels
    expected = reference.samples(made.read(made.body(families)))
    assert repr(_comparable(found)) == repr(
        [each._replace(value=float(each.value)) for each in expected]
    )


@settings(max_examples=150)
@given(
    st.lists(_families(), max_size=3).map(made.body),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 2_000),
)
def test_bytes_that_were_tampered_with_end_in_a_result_or_an_error(
    body: bytes, changes: list[tuple[int, int]], size: int
) -> None:
    tampered = bytearray(body)
    for at, byte in changes:
        if at < len(tampered):
            tampered[at] = byte
    _result_or_error(bytes(tampered))
    _result_or_error(bytes(tampered[:size]))


@given(st.binary(max_size=60))
def test_arbitrary_bytes_end_in_a_result_or_an_error(body: bytes) -> None:
    _result_or_error(body)


def _result_or_error(body: bytes) -> None:
    found = _result(body)
    if isinstance(found, str):
        assert found.startswith("family at byte ")
    else:
        assert len(found.names) == len(found.labels) == len(found.values) == len(found.times)


def _result(body: bytes) -> model.Exposition | str:
    try:
        return delimited.parse(body, model.Limits(samples=1_000))
    except (errors.Malformed, errors.TooLarge) as error:
        return str(error)
