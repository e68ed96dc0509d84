"""Staleness: series that were there and are no more, and only those, are marked."""

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import (
    metrics,
    model,
    openmetrics,
    report,
    staleness,
    template,
    text,
    translate,
)
from tests.agent.exposition import expositions

ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})
NOW = 1_700_000_000_000_000_000
HISTOGRAM = b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'


def written(body: bytes) -> template.Template:
    exposition = text.parse(body, model.Limits())
    translation = translate.translate(exposition, translate.Rules(labels=ORIGIN.labels))
    return template.Template.of(translation, ORIGIN, exposition.times, ())


def marked(difference: staleness.Difference) -> list[tuple[str, str, dict[str, str]]]:
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(
        staleness.markers(difference, ORIGIN, NOW)
    )
    found = []
    for frame in request.resource_metrics:
        assert {a.value.string_value for a in frame.resource.attributes} == {"j", "i"}
        for metric in frame.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                assert point.flags == 1
                assert point.time_unix_nano == NOW
                labels = {a.key: a.value.string_value for a in point.attributes}
                found.append((metric.name, kind, labels))
    return found


def test_equal_scrapes_have_no_difference() -> None:
    one = written(b"a 1\n" + HISTOGRAM)
    assert staleness.between(one, one) == staleness.NOTHING
    assert staleness.between(one, written(b"a 2\n" + HISTOGRAM)) == staleness.NOTHING
    assert staleness.markers(staleness.NOTHING, ORIGIN, NOW) == b""


def test_what_vanished_is_marked_in_its_own_kind_and_what_came_is_counted() -> None:
    old = written(b'# TYPE c counter\nc{x="1"} 1\nc{x="2"} 1\ng 1\n' + HISTOGRAM)
    new = written(b'# TYPE c counter\nc{x="2"} 1\nc{x="3"} 1\n')
    difference = staleness.between(old, new)
    assert difference.added == 1
    assert marked(difference) == [
        ("c", "sum", {"x": "1"}),
        ("g", "gauge", {}),
        ("h", "histogram", {}),
    ]
    assert difference.points == 3


def test_type_help_order_and_spelling_do_not_make_another_series() -> None:
    old = written(b'# TYPE a gauge\na{x="1",y="2"} 1\nb 1\n')
    new = written(b'b 1\n# HELP a new\n# TYPE a counter\na{y="2",x="1",} 1\n')
    assert staleness.between(old, new) == staleness.NOTHING


def test_a_bucket_that_leaves_is_marked_alone() -> None:
    difference = staleness.between(
        written(HISTOGRAM), written(HISTOGRAM.replace(b'"1"', b'"2.50"'))
    )
    assert difference.added == 1
    assert marked(difference) == [("h_bucket", "gauge", {"le": "1"})]


def test_a_histogram_that_turns_into_plain_series_keeps_them_alive() -> None:
    difference = staleness.between(written(HISTOGRAM), written(HISTOGRAM.split(b"\n", 1)[1]))
    assert difference == staleness.NOTHING


def test_samples_with_their_own_times_are_never_marked() -> None:
    assert marked(staleness.between(written(b"a 1 1700000000000\nb 1\n"), written(b""))) == [
        ("b", "gauge", {})
    ]


def test_without_a_next_scrape_everything_goes_the_report_included() -> None:
    difference = staleness.between(written(b"a 1\n"), None)
    assert [name for name, _, _ in marked(difference)] == [
        "a",
        *(name.decode() for name, _ in report.SERIES),
    ]


def test_without_a_last_scrape_everything_is_new_but_the_report() -> None:
    difference = staleness.between(None, written(b"a 1\n" + HISTOGRAM))
    assert (difference.added, difference.points) == (5, 0)


def open_metrics(body: bytes) -> template.Template:
    exposition = openmetrics.parse(body + b"# EOF\n", model.Limits())
    translation = translate.translate(exposition, translate.Rules())
    return template.Template.of(translation, ORIGIN, exposition.times, ())


def native(schema: int) -> template.Template:
    exposition = expositions.of(
        [(b"h", {b"n": b"1"})],
        {b"h": model.Family(type=b"histogram")},
        written=model.Format.PROTOBUF,
        natives={0: expositions.native(schema=schema, custom=(1.0,) if schema == -53 else ())},
    )
    translation = translate.translate(exposition, translate.Rules())
    return template.Template.of(translation, ORIGIN, exposition.times, ())


def test_samples_with_their_own_times_are_marked_where_they_are_tracked() -> None:
    old, new = written(b"a 1 1700000000000\nb 1\n"), written(b"c 1 1700000000000\n")
    difference = staleness.between(old, new, timed=True)
    assert sorted(name for name, _, _ in marked(difference)) == ["a", "b"]
    assert difference.added == 1
    assert staleness.between(old, new).points == 1


def test_a_series_is_another_in_another_scope_and_is_marked_in_its_own() -> None:
    old = open_metrics(b'a{otel_scope_name="one"} 1\na 1\n')
    new = open_metrics(b'a{otel_scope_name="two"} 1\na 1\n')
    difference = staleness.between(old, new)
    assert (difference.added, difference.points) == (1, 1)
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(
        staleness.markers(difference, ORIGIN, NOW)
    )
    (scoped,) = request.resource_metrics[0].scope_metrics
    assert scoped.scope.name == "one"


def test_markers_of_one_scope_stand_together() -> None:
    old = open_metrics(b'a{otel_scope_name="one"} 1\na 1\nb{otel_scope_name="one"} 1\nb 1\n')
    difference = staleness.between(old, open_metrics(b""))
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(
        staleness.markers(difference, ORIGIN, NOW)
    )
    told = [
        (scoped.scope.name, [metric.name for metric in scoped.metrics])
        for scoped in request.resource_metrics[0].scope_metrics
    ]
    assert sorted(told) == [("agent", ["a", "b"]), ("one", ["a", "b"])]


def test_a_start_that_comes_or_goes_makes_no_other_series() -> None:
    with_start = open_metrics(b"# TYPE a counter\na_total 1\na_created 1.6e9\n")
    without = open_metrics(b"# TYPE a counter\na_total 1\n")
    assert staleness.between(with_start, without) == staleness.NOTHING
    assert staleness.between(without, with_start) == staleness.NOTHING
    (name, kind, labels) = marked(staleness.between(with_start, open_metrics(b"")))[0]
    assert (name, kind, labels) == ("a_total", "sum", {})


@pytest.mark.parametrize(("schema", "kind"), [(0, "exponential_histogram"), (-53, "histogram")])
def test_native_histograms_are_marked_as_what_they_are(schema: int, kind: str) -> None:
    (told,) = marked(staleness.between(native(schema), written(b"")))
    assert told == ("h", kind, {"n": "1"})


def test_a_summary_keeps_its_quantiles_when_it_is_marked() -> None:
    old = written(b'# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 1\ns_count 1\n')
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(
        staleness.markers(staleness.between(old, written(b"")), ORIGIN, NOW)
    )
    (point,) = request.resource_metrics[0].scope_metrics[0].metrics[0].summary.data_points
    assert [value.quantile for value in point.quantile_values] == [0.5]


def test_a_bucket_that_leaves_is_marked_beside_the_metrics_of_its_scope() -> None:
    histogram = HISTOGRAM.replace(b"h_sum 3\n", b"")
    old = open_metrics(b'b{otel_scope_name="one"} 1\na 1\n' + histogram)
    new = open_metrics(histogram.replace(b'"1"', b'"2.5"'))
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(
        staleness.markers(staleness.between(old, new), ORIGIN, NOW)
    )
    told = {
        scoped.scope.name: [metric.name for metric in scoped.metrics]
        for scoped in request.resource_metrics[0].scope_metrics
    }
    assert told == {"agent": ["a", "h_bucket"], "one": ["b"]}
    assert len(request.resource_metrics[0].scope_metrics) == 2
