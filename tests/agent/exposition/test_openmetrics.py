"""OpenMetrics: what Prometheus takes is taken, everything else is refused and says where."""

import math

import pytest
from hypothesis import example, given, settings, strategies as st

from agent.exposition import grammar, model, openmetrics, text
from bench.references import exposition as reference
from common.wire import errors
from tests.fakes import openmetrics_bodies

LIMITS = model.Limits()
BODY = b"""\
# TYPE http_requests counter
# UNIT http_requests\x20
# HELP http_requests Requests \\"served\\",\\nall.
http_requests_total{code="200",method="get"} 5 # {id="4bf92f35",span="a\\"b"} 0.25 1700000000.1239
http_requests_created{code="200",method="get"} 1699999999.5
# TYPE latency_seconds histogram
# UNIT latency_seconds seconds
latency_seconds_bucket{le="0.5"} 1 1700000000
latency_seconds_bucket{le="+Inf"} 3 1700000000 # {} NaN
latency_seconds_count 3 1700000000
latency_seconds_sum 2.25 1700000000
{"room.temperature","room name"="a b"} -4.5
# EOF
"""


def refusal(body: bytes) -> str:
    try:
        openmetrics.parse(body, LIMITS)
    except errors.Malformed as refused:
        return str(refused)
    return ""


def test_a_body_becomes_columns() -> None:
    found = openmetrics.parse(BODY, LIMITS)
    assert found.format is model.Format.OPEN_METRICS
    assert found.series[0] == (b"http_requests_total", ((b"code", b"200"), (b"method", b"get")))
    assert found.series[-1] == (b"room.temperature", ((b"room name", b"a b"),))
    assert found.values.tolist() == [5, 1699999999.5, 1, 3, 3, 2.25, -4.5]
    assert found.times.tolist() == [-1, -1, *[1700000000000] * 4, -1]
    assert found.families == {
        b"http_requests": (b"counter", b'Requests "served",\nall.', b""),
        b"latency_seconds": (b"histogram", b"", b"seconds"),
    }
    assert [BODY[at : at + 2] for at in found.value_at[:3]] == [b"5 ", b"16", b"1 "]
    assert (found.uncounted, found.skipped, found.complaint) == (0, 0, "")


def test_exemplars_stand_beside_their_samples() -> None:
    found = openmetrics.parse(BODY, LIMITS).exemplars
    assert sorted(found) == [0, 3]
    assert found[0] == (((b"id", b"4bf92f35"), (b"span", b'a"b')), 0.25, 1700000000123)
    assert (found[3].labels, found[3].time) == ((), model.UNTIMED)
    assert math.isnan(found[3].value)


@settings(max_examples=300)
@given(openmetrics_bodies.bodies())
def test_what_keeps_all_rules_reads_as_prometheus_client_reads_it(body: bytes) -> None:
    found = openmetrics.parse(body, LIMITS)
    samples, said = reference.open_metrics(body)
    assert {
        name.decode(): tuple(word.decode() for word in family)
        for name, family in found.families.items()
    } == said
    assert len(found.names) == len(samples)
    for i, (name, labels, value, stamp, exemplar) in enumerate(samples):
        assert found.names[i].decode() == name
        assert {k.decode(): v.decode() for k, v in found.labels[i]} == labels
        assert found.values[i] == value or (math.isnan(found.values[i]) and math.isnan(value))
        assert found.times[i] == (model.UNTIMED if stamp is None else stamp)
        ours = found.exemplars.get(i)
        assert (ours is None) == (exemplar is None)
        if ours is not None and exemplar is not None:
            assert {k.decode(): v.decode() for k, v in ours.labels} == exemplar[0]
            assert repr(ours.value + 0) == repr(float(exemplar[1]) + 0)  # -0 is an int there
            assert ours.time == (model.UNTIMED if exemplar[2] is None else exemplar[2])


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b_total"]),
            st.lists(st.sampled_from("xyz"), max_size=3, unique=True),
            st.floats().map(repr),
        ),
        max_size=9,
    )
)
def test_what_both_formats_can_say_they_say_alike(samples) -> None:
    lines = []
    for name, labels, value in samples:
        pairs = ",".join(f'{label}="{label} 1"' for label in labels)
        lines.append(f"{name}{{{pairs}}} {value}\n")
    body = "".join(lines).encode()
    plain, ours = text.parse(body, LIMITS), openmetrics.parse(body + b"# EOF\n", LIMITS)
    assert ours.series == plain.series
    assert ours.values.tobytes() == plain.values.tobytes()
    assert ours.value_at.tolist() == plain.value_at.tolist()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a 1\n", "line 2, byte 4: expected # EOF at the end"),
        (b"a 1", "line 1, byte 3: expected a timestamp, an exemplar or the end"),
        (b"\n# EOF\n", "line 1, byte 0: expected a metric name"),
        (b"a 1\n# EOF\n\n", "line 2, byte 4: # EOF is not the end"),
        (b"# EOF\n# EOF\n", "line 1, byte 0: # EOF is not the end"),
        (b"a 1\nb x\n# EOF", "line 2, byte 6: not a number"),
        (b"a {} 1\n# EOF", "line 1, byte 2: not a number"),
        (b"a 1\nb x\n?", "line 2, byte 6: not a number"),
        (b"a 1 2\na 1 NaN\n?", "line 2, byte 8: the timestamp is not finite"),
        (b'a{b="1",b="2"} 1\n# EOF\n', "line 1, byte 2: a label name is empty, reserved or"),
        (b'{"a","b"="1","b"="2"} 1\n# EOF\n', "line 1, byte 0: a label name is empty, reserved"),
        (b'a{b="\xff"} 1\n# EOF\n', "label value is not UTF-8"),
        (b'{"\xff"} 1\n# EOF\n', "metric name is not UTF-8"),
        (b'a{"\xff"="b"} 1\n# EOF\n', "label name is not UTF-8"),
        (b"# HELP a \xed\xa0\x80\n# EOF\n", "help is not UTF-8"),
        (b'a 1 # {b="\xff"} 1\n# EOF\n', "the exemplar is not UTF-8"),
        (b"a 1 # {} x\n# EOF\n", "line 1, byte 9: in an exemplar: not a number"),
        (b"a 1 # {} 1 Inf\n# EOF\n", "in an exemplar: the timestamp is not finite"),
    ],
)
def test_a_broken_body_is_refused_at_its_first_error(body: bytes, message: str) -> None:
    with pytest.raises(errors.Malformed, match=message):
        openmetrics.parse(body, LIMITS)


def test_an_empty_body_is_no_error_as_in_every_format() -> None:
    assert openmetrics.parse(b"", LIMITS).names == []


@pytest.mark.parametrize("drop_lines", [True, False])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (model.Limits(samples=1), "2 samples exceed the limit of 1"),
        (model.Limits(labels=1), "line 2, byte 6: 2 labels over the limit of 1"),
        (model.Limits(label_name_bytes=3), "label name of 4 bytes over the limit of 3"),
        (model.Limits(label_value_bytes=2), "label value of 3 bytes over the limit of 2"),
    ],
)
def test_limits_fail_whatever_else_may_pass(limits, message, drop_lines) -> None:
    body = b'a 1\na{name="1",b="123"} 2\n# EOF\n'
    with pytest.raises(errors.TooLarge, match=message):
        openmetrics.parse(body, limits, drop_lines=drop_lines)
    exact = model.Limits(samples=2, labels=2, label_name_bytes=4, label_value_bytes=3)
    assert len(openmetrics.parse(body, exact, drop_lines=drop_lines).names) == 2


def test_bad_lines_are_left_out_and_counted() -> None:
    body = b"a 1\n\n# hello\nb x\n# TYPE c gauge\nc 2 NaN\nd 3 4 # {e='f'} 1\ng 5\n# EOF\nh 6\ni 7"
    found = openmetrics.parse(body, LIMITS, drop_lines=True)
    assert found.names == [b"a", b"g", b"h"]
    assert found.values.tolist() == [1, 5, 6]
    assert [body[at : at + 1] for at in found.value_at] == [b"1", b"5", b"6"]
    # The blank line, the comment, b, c, d, the end in the midst, the cut line, the missing end.
    assert found.skipped == 8
    assert found.complaint == "line 2, byte 4: expected a metric name, at ''"


def test_a_missing_end_alone_is_one_complaint() -> None:
    found = openmetrics.parse(b"a 1\n", LIMITS, drop_lines=True)
    assert (found.names, found.skipped) == ([b"a"], 1)
    assert found.complaint == "line 2, byte 4: expected # EOF at the end of the body, at ''"


def test_exemplars_stay_with_their_samples_when_others_go() -> None:
    body = b"a x # {} 1\nb 2 # {} 2\nc 3\nd y\ne 4 # {} 3\n# EOF\n"
    found = openmetrics.parse(body, LIMITS, drop_lines=True)
    assert found.names == [b"b", b"c", b"e"]
    assert {i: example.value for i, example in found.exemplars.items()} == {0: 2, 2: 3}


TOKENS = [
    b"a", b"_1", b"{", b"}", b'"', b"\\", b"=", b",", b" ", b"\t", b"\n", b"\r", b"#", b" # {",
    b"# HELP a ", b"# TYPE a gauge\n", b"# UNIT a_s s\n", b"# EOF\n", b"# EOF", b"1", b".5", b"e9",
    b"NaN", b"\0", b"\xff", b'{b="c"}', b"le", b"-", b"a 1\n", b'{"x.y"} 1\n', b' # {t="u"} 1 2\n',
]  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.sampled_from(TOKENS), max_size=24).map(b"".join))
@example(b'a{b="c",' * 3)
def test_hostile_bytes_end_in_a_result_or_malformed(body: bytes) -> None:
    dropped = openmetrics.parse(body, LIMITS, drop_lines=True)
    count = len(dropped.names)
    assert count == len(dropped.labels) == len(dropped.values) == len(dropped.value_at)
    assert (dropped.skipped > 0) == dropped.complaint.startswith("line ")
    assert refusal(body) == dropped.complaint
    if not dropped.complaint:
        found = openmetrics.parse(body, LIMITS)
        assert found.series == dropped.series
        assert found.values.tobytes() == dropped.values.tobytes()


@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_result_or_malformed(body: bytes) -> None:
    assert refusal(body) == openmetrics.parse(body, LIMITS, drop_lines=True).complaint


def test_a_long_hostile_line_costs_linear_time() -> None:
    for line in (b"a{" + b'b="c",' * 100_000, b"a" * 1_000_000, b'a{b="' + b"\\" * 999_999):
        with pytest.raises(errors.Malformed):
            openmetrics.parse(line, LIMITS)


def test_many_bad_lines_are_counted_once_for_the_complaint_that_is_shown(monkeypatch) -> None:
    # Counting the lines before each of them would take time that grows with the square.
    asked = []
    line = grammar.line
    monkeypatch.setattr(grammar, "line", lambda body, at: asked.append(at) or line(body, at))
    bad = (b"\n", b'a{"\n', b"a 1 # {\n", b'a{b="\n', b"# EOF\n", b"a x\n", b"a 1 x\n")
    for number, line_of_text in enumerate(bad, 1):
        found = openmetrics.parse(line_of_text * 10_000, LIMITS, drop_lines=True)
        assert found.skipped >= 5_000
        assert len(asked) == number
