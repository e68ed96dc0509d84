"""Staleness: series that were there and are no more, and only those, are marked."""

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import metrics, model, report, staleness, template, text, translate

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
