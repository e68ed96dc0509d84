"""A shape: all that follows from a body but for its numbers, learnt in every format."""

import numpy as np
import pytest

from agent.exposition import (
    delimited,
    keyed,
    lines,
    metrics,
    model,
    openmetrics,
    points,
    series,
    shape,
    text,
    translate,
)
from agent.exposition.translate import Drop
from tests.fakes import metric_families as families

NOW = 1_700_000_000_000_000_000
ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})
PARSE = {model.Format.TEXT: text.parse, model.Format.OPEN_METRICS: openmetrics.parse}
HISTOGRAM = b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_count 2\n'


def learnt(
    body: bytes,
    form: model.Format = model.Format.TEXT,
    rules: translate.Rules | None = None,
    *,
    honor_timestamps: bool = True,
    drop_lines: bool = False,
) -> shape.Shape:
    exposition = PARSE[form](body, model.Limits(), drop_lines=drop_lines)
    return shape.learn(
        exposition,
        lines.split(body),
        ORIGIN,
        rules or translate.Rules(),
        NOW,
        honor_timestamps=honor_timestamps,
    )


def test_what_a_body_says_is_counted() -> None:
    found = learnt(
        b"a 1\na 2\nb 1\nc 1\n# TYPE s summary\ns_sum 1\n",
        rules=translate.Rules(prefixes=(b"a", b"s", b"c")),
    )
    assert (found.samples, found.filtered, found.duplicates, found.hidden) == (5, 1, 1, 0)
    assert found.dropped == {Drop.NO_COUNT: 1}
    assert found.faults == {}
    assert found.families[b"s"].type == b"summary"


def test_created_timestamps_do_not_count() -> None:
    body = b"# TYPE a counter\na_total 1\na_created 1.6e9\n# EOF\n"
    found = learnt(body, model.Format.OPEN_METRICS)
    assert (found.samples, found.hidden) == (1, 1)
    assert (found.template.plan.started >= 0).sum() == 1


def test_points_that_make_no_sense_are_not_in_the_template() -> None:
    broken = HISTOGRAM.replace(b'"1"} 1', b'"1"} 9')
    found = learnt(b"a 1\n" + broken)
    assert found.faults == {1: Drop.NOT_A_COUNT}
    assert learnt(HISTOGRAM).template.points == found.template.points
    assert learnt(b"a 1 99999999999999\n").faults == {0: Drop.OUT_OF_BOUNDS}


def test_without_honor_for_them_times_are_read_and_not_used() -> None:
    body = b"a 1 99999999999999\nb 1 1700000000000\n"
    found = learnt(body, honor_timestamps=False)
    assert found.faults == {}
    assert not found.template.timed.any()
    readings = found.layout.read_lines(lines.split(body.replace(b"b 1", b"b 7")))
    assert readings is not None, "the layout still knows that they are there"
    assert readings.values.tolist() == [1, 7]
    assert learnt(body).template.timed.tolist()[:2] == [True, False]


def test_info_of_the_target_goes_into_its_resource() -> None:
    found = learnt(b'target_info{host="a"} 1\na 1\n')
    assert found.info == ((b"host", b"a"),)
    assert found.template.origin == ORIGIN.with_info(found.info)
    assert learnt(b"a 1\n").template.origin is ORIGIN


def test_lines_left_out_are_counted_with_a_complaint() -> None:
    found = learnt(b"a 1\nbroken{\n", drop_lines=True)
    assert found.skipped == 1
    assert found.complaint.startswith("line 2, ")


def test_text_is_compared_line_by_line_and_protobuf_by_its_series() -> None:
    known = learnt(b"a 1\n")
    assert isinstance(known.layout, series.Layout)
    assert isinstance(known.words, keyed.Keyed)
    assert known.exposition is None
    gauge = families.make("Gauge", value=2)
    body = families.body([families.family("a", families.GAUGE, families.metric(gauge=gauge))])
    exposition = delimited.parse(body, model.Limits())
    found = shape.learn(exposition, None, ORIGIN, translate.Rules(), NOW)
    assert (found.layout, found.words) == (None, None)
    assert found.exposition is exposition
    assert found.form is model.Format.PROTOBUF


@pytest.mark.parametrize(
    "body",
    [
        b"a 1 1700000000000\n",
        b"a 1 \n",
        b'a\t{x="1"}2\n',
        b'a{x="two\nlines"} 1\n',
        b"target_info 1\na 1\n",
        b"a 1\n\0\n",
    ],
)
def test_some_lines_are_not_known_by_fingerprints(body: bytes) -> None:
    assert learnt(body).words is None


def test_hashes_of_single_series_are_made_once_whatever_their_spelling() -> None:
    found = learnt(b'a{x="1",y="2"} 1\nb 1\n' + HISTOGRAM)
    known = found.known.of(found.template)
    lone = {
        key: wrapping
        for key, wrapping in found.template.tracked(timed=True).items()
        if wrapping.kind in points.LONE
    }
    assert known == set(map(shape.hash_of, lone))
    assert found.known.of(found.template) is known
    again = learnt(b'# TYPE a counter\na{y="2",x="1",} 1\n')
    assert len(again.known.of(again.template) - known) == 0
    other = learnt(b'a{x="1",y="3"} 1\n')
    assert len(other.known.of(other.template) - known) == 1


def test_what_is_held_is_said() -> None:
    found = learnt(b"".join(b'a{n="%d"} 1\n' % i for i in range(100)))
    before = found.held_bytes
    assert before > found.template.held_bytes + found.layout.held_bytes
    found.known.of(found.template)
    assert found.held_bytes > before


def test_readings_are_the_columns_of_the_exposition() -> None:
    body = b"# TYPE a counter\na_total 1 # {} 3\nb NaN 1.5\n# EOF\n"
    exposition = openmetrics.parse(body, model.Limits())
    found = shape.readings_of(exposition)
    assert found.values is exposition.values
    assert found.times.tolist() == [model.UNTIMED, 1500]
    assert found.exemplars == exposition.exemplars
    assert len(found.exemplars) == 1
    assert np.isnan(found.values[1])
