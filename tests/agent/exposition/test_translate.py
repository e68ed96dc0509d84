"""Translation: which samples make which points."""

import math

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import checks, metrics, model, native, report, series, text, translate
from agent.exposition.model import Exemplar, Family, Format
from agent.exposition.translate import OWN, Distribution, Drop, Kind, NativePoint, Number, Rules
from bench.references import exposition as reference
from tests.agent.exposition import expositions, rendering


def translated(body: bytes, labels: tuple[tuple[bytes, bytes], ...] = ()) -> translate.Translation:
    return translate.translate(text.parse(body, model.Limits()), translate.Rules(labels=labels))


def exposed(found: translate.Translation) -> list[translate.Metric]:
    return list(found.metrics[: -len(report.SERIES)])


def names(found: translate.Translation) -> list[tuple[bytes, Kind, bytes]]:
    return [(m.name, m.kind, m.type) for m in exposed(found)]


def test_types_decide_the_kind_and_untyped_is_an_unknown_gauge() -> None:
    found = translated(
        b"# TYPE a_total counter\na_total 1\n# TYPE b gauge\n# HELP b bees\nb 2\n"
        b"# TYPE c untyped\nc 3\nd 4\n# TYPE e counter\ne_total 5\n"
    )
    assert names(found) == [
        (b"a_total", Kind.SUM, b"counter"),
        (b"b", Kind.GAUGE, b"gauge"),
        (b"c", Kind.GAUGE, b"unknown"),
        (b"d", Kind.GAUGE, b"unknown"),
        (b"e_total", Kind.SUM, b"counter"),
    ]
    assert found.metrics[1].help == b"bees"


def test_a_histogram_gathers_its_samples_in_order_of_their_bounds() -> None:
    found = translated(
        b"# TYPE h histogram\n"
        b'h_bucket{le="+Inf",a="1"} 3\nh_sum{a="1"} 1\nh_bucket{a="1",le="0.5"} 1\n'
        b'h_count{a="1"} 3\n'
        b'h_bucket{le="1"} 0\nh_count 0\n'
    )
    (metric,) = exposed(found)
    assert metric.kind is Kind.HISTOGRAM
    assert metric.points == (
        Distribution(((b"a", b"1"),), 3, 1, ((0.5, 2), (math.inf, 0))),
        Distribution((), 5, None, ((1.0, 4),)),
    )


def test_a_summary_gathers_its_quantiles() -> None:
    found = translated(
        b'# TYPE s summary\ns{quantile="0.9"} 2\ns{quantile="0.5"} 1\ns_sum 3\ns_count 2\n'
    )
    assert exposed(found)[0].points == (Distribution((), 3, 2, ((0.5, 1), (0.9, 0))),)


def test_without_a_count_there_is_no_point_and_it_is_counted() -> None:
    found = translated(
        b'# TYPE h histogram\nh_bucket{le="+Inf"} 3\nh_sum 1\n# TYPE s summary\ns_sum 1\n'
    )
    assert exposed(found) == []
    assert found.dropped == {Drop.NO_COUNT: 2}


def test_what_is_not_part_of_the_structure_stays_a_series_of_its_own() -> None:
    found = translated(
        b'# TYPE h histogram\nh 1\nh_bucket 2\nh_bucket{le="x"} 3\nh_other 4\n'
        b"# TYPE s summary\ns 5\n"
    )
    assert names(found) == [
        (b"h", Kind.GAUGE, b"unknown"),
        (b"h_bucket", Kind.GAUGE, b"unknown"),
        (b"h_other", Kind.GAUGE, b"unknown"),
        (b"s", Kind.GAUGE, b"unknown"),
    ]


def test_a_type_for_the_very_name_beats_the_suffix() -> None:
    found = translated(b"# TYPE h histogram\n# TYPE h_count gauge\nh_count 1\n")
    assert names(found) == [(b"h_count", Kind.GAUGE, b"gauge")]


def test_labels_are_sorted_and_empty_ones_are_absent() -> None:
    found = translated(b'a{z="1",b="2",c=""} 1\n')
    assert found.metrics[0].points == (Number(((b"b", b"2"), (b"z", b"1")), 0),)


def test_exposed_labels_make_room_for_those_of_the_target() -> None:
    found = translated(
        b'a{job="x",instance="y",exported_job="z",service="s",k="v"} 1\n', ((b"service", b"shop"),)
    )
    assert found.metrics[0].points[0].labels == (
        (b"exported_exported_job", b"x"),
        (b"exported_instance", b"y"),
        (b"exported_job", b"z"),
        (b"exported_service", b"s"),
        (b"k", b"v"),
        (b"service", b"shop"),
    )


def test_the_first_of_a_repeated_series_wins_however_it_is_spelt() -> None:
    found = translated(b'a{x="1",y="2"} 1\na{y="2",x="1",} 2\na{y="2",x="1",z=""} 3\n')
    assert found.metrics[0].points == (Number(((b"x", b"1"), (b"y", b"2")), 0),)
    assert found.duplicates == 2


def test_samples_with_their_own_times_may_repeat_a_series() -> None:
    found = translated(b"a 1 1000\na 2 2000\n")
    assert len(found.metrics[0].points) == 2
    assert found.duplicates == 0


def test_a_histogram_at_several_times_is_several_points() -> None:
    found = translated(
        b'# TYPE h histogram\nh_bucket{le="1"} 1 1000\nh_bucket{le="1"} 2 2000\n'
        b"h_count 1 1000\nh_count 2 2000\nh_count 3\nh_count 4\n"
    )
    assert found.metrics[0].points == (
        Distribution((), 2, None, ((1.0, 0),)),
        Distribution((), 3, None, ((1.0, 1),)),
        Distribution((), 4, None, ()),
    )
    assert (found.duplicates, found.dropped) == (1, {})


def test_the_one_without_a_time_wins_among_those_without_wherever_it_stands() -> None:
    found = translated(b"# TYPE s summary\ns_count 1 1000\ns_count 2\ns_count 3\ns_count 4 2000\n")
    assert [point.counted for point in found.metrics[0].points] == [0, 1, 3]
    assert found.duplicates == 1


def test_bounds_that_are_the_same_number_are_the_same_bucket() -> None:
    found = translated(b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1.0"} 2\nh_count 2\n')
    assert found.metrics[0].points == (Distribution((), 2, None, ((1.0, 0),)),)
    assert found.duplicates == 1


def test_the_report_comes_last_with_the_labels_of_the_target_and_cannot_be_exposed() -> None:
    found = translated(b"up 7\na 1\n", ((b"service", b"shop"),))
    assert [m.name for m in found.metrics[1:]] == [name for name, _ in report.SERIES]
    assert found.metrics[1].points == (Number(((b"service", b"shop"),), 2),)
    assert found.duplicates == 1


def test_openmetrics_has_types_units_and_start_times_of_its_own() -> None:
    families = {
        b"c": Family(b"counter", b"all", b"seconds"),
        b"i": Family(b"info"),
        b"s": Family(b"stateset"),
        b"u": Family(b"unknown", unit=b"furlongs"),
        b"h": Family(b"histogram"),
        b"q": Family(b"summary"),
    }
    found = translate.translate(
        expositions.of(
            [
                (b"c_total", {b"a": b"1"}),
                (b"c_total", {}),
                (b"c_created", {b"a": b"1"}),
                (b"i_info", {b"v": b"1"}),
                (b"s", {b"s": b"on"}),
                (b"u", {}),
                (b"h_count", {}),
                (b"h_created", {}),
                (b"q_count", {}),
                (b"q_created", {b"a": b"2"}),
            ],
            families,
        ),
        Rules(),
    )
    assert [(m.name, m.kind, m.type, m.help, m.unit) for m in exposed(found)] == [
        (b"c_total", Kind.SUM, b"counter", b"all", b"s"),
        (b"i_info", Kind.UPDOWN, b"info", b"", b""),
        (b"s", Kind.UPDOWN, b"stateset", b"", b""),
        (b"u", Kind.GAUGE, b"unknown", b"", b"furlongs"),
        (b"h", Kind.HISTOGRAM, b"histogram", b"", b""),
        (b"q", Kind.SUMMARY, b"summary", b"", b""),
    ]
    started = [point.started for metric in exposed(found) for point in metric.points]
    assert started == [2, None, None, None, None, 7, None]
    assert (found.hidden, found.dropped) == (3, {})


def test_a_counter_of_text_that_is_typed_without_total_has_the_help_of_its_type() -> None:
    found = translated(b"# HELP a bees\n# TYPE a counter\na_total 1\n")
    assert [(m.name, m.help) for m in exposed(found)] == [(b"a_total", b"bees")]


def test_what_is_dropped_whatever_its_numbers_is_counted_by_reason() -> None:
    found = translate.translate(
        expositions.of(
            [(b"g_gcount", {}), (b"g_gcount", {b"a": b"1"}), (b"h_sum", {}), (b"n", {})],
            {
                b"g": Family(b"gaugehistogram"),
                b"h": Family(b"histogram"),
                b"n": Family(b"histogram"),
            },
            written=Format.PROTOBUF,
            natives={3: expositions.native(schema=100)},
        ),
        Rules(),
    )
    assert exposed(found) == []
    assert found.dropped == {Drop.GAUGE_HISTOGRAM: 2, Drop.NO_COUNT: 1, Drop.NATIVE_SCHEMA: 1}


def test_every_reason_of_a_native_histogram_is_a_reason() -> None:
    assert {Drop(reason) for reason in native.Unsent} <= set(Drop)


def test_scopes_have_metrics_of_their_own_behind_those_of_the_agent() -> None:
    found = translated(
        b'a{otel_scope_name="x",k="v"} 1\na{j="w"} 2\n'
        b'b{otel_scope_name="x",otel_scope_schema_url="u"} 3\n'
        b'c{otel_scope_name="x"} 4\n# TYPE h histogram\nh_count{otel_scope_name="x"} 5\n'
    )
    scopes = list(dict.fromkeys(metric.scope for metric in found.metrics))
    own, one, other = scopes
    assert (own, one.schema_url, other.schema_url) == (OWN, b"", b"u")
    placed = [(m.name, m.scope, m.points[0].labels) for m in found.metrics]
    assert placed == [
        (b"a", own, ((b"j", b"w"),)),
        *((name, own, ()) for name, _ in report.SERIES),
        (b"a", one, ((b"k", b"v"),)),
        (b"c", one, ()),
        (b"h", one, ()),
        (b"b", other, ()),
    ]


def test_the_older_metric_of_scopes_is_one_like_any_other() -> None:
    found = translated(b'otel_scope_info{otel_scope_name="x",k="v"} 1\n')
    assert found.metrics[-1].name == b"otel_scope_info"
    assert found.metrics[-1].points[0].labels == ((b"k", b"v"),)


BOTH = [
    (b"h_bucket", {b"le": b"1"}),
    (b"h_count", {}),
    (b"h_count", {b"a": b"1"}),
    (b"h", {}),
    (b"h_created", {}),
]


@pytest.mark.parametrize(("classic", "hidden"), [(False, 3), (True, 1)])
def test_a_histogram_that_is_native_too_is_classic_only_if_asked(classic, hidden: int) -> None:
    found = translate.translate(
        expositions.of(
            BOTH,
            {b"h": Family(b"histogram")},
            written=Format.PROTOBUF,
            natives={3: expositions.native()},
        ),
        Rules(classic=classic),
    )
    kept, exponential = exposed(found)
    both = [Distribution((), 1, None, ((1.0, 0),), 4)] if classic else []
    assert kept.points == (*both, Distribution(((b"a", b"1"),), 2, None, ()))
    assert (exponential.kind, exponential.name) == (Kind.EXPONENTIAL, b"h")
    assert exponential.points == (NativePoint((), 3, 4),)
    assert found.hidden == hidden


def test_a_classic_histogram_stays_if_its_native_form_cannot_be_sent() -> None:
    found = translate.translate(
        expositions.of(
            BOTH,
            {b"h": Family(b"histogram")},
            written=Format.PROTOBUF,
            natives={3: expositions.native(fractional=True)},
        ),
        Rules(),
    )
    (kept,) = exposed(found)
    assert len(kept.points) == 2
    assert found.dropped == {Drop.NATIVE_FLOAT: 1}


def test_native_histograms_with_bounds_of_their_own_are_histograms() -> None:
    bounded = expositions.native(schema=native.CUSTOM, custom=(1.0,), zero_count=0, count=3)
    found = translate.translate(
        expositions.of(
            [(b"h", {})],
            {b"h": Family(b"histogram")},
            written=Format.PROTOBUF,
            natives={0: bounded},
        ),
        Rules(),
    )
    assert [(m.kind, m.points) for m in exposed(found)] == [(Kind.HISTOGRAM, (NativePoint((), 0),))]


def test_rules_choose_by_name_and_label_and_honor_what_is_exposed() -> None:
    found = translate.translate(
        text.parse(b'a_x{s="1"} 1\na_y{s="2",k="0"} 2\nb 3\n', model.Limits()),
        Rules(
            labels=((b"s", b"9"),),
            honor_labels=True,
            prefixes=(b"a_",),
            without=((b"k", b"0"),),
            report=((b"up", b"whether"), (b"size", b"how much")),
        ),
    )
    assert found.filtered == 2
    assert [(m.name, m.help, m.points) for m in found.metrics] == [
        (b"a_x", b"", (Number(((b"s", b"1"),), 0),)),
        (b"up", b"whether", (Number(((b"s", b"9"),), 3),)),
        (b"size", b"how much", (Number(((b"s", b"9"),), 4),)),
    ]


NOW = 1_700_000_000_123_456_789
OWN_ATTRIBUTES = {"service.name": "shop", "service.instance.id": "10.0.0.1:80"}
ORIGIN = metrics.Origin.of(
    job="shop", instance="10.0.0.1:80", scope=("agent", "1"), attributes={}, labels={}
)
SAID: list[dict[bytes, bytes]] = [
    {}, {}, {}, {b"a": b"1"}, {b"a": b"1"}, {b"job": b"x", b"a": b"1"}, {b"service": b"back"},
    {b"service": b"", b"a": b"1"}, {b"otel_scope_name": b"x"}, {b"a": b"1", b"otel_scope_k": b"v"},
    {b"otel_scope_schema_url": b"u", b"otel_scope_name": b""}, {b"le": b"1"}, {b"quantile": b"1.0"},
]  # fmt: skip
WORDS = [b"counter", b"gauge", b"histogram", b"gaugehistogram", b"summary", b"info", b"stateset"]
WORDS += [b"histogram", b"histogram", b"counter", b"counter", b"unknown"]
SUFFIXES = [b"", b"", b"", b"_total", b"_total", b"_created", b"_bucket", b"_bucket", b"_sum"]
SUFFIXES += [b"_count", b"_count", b"_gcount", b"_info"]
EXAMPLES = [
    Exemplar(((b"trace_id", b"0af7651916cd43dd8448eb211c80319c"), (b"k", b"v")), 0.5, 1),
    Exemplar((), 1.0, model.UNTIMED),
]


NAMES = st.sampled_from([b"m", b"m", b"m", b"n", b"n", b"target", b"otel_scope"])
UNITS = st.sampled_from([b"", b"bytes", b"x"])
FAMILY = st.builds(Family, st.sampled_from(WORDS), st.just(b"help"), UNITS)
FAMILIES = st.fixed_dictionaries(
    {b"m": FAMILY, b"n": FAMILY}, optional={b"target": FAMILY, b"m_total": FAMILY}
)
NATIVES = st.builds(
    lambda schema, offset, examples, fractional: expositions.native(
        schema=schema,
        custom=(1.0, 2.0) if schema == native.CUSTOM else (),
        zero_count=int(schema != native.CUSTOM),
        count=3 + int(schema != native.CUSTOM),
        positive_offset=offset,
        exemplars=tuple(examples),
        fractional=fractional,
    ),
    st.sampled_from([-4, 0, 3, 8, native.CUSTOM, 20]),
    st.integers(0, 1),
    st.lists(st.sampled_from(EXAMPLES), max_size=2),
    st.sampled_from([False, False, True]),
)
ROWS = st.lists(
    st.tuples(
        NAMES,
        st.sampled_from(SUFFIXES),
        st.sampled_from(SAID),
        st.sampled_from([b"0.5", b"1", b"1.0", b"+Inf", b"x"]),
        st.sampled_from([9.0, 1e9, 2e9]),
        st.sampled_from([None, *EXAMPLES]),
        NATIVES,
    ),
    min_size=4,
    max_size=16,
)
TIME = st.sampled_from([model.UNTIMED, model.UNTIMED, 1_600_000_000_000])


def exposition_of(written, families, rows, time) -> model.Exposition:
    samples, values, natives, exemplars = [], [], {}, {}
    for i, (name, suffix, labels, bound, value, example, histogram) in enumerate(rows):
        bucket = suffix == b"_bucket"
        samples.append((name + suffix, labels | ({b"le": bound} if bucket else {})))
        values.append(4.0 if bucket else value)
        if example is not None:
            exemplars[i] = example
        if written is Format.PROTOBUF and not suffix:
            natives[i] = histogram
    return expositions.of(
        samples,
        families,
        written=written,
        values=values,
        times=[time] * len(samples),
        natives=natives,
        exemplars=exemplars,
    )


EXPOSITIONS = st.builds(
    exposition_of, st.sampled_from([*Format, Format.PROTOBUF]), FAMILIES, ROWS, TIME
)
RULES = st.builds(
    Rules,
    labels=st.sampled_from([(), ((b"service", b"front"),)]),
    honor_labels=st.booleans(),
    prefixes=st.sampled_from([(), (), (b"m",)]),
    without=st.sampled_from([(), (), ((b"a", b"1"), (b"job", b"x"))]),
    classic=st.booleans(),
)


def expected(exposition: model.Exposition, rules: Rules) -> bytes:
    def plain(labels) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in labels}

    def stamped(time: int) -> int | None:
        return None if time == model.UNTIMED else time

    rows = zip(
        exposition.series, exposition.values.tolist(), exposition.times.tolist(), strict=True
    )
    return reference.request(
        [(s.name.decode(), plain(s.labels), v, stamped(time)) for s, v, time in rows],
        {
            name.decode(): (f.type.decode(), f.help.decode(), f.unit.decode())
            for name, f in exposition.families.items()
        },
        resource=OWN_ATTRIBUTES,
        scope=("agent", "1"),
        labels={},
        time_ns=NOW,
        rules=reference.Rules(
            labels=plain(rules.labels),
            honor_labels=rules.honor_labels,
            prefixes=tuple(prefix.decode() for prefix in rules.prefixes),
            without=tuple(plain(rules.without).items()),
            classic=rules.classic,
            written=exposition.format,
            natives=exposition.natives,
            exemplars=exposition.exemplars,
            reported=[(n.decode(), h.decode(), 1.0) for n, h in rules.report],
        ),
    ).SerializeToString(deterministic=True)


@settings(max_examples=300)
@given(EXPOSITIONS, RULES)
def test_whatever_is_exposed_it_becomes_what_the_reference_makes_of_it(exposition, rules) -> None:
    found = translate.translate(exposition, rules)
    readings = series.Readings(values=exposition.values, times=exposition.times)
    checked = checks.Checks.of(found, exposition.times)
    if checked.find(readings, NOW):
        return
    body = rendering.request(found, exposition, ORIGIN, [1.0] * len(rules.report), NOW)
    read = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
    assert read.SerializeToString(deterministic=True) == expected(exposition, rules)


@settings(max_examples=200)
@given(EXPOSITIONS, RULES)
def test_every_sample_is_in_a_point_or_is_counted(exposition, rules) -> None:
    found = translate.translate(exposition, rules)
    held: list[int] = []
    for metric in found.metrics:
        for point in metric.points:
            held += point.samples if isinstance(point, Distribution) else [point.sample]
    assert len(held) == len(set(held))
    counted = found.duplicates + found.hidden + found.filtered
    others = len(exposition.names) + len(rules.report) - len(held) - counted
    # One describes the target; what is dropped is counted by point, each of a sample or more.
    described = int(b"target_info" in exposition.names and others > 0)
    assert others - described >= sum(found.dropped.values()) - described
    if not found.dropped:
        assert others == described


def test_what_does_not_fit_its_family_has_no_start() -> None:
    found = translate.translate(
        expositions.of(
            [(b"h", {}), (b"h_created", {})], {b"h": Family(b"histogram")}, written=Format.PROTOBUF
        ),
        Rules(),
    )
    assert exposed(found)[0].points == (Number((), 0),)
