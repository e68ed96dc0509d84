"""A cursor survives the loss of the slot that was being written."""

from hypothesis import given, strategies as st

from common.buffer import cursor

NUMBERS = st.integers(1, 1 << 60)
RANGES = st.lists(st.tuples(NUMBERS, st.integers(0, 1 << 31)), max_size=400)


def file_with(*generations: tuple[int, cursor.Cursor]) -> bytes:
    file = bytearray(cursor.FILE_BYTES)
    for generation, one in generations:
        offset, slot = cursor.encode(one, generation)
        assert len(slot) == cursor.SLOT_BYTES
        file[offset : offset + len(slot)] = slot
    return bytes(file)


@given(low=NUMBERS, following=NUMBERS, ranges=RANGES)
def test_it_reads_back_as_far_as_there_is_room(low: int, following: int, ranges: list) -> None:
    settled = cursor.bounded((start, start + length) for start, length in ranges)
    one = cursor.Cursor(low=low, next=following, settled=settled)
    assert len(settled) <= cursor.MOST_INTERVALS == 338
    assert cursor.decode(file_with((9, one))) == (one, 9)


@given(at=st.integers(0, cursor.SLOT_BYTES - 1), generation=st.integers(1, 1000))
def test_the_former_counts_while_the_newer_is_torn(at: int, generation: int) -> None:
    former, newer = cursor.Cursor(low=5, next=9), cursor.Cursor(low=8, next=11)
    file = bytearray(file_with((generation, former), (generation + 1, newer)))
    assert cursor.decode(bytes(file)) == (newer, generation + 1)
    file[(generation + 1) % 2 * cursor.SLOT_BYTES + at] ^= 1
    assert cursor.decode(bytes(file)) == (former, generation)


@given(file=st.binary(max_size=60))
def test_what_is_no_cursor_settles_nothing(file: bytes) -> None:
    assert cursor.decode(file) == (cursor.Cursor(), 0)
    assert cursor.decode(file.ljust(cursor.FILE_BYTES, b"\1")) == (cursor.Cursor(), 0)
