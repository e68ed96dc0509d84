"""Drafts: the points of a translation as chunks, and which samples their numbers come from."""

import math

from hypothesis import given, settings

from agent.exposition import drafting, model, openmetrics, report, text, translate
from agent.exposition.plan import NONE
from tests.agent.exposition import expositions

HISTOGRAM = (
    b'# TYPE h histogram\nh_sum 3\nh_bucket{le="1"} 1\nh_bucket{le="2"} 1\nh_bucket{le="+Inf"} 2\n'
    b"h_count 2\n"
)
REPORTED = len(report.SERIES)


def drafted(body: bytes, excluded: tuple[int, ...] = ()) -> drafting.Draft:
    draft = drafting.Draft()
    translation = translate.translate(text.parse(body, model.Limits()), translate.Rules())
    draft.write(translation, excluded)
    return draft


def names(draft: drafting.Draft) -> list[bytes]:
    return [wrapping.name for wrapping in draft.wrappings][:-REPORTED]


def test_single_series_are_led_by_their_sample_and_the_report_by_those_behind() -> None:
    planned = drafted(b'a 1\nb 2\na{x="1"} 3\n').plan()
    assert planned.counts.tolist() == [2, 1] + [1] * REPORTED
    assert planned.leaders.tolist() == [0, 2, 1, *range(3, 3 + REPORTED)]
    assert set(planned.started.tolist()) == {NONE}
    assert (len(planned.sums), len(planned.quantiles), len(planned.buckets)) == (0, 0, 0)


def test_each_bucket_knows_the_one_before_it() -> None:
    planned = drafted(HISTOGRAM).plan()
    assert planned.leaders[0] == 4
    assert planned.sums.tolist() == [[0, 0]]
    point, offset, sample, floor = planned.buckets.T.tolist()
    assert (point, sample, floor) == ([0, 0, 0], [1, 2, 3], [NONE, 1, 2])
    assert [at - offset[0] for at in offset] == [0, 8, 16]


def test_without_a_last_bucket_the_count_stands_in_for_it() -> None:
    planned = drafted(HISTOGRAM.replace(b'h_bucket{le="+Inf"} 2\n', b"")).plan()
    assert planned.buckets[:, 2:].tolist() == [[1, NONE], [2, 1], [3, 2]]
    assert planned.leaders[0] == 3


def test_a_summary_has_a_place_for_each_quantile() -> None:
    planned = drafted(
        b'# TYPE s summary\ns{quantile="1"} 3\ns{quantile="0.5"} 1\ns_count 2\n'
    ).plan()
    assert planned.quantiles[:, (0, 2)].tolist() == [[0, 1], [0, 0]]
    assert (planned.quantiles[1, 1] - planned.quantiles[0, 1]) == 20


def test_excluded_points_are_counted_across_all_metrics() -> None:
    body = b'a{x="1"} 1\na{x="2"} 1\nb 1\n' + HISTOGRAM + b"c 1\n"
    assert names(drafted(body, (1, 2))) == [b"a", b"h", b"c"]
    assert drafted(body, (1, 2)).plan().leaders[:3].tolist() == [0, 7, 8]
    assert names(drafted(body, (0, 1, 3))) == [b"b", b"c"]
    assert len(drafted(body, (0, 1, 3)).plan().buckets) == 0


def test_a_metric_may_be_added_to_later_and_reads_as_if_it_had_been_written_so() -> None:
    written = drafted(b'a{x="1"} 1\na{y="\xc3\xa9"} 2\na 3\n')
    added = drafting.Draft()
    added.add(written.wrappings[0], [(((b"x", b"1"),), 0), (((b"y", b"\xc3\xa9"),), 1), ((), 2)])
    assert added.groups == written.groups[:1]
    for name in ("heads", "sizes", "leaders", "started"):
        assert getattr(added, name) == getattr(written, name)[:3]


@settings(max_examples=150)
@given(expositions.open_metrics())
def test_every_number_of_every_point_has_a_place_inside_of_it(body: bytes) -> None:
    exposition = openmetrics.parse(body, model.Limits())
    translation = translate.translate(exposition, translate.Rules())
    draft = drafting.Draft()
    draft.write(translation, ())
    planned = draft.plan()
    every = [each for group in draft.groups for each in group]
    payloads = [chunk[head:] for chunk, head in zip(every, draft.heads, strict=True)]
    assert [len(payload) for payload in payloads] == draft.sizes
    told = [point for metric in translation.metrics for point in metric.points]
    assert len(told) == len(payloads)
    for number, point in enumerate(told):
        owed = point.started if point.started is not None else NONE
        assert planned.started[number] == owed
        starts = payloads[number].startswith(b"\x11")
        assert starts == (point.started is not None)
        if isinstance(point, translate.Number):
            assert planned.leaders[number] == point.sample
            continue
        assert planned.leaders[number] == point.counted
        steps = [sample for _, sample in point.steps]
        quantiles = planned.quantiles[planned.quantiles[:, 0] == number]
        buckets = planned.buckets[planned.buckets[:, 0] == number]
        if len(quantiles) or not len(buckets):
            assert quantiles[:, 2].tolist() == ([] if len(buckets) else steps)
        else:
            last = [] if point.steps[-1][0] == math.inf else [point.counted]
            assert buckets[:, 2].tolist() == steps + last
            assert buckets[:, 3].tolist() == [NONE, *(steps + last)[:-1]]
        for row in (*quantiles.tolist(), *buckets.tolist()):
            assert payloads[number][row[1] : row[1] + 8] == bytes(8)
        summed = planned.sums[planned.sums[:, 0] == number][:, 1].tolist()
        assert summed == ([] if point.summed is None else [point.summed])
