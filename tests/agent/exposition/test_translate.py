"""Translation: which samples make which points."""

import math

from agent.exposition import model, report, text, translate
from agent.exposition.translate import Distribution, Kind, Number


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
    assert found.incomplete == 2


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
    assert (found.duplicates, found.incomplete) == (1, 0)


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
