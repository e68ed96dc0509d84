"""A segment's sums agree with its records, whatever was done to them."""

from hypothesis import given, strategies as st

from common.buffer.segment import IN_HAND, READING, SETTLED, UNREAD, Segment

STATES = st.lists(st.sampled_from([UNREAD, IN_HAND, READING, SETTLED]), max_size=20)


def filled(states: list[int]) -> Segment:
    segment = Segment(100, 1, base=1000, anchor=0.5)
    for index, state in enumerate(states):
        segment.add(index * 10, index * 10 + 10, index + 1, 1000 + index * 500, state)
    return segment


def check(segment: Segment) -> None:
    states = list(segment.states)
    unread = [i + 1 for i, state in enumerate(states) if state == UNREAD]
    unsettled = [i + 1 for i, state in enumerate(states) if state != SETTLED]
    assert (segment.unread, segment.unread_points) == (len(unread), sum(unread))
    assert (segment.unsettled, segment.unsettled_points) == (len(unsettled), sum(unsettled))
    assert segment.oldest() == (unsettled[0] - 1 if unsettled else len(states))


@given(states=STATES, moves=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 3))))
def test_sums_follow_every_move(states: list[int], moves: list[tuple[int, int]]) -> None:
    segment = filled(states)
    check(segment)
    for index, state in moves:
        if index < len(segment) and segment.states[index] not in (SETTLED, state):
            segment.move(index, state)
            check(segment)


@given(states=STATES)
def test_giving_back_makes_unread_what_is_in_hand_and_nothing_else(states: list[int]) -> None:
    segment = filled(states)
    segment.give_back()
    assert list(segment.states) == [UNREAD if s == IN_HAND else s for s in states]
    check(segment)


@given(states=STATES, start=st.integers(-5, 25), stop=st.integers(-5, 25))
def test_settling_a_range_settles_what_there_is_of_it(
    states: list[int], start: int, stop: int
) -> None:
    segment = filled(states)
    segment.settle(start, stop)
    assert list(segment.states) == [
        SETTLED if start <= i < stop else s for i, s in enumerate(states)
    ]
    check(segment)


@given(states=STATES, start=st.integers(0, 20), room=st.integers(1, 100))
def test_a_run_is_unread_side_by_side_and_as_long_as_there_is_room(
    states: list[int], start: int, room: int
) -> None:
    first, stop = filled(states).run(start, room)
    if (first, stop) == (0, 0):
        assert UNREAD not in states[start:]
        return
    assert UNREAD not in states[start:first]
    assert set(states[first:stop]) == {UNREAD}
    assert stop - first == 1 or (stop - first) * 10 <= room
    ended = stop == len(states) or states[stop] != UNREAD
    assert ended or (stop - first + 1) * 10 > room


@given(states=STATES)
def test_settled_ranges_are_those_of_the_states(states: list[int]) -> None:
    numbers = {n for start, end in filled(states).settled() for n in range(start, end)}
    assert numbers == {100 + i for i, state in enumerate(states) if state == SETTLED}


def test_ages_follow_the_anchor() -> None:
    segment = filled([UNREAD, UNREAD, UNREAD])
    assert [segment.appended(i) for i in range(3)] == [0.5, 1.0, 1.5]
    assert segment.youngest() == 1.5
    assert Segment(1, 1).youngest() == float("-inf")
