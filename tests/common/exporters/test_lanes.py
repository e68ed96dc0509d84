"""Lanes are opened while they are wanted, and closed when they have not been for long."""

from hypothesis import given, strategies as st

from common.exporters.lanes import CALM, PERIOD, Lanes


def looks(lanes: Lanes, count: int, *, busy: float, full: bool, failing: bool = False) -> list[int]:
    return [lanes.look(busy=busy, full=full, failing=failing) for _ in range(count)]


def test_all_busy_and_a_full_batch_waiting_opens_more_up_to_the_most() -> None:
    lanes = Lanes(1, 6)
    found = [lanes.look(busy=lanes.count, full=True, failing=False) for _ in range(4)]
    assert found == [2, 4, 6, 6]


def test_nobody_waiting_opens_none_however_busy() -> None:
    assert looks(Lanes(2, 8), 10, busy=2.0, full=False) == [2] * 10


def test_some_idle_opens_none_however_much_waits() -> None:
    assert looks(Lanes(4, 8), 10, busy=2.0, full=True) == [4] * 10


def test_half_a_minute_of_calm_closes_what_is_not_needed() -> None:
    lanes = Lanes(1, 16)
    lanes.count = 16
    calm = int(CALM / PERIOD)
    assert set(looks(lanes, calm - 1, busy=2.0, full=False)) == {16}
    assert lanes.look(busy=2.0, full=False, failing=False) == 4
    assert looks(lanes, calm, busy=0.0, full=False)[-1] == 1


def test_a_busy_moment_begins_the_calm_anew() -> None:
    lanes = Lanes(1, 16)
    lanes.count = 10
    calm = int(CALM / PERIOD)
    looks(lanes, calm - 1, busy=1.0, full=False)
    lanes.look(busy=5.0, full=False, failing=False)
    assert set(looks(lanes, calm - 1, busy=1.0, full=False)) == {10}


def test_nothing_is_learnt_while_the_destination_fails() -> None:
    lanes = Lanes(1, 16)
    lanes.count = 8
    assert set(looks(lanes, 1000, busy=8.0, full=True, failing=True)) == {8}
    assert set(looks(lanes, 1000, busy=0.0, full=False, failing=True)) == {8}


@given(
    st.integers(1, 8),
    st.integers(0, 20),
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), max_size=300),
)
def test_the_count_keeps_within_its_bounds(least, more, history) -> None:
    lanes = Lanes(least, least + more)
    for part, full, failing in history:
        found = lanes.look(busy=part * lanes.count, full=full, failing=failing)
        assert least <= found <= least + more
