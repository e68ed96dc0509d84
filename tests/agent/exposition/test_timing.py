"""Samples with their own times: forward only, once each, and as before when nothing was sent."""

import numpy as np
from hypothesis import given, settings, strategies as st

from agent.exposition import metrics, model, template, text, timing, translate

ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})


def written(body: bytes) -> template.Template:
    exposition = text.parse(body, model.Limits())
    translation = translate.translate(exposition, translate.Rules())
    return template.Template.of(translation, ORIGIN, exposition.times, ())


def times(*milliseconds: int) -> np.ndarray:
    return np.array(milliseconds, np.int64)


SCRAPED = 0  # before every sample, so that it decides nothing
ONE = written(b"a 1 5\n")
TWO = written(b"a 1 5\nb 1 5\n")
OTHER = written(b"untimed 1\na 1 5\n")
UNTIMED = written(b"a 1\n")
TWICE = written(b"a 1 5\na 2 6\nb 1 5\n")


def test_what_is_newer_is_sent_what_is_as_old_is_not_and_what_is_older_is_counted() -> None:
    newest = timing.Newest()
    assert newest.sift(ONE, times(5), SCRAPED) == ({}, 0)
    assert newest.sift(ONE, times(6), SCRAPED) == ({}, 0)
    assert newest.sift(ONE, times(6), SCRAPED) == ({0: None}, 0)
    assert newest.sift(ONE, times(4), SCRAPED) == ({0: None}, 1)
    assert newest.sift(ONE, times(5), SCRAPED) == ({0: None}, 1), (
        "an older one does not turn back the clock"
    )
    assert newest.sift(ONE, times(7), SCRAPED) == ({}, 0)


def test_each_series_has_its_own_time() -> None:
    newest = timing.Newest()
    newest.sift(TWO, times(5, 9), SCRAPED)
    assert newest.sift(TWO, times(6, 8), SCRAPED) == ({1: None}, 1)
    assert newest.sift(TWO, times(6, 10), SCRAPED) == ({0: None}, 0)


def test_a_series_is_known_again_when_the_text_has_others_beside_it() -> None:
    newest = timing.Newest()
    newest.sift(ONE, times(5), SCRAPED)
    point = list(OTHER.timed).index(True)
    assert newest.sift(OTHER, times(model.UNTIMED, 5), SCRAPED) == ({point: None}, 0)
    assert newest.sift(TWO, times(4, 4), SCRAPED) == ({0: None}, 1)
    assert newest.sift(ONE, times(6), SCRAPED) == ({}, 0)


def test_several_samples_of_one_series_go_forward_within_one_body() -> None:
    newest = timing.Newest()
    assert newest.sift(TWICE, times(5, 6, 1), SCRAPED) == ({}, 0)
    assert newest.sift(TWICE, times(5, 6, 2), SCRAPED) == ({0: None, 1: None}, 1)
    assert newest.sift(TWICE, times(8, 7, 3), SCRAPED) == ({1: None}, 1)
    # Whichever of them was the last to be looked at, the newest counts.
    assert newest.sift(TWO, times(7, 3), SCRAPED) == ({0: None, 1: None}, 1)
    assert newest.sift(TWICE, times(9, 9, 4), SCRAPED) == ({1: None}, 0)


def test_a_series_that_was_away_does_not_go_back() -> None:
    newest = timing.Newest()
    newest.sift(TWO, times(5, 5), 10)
    newest.sift(ONE, times(6), 20)
    assert newest.sift(TWO, times(7, 4), 30) == ({1: None}, 1)
    newest.sift(ONE, times(8), 40)
    assert newest.sift(TWO, times(9, 6), 50) == ({}, 0)


def test_a_series_does_not_go_back_behind_a_sample_without_a_timestamp() -> None:
    newest = timing.Newest()
    newest.sift(UNTIMED, times(model.UNTIMED), 10)
    assert newest.sift(ONE, times(9), 20) == ({0: None}, 1)
    assert newest.sift(ONE, times(19), 30) == ({0: None}, 1), "it was marked stale at 20"
    assert newest.sift(ONE, times(21), 40) == ({}, 0)


def test_a_series_does_not_go_back_behind_its_marker() -> None:
    newest = timing.Newest()
    newest.sift(UNTIMED, times(model.UNTIMED), 20)
    newest.miss(30)
    assert newest.sift(ONE, times(29), 40) == ({0: None}, 1)


def test_what_was_not_sent_is_sent_the_next_time() -> None:
    newest = timing.Newest()
    newest.sift(ONE, times(5), SCRAPED)
    newest.sift(ONE, times(6), SCRAPED)
    newest.revert()
    assert newest.sift(ONE, times(5), SCRAPED) == ({0: None}, 0)
    assert newest.sift(ONE, times(6), SCRAPED) == ({}, 0)


def test_the_first_scrape_can_be_taken_back() -> None:
    newest = timing.Newest()
    newest.sift(ONE, times(5), SCRAPED)
    newest.revert()
    assert newest.sift(ONE, times(5), SCRAPED) == ({}, 0)


def test_a_scrape_of_other_series_can_be_taken_back() -> None:
    newest = timing.Newest()
    newest.sift(ONE, times(5), SCRAPED)
    newest.sift(TWO, times(6, 6), SCRAPED)
    newest.revert()
    assert newest.sift(TWO, times(5, 6), SCRAPED) == ({0: None}, 0)


def test_a_scrape_without_times_can_be_taken_back() -> None:
    newest = timing.Newest()
    newest.sift(ONE, times(5), SCRAPED)
    newest.sift(UNTIMED, times(model.UNTIMED), SCRAPED)
    newest.revert()
    assert newest.sift(TWO, times(5, 5), SCRAPED) == ({0: None}, 0)


def test_what_was_kept_is_not_taken_back() -> None:
    newest = timing.Newest()
    newest.sift(ONE, times(5), SCRAPED)
    newest.miss(None)
    newest.revert()
    assert newest.sift(ONE, times(5), SCRAPED) == ({0: None}, 0)


SHAPES = {(b"a",): ONE, (b"a", b"b"): TWO, (b"a", b"a", b"b"): TWICE, (): UNTIMED}
SCRAPES = st.sampled_from(list(SHAPES)).flatmap(
    lambda names: st.tuples(
        st.just(names),
        st.lists(st.integers(1, 4), min_size=len(names), max_size=len(names)),
        st.booleans(),
    )
)


@settings(max_examples=300)
@given(st.lists(SCRAPES, max_size=12))
def test_any_history_is_sifted_as_a_table_of_all_series_would(scrapes) -> None:
    newest, table = timing.Newest(), {}
    for names, stamps, refused in scrapes:
        before = dict.fromkeys(names, -1) | table
        after, left_out, older = dict(before), set(), 0
        for i, (name, stamp) in enumerate(zip(names, stamps, strict=True)):
            if stamp <= after[name]:
                left_out.add(i)
                older += stamp < after[name]
            after[name] = max(after[name], stamp)
        told = times(*stamps) if names else times(model.UNTIMED)
        found, count = newest.sift(SHAPES[names], told, SCRAPED)
        assert (set(found), set(found.values()) <= {None}, count) == (left_out, True, older)
        table = before if refused else after
        if refused:
            newest.revert()
