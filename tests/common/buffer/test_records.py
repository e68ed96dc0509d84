"""A record reads back as it was written, and anything else is no record."""

from hypothesis import given, strategies as st

from common.buffer import records
from common.wire import otlp

SPANS = st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=5)


def encoded(body: bytes, spans: tuple, number: int = 7, salt: int = 5) -> bytes:
    encoded_spans = records.encode_spans(spans)
    head = records.Head(
        crc=records.checksum(encoded_spans, body),
        length=len(encoded_spans) + len(body),
        points=3,
        spans=len(spans),
        number=number,
        stamp=1_700_000_000_000,
    )
    return records.encode_head(head, salt) + encoded_spans + body


@given(body=st.binary(max_size=100), spans=SPANS, salt=st.integers(0, (1 << 32) - 1))
def test_a_record_reads_back(body: bytes, spans: list, salt: int) -> None:
    data = b"before" + encoded(body, tuple(spans), salt=salt)
    head = records.decode_head(data, 6, salt)
    assert head is not None
    assert (head.points, head.number, head.stamp) == (3, 7, 1_700_000_000_000)
    payload = data[6 + records.HEAD_BYTES :]
    assert records.decode_payload(head, payload) == (tuple(spans), otlp.Encoded(body))


@given(
    body=st.binary(min_size=1, max_size=50),
    spans=SPANS,
    at=st.integers(0),
    flip=st.integers(1, 255),
)
def test_a_byte_that_changed_is_noticed(body: bytes, spans: list, at: int, flip: int) -> None:
    data = bytearray(encoded(body, tuple(spans)))
    data[at % len(data)] ^= flip
    head = records.decode_head(bytes(data), 0, 5)
    inside = at % len(data) >= records.HEAD_BYTES
    assert (head is not None) == inside  # a damaged body leaves the head believable
    if head is not None:
        assert records.decode_payload(head, bytes(data[records.HEAD_BYTES :])) is None


def test_a_record_copied_from_elsewhere_is_none() -> None:
    assert records.decode_head(encoded(b"x", (), salt=1), 0, 2) is None


def test_a_head_cut_short_is_none() -> None:
    assert records.decode_head(encoded(b"", ())[:-1], 0, 5) is None


def test_spans_that_do_not_fit_the_payload_are_no_record() -> None:
    payload = b"\xff\xff"
    head = records.Head(records.checksum(b"", payload), 2, 1, 1, 1, 1)
    assert records.decode_payload(head, payload) is None
