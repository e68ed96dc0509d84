"""Series are found by every name, leave when they were not seen for longest, and are counted."""

from __future__ import annotations

from common.wire.temporality_state import NAME_BYTES, NAMES, SERIES_BYTES, Series, States


def states(series: int = 10, expiry: float = 5.0) -> States:
    return States(series * SERIES_BYTES, expiry, 100)


def begin(
    states: States, key: bytes, name: bytes = b"", *, last: int = 1, seen: float = 0.0
) -> None:
    series: Series[object] = Series(key, 0, last, 0, seen, 0)
    states.begin(name or key, series)


def test_a_series_is_found_by_its_key_and_its_names() -> None:
    known = states()
    begin(known, b"key", b"name")
    series = known.find(b"name")
    assert series is known.find(b"key") is known.recall(b"another", b"key")
    assert known.find(b"another") is series
    assert known.recall(b"x", b"unknown") is None
    assert known.find(b"x") is None


def test_names_are_counted_and_few_are_kept() -> None:
    known = states()
    begin(known, b"key")
    for n in range(3 * NAMES):
        known.recall(b"%d" % n, b"key")
    assert known.size == SERIES_BYTES + NAMES * NAME_BYTES
    assert [n for n in range(3 * NAMES) if known.find(b"%d" % n)] == [*range(2 * NAMES, 3 * NAMES)]
    series = known.find(b"key")
    assert series is not None
    known.forget(series)
    assert known.size == len(known) == 0
    assert known.find(b"%d" % (3 * NAMES - 1)) is None


def test_the_one_not_seen_for_longest_leaves_first() -> None:
    known = states(series=3)
    for key in (b"a", b"b", b"c"):
        begin(known, key)
    series = known.find(b"a")
    assert series is not None
    known.advance(series, 1, 2, 3, 4.0)
    assert (series.start, series.last, series.value, series.seen) == (1, 2, 3, 4.0)
    begin(known, b"d")
    assert [key for key in (b"a", b"b", b"c", b"d") if known.find(key)] == [b"a", b"c", b"d"]
    assert known.evictions == 1


def test_a_series_that_grows_makes_others_leave() -> None:
    known = states(series=3)
    for key in (b"a", b"b", b"c"):
        begin(known, key)
    series = known.find(b"c")
    assert series is not None
    known.weigh(series, 1)
    assert len(known) == 2
    known.weigh(series, 3 * SERIES_BYTES)
    assert (len(known), known.size, known.evictions) == (0, 0, 3)


def test_a_series_that_another_name_makes_too_large_is_not_found() -> None:
    known = states(series=1)
    begin(known, b"key")
    assert known.recall(b"name", b"key") is None
    assert len(known) == 0
    assert known.find(b"name") is None


def test_series_expire_after_their_latest_point() -> None:
    known = states(expiry=5.0)
    begin(known, b"a", seen=10.0)
    begin(known, b"b", seen=12.0)
    known.expire(15.0)
    assert len(known) == 2
    known.expire(15.5)
    assert (len(known), known.expiries, known.evictions) == (1, 1, 0)
    assert known.find(b"b")


def test_the_horizon_is_the_latest_time_of_what_was_forgotten() -> None:
    known = states(series=1)
    begin(known, b"a", last=50)
    begin(known, b"b", last=300)
    assert known.horizon == 100
    begin(known, b"c", last=200)
    assert known.horizon == 300
