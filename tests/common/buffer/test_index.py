"""The index knows what is unread, settled and in the way."""

from hypothesis import given, strategies as st

from common.buffer import cursor
from common.buffer.index import Index, doomed
from common.buffer.segment import IN_HAND, SETTLED, UNREAD, Segment


def index(*states: str) -> Index:
    """One segment for each word: ``u`` unread, ``h`` in hand, ``s`` settled; ``.`` is no record."""
    segments: list[Segment] = []
    number = 1
    for word in states:
        segment = Segment(number, 1)
        for at, letter in enumerate(word):
            state = {"u": UNREAD, "h": IN_HAND, "s": SETTLED}[letter]
            segment.add(at * 10, at * 10 + 10, 1, 0, state)
        segment.size, segment.sealed = 10 * len(word), True
        segments.append(segment)
        number += len(word) + 5  # numbers are missing between segments, as after failures
    return Index(segments)


def test_records_are_found_by_number() -> None:
    one = index("uu", "uuu")
    found = one.find(9)
    assert found is not None
    assert (found[0].first, found[1]) == (8, 1)
    assert [one.find(n) for n in (0, 3, 7, 11, 99)] == [None] * 5


def test_sums_are_those_of_the_segments() -> None:
    one = index("uhs", "uu")
    assert (one.unread, one.points, one.size) == (3, 4, 50)
    gone = one.drop(1)
    assert (gone.lost, gone.in_hand) == (1, ((2, 1),))
    assert (one.unread, one.points, one.size) == (2, 2, 20)


def test_what_is_done_is_what_is_settled_to_the_last() -> None:
    assert index("ss", "su", "hh").done() == [1]


def test_a_snapshot_applied_settles_the_same() -> None:
    one = index("usu", "ss", "hhsu")
    settled = one.snapshot(low=40, following=40)
    assert settled == cursor.Cursor(low=1, next=40, settled=((2, 3), (9, 11), (18, 19)))
    other = index("uuu", "uu", "uuuu")
    other.apply(settled)
    assert [list(s.states) for s in other.segments.values()] == [
        [UNREAD, SETTLED, UNREAD],
        [SETTLED, SETTLED],
        [UNREAD, UNREAD, SETTLED, UNREAD],
    ]
    assert (other.unread, other.points) == (5, 5)


def test_with_nothing_unsettled_the_low_water_mark_is_what_comes_next() -> None:
    assert index("ss").snapshot(low=7, following=9) == cursor.Cursor(low=7, next=9)


@given(sizes=st.lists(st.integers(1, 100)), room=st.integers(0, 100), limit=st.integers(0, 500))
def test_as_few_go_as_make_room(sizes: list[int], room: int, limit: int) -> None:
    count = doomed(sizes, room, limit)
    assert sum(sizes[count:]) + room <= limit or count == len(sizes)
    assert not count or sum(sizes[count - 1 :]) + room > limit
