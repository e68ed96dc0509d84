"""Lines and their fingerprints: any byte before the last word counts."""

import numpy as np
from hypothesis import assume, example, given, settings, strategies as st

from agent.exposition import grammar, lines

WORDS = st.one_of(
    st.binary(max_size=300),
    st.text('ab{}"=,# \t', max_size=300).map(str.encode),
    st.text(" \t", max_size=40).map(str.encode),
).map(lambda text: text.replace(b"\n", b""))
BODIES = st.lists(WORDS, max_size=8).map(b"\n".join)


def key(line: bytes) -> int:
    """Return where the word behind the last blank begins; without one, the line ends."""
    at = len(line)
    while at and line[at - 1] > 32:
        at -= 1
    return at or len(line)


def told(line: bytes) -> bytes:
    """Return what a fingerprint stands for."""
    return line if line.startswith(b"#") else line[: key(line)]


@settings(max_examples=300)
@given(BODIES)
@example(b"")
@example(b"\n")
@example(b"a 1")
@example(b"a 1\n")
@example(b" \n\n \t\n")
@example(b"word")
@example(b" word\nword 1\n")
def test_lines_begin_and_end_where_the_newlines_are(body: bytes) -> None:
    found = lines.split(body)
    every = body.split(b"\n")
    spans = list(zip(found.starts.tolist(), found.ends.tolist(), strict=True))
    assert [body[a:b] for a, b in spans] == every
    assert found.padded == body + b"\n" * lines.MARGIN
    assert (found.keys() - found.starts).tolist() == list(map(key, every))


@settings(max_examples=500)
@given(BODIES)
def test_equal_beginnings_have_equal_fingerprints_wherever_they_stand(body: bytes) -> None:
    every = body.split(b"\n")
    known: dict[bytes, int] = {}
    for line, word in zip(every, lines.split(body).fingerprints().tolist(), strict=True):
        assert known.setdefault(told(line), word) == word
    assert len(set(known.values())) == len(known), "different ones have different fingerprints"
    alone = [int(lines.split(line).fingerprints()[0]) for line in every]
    assert alone == [known[told(line)] for line in every]


@settings(max_examples=500)
@given(st.binary(max_size=300), st.integers(0, 299), st.integers(1, 255), BODIES)
def test_any_change_before_the_last_word_changes_the_fingerprint(
    beginning: bytes, place: int, change: int, around: bytes
) -> None:
    beginning = beginning.replace(b"\n", b"") + b" "
    at = place % len(beginning)
    other = bytearray(beginning)
    other[at] ^= change
    assume(b"\n" not in other)
    assume(told(bytes(other) + b"1") != told(beginning + b"1"))
    one, two = (
        lines.split(around + b"\n" + bytes(line) + b"1\n" + around).fingerprints()
        for line in (beginning, other)
    )
    different = (one != two).nonzero()[0].tolist()
    assert different == [around.count(b"\n") + 1]


@given(st.binary(max_size=100).map(lambda text: text.replace(b"\n", b"")), st.integers(1, 40))
def test_one_byte_more_or_less_changes_the_fingerprint(line: bytes, more: int) -> None:
    one, two = line + b" 1", line + b" " * (1 + more) + b"1"
    found = lines.split(one + b"\n" + two).fingerprints().tolist()
    assert found[0] != found[1]


@given(st.binary(max_size=60).map(lambda text: text.replace(b"\n", b"").replace(b"#", b"")))
def test_the_last_word_does_not_count(line: bytes) -> None:
    bodies = (line + b" 1\nx 2\n", line + b" 1234567890.25e+100\nx 3\n")
    one, two = (lines.split(body).fingerprints().tolist() for body in bodies)
    assert one == two


def test_a_comment_counts_to_its_end() -> None:
    one, two = (
        lines.split(b"# TYPE a %s\na 1\n" % word).fingerprints().tolist()
        for word in (b"counter", b"gauge12")
    )
    assert one[0] != two[0]
    assert one[1:] == two[1:]


def test_no_two_of_many_lines_have_one_fingerprint() -> None:
    bodies = (
        b"\n".join(b'a{path="/api/v1/items/%d",code="%d"} 1' % (i, i % 7) for i in range(50_000)),
        b"\n".join(b"m%d 1" % i for i in range(50_000)),
        b"\n".join(b"x" * i + b" 1" for i in range(2000)),
    )
    for body in bodies:
        words = lines.split(body).fingerprints().tolist()
        assert len(set(words)) == len(words)


def test_every_byte_of_every_size_counts() -> None:
    for size in range(1, 301):
        line = bytes(33 + i * 7 % 90 for i in range(size)).replace(b"#", b"x")
        changed = [line[:at] + b"~" + line[at + 1 :] for at in range(size)]
        body = b"\n".join(each + b" 1" for each in (line, *changed))
        words = lines.split(body).fingerprints().tolist()
        assert len(set(words)) == len({line, *changed}), size


def test_digits_that_change_at_several_places_never_cancel_out() -> None:
    """Products alone would pass on only the last byte of a word to that of the next."""
    for first in range(8):
        for second in range(first + 1, 64):
            beginning = bytearray(b"x" * 70 + b" 1")
            every = []
            for one in b"0123456789":
                for two in b"0123456789":
                    beginning[first], beginning[second] = one, two
                    every.append(bytes(beginning))
            words = lines.split(b"\n".join(every)).fingerprints().tolist()
            assert len(set(words)) == 100, (first, second)


BEHIND = st.one_of(st.binary(max_size=12), st.text('HELPTYX #"\t\0', max_size=12).map(str.encode))


@settings(max_examples=500)
@given(st.lists(BEHIND.map(lambda text: b"#" + text.replace(b"\n", b"")), max_size=6), BEHIND)
@example([b"# HELP", b"# TYPE", b"# HELPER a", b"# TYPE a gauge", b"# HELP a b", b"# x"], b"")
@example([b"# x\0y", b"# \0", b"#\0", b"#", b"# ", b"#x", b"#\tx", b"#  x"], b"")
def test_remarks_are_comments_whatever_comes_behind_their_beginning(every, behind: bytes) -> None:
    body = b"\n".join(every)
    found = lines.split(body, commented=True)
    said = found.remarks(np.arange(len(found.starts))).tolist()
    words = found.fingerprints().tolist()
    assert len({word for word, is_one in zip(words, said, strict=True) if is_one}) <= 1
    for line, is_one in zip(body.split(b"\n"), said, strict=True):
        if is_one:
            other = line[:3] + behind.replace(b"\n", b"") + b"\n"
            if other[2:6] not in {b"HELP", b"TYPE"}:
                assert grammar.comment(other + b"a 1\n", 0) == len(other)
        else:
            bare = line[:1] != b"#" or line[1:2] != b" " or line[2:3] <= b" "
            assert bare or line[2:6] in {b"HELP", b"TYPE"}


def test_remarks_count_to_their_end_where_the_format_has_none() -> None:
    one, other = lines.split(b"# EOF\n# EO\n").fingerprints().tolist()[:2]
    assert one != other
