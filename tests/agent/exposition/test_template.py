"""The template: poked bytes mean what the obvious translation means."""

import dataclasses

import numpy as np
from hypothesis import example, given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import (
    checks,
    metrics,
    model,
    openmetrics,
    report,
    series,
    template,
    text,
    translate,
)
from bench.references import exposition as reference
from tests.agent.exposition import expositions, rendering
from tests.fakes import scrape_histories as histories

NOW = 1_700_000_000_123_456_789
RESOURCE = {"service.name": "shop", "service.instance.id": "10.0.0.1:80", "url.scheme": "http"}
SERVICE = {"service": "front"}
ORIGIN = metrics.Origin.of(
    job="shop",
    instance="10.0.0.1:80",
    scope=("agent", "1"),
    attributes={"url.scheme": "http"},
    labels=SERVICE,
)
REPORT = np.array([1.0, 0.5, 3.0, 3.0, 2.0])
Request = metrics_service_pb2.ExportMetricsServiceRequest

NODE = b"""\
# HELP go_gc_duration_seconds A summary of the pause duration of garbage collection cycles.
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0"} 2.5e-05
go_gc_duration_seconds{quantile="0.5"} 0.000115
go_gc_duration_seconds{quantile="1"} NaN
go_gc_duration_seconds_sum 0.017391409
go_gc_duration_seconds_count 31
# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 8
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 1.23456789e+06
node_cpu_seconds_total{cpu="1",mode="idle"} 20345.98
# HELP node_filesystem_avail_bytes Filesystem space available to non-root users in bytes.
# TYPE node_filesystem_avail_bytes gauge
node_filesystem_avail_bytes{device="tmpfs",fstype="tmpfs",mountpoint="/run/\\"x\\""} 8.2e+08
# TYPE node_uname_info gauge
node_uname_info{machine="x86_64",nodename="n",sysname="Linux"} 1
# HELP prometheus_http_request_duration_seconds Latencies of requests.
# TYPE prometheus_http_request_duration_seconds histogram
prometheus_http_request_duration_seconds_bucket{handler="/",le="0.1"} 25
prometheus_http_request_duration_seconds_bucket{handler="/",le="1"} 30
prometheus_http_request_duration_seconds_bucket{handler="/",le="+Inf"} 31
prometheus_http_request_duration_seconds_sum{handler="/"} 4.25
prometheus_http_request_duration_seconds_count{handler="/"} 31
# TYPE node_textfile_mtime_seconds untyped
node_textfile_mtime_seconds{file="a.prom",job="exposed"} 1.7e+09 1700000000000
"""


def learn(body: bytes) -> tuple[model.Exposition, translate.Translation]:
    exposition = text.parse(body, model.Limits())
    return exposition, translate.translate(exposition, translate.Rules(labels=ORIGIN.labels))


def expected(exposition: model.Exposition) -> Request:
    samples = [
        (
            name.decode(),
            {k.decode(): v.decode() for k, v in labels},
            value,
            None if stamp == model.UNTIMED else stamp,
        )
        for (name, labels), value, stamp in zip(
            exposition.series, exposition.values.tolist(), exposition.times.tolist(), strict=True
        )
    ]
    # The report is an exposition of its own: five gauges.
    samples += [(n.decode(), {}, v, None) for (n, _), v in zip(report.SERIES, REPORT, strict=True)]
    families = {
        n.decode(): (f.type.decode(), f.help.decode()) for n, f in exposition.families.items()
    }
    families |= {name.decode(): ("gauge", help_.decode()) for name, help_ in report.SERIES}
    return reference.request(
        samples, families, resource=RESOURCE, scope=("agent", "1"), labels=SERVICE, time_ns=NOW
    )


def poked(exposition: model.Exposition, written: template.Template) -> Request:
    values = np.concatenate((exposition.values, REPORT))
    return Request.FromString(written.poke(values, exposition.times, NOW))


def same(one: Request, other: Request) -> bool:
    # As deterministic bytes, because NaN is not equal to itself.
    return one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def test_a_body_like_that_of_node_exporter_becomes_what_it_should() -> None:
    exposition, translation = learn(NODE)
    written = template.Template.of(translation, ORIGIN, exposition.times, ())
    assert same(poked(exposition, written), expected(exposition))
    assert written.points == 8 + len(report.SERIES)
    assert written.series == len(exposition.series)


def test_it_can_be_poked_again_with_other_numbers() -> None:
    exposition, translation = learn(NODE)
    written = template.Template.of(translation, ORIGIN, exposition.times, ())
    first = poked(exposition, written)
    written.tracked()
    other, _ = learn(NODE.replace(b"31\n", b"47\n").replace(b"0000\n", b"0009\n"))
    assert same(poked(other, written), expected(other))
    assert same(poked(exposition, written), first)


def test_excluded_points_are_not_there_and_empty_metrics_vanish() -> None:
    exposition, translation = learn(NODE)
    written = template.Template.of(translation, ORIGIN, exposition.times, {0, 2})
    found = poked(exposition, written).resource_metrics[0].scope_metrics[0].metrics
    assert [m.name for m in found][:2] == ["go_goroutines", "node_cpu_seconds_total"]
    assert len(found[1].sum.data_points) == 1
    assert written.points == 6 + len(report.SERIES)


def test_counts_beyond_doubles_still_add_up() -> None:
    big = 2**60
    body = b'# TYPE h histogram\nh_bucket{le="1"} 3\nh_bucket{le="+Inf"} %d\nh_count %d\n' % (
        big,
        big,
    )
    exposition, translation = learn(body)
    written = template.Template.of(translation, ORIGIN, exposition.times, ())
    point = poked(exposition, written).resource_metrics[0].scope_metrics[0].metrics[0].histogram
    assert sum(point.data_points[0].bucket_counts) == point.data_points[0].count == big


def test_tracked_are_the_points_without_a_time_of_their_own() -> None:
    exposition, translation = learn(NODE)
    written = template.Template.of(translation, ORIGIN, exposition.times, ())
    names = [name for name, _, _, _ in written.tracked()]
    assert b"go_goroutines" in names
    assert b"node_textfile_mtime_seconds" not in names
    assert len(names) == written.points - 1


def test_fifty_thousand_series_fit_their_budget() -> None:
    body = b"".join(b'http_requests_total{code="200",path="/%d"} 1\n' % i for i in range(1000))
    exposition, translation = learn(body)
    written = template.Template.of(translation, ORIGIN, exposition.times, ())
    layout = series.Layout.learn(body, exposition)
    assert written.held_bytes + layout.held_bytes < 400 * 1000


LABELS = st.sampled_from(["", '{a="1"}', '{job="x",a="1"}', '{b="2",service="y"}', '{a="",b="2"}'])
BOUNDS = st.lists(st.sampled_from(["0.5", "1", "1.0", "2.5", "+Inf", "x"]), max_size=4)


TIMES = st.sampled_from([[""], [""], ["", " 1700000000000"], [" 1700000000000", " 1600000000000"]])


@st.composite
def bodies(draw) -> bytes:
    lines: list[str] = []
    for name in draw(st.lists(st.sampled_from(["m", "n", "o", "p_total"]), min_size=1, max_size=4)):
        word = draw(st.sampled_from(["counter", "gauge", "histogram", "summary", "untyped", ""]))
        group = [f"# TYPE {name} {word}"] if word else []
        label, suffix = ("le", "_bucket") if word == "histogram" else ("quantile", "")
        samples = [f'{name}{suffix}{{{label}="{bound}"}} 4' for bound in draw(BOUNDS)]
        for part in draw(st.lists(st.sampled_from(["", "_sum", "_count", "_total"]), max_size=4)):
            value = "9" if part == "_count" else draw(st.sampled_from(["1.5", "NaN", "-Inf", "0"]))
            stamp = draw(st.sampled_from(["", "", " 1700000000000"])) if not word else ""
            samples.append(f"{name}{part}{draw(LABELS)} {value}{stamp}")
        if word:
            group += [sample + stamp for stamp in draw(TIMES) for sample in samples]
        lines += draw(st.permutations(group + ([] if word else samples)))
    return "\n".join(lines).encode()


@settings(max_examples=200)
@given(bodies())
# A count that comes again, at another time: another point.
@example(
    b'# TYPE m histogram\nm_bucket{le="0.5"} 4\nm_bucket{le="0.5"} 4\nm 1.5\nm 1.5\nm 1.5\n'
    b"m_count 9\nm_count 9 1700000000000"
)
@example(
    b'# TYPE m histogram\nm_count 9\nm_count{a="1"} 9\nm_count 9 1700000000000\n'
    b'm_count 9 1700000000000\nm_count{a="1"} 9 1700000000000'
)
@example(b"# TYPE m summary\nm_count 9 1700000000000\nm_count 8\nm_sum 1 1700000000000\nm_count 7")
def test_whatever_is_exposed_template_and_reference_agree(body: bytes) -> None:
    exposition, translation = learn(body)
    checked = checks.Checks.of(translation, exposition.times)
    readings = series.Readings(values=exposition.values, times=exposition.times)
    if checked.find(readings, NOW // 1_000_000):
        return
    written = template.Template.of(translation, ORIGIN, exposition.times, ())
    found = poked(exposition, written)
    assert same(found, expected(exposition))


def opened(body: bytes) -> tuple[model.Exposition, translate.Translation, template.Template]:
    """Return a body in OpenMetrics, what it means, and the template without what makes no sense."""
    exposition = openmetrics.parse(body, model.Limits())
    translation = translate.translate(exposition, translate.Rules(labels=ORIGIN.labels))
    checked = checks.Checks.of(translation, exposition.times)
    readings = series.Readings(values=exposition.values, times=exposition.times)
    faults = checked.find(readings, NOW // 1_000_000)
    number, metrics_left = 0, []
    for metric in translation.metrics:
        numbered = enumerate(metric.points, number)
        kept = tuple(point for i, point in numbered if i not in faults)
        number += len(metric.points)
        if kept:
            metrics_left.append(dataclasses.replace(metric, points=kept))
    left = dataclasses.replace(translation, metrics=tuple(metrics_left))
    origin = ORIGIN.with_info(translation.info)
    written = template.Template.of(translation, origin, exposition.times, faults)
    return exposition, left, written


@settings(max_examples=300)
@given(expositions.open_metrics())
def test_scopes_starts_and_times_are_as_if_written_point_by_point(body: bytes) -> None:
    exposition, translation, written = opened(body)
    plain = dataclasses.replace(exposition, exemplars={})
    found = written.poke(np.concatenate((exposition.values, REPORT)), exposition.times, NOW)
    owed = rendering.request(translation, plain, ORIGIN, REPORT.tolist(), NOW)
    assert histories.points(found) == histories.points(owed)
    assert written.points == len(histories.points(found))


@settings(max_examples=150)
@given(expositions.open_metrics())
def test_samples_that_may_have_exemplars_are_those_of_the_translation(body: bytes) -> None:
    _, translation, written = opened(body)
    assert written.exemplar_points() == rendering.exemplar_points(translation)


@settings(max_examples=150)
@given(expositions.open_metrics())
def test_a_blank_request_has_only_zeros_whatever_was_poked(body: bytes) -> None:
    exposition, _, written = opened(body)
    before = written.blank()
    written.poke(np.concatenate((exposition.values, REPORT)), exposition.times, NOW)
    assert written.blank() == before
    again = opened(body)[2]
    assert again.blank() == before
    assert again.tracked().keys() == written.tracked().keys()
    assert len(written.timed_keys()) == int(written.timed.sum())


def test_starts_are_milliseconds_and_none_is_behind_its_point() -> None:
    body = b"# TYPE a counter\na_total %d\na_created %b\n# EOF\n"
    for seconds, nanoseconds in (
        (b"1600000000.2509", 1_600_000_000_250_000_000),
        (b"1.8e9", 0),
        (b"NaN", 0),
        (b"-5", 0),
    ):
        exposition, _, written = opened(body % (1, seconds))
        found = Request.FromString(
            written.poke(np.concatenate((exposition.values, REPORT)), exposition.times, NOW)
        )
        (point,) = found.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
        assert point.start_time_unix_nano == nanoseconds
        assert point.as_double == 1


def test_memory_held_grows_with_the_points() -> None:
    one, many = (
        opened(b"".join(b'a{n="%d"} 1\n' % i for i in range(count)) + b"# EOF\n")[2]
        for count in (1, 101)
    )
    assert 40 < (many.held_bytes - one.held_bytes) / 100 < 150
