"""What is sent and what is remembered, point by point."""

from __future__ import annotations

from typing import Any

import pytest

from common.wire.temporality_rules import Reason, Step, accumulate, difference
from common.wire.temporality_state import Series
from common.wire.temporality_values import HISTOGRAMS, NUMBERS, Histogram

HORIZON = 100


def known(value: Any, start: int = 10, last: int = 50) -> Series[Any]:
    return Series(b"key", start, last, value, 0.0, 0)


def added(series: Series[Any] | None, value: Any, start: int, time: int) -> Step:
    return accumulate(series, value, (start, time), NUMBERS, HORIZON)


def taken(series: Series[Any] | None, value: Any, start: int, time: int) -> Step:
    return difference(series, value, (start, time), NUMBERS, HORIZON)


def test_a_delta_is_added_under_the_start_of_its_total() -> None:
    assert added(known(5), 2, 40, 60) == (10, 7, 10, 7, False)


@pytest.mark.parametrize(("start", "begin"), [(40, 40), (60, 60), (0, 60), (61, 60)])
def test_a_total_begins_where_its_first_delta_does(start: int, begin: int) -> None:
    assert added(None, 2, start, 60) == (begin, 2, begin, 2, False)


def test_a_delta_that_cannot_be_added_begins_anew() -> None:
    assert added(known(1e308), 1e308, 50, 60) == (50, 1e308, 50, 1e308, True)


@pytest.mark.parametrize(
    ("start", "sent"), [(0, False), (99, False), (100, False), (101, True), (999, False)]
)
def test_a_first_total_is_sent_only_if_it_began_since(start: int, *, sent: bool) -> None:
    begin = start if start <= 200 else 0
    value = 7 if sent else Reason.BASELINE
    assert taken(None, 7, start, 200) == (begin, value, begin, 7, False)


@pytest.mark.parametrize("start", [10, 9, 0, 999])
def test_a_total_is_set_against_the_one_before(start: int) -> None:
    assert taken(known(5), 7, start, 60)[:2] == (50, 2)
    assert taken(known(5), 7, start, 60)[3:] == (7, False)


@pytest.mark.parametrize(("start", "begin"), [(10, 50), (0, 50), (55, 55), (20, 50)])
def test_all_of_a_smaller_total_came_since(start: int, begin: int) -> None:
    assert taken(known(5), 4, start, 60) == (begin, 4, start, 4, True)


def test_all_of_a_total_that_began_later_came_since() -> None:
    assert taken(known(5), 9, 55, 60) == (55, 9, 55, 9, True)
    assert taken(known(5, start=0), 9, 55, 60) == (50, 4, 55, 9, False)


def test_other_bounds_are_another_baseline_unless_they_began_later() -> None:
    one, other = Histogram(b"a", (1,), 1, None), Histogram(b"b", (3,), 3, None)
    again = difference(known(one), other, (10, 60), HISTOGRAMS, HORIZON)
    assert again == (10, Reason.BASELINE, 10, other, True)
    later = difference(known(one), other, (55, 60), HISTOGRAMS, HORIZON)
    assert later == (55, other, 55, other, True)
