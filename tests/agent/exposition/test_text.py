"""The strict parser: a body is read whole, or refused whole, and says where."""

import math

import pytest
from hypothesis import example, given, settings, strategies as st

from agent.exposition import grammar, model, text
from bench.references import exposition as reference
from common.wire import errors

LIMITS = model.Limits()
BODY = b"""\
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 1.23456789e+06
node_cpu_seconds_total{cpu="0",mode="iowait"} 17.5

# HELP node_filesystem_avail_bytes Available \\\\ space,\\nin bytes.
# TYPE node_filesystem_avail_bytes gauge
node_filesystem_avail_bytes{device="C:\\\\",mountpoint="/a \\"b\\"\\n"} 4.2e+10
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.5"} 1
latency_seconds_bucket{le="+Inf"} 3
latency_seconds_sum 2.25
latency_seconds_count 3
node_time_seconds 1.7e+09 1700000000123
missing NaN
"""


def refusal(body: bytes) -> str:
    try:
        text.parse(body, LIMITS)
    except errors.Malformed as refused:
        return str(refused)
    return ""


def test_a_body_becomes_columns() -> None:
    found = text.parse(BODY, LIMITS)
    assert found.series[1] == (b"node_cpu_seconds_total", ((b"cpu", b"0"), (b"mode", b"iowait")))
    assert found.series[2].labels == ((b"device", b"C:\\"), (b"mountpoint", b'/a "b"\n'))
    assert found.values[:7].tolist() == [1234567.89, 17.5, 4.2e10, 1, 3, 2.25, 3]
    assert found.times.tolist() == [model.UNTIMED] * 7 + [1700000000123, model.UNTIMED]
    assert found.families[b"node_filesystem_avail_bytes"] == (
        b"gauge",
        b"Available \\ space,\nin bytes.",
        b"",
    )
    assert [BODY[at : at + 4] for at in found.value_at[-2:]] == [b"1.7e", b"NaN\n"]


def test_it_agrees_with_the_parser_of_prometheus_client() -> None:
    found = text.parse(BODY, LIMITS)
    for (name, labels), value, (r_name, r_labels, r_value, _) in zip(
        found.series, found.values, reference.samples(BODY), strict=True
    ):
        assert name.decode() == r_name
        assert {k.decode(): v.decode() for k, v in labels} == r_labels
        assert value == r_value or (math.isnan(value) and math.isnan(r_value))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a 1\nb 2\r\n", "line 2, byte 6: not a number"),
        (b"a 1\r\n", "line 1, byte 2: not a number"),
        (b"a 1_0\n", "line 1, byte 2: not a number"),
        (b"a 0x1p1\n", "not a number"),
        (b"a 1e999\n", "beyond the range of a double"),
        (b"a 1 9223372036854775808\n", "timestamp beyond 64 bits"),
        (b'a{b="1",b="2"} 1\n', "empty, reserved or repeated"),
        (b'a{__name__="b"} 1\n', "empty, reserved or repeated"),
        (b'a{""="b"} 1\n', "empty, reserved or repeated"),
        (b'a{b="\xff"} 1\n', "label value is not UTF-8"),
        (b'a{b="\\\\\xff"} 1\n', "label value is not UTF-8"),
        (b'{"\xff"} 1\n', "metric name is not UTF-8"),
        (b'a{"\xff"="b"} 1\n', "label name is not UTF-8"),
        (b"# HELP a \xed\xa0\x80\n", "help is not UTF-8"),
        (b"# TYPE a info\n", "expected counter, gauge, histogram, summary or untyped"),
        (b"a 1\n  b 2\n", "line 2, byte 6: blanks before the metric name"),
        (b"a 1\nb x\n}\n", "line 2, byte 6: not a number"),
    ],
)
def test_a_broken_body_is_refused_at_its_first_error(body: bytes, message: str) -> None:
    with pytest.raises(errors.Malformed, match=message):
        text.parse(body, LIMITS)


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b" \t", b"\0 what ever", b"# \xff\n", b"a 1", b"a 1 \t\n", b"a\t1\n"]
)
def test_what_prometheus_tolerates_is_tolerated(body: bytes) -> None:
    assert len(text.parse(body, LIMITS).series) == (b"a" in body.split(b"\0")[0])


def test_the_last_word_on_a_family_counts_wherever_it_stands() -> None:
    found = text.parse(b"a 1\n# TYPE a gauge\n# HELP a x\n# TYPE a counter\n", LIMITS)
    assert found.families == {b"a": (b"counter", b"x", b"")}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (model.Limits(samples=1), "2 samples exceed the limit of 1"),
        (model.Limits(labels=1), "line 2, byte 6: 2 labels over the limit of 1"),
        (model.Limits(label_name_bytes=3), "label name of 4 bytes over the limit of 3"),
        (model.Limits(label_value_bytes=2), "label value of 3 bytes over the limit of 2"),
    ],
)
def test_limits_name_the_value_and_themselves(limits: model.Limits, message: str) -> None:
    with pytest.raises(errors.TooLarge, match=message):
        text.parse(b'a 1\na{name="1",b="123"} 2\n', limits)


def test_limits_of_zero_and_limits_just_met_let_everything_through() -> None:
    body = b'a 1\na{name="1",b="123"} 2\n'
    exact = model.Limits(samples=2, labels=2, label_name_bytes=4, label_value_bytes=3)
    for limits in (exact, model.Limits(samples=0)):
        assert len(text.parse(body, limits).series) == 2


@settings(max_examples=400)
@given(
    st.lists(
        st.sampled_from(
            [
                b"a",
                b"_1",
                b"{",
                b"}",
                b'"',
                b"\\",
                b"=",
                b",",
                b" ",
                b"\t",
                b"\n",
                b"\r",
                b"#",
                b"# HELP a ",
                b"# TYPE a gauge",
                b"1",
                b".5",
                b"e9",
                b"NaN",
                b"\0",
                b"\xff",
                b'{b="c"}',
                b"le",
                b"-",
            ]
        ),
        max_size=24,
    ).map(b"".join)
)
@example(b'a{b="c",' * 3)
def test_hostile_bytes_end_in_a_result_or_malformed(body: bytes) -> None:
    try:
        found = text.parse(body, LIMITS)
    except errors.Malformed:
        return
    assert len(found.series) == len(found.values) == len(found.times) == len(found.value_at)


PIECES = st.sampled_from(["a", "=", ",", " ", "{", "}", "\n", "\\\\", "\\n", '\\"', "\\a"])
TEXTS = st.lists(PIECES, max_size=5).map("".join)
PAIRS = st.lists(st.tuples(st.sampled_from("abcde"), TEXTS), max_size=4, unique_by=lambda p: p[0])
SETS = st.lists(
    st.tuples(PAIRS, st.sampled_from(["", ","]), st.sampled_from([",", ""])), max_size=5
)


@settings(max_examples=200)
@given(SETS)
@example([([("a", ","), ("b", "=")], "", ","), ([("a", "="), ("b", ",")], "", ",")])
def test_labels_are_those_that_the_grammar_reads_in_whatever_company(sets) -> None:
    lines = []
    for labels, behind, between in sets:
        pairs = [f'{name}="{value}"' for name, value in labels]
        lines.append(f"m{{{between.join(pairs)}{behind if pairs else ''}}} 1\n".encode())
    found = text.parse(b"".join(lines), LIMITS)
    assert found.labels == [grammar.sample(line, 0).labels for line in lines]


PIECES_OF_LINES = [
    b"a",
    b" 1",
    b"\n",
    b" ",
    b"x",
    b'{b="c"}',
    b'{b="',
    b"?",
    b"\r",
    b"\0",
    b"\xff",
    b"# HELP a ",
]


def test_bad_lines_are_left_out_and_counted() -> None:
    body = (
        b"a 1\n 2bad\nb x\n# TYPE c info\n# HELP d \xff\n"
        b'e{f="1",f="2"} 3\ng{h="\xff"} 4\ni 5 99999999999999999999\nj 6\r\nk 7\n\nl'
    )
    found = text.parse(body, LIMITS, drop_lines=True)
    assert found.names == [b"a", b"k"]
    assert found.values.tolist() == [1, 7]
    assert [body[at : at + 1] for at in found.value_at] == [b"1", b"7"]
    assert found.families == {}
    assert found.skipped == 9
    assert found.complaint == "line 2, byte 5: blanks before the metric name, at '2bad'"


def test_a_bad_number_before_other_bad_lines_is_the_first_complaint() -> None:
    found = text.parse(b"a x\n?\nb 1 2\n", LIMITS, drop_lines=True)
    assert found.complaint == "line 1, byte 2: not a number, at 'x'"
    assert (found.names, found.times.tolist(), found.skipped) == ([b"b"], [2], 2)


def test_a_refused_sample_takes_all_its_lines_along() -> None:
    for labels in (b'b="\nc 1\n",b="2"', b'b="\nc 1\n", b="2"'):
        body = b"a{" + labels + b"} 1\nd 2\n"
        found = text.parse(body, LIMITS, drop_lines=True)
        assert (found.names, found.skipped) == ([b"d"], 1)


@pytest.mark.parametrize("limits", [model.Limits(labels=1), model.Limits(samples=1)])
def test_limits_fail_although_lines_may_be_left_out(limits: model.Limits) -> None:
    with pytest.raises(errors.TooLarge):
        text.parse(b'?\na 1\na{b="c",d="e"} 1\n', limits, drop_lines=True)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES_OF_LINES), max_size=12).map(b"".join))
def test_what_leaves_nothing_out_is_what_the_strict_reading_takes(body: bytes) -> None:
    dropped = text.parse(body, LIMITS, drop_lines=True)
    assert refusal(body) == dropped.complaint
    if not dropped.complaint:
        found = text.parse(body, LIMITS)
        assert dropped.series == found.series
        assert dropped.values.tobytes() == found.values.tobytes()


def test_many_bad_lines_are_counted_once_for_the_complaint_that_is_shown(monkeypatch) -> None:
    # Counting the lines before each of them would take time that grows with the square.
    asked = []
    line = grammar.line
    monkeypatch.setattr(grammar, "line", lambda body, at: asked.append(at) or line(body, at))
    bad = (b"?\n", b'a{b="\n', b"a x\n", b"a 1 1.5\n", b'a{b="1",b="1"} 1\n', b"# TYPE a b\n")
    for number, text_of_line in enumerate(bad, 1):
        found = text.parse(text_of_line * 10_000, LIMITS, drop_lines=True)
        assert found.skipped >= 5_000
        assert len(asked) == number


def test_a_long_hostile_line_costs_linear_time() -> None:
    for line in (b"a{" + b'b="c",' * 100_000, b"a" * 1_000_000, b'a{b="' + b"\\" * 999_999):
        with pytest.raises(errors.Malformed):
            text.parse(line, LIMITS)
