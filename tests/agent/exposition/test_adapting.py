"""Adapting: what changed a little is sent as if it had been learnt from the start."""

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from agent.exposition import metrics, model, target_state, translate
from tests.fakes import scrape_histories as histories
from tests.fakes.scrape_histories import OPEN, TEXT, Step

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
ORIGIN = metrics.Origin.of(
    job="j", instance="i", scope=("agent", "1"), attributes={}, labels={"service": "s"}
)
STEPS = st.builds(
    Step, st.integers(0, len(histories.CHANGES) - 1), st.integers(0, 250), st.integers(0, 9)
)
DOINGS = st.sampled_from(["", "", "", "", "", "back", "back", "afresh", "miss", "refused"])
HISTORIES = st.lists(st.tuples(st.lists(STEPS, max_size=3), DOINGS), min_size=1, max_size=20)
TERMS = st.builds(
    target_state.Terms,
    limits=st.sampled_from(
        [
            model.Limits(),
            model.Limits(samples=60),
            model.Limits(labels=4, label_value_bytes=150, label_name_bytes=15),
        ]
    ),
    rules=st.builds(
        translate.Rules,
        honor_labels=st.booleans(),
        prefixes=st.sampled_from([(), (), (b"a", b"h", b"n", b"fr")]),
        without=st.sampled_from([(), (), ((b"envoy", b"yes"), (b"x", b"3"))]),
    ),
    drop_lines=st.booleans(),
    honor_timestamps=st.booleans(),
    track_timestamps=st.booleans(),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(30, 200), st.sampled_from([TEXT, OPEN]), TERMS, HISTORIES)
def test_whatever_changes_it_is_sent_as_if_it_had_been_learnt_anew(
    size, form, terms, history
) -> None:
    lines = histories.base(size, form)
    state = target_state.TargetState(ORIGIN, terms)
    forgetful = histories.Forgetful(ORIGIN, terms)
    time = NOW
    for steps, doing in [([], ""), *history]:
        former = lines
        for step in steps:
            lines = histories.change(lines, step)
        time += SECOND
        if doing == "miss":
            missed = (s.miss("x", time, 0.1) for s in (state, forgetful))
            assert histories.unlike(*missed) == {}
        body = histories.body(lines)
        found, owed = (s.accept(body, time, 0.1, form) for s in (state, forgetful))
        assert histories.unlike(found, owed) == {}, body
        if doing == "refused":
            state.refused()
            forgetful.refused()
        if doing == "back":
            lines = former
        if found.error or doing == "afresh":  # what is wrong would stay so
            lines = histories.base(size, form)
    assert histories.unlike(state.vanish(time), forgetful.vanish(time)) == {}


def history(
    *bodies: bytes, form: model.Format = TEXT, **terms: object
) -> list[target_state.Outcome]:
    """Return what comes of each body, proved against a target that learns each anew."""
    told = target_state.Terms(**terms)
    state = target_state.TargetState(ORIGIN, told)
    forgetful = histories.Forgetful(ORIGIN, told)
    outcomes = []
    for i, body in enumerate(bodies):
        found, owed = (s.accept(body, NOW + i * SECOND, 0.1, form) for s in (state, forgetful))
        assert histories.unlike(found, owed) == {}
        outcomes.append(found)
    return outcomes


BEFORE = (
    b"# TYPE a counter\n# TYPE b counter\n"
    + b"".join(b'a_total{n="%d"} 1\n' % i for i in range(20))
    + b'b_total{n="1"} 1\nb_created{n="1"} 1.6e9\nb_created{n="2"} 1.6e9\nb_total{n="2"} 1\n'
    + b"# TYPE h histogram\n"
    + b"\n".join(histories.histogram(b"h", 1))
    + b"\nfree 1\n# EOF\n"
)


@pytest.mark.parametrize("form", [TEXT, OPEN])
@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        (b'a_total{n="7"} 1\n', b""),
        (b'a_total{n="7"} 1\n', b'a_total{n="77"} 1\n'),
        (b'a_total{n="0"} 1\n', b'a_total{n="0"} 1\na_total{n="20"} 5\n'),
        (b"free 1\n", b'free 1\nfree{x="1"} 2\nother 3\n'),
        (b"free 1\n", b'free 1\nup{x="1"} 2\n'),
        (b"free 1\n", b'free 1\nfree{otel_scope_name="lib"} 2\n'),
        (b'b_total{n="2"} 1\n', b'b_total{n="2"} 1\nb_total{n="3"} 1\nb_created{n="3"} 1.6e9\n'),
        (b'b_total{n="1"} 1\nb_created{n="1"} 1.6e9\n', b""),
    ],
)
def test_single_series_come_and_go_without_learning(form, what: bytes, becomes: bytes) -> None:
    assert what in BEFORE
    after = BEFORE.replace(what, becomes)
    outcomes = history(BEFORE, after, after, BEFORE, after, form=form)
    assert [outcome.adapted for outcome in outcomes] == [False, True, False, True, True]
    assert outcomes[2].known
    assert all(outcome.error == "" for outcome in outcomes)


@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        (b"# TYPE a counter", b"# TYPE a gauge"),
        (b"# TYPE h histogram", b"# TYPE h summary"),
        (b"# TYPE b counter\n", b"# TYPE b counter\n# HELP b what\n"),
        (b"free 1\n", b"free 1 1700000000000\n"),
        (b"free 1\n", b"free 1 \n"),
        (b"free 1\n", b"free 1\nfree 1\n"),
        (b'a_total{n="7"} 1\n', b'a_total{n="7"} 1\na_total{n="7",} 1\n'),
        (b'h_bucket{n="1",le="0.1"} 2\n', b""),
        (b"h_sum", b'h_bucket{n="1",le="1"} 2\nh_sum'),
        (b"free 1\n", b"free 1\n" + b"\n".join(histories.histogram(b"h", 2)) + b"\n"),
        (b"free 1\n", b'free 1\ntarget_info{host="a"} 1\n'),
        (b"free 1\n", b'free 1\n{"two\nlines"} 1\n'),
    ],
)  # fmt: skip
def test_everything_else_is_learnt(what: bytes, becomes: bytes) -> None:
    assert what in BEFORE
    after = BEFORE.replace(what, becomes)
    for outcomes in (history(BEFORE, after, BEFORE), history(BEFORE[4:], BEFORE, after, after)):
        assert not any(outcome.adapted for outcome in outcomes[-2:])


def test_the_last_word_of_a_comment_is_seen_after_lines_have_changed() -> None:
    """Lines are known by fingerprints then, which leave out the last word of a sample."""
    changed = BEFORE.replace(b'a_total{n="7"} 1\n', b"")
    told = changed.replace(b"# TYPE a counter", b"# TYPE a gauge")
    _, second, third, fourth = history(BEFORE, changed, told, changed)
    assert second.adapted
    assert not third.known
    assert not fourth.known


def test_a_series_leaves_its_created_timestamp_behind() -> None:
    gone = BEFORE.replace(b'b_total{n="1"} 1\n', b"")
    outcomes = history(BEFORE, gone, BEFORE, form=OPEN)
    assert [outcome.samples for outcome in outcomes] == [27, 26, 27]
    assert not outcomes[1].adapted


def test_buckets_without_bounds_are_not_taken_for_buckets() -> None:
    before = BEFORE.replace(b"free 1\n", b'free 1\nh_bucket{n="1"} 7\n')
    after = before.replace(b"free 1\n", b'free 1\nh_bucket{n="1",le="0.5"} 3\n')
    assert history(before, after)[1].error == ""


def test_info_without_labels_is_counted_as_it_comes_and_goes() -> None:
    one = BEFORE.replace(b"free 1\n", b"free 1\ntarget_info 1\n")
    two = one.replace(b"target_info 1\n", b"target_info 1\ntarget_info{} 1\n")
    outcomes = history(BEFORE, one, two, one, BEFORE)
    assert [outcome.kept for outcome in outcomes] == [29, 30, 31, 30, 29]
    assert [outcome.duplicates for outcome in outcomes] == [0, 0, 1, 0, 0]


def test_what_stands_behind_a_nul_is_no_sample() -> None:
    before = BEFORE + b"#\0\n# comment\n"
    outcomes = history(before, before + b"more 1\n", before)
    assert [outcome.samples for outcome in outcomes] == [29, 29, 29]


def test_a_limit_that_a_change_exceeds_fails_the_scrape() -> None:
    more = BEFORE.replace(b"free 1\n", b'free{a="1",b="2"} 1\nfree 1\n')
    longer = more.replace(b'b="2"', b'b="2",c="3"')
    for body, limits in ((more, model.Limits(samples=29)), (longer, model.Limits(labels=2))):
        outcomes = history(BEFORE, body, BEFORE, limits=limits)
        assert [outcome.too_large for outcome in outcomes] == [False, True, False]


def test_series_that_rules_leave_out_come_and_go_uncounted_as_points() -> None:
    rules = translate.Rules(prefixes=(b"a", b"h"))
    more = BEFORE.replace(b"free 1\n", b"free 1\nfreedom 1\n")
    less = BEFORE.replace(b"free 1\n", b"")
    outcomes = history(BEFORE, more, BEFORE, less, rules=rules)
    assert [outcome.samples - outcome.kept for outcome in outcomes] == [5, 6, 5, 4]
    assert all(outcome.adapted for outcome in outcomes[1:])


def test_after_many_changes_it_is_still_the_same_target() -> None:
    bodies = []
    for i in range(60):
        rows = [b'a{n="%d"} %d' % (n, i) for n in range(i % 7, 40 + i % 11)]
        rows[i % 5 : i % 5] = [b"b%d 1" % (i // 3)]
        bodies.append(b"\n".join((*rows, b"")))
    outcomes = history(*bodies)
    assert sum(outcome.adapted for outcome in outcomes) > 50


def test_half_of_the_lines_are_too_many_to_adapt() -> None:
    rows = [b'a{n="%d"} 1\n' % n for n in range(40)]
    outcomes = history(b"".join(rows), b"".join(rows[:20]))
    assert not outcomes[1].adapted


def test_a_comment_that_is_another_at_every_scrape_changes_nothing() -> None:
    """Not while the series stay, not when they come and go, and not after that."""
    rows = [b'a{n="%d"} 1\n' % n for n in range(40)]
    fewer = rows[:20] + rows[21:]
    outcomes = history(*(
        b"# generated at %d\n" % i + b"".join(those)
        for i, those in enumerate((rows, rows, fewer, fewer, rows, rows))
    ))  # fmt: skip
    assert [outcome.known for outcome in outcomes] == [False, True, False, True, False, True]
    assert [outcome.adapted for outcome in outcomes] == [False, False, True, False, True, False]


def test_metadata_that_spans_lines_is_no_comment_that_changes() -> None:
    rows = b"".join(b'a{n="%d"} 1\n' % n for n in range(40))
    bodies = [b'# TYPE "t\n# %d" gauge\n' % i + rows for i in range(3)]
    assert not any(outcome.known or outcome.adapted for outcome in history(*bodies))
