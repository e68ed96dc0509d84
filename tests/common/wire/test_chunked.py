"""Chunked bodies, as strict as the parser that reads the heads, however they are cut."""

import httptools
import pytest
from hypothesis import example, given, settings, strategies as st

from common.wire import chunked, errors


def decoded(*reads: bytes) -> tuple[bytes, bytes] | None:
    """The body and what follows it; ``None`` while it is not complete."""
    chunks = chunked.Chunks()
    for n, read in enumerate(reads):
        at = chunks.feed(read)
        if chunks.complete:
            return chunks.body.whole(), read[at:] + b"".join(reads[n + 1 :])
        assert at == len(read)
    return None


def encoded(pieces: list[bytes]) -> bytes:
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
    return b"".join(chunks) + b"0\r\n\r\n"


@given(st.lists(st.binary(max_size=300)), st.binary(max_size=5), st.data())
def test_pieces_come_out_as_one_however_they_are_cut(pieces, behind, data) -> None:
    text = encoded(pieces) + behind
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    reads = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert decoded(*reads) == (b"".join(pieces), behind)


def test_extensions_and_trailers_are_passed_over() -> None:
    text = b'3;a="b";c\r\nabc\r\n0\r\nX-Sum: 1\r\nauthorization: Bearer x\r\n\r\nrest'
    assert decoded(text) == (b"abc", b"rest")


def test_sizes_may_have_any_case_and_zeros_in_front() -> None:
    assert decoded(b"00000A\r\n0123456789\r\n0a\r\n0123456789\r\n000\r\n\r\n") == (
        b"0123456789" * 2,
        b"",
    )


@pytest.mark.parametrize(
    "text",
    [b"zz\r\n", b"-3\r\n", b"0x3\r\n", b" 3\r\n", b"3 \r\n", b"+3\r\n", b"\r\n", b"3\nabc",
     b"3\r\nabcd\r\n", b"3\r\nabc\n", b"3\r\nabc\rX", b"ffffffffffffffff\r\n", b"3;\x00\r\n",
     b"3;a\rb\r\n", b"0\r\nno trailer\r\n", b"0\r\n: x\r\n", b"0\r\nX: \x01\r\n", b"0\r\n X: a\r\n",
     b"0\n\n", b"3;" + b"x" * 2000, b"0\r\n" + b"X: y\r\n" * 2000],
)  # fmt: skip
def test_anything_else_is_malformed_however_it_is_cut(text: bytes) -> None:
    with pytest.raises(errors.Malformed):
        decoded(text)
    with pytest.raises(errors.Malformed):
        decoded(*(text[n : n + 1] for n in range(len(text))))


class Oracle:
    """The same by httptools."""

    def __init__(self) -> None:
        self.body, self.complete = b"", False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.complete = True


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                b"0",
                b"1",
                b"3",
                b"a",
                b"\r\n",
                b"\r",
                b"\n",
                b";x",
                b"abc",
                b" ",
                b"\t",
                b"X: y",
                b":",
            ]
        ),
        max_size=10,
    ).map(b"".join)
)
@example(b"3\r\nabc\r\n0\r\n\r\n")
@example(b"1\r\na\r\n0\r\nX: y\r\n\r\n")
def test_whatever_is_taken_llhttp_takes_the_same_way(text: bytes) -> None:
    try:
        ours = decoded(text)
    except errors.Malformed:
        return
    if ours is None:
        return
    body, behind = ours
    oracle = Oracle()
    oracle.parser.feed_data(text.removesuffix(behind))
    assert (oracle.complete, oracle.body) == (True, body)


def test_many_small_pieces_are_joined_on_the_way() -> None:
    pieces = chunked.Pieces()
    for n in range(5000):
        pieces.add(bytes([n & 255]))
    assert pieces.size == 5000
    assert pieces.whole() == bytes(n & 255 for n in range(5000))
    assert chunked.Pieces().whole() == b""


def test_one_piece_is_not_copied() -> None:
    pieces, piece = chunked.Pieces(), bytes(100)
    pieces.add(piece)
    assert pieces.whole() is piece
