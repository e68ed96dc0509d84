"""Lines known by their fingerprints: the numbers of the same lines, as the parser reads them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from agent.exposition import keyed, lines, model, text
from common.wire import errors

BODY = b'# TYPE a counter\na{x="1"} 1\n\n# HELP b what it is\nb 2.5\na{x="2"} 3\n'


def learnt(body: bytes) -> keyed.Keyed | None:
    found = lines.split(body)
    value_at = text.parse(body, model.Limits()).value_at
    sample_lines = np.searchsorted(found.starts, value_at, side="right") - 1
    return keyed.Keyed.of(found, sample_lines.astype(np.int32))


def read(known: keyed.Keyed | None, body: bytes) -> list[float] | None:
    assert known is not None
    found = known.read_lines(lines.split(body))
    return None if found is None else found.values.tolist()


def test_other_numbers_of_the_same_lines_are_read() -> None:
    assert read(learnt(BODY), BODY) == [1, 2.5, 3]
    assert read(learnt(BODY), BODY.replace(b"} 1", b"} -1e5").replace(b"2.5", b"+Inf")) == [
        -1e5, float("inf"), 3,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        (b"counter", b"gauge"),
        (b"it is", b"it was"),
        (b'x="1"', b'x="3"'),
        (b"b 2.5", b"b  2.5"),
        (b"b 2.5", b"b 2.5 "),
        (b"b 2.5", b"b 2.5 1700000000000"),
        (b"b 2.5", b"b 2_5"),
        (b"b 2.5", b"b 1e999"),
        (b"b 2.5", b"b "),
        (b"b 2.5", b"c 2.5"),
        (b"b 2.5\n", b"b 2.5\nb 2.5\n"),
        (b"b 2.5\n", b""),
        (b"\n\n", b"\n"),
        (b"\n\n", b"\n \n"),
        (b"3\n", b"3"),
        (b"# HELP", b"HELP"),
    ],
)
def test_any_other_line_is_left_to_the_parser(what: bytes, becomes: bytes) -> None:
    assert what in BODY
    assert read(learnt(BODY), BODY.replace(what, becomes)) is None


@pytest.mark.parametrize(
    "body",
    [
        b'a{x="two\nlines"} 1\n',
        b"a 1\n\0\nb 2\n",
        b"a 1\n#\0 the end\nb 2\n",
        b"a 1\n \n",
        b"a 1\n\t# comment\n",
    ],
)
def test_what_is_not_one_line_a_sample_is_not_known_so(body: bytes) -> None:
    assert learnt(body) is None


def test_nothing_is_known_like_anything_else() -> None:
    known = learnt(b"")
    assert read(known, b"") == []
    assert read(known, b"a 1\n") is None
    assert learnt(BODY).held_bytes == 7 * 8 + 3 * 4


WORDS = st.sampled_from(
    [
        "1",
        "-0",
        "007",
        ".5",
        "5.",
        "1e5",
        "NaN",
        "nan",
        "+Inf",
        "inf",
        "1_0",
        "0x1",
        "",
        "}",
        "1,2",
        "#",
        "1\r",
        "\0",
    ]
)


@settings(max_examples=300)
@given(st.lists(WORDS, min_size=3, max_size=3))
def test_numbers_are_read_as_the_parser_reads_them_or_not_at_all(words: list[str]) -> None:
    body = BODY
    for line, word in zip((b'{x="1"} 1', b"b 2.5", b'{x="2"} 3'), words, strict=True):
        body = body.replace(line, line.rpartition(b" ")[0] + b" " + word.encode())
    try:
        owed = text.parse(body, model.Limits()).values
    except errors.Malformed:
        owed = None
    found = learnt(BODY).read_lines(lines.split(body))
    if found is None:
        assert owed is None or {"\0", "", "1\r"} & set(words)
    else:
        assert owed is not None
        assert found.values.tobytes() == owed.tobytes()
        assert set(found.times.tolist()) == {model.UNTIMED}
