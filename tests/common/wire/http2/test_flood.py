"""More than so many within so long is a flood, whatever happened before."""

from hypothesis import given, strategies as st

from common.wire.http2.flood import Flood


def test_a_burst_is_counted_exactly() -> None:
    flood = Flood(3, 10.0)
    assert [flood.add(5.0) for _ in range(5)] == [False, False, False, True, True]


def test_time_forgives() -> None:
    flood = Flood(3, 10.0)
    assert not any(flood.add(0.0) for _ in range(3))
    assert not any(flood.add(25.0) for _ in range(3))


def test_a_burst_on_both_sides_of_a_window_is_one_burst() -> None:
    flood = Flood(10, 10.0)
    assert not any(flood.add(9.0 * bool(i)) for i in range(10))
    assert [flood.add(10.1) for _ in range(3)][-1]


@given(st.floats(1.05, 5.0))
def test_what_comes_well_below_the_rate_never_trips(slack: float) -> None:
    flood = Flood(20, 10.0)
    assert not any(flood.add(i * slack * 10.0 / 19) for i in range(300))


def test_what_comes_well_above_the_rate_always_does() -> None:
    flood = Flood(20, 10.0)
    assert any(flood.add(i * 10.0 / 40) for i in range(60))
