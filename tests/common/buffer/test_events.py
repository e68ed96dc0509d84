"""Records on their way to the disk: how many fit, and what their heads say."""

from hypothesis import given, strategies as st

from common.buffer import events, records, segment
from common.wire import otlp
from tests.fakes import points


def pending(body: bytes, spans: otlp.Spans = ()) -> events.Pending:
    return events.Pending(
        number=5, body=otlp.Encoded(body), points=3, spans=spans, at=10.0, state=segment.UNREAD,
        written=None,
    )  # fmt: skip


def test_a_head_tells_all_of_its_record() -> None:
    body = points.request([1.0, 2.0, 3.0])
    one = pending(body, ((len(body) - 9, 1), (9, 2)))
    data = one.head(77, 1_700_000_000_123) + body
    assert len(data) == one.size
    head = records.decode_head(data, 0, 77)
    assert head is not None
    assert (head.number, head.points, head.stamp) == (5, 3, 1_700_000_000_123)
    payload = records.decode_payload(head, data[records.HEAD_BYTES :])
    assert payload == (((len(body) - 9, 1), (9, 2)), body)


def test_a_stamp_is_milliseconds_of_the_wall_clock() -> None:
    assert events.stamp(10.5, 1_700_000_000.25) == 1_700_000_010_750


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(0, 20), st.integers(0, 3000))
def test_as_many_fit_as_there_is_room_for(sizes: list[int], start: int, room: int) -> None:
    group = [pending(bytes(size)) for size in sizes]
    start = min(start, len(group))
    stop, size = events.fitting(group, start, room)
    assert size == sum(one.size for one in group[start:stop]) <= room
    assert stop == len(group) or size + group[stop].size > room
