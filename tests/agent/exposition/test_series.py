"""The fast path gives exactly what the strict parser gives, or steps aside."""

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from agent.exposition import model, openmetrics, series, text
from common.wire import errors

LIMITS = model.Limits()
BODY = b"""\
# HELP a x
# TYPE a counter
a{b="c",long_label_name="a value of some length"} 1
a{b="d
e"} 2.5e+07
tiny 3
spaced\t 4
a{b="e"}5
timed 6 1700000000000
\0 whatever
"""
TOKENS = [
    b"1",
    b"NaN",
    b"-0.0",
    b"+Inf",
    b"1_0",
    b"inf",
    b"1 ",
    b" 1",
    b"1\r",
    b"1e999",
    b"",
    b"x",
    b"1 2",
    b"\n",
    b"#",
    b'"',
    b"}",
    b"{",
    b"\0",
    b"\xff",
    b"7 1700000000001",
    b"7 99999999999999999999",
    b"1,2",
    b",",
    b"[1]",
    b"-0",
    b"\r1",
    b"null",
]


OPEN_METRICS = b"""\
# TYPE a counter
# HELP a x # {} 1
a{b="c",long_label_name="a value of some length"} 1 # {trace_id="0123456789abcdef"} 0.5 1700000000.5
a{b=" # {"} 2.5e+07
tiny 3
{"two
lines"} 4 # {} 1
timed 6 1700000000.25
both 7 1700000000.25 # {b=" # {"} 8
# EOF
"""
EXEMPLARS = [
    b' # {t="u"} 1',
    b" # {} NaN 2.5",
    b' # {q="\\" # {"} 2\n',
    b" # {} x",
    b" # {",
    b" # ",
]
BAD = b"""\
a 1
?
b x
c{d="1",d="2"} 3
e 4
"""
PARSERS = {model.Format.TEXT: text.parse, model.Format.OPEN_METRICS: openmetrics.parse}


def check(
    layout: series.Layout, learnt: model.Exposition, body: bytes, *, drop_lines: bool = False
) -> bool:
    readings = layout.read(body)
    if readings is None:
        return False
    try:
        found = PARSERS[learnt.format](body, LIMITS, drop_lines=drop_lines)
    except errors.Malformed:
        found = None
    assert found is not None, "the fast path took what the strict parser refuses"
    assert found.series == learnt.series
    assert found.families == learnt.families
    assert found.values.tobytes() == readings.values.tobytes()
    assert found.times.tolist() == readings.times.tolist()
    assert repr(found.exemplars) == repr(dict(sorted(readings.exemplars.items())))
    assert found.skipped == learnt.skipped
    return True


def edits(size: int, tokens: list[bytes]) -> st.SearchStrategy[list[tuple[int, int, bytes]]]:
    edit = st.tuples(st.integers(0, size), st.integers(0, 4), st.sampled_from(tokens))
    return st.lists(edit, min_size=1, max_size=3)


def edited(body: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, gone, token in changes:
        body = body[:at] + token + body[at + gone :]
    return body


@settings(max_examples=400)
@given(edits(len(BODY), TOKENS))
@example([])
@example([(0, 0, b"\n")])
@example([(len(BODY), 0, b"\n")])
def test_mutated_bodies_read_as_the_strict_parser_reads_them(changes) -> None:
    learnt = text.parse(BODY, LIMITS)
    layout = series.Layout.learn(BODY, learnt)
    body = edited(BODY, changes)
    assert check(layout, learnt, body) or body != BODY


@settings(max_examples=400)
@given(edits(len(OPEN_METRICS), TOKENS + EXEMPLARS))
@example([])
@example([(OPEN_METRICS.index(b" # {} 1\ntimed"), 0, b"\n")])
def test_mutated_open_metrics_read_as_its_parser_reads_them(changes) -> None:
    learnt = openmetrics.parse(OPEN_METRICS, LIMITS)
    layout = series.Layout.learn(OPEN_METRICS, learnt)
    body = edited(OPEN_METRICS, changes)
    assert check(layout, learnt, body) or body != OPEN_METRICS


@settings(max_examples=400)
@given(
    st.sampled_from([(BAD, model.Format.TEXT), (BAD + OPEN_METRICS, model.Format.OPEN_METRICS)]),
    st.data(),
)
def test_lines_that_were_left_out_are_left_out_again(known, data) -> None:
    before, form = known
    changes = data.draw(edits(len(before), TOKENS))
    learnt = PARSERS[form](before, LIMITS, drop_lines=True)
    layout = series.Layout.learn(before, learnt)
    body = edited(before, changes)
    assert check(layout, learnt, body, drop_lines=True) or body != before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a 1", b"a 2 # {} 1"),
        (b"a 2 # {} 1", b"a 1"),
        (b'a 2 # {b="c"} 1 5', b'a 3 # {b="d",e=" # {"} 2'),
        (b'a{b="#"} 1 7', b'a{b="#"} 1 8.125 # {} 1'),
        (b"a 1 7 # {} 5 6", b"a 1 8"),
    ],
)
def test_exemplars_come_change_and_go_on_the_fast_path(before: bytes, after: bytes) -> None:
    first, second = before + b"\nb 1\n# EOF\n", after + b"\nb 2\n# EOF\n"
    learnt = openmetrics.parse(first, LIMITS)
    assert check(series.Layout.learn(first, learnt), learnt, second)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a 1\n# EOF\n", b"a 1\n# EOF"),
        (b"a 1\n# EOF\n", b"a 1\n# EOX\n"),
        (b"a 1\n# EOF\n", b"a  1\n# EOF\n"),
        (b"a 1 2\n# EOF\n", b"a 1 NaN\n# EOF\n"),
        (b"a 1 2\n# EOF\n", b"a 1\t2\n# EOF\n"),
        (b"a 1\n# EOF\n", b"a 1 # {} 1 Inf\n# EOF\n"),
        (b"a 1\n# EOF\n", b"a 1 # {b} 1\n# EOF\n"),
        (b"a 1\n# EOF\n", b'a 1 # {b="\xff"} 1\n# EOF\n'),
    ],
)
def test_another_shape_of_open_metrics_is_left_to_its_parser(before: bytes, after: bytes) -> None:
    assert series.Layout.learn(before, openmetrics.parse(before, LIMITS)).read(after) is None


VALUES = st.one_of(
    st.floats().map(repr), st.floats().map(lambda f: f"{f:.6g}"), st.integers().map(str)
)


@settings(max_examples=200)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30))
@example([("1", "-0"), ("-0.0", "0"), ("nan", "-inf"), ("1", "007"), ("1", "+1"), ("1", ".5")])
def test_new_numbers_alone_never_leave_the_fast_path(pairs) -> None:
    lines = [f'm{{i="{i}"}} ' for i in range(len(pairs))]
    first = "\n".join(line + a for line, (a, _) in zip(lines, pairs, strict=True)).encode()
    second = "\n".join(line + b for line, (_, b) in zip(lines, pairs, strict=True)).encode()
    learnt = text.parse(first, LIMITS)
    assert check(series.Layout.learn(first, learnt), learnt, second)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a 1\n", b"a 1"),
        (b"a 1\n", b"b 1\n"),
        (b"a 1\n", b"a 1\nb 2\n"),
        (b"a 1\nb 2\n", b"b 2\na 1\n"),
        (b"a 1\n", b"a 1 1700000000000\n"),
        (b"a 1 1700000000000\n", b"a 1\n"),
        (b"# HELP a x\na 1\n", b"# HELP a y\na 1\n"),
        (b"# x\na 1\n", b"# x 5\na \n"),
        (b"abcdefgh 1\n", b"a 1\nbcdefgh"),
        (b"", b"\n"),
    ],
)
def test_another_shape_is_left_to_the_strict_parser(before: bytes, after: bytes) -> None:
    assert series.Layout.learn(before, text.parse(before, LIMITS)).read(after) is None


def test_an_empty_body_has_a_layout_too() -> None:
    readings = series.Layout.learn(b"", text.parse(b"", LIMITS)).read(b"")
    assert readings is not None
    assert len(readings.values) == 0


def test_a_layout_costs_about_as_much_as_the_text_it_knows() -> None:
    body = b"".join(b'some_metric_total{code="200",path="/%d"} 1.5\n' % i for i in range(2000))
    layout = series.Layout.learn(body, text.parse(body, LIMITS))
    assert layout.held_bytes < 3 * len(body)
    readings = layout.read(body.replace(b"1.5\n", b"12.75\n"))
    assert readings is not None
    assert np.all(readings.values == 12.75)


STAMPED = b"# generated at 0\n# TYPE a counter\na 1\n\n# by x\nb 2\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"# generated at 0", b"# generated at 1700000000"),
        (b"# generated at 0", b"# x"),
        (b"# generated at 0", b"# \xff and more\0"),
        (b"# by x", b'# "a'),
        (b"# by x", b"# EOF"),
        (b"# by x", b"# HELPLESS"),
    ],
)
def test_a_comment_that_means_nothing_may_become_another(before: bytes, after: bytes) -> None:
    """The last word in capitals costs learning anew, nothing else."""
    layout = series.Layout.learn(STAMPED, text.parse(STAMPED, model.Limits()))
    body = STAMPED.replace(before, after)
    assert body != STAMPED
    assert len(text.parse(body, model.Limits()).names) == 2
    found = layout.read(body)
    assert (found is None) == (b"HELP" in after)
    assert found is None or found.values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("known", "after"),
    [
        (STAMPED, STAMPED.replace(b"# by x", b"# HELP b z")),
        (STAMPED, STAMPED.replace(b"# by x", b"# TYPE b gauge")),
        (STAMPED, STAMPED.replace(b"# by x", b"# \0")),
        (STAMPED, STAMPED.replace(b"# by x", b"#\0")),
        (STAMPED, STAMPED.replace(b"# by x", b"by x")),
        (STAMPED, STAMPED.replace(b"# by x", b"")),
        (b'# TYPE "a\n# b" gauge\nc 1\n', b'# TYPE "a\n# d" gauge\nc 1\n'),
        (b'{"a\n# b\n",x="y"} 1\n', b'{"a\n# c\n",x="y"} 1\n'),
        (b'{"a\n# b",x="y"} 1\n', b'{"a\n# c",x="y"} 1\n'),
        (b"# x\na 1\n\0\n# b\n", b"# y\na 1\n\0\n# c\n"),
    ],
)
def test_whatever_means_something_may_not(known: bytes, after: bytes) -> None:
    layout = series.Layout.learn(known, text.parse(known, model.Limits()))
    assert layout.read(known) is not None
    assert layout.read(after) is None


def test_a_comment_behind_a_line_that_was_left_out_may_not_become_another() -> None:
    """A quote in it would make the two lines one."""
    known = b'# TYPE "a\n# b\nc 1\n'
    learnt = text.parse(known, model.Limits(), drop_lines=True)
    assert learnt.skipped == 1
    layout = series.Layout.learn(known, learnt)
    after = known.replace(b"# b", b'# b" gauge')
    assert layout.read(after) is None
    assert text.parse(after, model.Limits(), drop_lines=True).skipped == 0


def test_open_metrics_has_no_comments_that_mean_nothing() -> None:
    known = b"# x\na 1\n# EOF\n"
    learnt = openmetrics.parse(known, model.Limits(), drop_lines=True)
    layout = series.Layout.learn(known, learnt)
    assert layout.read(known.replace(b"# x", b"# y")) is None
    assert layout.read(known.replace(b"# EOF", b"# EOS")) is None
