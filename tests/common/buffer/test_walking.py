"""A walk finds every whole record, whatever lies between."""

from hypothesis import given, strategies as st

from common.buffer import records, walking

PIECES = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=200).map(lambda body: ("record", body)),
        st.binary(min_size=1, max_size=60).map(lambda junk: ("junk", junk)),
        st.just(("junk", records.MAGIC * 3)),
        st.just(("junk", bytes(3000))),
        st.just(("bad", b"changed since")),
    ),
    max_size=12,
)


def record(number: int, body: bytes, *, salt: int = 9) -> bytes:
    head = records.Head(records.checksum(b"", body), len(body), 2, 0, number, 1)
    return records.encode_head(head, salt) + body


def walked(data: bytes, *, thorough: bool = True, salt: int = 9) -> walking.Walk:
    def read(offset: int, size: int) -> bytes:
        assert offset + size <= len(data)
        return data[offset : offset + size]

    return walking.walk(read, len(data), 1, salt, thorough=thorough)


@given(pieces=PIECES)
def test_all_records_are_found_in_order_and_nothing_else(pieces: list) -> None:
    data, number, expected = b"", 0, []
    for kind, content in pieces:
        if kind == "junk":
            data += content
            continue
        number += 1
        one = record(number, content)
        expected.append((len(data), number, kind == "record"))
        data += one if kind == "record" else one[:-1] + bytes((one[-1] ^ 1,))
    walk = walked(data)
    assert [(f.offset, f.head.number, f.good) for f in walk.found] == expected
    assert walk.missing == 0
    behind = data[walk.end :]
    assert walk.torn == (behind.count(0) != len(behind))


def test_records_of_which_nothing_is_left_are_counted() -> None:
    walk = walked(record(1, b"a") + bytes(90) + record(4, b"b"))
    assert ([f.head.number for f in walk.found], walk.missing) == ([1, 4], 2)
    assert len(walk.junk) == 1


def test_a_number_that_no_offset_allows_is_no_record() -> None:
    assert [f.head.number for f in walked(record(1, b"a") + record(1 << 40, b"b")).found] == [1]


def test_a_record_inside_a_body_is_not_taken_for_one_of_ours() -> None:
    copied = record(2, b"copied", salt=8)  # from another segment, whose salt it has
    outer = bytearray(record(1, copied))
    outer[0] ^= 1
    assert walked(bytes(outer)).found == []


def test_the_end_of_a_torn_file_is_taken_off() -> None:
    data = record(1, b"a") + bytes(60) + record(3, b"b") + record(4, b"c")[:-1] + b"\0"
    walk = walking.without_torn(walked(data))
    assert [f.head.number for f in walk.found] == [1, 3]
    assert (walk.end, walk.missing, walk.torn) == (walk.found[-1].end, 1, True)
    only = walking.without_torn(walked(record(1, b"abc")[:-1] + b"\0"))
    assert (only.found, only.end, only.torn) == ([], 0, True)


def test_zeros_behind_the_last_record_are_what_was_reserved() -> None:
    walk = walked(record(1, b"a") + bytes(5000))
    assert (len(walk.found), walk.torn, walk.junk) == (1, False, [])
