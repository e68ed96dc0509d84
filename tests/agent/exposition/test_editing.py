"""Editing: a template without some points and with others is one written from the start."""

import numpy as np
from hypothesis import given, settings, strategies as st

from agent.exposition import (
    drafting,
    editing,
    metrics,
    model,
    openmetrics,
    plan,
    report,
    template,
    translate,
)
from tests.agent.exposition import expositions
from tests.fakes import scrape_histories as histories

NOW = 1_700_000_000_000_000_000
ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})
RULES = translate.Rules()
REPORTED = len(report.SERIES)
REPORT = np.arange(1.0, REPORTED + 1)
HEAD = b"# TYPE a counter\n# TYPE h histogram\n# TYPE s summary\n"


def translated(body: bytes) -> tuple[model.Exposition, translate.Translation]:
    exposition = openmetrics.parse(body, model.Limits())
    return exposition, translate.translate(exposition, RULES)


def written(body: bytes) -> template.Template:
    exposition, translation = translated(body)
    return template.Template.of(translation, ORIGIN, exposition.times, ())


def filled(made: template.Template, values: np.ndarray) -> list[tuple[object, ...]]:
    times = np.full(len(values), model.UNTIMED, np.int64)
    made.fill(np.concatenate((values, REPORT)), times, NOW)
    return histories.points(made.filled())


def edited(old: template.Template, count: int, gone: list[int], fresh: bytes):
    """Take samples *gone* from *old*, of *count* samples, and put those of *fresh* behind."""
    exposition, translation = translated(HEAD + fresh + b"# EOF\n")
    exposed = [m for m in translation.metrics if m.name not in dict(RULES.report)]
    draft = drafting.Draft()
    draft.write(translate.Translation(metrics=tuple(exposed), duplicates=0), ())
    stay = np.ones(count, np.bool_)
    stay[gone] = False
    left, come = int(stay.sum()), len(exposition.names)
    samples = np.where(stay, np.cumsum(stay) - 1, plan.NONE)
    samples = np.concatenate((samples, left + come + np.arange(REPORTED)))
    leaders = old.plan.leaders
    cut = [i for i, leader in enumerate(leaders.tolist()) if leader in set(gone)]
    return editing.edited(
        old,
        gone=cut,
        draft=draft,
        samples=samples,
        drafted=left + np.arange(come),
        count=left + come,
    )


HISTOGRAM = b'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'
SUMMARY = b's{quantile="0.5"} 7\ns_sum 3\ns_count 2\n'
OLD = b"a_total 1\na_created 1.6e9\n" + HISTOGRAM + b"g 1\n" + SUMMARY + b"free 5\n"


def check(gone: list[int], fresh: bytes) -> template.Template:
    """Compare an edited request with one written at once; the lines gone are samples of `OLD`."""
    rows = OLD.splitlines(keepends=True)
    now = b"".join(row for i, row in enumerate(rows) if i not in gone) + fresh
    made, moved = edited(written(HEAD + OLD + b"# EOF\n"), len(rows), gone, fresh)
    values = translated(HEAD + now + b"# EOF\n")[0].values
    assert filled(made, values) == filled(written(HEAD + now + b"# EOF\n"), values)
    assert made.points == len(made.plan.leaders)
    assert sorted(moved[moved >= 0].tolist()) == sorted(set(moved[moved >= 0].tolist()))
    return made


def test_a_point_in_front_of_others_goes_and_they_move_up() -> None:
    made = check([0, 1], b"")
    assert b"a_total" not in [wrapping.name for wrapping in made.plan.wrappings]
    assert made.plan.leaders[0] == 3


def test_a_point_of_a_metric_that_is_there_joins_it() -> None:
    made = check([], b'a_total{n="2"} 7\na_created{n="2"} 1.5e9\ng{n="3"} 4\n')
    assert made.plan.counts.tolist()[0] == 2


def test_a_metric_that_is_new_stands_behind_the_others() -> None:
    made = check([], b'other{n="2"} 7\nother 8\n')
    assert made.plan.wrappings[-1].name == b"other"
    assert made.plan.counts[-1] == 2


def test_a_metric_may_lose_its_points_and_win_others_at_once() -> None:
    made = check([6, 10], b'free{n="1"} 2\n')
    assert [w.name for w in made.plan.wrappings].count(b"free") == 1


def test_metrics_of_other_scopes_come_and_go() -> None:
    made = check([10], b'free{otel_scope_name="lib"} 2\ng{otel_scope_name="lib"} 2\n')
    assert len({wrapping.scope for wrapping in made.plan.wrappings}) == 2


def test_nothing_changed_changes_nothing() -> None:
    old = written(HEAD + OLD + b"# EOF\n")
    made, moved = edited(old, len(OLD.splitlines()), [], b"")
    assert made.blank() == old.blank()
    assert moved.tolist() == list(range(old.points))
    assert made.series == old.series


LONE = st.lists(
    st.builds(
        lambda name, n, scope: (name, n, scope),
        st.sampled_from([b"a_total", b"g", b"free", b"new", b"b_total"]),
        st.integers(10, 40),
        st.sampled_from([b"", b"", b',otel_scope_name="lib"', b',otel_scope_name="x"']),
    ),
    unique=True,
    max_size=6,
).map(lambda rows: b"".join(b'%s{n="%d"%s} %d\n' % (name, n, scope, n) for name, n, scope in rows))


@settings(max_examples=150)
@given(
    expositions.open_metrics(),
    st.lists(st.tuples(LONE, st.integers(0, 2**30)), min_size=1, max_size=4),
)
def test_edit_after_edit_it_is_as_if_it_had_been_written_at_once(body: bytes, changes) -> None:
    rows = [r for r in body.splitlines(keepends=True) if not r.startswith((b"#", b"target_info"))]
    rows = [
        row.replace(b" 1700000000.5", b"").partition(b" # ")[0].rstrip(b"\n") + b"\n"
        for row in rows
    ]
    rows = list(dict.fromkeys(rows))
    if len({row.rpartition(b" ")[0] for row in rows}) < len(rows):
        return  # a series that is there twice cannot be taken apart by samples
    made = written(HEAD + b"".join(rows) + b"# EOF\n")
    for fresh, chosen in changes:
        lone = [
            int(leader)
            for leader, alone, begun in zip(
                made.plan.leaders, made.plan.lone, made.plan.started, strict=True
            )
            if alone and begun == plan.NONE and leader < len(rows)
        ]
        gone = sorted(sample for i, sample in enumerate(lone) if chosen >> i % 30 & 1)
        left = [row for i, row in enumerate(rows) if i not in set(gone)]
        keys = {row.rpartition(b" ")[0] for row in left}
        come = [
            row for row in fresh.splitlines(keepends=True) if row.rpartition(b" ")[0] not in keys
        ]
        made, _ = edited(made, len(rows), gone, b"".join(come))
        rows = left + come
        now = HEAD + b"".join(rows) + b"# EOF\n"
        values = translated(now)[0].values
        again = written(now)
        assert filled(made, values) == filled(again, values)
        assert made.series == again.series
        assert len(made.tracked()) == len(again.tracked())
        assert made.exemplar_points().keys() == again.exemplar_points().keys()
