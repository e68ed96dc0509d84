"""Weaving: points cut from, or exchanged in, a request, as if it had been written so."""

import numpy as np
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import metrics, model, openmetrics, points, template, translate, weaving
from tests.agent.exposition import expositions
from tests.fakes import scrape_histories as histories

NOW = 1_700_000_000_000_000_000
ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})
REPORT = np.array([1.0, 0.5, 3.0, 3.0, 2.0])
BODY = (
    b'# TYPE a counter\na_total{n="1"} 1\na_total{n="2"} 2\na_total{n="3"} 3\ng 4\n'
    b'free{otel_scope_name="lib"} 5\n# EOF\n'
)


def filled(body: bytes, excluded=()) -> template.Template:
    exposition = openmetrics.parse(body, model.Limits())
    translation = translate.translate(exposition, translate.Rules())
    written = template.Template.of(translation, ORIGIN, exposition.times, excluded)
    written.fill(np.concatenate((exposition.values, REPORT)), exposition.times, NOW)
    return written


def scoped(payload: bytes):
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(payload)
    return request.resource_metrics[0].scope_metrics


def shown(payload: bytes) -> dict[str, list[float]]:
    """Return the values of all gauges and sums but for the report."""
    every = [metric for each in scoped(payload) for metric in each.metrics]
    return {
        metric.name: [
            point.as_double for point in getattr(metric, metric.WhichOneof("data")).data_points
        ]
        for metric in every
        if not metric.name.startswith(("scrape_", "up"))
    }


def number(*labels: tuple[bytes, bytes]) -> bytes:
    return points.number(points.Attributes().encode(translate.Kind.GAUGE, labels))


def test_points_are_cut_at_the_beginning_in_the_middle_and_at_the_end() -> None:
    written = filled(BODY)
    for gone, left in ((0, [2, 3]), (1, [1, 3]), (2, [1, 2])):
        assert shown(weaving.woven(written, {gone: None}))["a_total"] == left
    assert shown(weaving.woven(written, {0: None, 2: None}))["a_total"] == [2]


def test_a_metric_that_loses_all_points_vanishes_and_so_does_a_scope() -> None:
    written = filled(BODY)
    found = shown(weaving.woven(written, {0: None, 1: None, 2: None}))
    assert found == {"g": [4], "free": [5]}
    last = written.points - 1
    assert len(scoped(weaving.woven(written, {last: None}))) == 1
    everything = dict.fromkeys(range(written.points))
    assert weaving.woven(written, everything) == b""


def test_points_are_exchanged_for_longer_and_shorter_ones() -> None:
    written = filled(BODY)
    others = {1: number((b"long", b"x" * 300)), 3: number(), 8: None, written.points - 1: number()}
    payload = weaving.woven(written, others)
    assert shown(payload) == {"a_total": [1, 0, 3], "g": [0], "free": [0]}
    point = scoped(payload)[0].metrics[0].sum.data_points[1]
    assert point.attributes[0].value.string_value == "x" * 300


def test_nothing_exchanged_is_the_request_itself() -> None:
    written = filled(BODY)
    assert weaving.woven(written, {}) == written.filled() == written.filled({})


def test_what_stays_comes_in_as_few_pieces_as_possible() -> None:
    groups = weaving.pieces(filled(BODY), {1: None})
    assert list(map(len, groups))[:3] == [2, 1, 1]
    assert list(map(len, weaving.pieces(filled(BODY), {0: None})))[:3] == [1, 1, 1]
    assert list(map(len, weaving.pieces(filled(BODY), {0: b"", 1: b"", 2: b""})))[:2] == [6, 1]


@settings(max_examples=200)
@given(expositions.open_metrics(), st.data())
def test_whatever_is_cut_it_is_as_if_it_had_never_been_written(body: bytes, data) -> None:
    written = filled(body)
    gone = data.draw(st.sets(st.integers(0, written.points - 1)))
    owed = filled(body, gone) if len(gone) < written.points else None
    payload = weaving.woven(written, dict.fromkeys(gone))
    assert histories.points(payload) == ([] if owed is None else histories.points(owed.filled()))
    if owed is not None:
        assert payload == owed.filled()


@settings(max_examples=150)
@given(expositions.open_metrics(), st.data())
def test_a_point_exchanged_for_its_own_bytes_changes_nothing(body: bytes, data) -> None:
    written = filled(body)
    starts, ends = written.spans()
    chosen = data.draw(st.sets(st.integers(0, written.points - 1)))
    same = {i: bytes(written.view()[int(starts[i]) : int(ends[i])]) for i in chosen}
    assert weaving.woven(written, same) == written.filled()
