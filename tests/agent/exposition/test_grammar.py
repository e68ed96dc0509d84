"""Grammar: one token after the other, as Prometheus' lexer takes them."""

import pytest

from agent.exposition import grammar
from common.wire import errors


def test_a_sample_with_every_freedom_that_the_grammar_gives() -> None:
    line = b'http_total {a = "1" b="2", c="x\\\\y\\"z\\n\\q" , }\t+Inf  123 \t\nnext 1'
    sample = grammar.sample(line, 0)
    assert sample.name == b"http_total"
    assert sample.labels == ((b"a", b"1"), (b"b", b"2"), (b"c", b'x\\y"z\n\\q'))
    assert (sample.value, sample.timestamp) == (b"+Inf", b"123")
    assert line[sample.value_at :].startswith(b"+Inf")
    assert line[sample.next :] == b"next 1"


def test_a_value_needs_no_blank_before_it() -> None:
    assert grammar.sample(b'up{a="b"}1', 0).value == b"1"
    assert grammar.sample(b"up+1", 0).value == b"+1"


def test_a_quoted_name_stands_alone_inside_the_braces() -> None:
    sample = grammar.sample(b'{"cpu.temperature","core.id"="0"} 45.5', 0)
    assert sample.name == b"cpu.temperature"
    assert sample.labels == ((b"core.id", b"0"),)


def test_a_label_value_may_span_lines() -> None:
    assert grammar.sample(b'a{b="x\ny"} 1', 0).labels == ((b"b", b"x\ny"),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1abc 1", "expected a metric name"),
        (b"{} 1", "no metric name"),
        (b'{""} 1', "no metric name"),
        (b'{a="b"} 1', "no metric name"),
        (b'a{"b"} 1', "set already"),
        (b"a{b} 1", 'expected "="'),
        (b"a{b=c} 1", "in double quotes"),
        (b"a{b='c'} 1", "in double quotes"),
        (b'a{b="c} 1', "in double quotes"),
        (b'a{,b="c"} 1', "expected a label name"),
        (b'a{b="c",,} 1', "expected a label name"),
        (b'a{b="c"', "expected a label name"),
        (b'a{b:c="d"} 1', 'expected "="'),
        (b"a", "expected a value"),
        (b"a ", "expected a value"),
        (b"a 1 -5", "expected a timestamp"),
        (b"a 1 1.5", "expected a timestamp"),
        (b"a 1 2 3", "expected a timestamp"),
        (b"a 1 2\r", "expected a timestamp"),
    ],
)
def test_a_broken_sample_is_refused_with_the_reason(line: bytes, reason: str) -> None:
    with pytest.raises(errors.Malformed, match=reason):
        grammar.sample(line, 0)


def test_the_message_has_line_offset_and_a_piece_of_the_text() -> None:
    body = b"a 1\n" + b"?" * 200
    with pytest.raises(errors.Malformed) as caught:
        grammar.sample(body, 4)
    assert str(caught.value) == f"line 2, byte 4: expected a metric name, at {'?' * 80!r}"


def test_metadata_begins_one_byte_behind_the_name() -> None:
    assert grammar.comment(b"#  HELP  a  x\\\\y\\nz\\q\n", 0) == (b"HELP", b"a", b" x\\y\nz\\q", 22)
    assert grammar.comment(b'# TYPE "a.b" gauge', 0) == (b"TYPE", b"a.b", b"gauge", 19)
    assert grammar.comment(b"# HELP a", 0) == (b"HELP", b"a", b"", 9)


@pytest.mark.parametrize(
    "line",
    [b"# TYPE a", b"# TYPE a  gauge", b"# TYPE a gauge ", b"# TYPE a gauge\r", b"# TYPE 1 gauge"],
)
def test_a_type_that_is_not_one_word_of_five_is_refused(line: bytes) -> None:
    with pytest.raises(errors.Malformed, match=r"expected"):
        grammar.comment(line, 0)


@pytest.mark.parametrize("line", [b"#", b"# ", b"#HELP a b", b"# HELPa b", b"# EOF", b"# \xff"])
def test_other_comments_say_nothing(line: bytes) -> None:
    assert grammar.comment(line + b"\nx 1", 0) == len(line) + 1


def test_a_nul_ends_the_input_where_no_text_of_a_comment_precedes_it() -> None:
    assert grammar.comment(b"#x\0\na 1\n", 0) == 8
    assert grammar.comment(b"# x\0\na 1\n", 0) == 5
    assert grammar.comment(b"# \0\na 1\n", 0) == 8


@pytest.mark.parametrize(
    ("token", "value"), [(b"0", 0), (b"007", 7), (b"9223372036854775807", 2**63 - 1)]
)
def test_timestamps_are_64_bit_milliseconds(token: bytes, value: int) -> None:
    assert grammar.milliseconds(token) == value


@pytest.mark.parametrize("token", [b"9223372036854775808", b"9" * 5000])
def test_a_timestamp_beyond_64_bits_is_refused(token: bytes) -> None:
    with pytest.raises(ValueError, match="beyond 64 bits"):
        grammar.milliseconds(token)
