"""Tokens of OpenMetrics: one space between them, names that may be quoted, times in seconds."""

import pytest

from agent.exposition import model, openmetrics_grammar as tokens
from common.wire import errors


def test_a_sample_with_every_freedom_that_the_grammar_gives() -> None:
    line = b'a{b="1",_c="x\\\\y\\"z\\n\\q","d e"="\0",} +Inf 1.5e3 # {"f g"="h\\""} .5 -1\nnext 1'
    sample, exemplar = tokens.sample(line, 0)
    assert sample.name == b"a"
    assert sample.labels == (
        (b"b", b"1"),
        (b"_c", b'x\\y"z\n\\q'),
        (b"d e", b"\0"),
    )
    assert (sample.value, sample.timestamp) == (b"+Inf", b"1.5e3")
    assert exemplar == (((b"f g", b'h"'),), 0.5, -1000)
    assert line[sample.value_at :].startswith(b"+Inf")
    assert line[sample.next :] == b"next 1"


def test_a_quoted_name_stands_alone_inside_the_braces_and_may_span_lines() -> None:
    assert tokens.sample(b'{"a.b","c"="0"} 45.5\n', 0)[0][:2] == (b"a.b", ((b"c", b"0"),))
    assert tokens.sample(b'{"a\nb",} 1\n', 0)[0][:2] == (b"a\nb", ())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1abc 1\n", "expected a metric name"),
        (b"{} 1\n", "no metric name"),
        (b'{""} 1\n', "no metric name"),
        (b'a{"b"} 1\n', "set already"),
        (b"a{b} 1\n", 'expected "="'),
        (b"a{b=c} 1\n", "in double quotes"),
        (b"a{b='c'} 1\n", "in double quotes"),
        (b'a{b="c\n"} 1\n', "in double quotes"),
        (b'a{b= "c"} 1\n', "in double quotes"),
        (b'a{b="c" } 1\n', "comma or a closing brace"),
        (b'a{b="c"d="e"} 1\n', "comma or a closing brace"),
        (b'a{b="c"\0} 1\n', "comma or a closing brace"),
        (b'a{,b="c"} 1\n', "expected a label name"),
        (b'a{ b="c"} 1\n', "expected a label name"),
        (b'a{b="c",,} 1\n', "expected a label name"),
        (b'a{b:c="d"} 1\n', 'expected "="'),
        (b"a\n", "a space and a value"),
        (b"a \n", "a space and a value"),
        (b"a  1\n", "a space and a value"),
        (b"a\t1\n", "a space and a value"),
        (b"a{}1\n", "a space and a value"),
        (b"a 1", "expected a timestamp"),
        (b"a 1 \n", "expected a timestamp"),
        (b"a 1 2 3\n", "expected a timestamp"),
        (b"a 1 2  # {} 1\n", "expected a timestamp"),
        (b"a 1 # {}\n", "value and timestamp of an exemplar"),
        (b"a 1 # {}1\n", "value and timestamp of an exemplar"),
        (b"a 1 # {} 1 2 3\n", "value and timestamp of an exemplar"),
        (b"a 1 # {} 1 # {} 2\n", "value and timestamp of an exemplar"),
        (b'a 1 # {"b"} 1\n', 'expected "="'),
        (b'a 1 # {b="c\0"} 1\n', "in double quotes"),
        (b'a 1 # {b="c"d="e"} 1\n', "comma or a closing brace"),
    ],
)
def test_a_broken_sample_is_refused_with_the_reason(line: bytes, reason: str) -> None:
    with pytest.raises(errors.Malformed, match=reason):
        tokens.sample(line, 0)


def test_metadata_is_one_word_and_the_rest_of_the_line() -> None:
    assert tokens.comment(b'# HELP a x \\\\\\"\\n\\q \n', 0) == (b"HELP", b"a", b'x \\"\n\\q ', 21)
    assert tokens.comment(b'# TYPE "a.b" stateset\n', 0) == (b"TYPE", b"a.b", b"stateset", 22)
    assert tokens.comment(b"# UNIT a_s s\n", 0) == (b"UNIT", b"a_s", b"s", 13)
    assert tokens.comment(b"# UNIT a \n", 0) == (b"UNIT", b"a", b"", 10)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"# hello\n", "expected # HELP, # TYPE, # UNIT or # EOF"),
        (b"#HELP a b\n", "expected # HELP, # TYPE, # UNIT or # EOF"),
        (b"#  HELP a b\n", "expected # HELP, # TYPE, # UNIT or # EOF"),
        (b"# HELP  a b\n", "expected a metric name after HELP"),
        (b"# HELP 1 b\n", "expected a metric name after HELP"),
        (b"# HELP a\n", "expected a space, then text"),
        (b"# HELP a b", "expected a space, then text"),
        (b"# TYPE a untyped\n", "expected one of counter, gauge, gaugehistogram"),
        (b"# TYPE a Gauge\n", "expected one of"),
        (b"# TYPE a gauge \n", "expected one of"),
        (b"# TYPE a \n", "expected one of"),
        (b"# UNIT a_seconds s\n", "the unit is no suffix"),
        (b"# UNIT s s\n", "the unit is no suffix"),
        (b"# UNIT as s\n", "the unit is no suffix"),
    ],
)
def test_other_comments_are_refused(line: bytes, reason: str) -> None:
    with pytest.raises(errors.Malformed, match=reason):
        tokens.comment(line, 0)


def test_a_repeated_label_of_an_exemplar_has_its_last_value() -> None:
    found, end = tokens.exemplar(b' # {b="1",c="2",b="3"} 4\n', 0)
    assert found == (((b"b", b"3"), (b"c", b"2")), 4, model.UNTIMED)
    assert end == 25


@pytest.mark.parametrize(
    ("token", "value"),
    [
        (b"0", 0),
        (b"1", 1000),
        (b"1.0019999", 1001),
        (b"-1.0019999", -1001),
        (b"1700000000.123", 1700000000123),
        (b"1.5e3", 1500000),
        (b"9223372036854774", 9223372036854773760),
        (b"9223372036854776", -(2**63)),
        (b"1e300", -(2**63)),
        (b"1e308", -(2**63)),
        (b"-1e300", -(2**63)),
    ],
)
def test_timestamps_are_seconds_cut_to_milliseconds(token: bytes, value: int) -> None:
    assert tokens.milliseconds(token) == value


def test_no_timestamp_is_taken_for_none() -> None:
    assert tokens.milliseconds(b"-0.001") != model.UNTIMED
    assert tokens.milliseconds(b"-0.0019") != model.UNTIMED


@pytest.mark.parametrize(
    ("token", "reason"),
    [(b"NaN", "finite"), (b"-Inf", "finite"), (b"x", "not a number"), (b"1e999", "range")],
)
def test_a_timestamp_that_is_no_time_is_refused(token: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tokens.milliseconds(token)
