"""There is never more in use than there is, and whoever fits goes on."""

from hypothesis import given, strategies as st

from agent.scraping.room import Lease, Room


def nobody() -> None:
    raise AssertionError("nobody waited")


def test_who_fits_does_not_wait() -> None:
    room = Room(100)
    first, second = room.lease(), room.lease()
    assert first.grow(60, nobody)
    assert second.grow(40, nobody)
    assert first.grow(50, nobody)  # it has more
    assert (room.used, room.waits, second.others) == (100, 0, 60)
    first.release()
    first.release()
    assert room.used == 40


def test_who_does_not_fit_waits_and_small_ones_pass() -> None:
    room, told = Room(100), list[str]()
    holder, large, small = room.lease(), room.lease(), room.lease()
    holder.grow(80, nobody)
    assert not large.grow(50, lambda: told.append("large"))
    assert not large.grow(55, lambda: told.append("large"))  # it waits already
    assert not small.grow(30, lambda: told.append("small"))
    assert room.lease().grow(20, nobody)
    assert (room.waiting, room.waits, large.waits) == (2, 2, True)
    holder.release()
    assert told == ["large"]
    assert (large.held, large.waits, small.waits, room.used) == (55, False, True, 75)
    large.release()
    assert told == ["large", "small"]
    assert room.used == 50


def test_who_gives_up_waits_no_more() -> None:
    room = Room(100)
    holder, other = room.lease(), room.lease()
    holder.grow(100, nobody)
    other.grow(1, nobody)
    other.release()
    holder.release()
    assert (room.used, room.waiting) == (0, 0)


def test_a_body_that_grows_keeps_what_it_has_while_it_waits() -> None:
    room, told = Room(100), list[int]()
    growing, holder = room.lease(), room.lease()
    growing.grow(30, nobody)
    holder.grow(60, nobody)
    assert not growing.grow(60, lambda: told.append(60))
    assert (growing.held, room.used) == (30, 90)
    holder.release()
    assert (growing.held, room.used, told) == (60, 60, [60])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 120)), max_size=60))
def test_the_account_is_right_whatever_happens(steps: list[tuple[int, int]]) -> None:
    room = Room(100)
    leases: list[Lease] = [room.lease() for _ in range(5)]
    for which, size in steps:
        if size:
            leases[which].grow(size, lambda: None)
        else:
            leases[which].release()
        assert room.used == sum(lease.held for lease in leases) <= 100
        assert room.waiting == sum(lease.waits for lease in leases)
    for lease in leases:
        lease.release()
    assert (room.used, room.waiting) == (0, 0)
