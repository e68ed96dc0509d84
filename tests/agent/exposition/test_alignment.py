"""Alignment: runs of equal lines, ascending in both texts, and as long as one can see."""

from difflib import SequenceMatcher

import numpy as np
from hypothesis import given, settings, strategies as st

from agent.exposition import alignment

COLUMNS = st.lists(st.integers(0, 30), max_size=60)
SEVERAL = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3)), max_size=6)


def words(numbers) -> np.ndarray:
    return np.array(list(numbers), np.uint64)


def found(old, new) -> list[alignment.Run]:
    return alignment.runs(words(old), words(new))


def proved(old, new) -> int:
    """Return how many lines were found again, after a look at every one of them."""
    at_old = at_new = 0
    runs = found(old, new)
    for i, j, size in runs:
        assert size > 0
        assert i >= at_old
        assert j >= at_new
        assert list(old[i : i + size]) == list(new[j : j + size])
        at_old, at_new = i + size, j + size
    assert at_old <= len(old)
    assert at_new <= len(new)
    return sum(run.size for run in runs)


@settings(max_examples=500)
@given(COLUMNS, COLUMNS)
def test_runs_are_equal_and_ascending_whatever_the_texts(old, new) -> None:
    proved(old, new)


@settings(max_examples=300)
@given(st.integers(0, 120), SEVERAL)
def test_what_stays_between_a_few_changes_is_found(size, changes) -> None:
    """Lines are unique, few go and few come: no line that stays in its place is missed."""
    old, new, fresh = list(range(size)), list(range(size)), 1000
    for place, kind in changes:
        at = place % (len(new) + 1)
        if kind != 1:
            new[at:at] = range(fresh, fresh + kind + 1)
            fresh += kind + 1
        if kind != 0:
            del new[at : at + kind]
    stayed = sum(number < 1000 for number in new)
    assert proved(old, new) == stayed


def test_equal_texts_are_one_run() -> None:
    assert found(range(9), range(9)) == [(0, 0, 9)]
    assert found([], []) == found([], [1]) == found([1], []) == []


def test_a_line_that_comes_or_goes_makes_two_runs() -> None:
    assert found([1, 2, 3, 4], [1, 2, 9, 3, 4]) == [(0, 0, 2), (2, 3, 2)]
    assert found([1, 2, 3, 4], [1, 2, 4]) == [(0, 0, 2), (3, 2, 1)]
    assert found([1, 2, 3], [1, 9, 3]) == [(0, 0, 1), (2, 2, 1)]
    assert found([1, 2], [9, 1, 2]) == [(0, 1, 2)]
    assert found([1, 2], [1, 2, 9]) == [(0, 0, 2)]


def test_many_lines_in_a_row_may_come_and_go() -> None:
    old = list(range(1000))
    come = old[:500] + list(range(5000, 5300)) + old[500:]
    assert found(old, come) == [(0, 0, 500), (500, 800, 500)]
    assert found(come, old) == [(0, 0, 500), (800, 500, 500)]
    exchanged = old[:100] + list(range(5000, 5050)) + old[150:]
    assert found(old, exchanged) == [(0, 0, 100), (150, 150, 850)]


def test_lines_that_come_again_are_looked_for_nearby_first() -> None:
    assert proved([1, 2, 0, 3, 0, 4], [1, 0, 3, 0, 4]) == 5
    assert proved([1, 0, 3, 0, 4], [1, 2, 0, 3, 0, 4]) == 5
    blanks = [0, 1, 2] * 10
    assert proved(blanks, [*blanks[:10], 9, *blanks[11:]]) == 29


def test_nearly_as_much_is_found_as_by_a_search_that_takes_its_time() -> None:
    old = [i * 7919 % 1009 for i in range(1000)]
    new = old[:200] + old[203:600] + [2000, 2001] + old[600:990] + [2002] * 20 + old[990:]
    best = sum(
        m.size for m in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    )
    assert proved(old, new) == best == 997


@given(COLUMNS, COLUMNS)
def test_each_new_line_is_told_its_old_one(old, new) -> None:
    runs = found(old, new)
    old_of = alignment.lines(runs, len(new)).tolist()
    assert len(old_of) == len(new)
    assert [i for i in old_of if i >= 0] == [run.old + n for run in runs for n in range(run.size)]
    assert all(i < 0 or old[i] == new[j] for j, i in enumerate(old_of))
