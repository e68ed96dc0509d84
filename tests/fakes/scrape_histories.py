"""Bodies of a target as they change from scrape to scrape, and what is sent of them."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import lines, model, openmetrics, series, staleness, target_state, text

Lines = list[bytes]
_Change = Callable[[Lines, int, int], None]

TEXT, OPEN = model.Format.TEXT, model.Format.OPEN_METRICS
_PARSE = {TEXT: text.parse, OPEN: openmetrics.parse}


class Step(NamedTuple):
    """One change of one body: what happens, where, and one of some ways to do it."""

    kind: int
    place: int
    way: int


def base(size: int, form: model.Format) -> Lines:
    """Return the lines of a first body of about *size*."""
    total = b"_total" if form is OPEN else b""
    found = [b"# TYPE a counter", b"# HELP a Things done so far."]
    found += [
        b'a%s{n="%d",path="/api/v1/items/%d"} %d' % (total, i, i, i) for i in range(size // 3)
    ]
    found += [b"# TYPE g gauge", b"g 1.5", b"# TYPE h histogram"]
    for i in range(max(1, size // 30)):
        found += histogram(b"h", i)
    found += [b"# TYPE s summary", b's{quantile="0.5"} 2', b"s_sum 3", b"s_count 4"]
    found += [b'free{x="%d"} %d' % (i, i) for i in range(size // 3)]
    return [*found, b"# EOF", b""]


def histogram(name: bytes, number: int) -> Lines:
    """Return the lines of one histogram."""
    return [
        b'%s_bucket{n="%d",le="0.1"} 2' % (name, number),
        b'%s_bucket{n="%d",le="+Inf"} 5' % (name, number),
        b'%s_sum{n="%d"} 2.5' % (name, number),
        b'%s_count{n="%d"} 5' % (name, number),
    ]


CHANGES: list[_Change] = []


def _change(made: _Change) -> _Change:
    CHANGES.append(made)
    return made


def change(before: Sequence[bytes], step: Step) -> Lines:
    """Return the lines *before* after one change."""
    found = list(before)
    CHANGES[step.kind % len(CHANGES)](found, step.place % (len(found) + 1), step.way)
    return found


def body(written: Sequence[bytes]) -> bytes:
    """Return the text of these lines; a last empty one is the newline at its end."""
    return b"\n".join(written)


_NEW = (
    b'a{n="%d"} 1', b'a_total{n="%d"} 1', b'free{x="9%d"} 7', b'g{y="%d"} 1', b'new{z="%d"} -3.5',
    b'b_total{x="%d"} 2', b'free{x="%d"} 1', b'h_other{n="%d"} 1', b'up{n="%d"} 1',
    b'free{x="1",job="%d"} 1', b'free{x="",instance="%d"} 1', b'{"quoted.name",x="%d"} 3',
    b'free{envoy="yes",x="%d"} 1', b'e_info{x="%d"} 1',
)  # fmt: skip
_ODD = (
    b"free 1", b"up 1", b"target_info 1", b'target_info{host="a"} 1', b'target_info{host="b"} 1',
    b's{quantile="x"} 1', b"s 1", b's{quantile="0.9"} 1', b'h_bucket{n="0",le="0.5"} 3',
    b'h_bucket{n="0"} 3', b'h_bucket{n="0",le="x"} 3', b"h 3", b'h_count{n="0"} 5',
    b'h_count{n="77"} 5', b's_sum{q="1"} 5', b"s_created 1600000000", b'h_created{n="0"} 1.6e9',
    b'free{otel_scope_name="lib",x="1"} 1', b'a_total{otel_scope_name="lib"} 1',
    b'free{otel_scope_name="lib",otel_scope_version="2",x="1"} 1', b'gh_bucket{le="1"} 1',
    b'st{st="on"} 1', b"scrape_duration_seconds 5", b'up{instance=""} 1',
    b'free{long="' + b"x" * 200 + b'"} 1', b'free{a="1",b="2",c="3",d="4",e="5",f="6"} 1',
    b'free{x="\xff"} 1', b"broken{", b"nothing", b"a_created 1.5e9",
    b'a_created{n="1",path="/api/v1/items/1"} 1.5e9', b"free_total 1", b"target_info{} 1",
)  # fmt: skip
_COMMENTS = (
    b"# TYPE free gauge", b"# TYPE free counter", b"# TYPE a gauge", b"# TYPE new counter",
    b"# HELP free something", b"# HELP free something else", b"# HELP g nothing", b"# a comment",
    b"# UNIT g_s s", b"# TYPE b counter", b"# TYPE target info", b"# TYPE e info",
    b"# TYPE st stateset", b"# TYPE gh gaugehistogram", b"# TYPE h summary", b"#", b"# EOF",
    b"# TYPE target_info gauge", b"# TYPE s_sum gauge", b"# x\0y", b"#\0", b"\0", b"\0 1", b" ",
    b"", b'# TYPE "two\n# lines" gauge', b'# HELP "half', b'# HELP "whole" of it',
)  # fmt: skip
_REMARKS = (
    b"# generated at %d", b"# generated at 12:00:%d", b"# x", b'# "', b'# lines" gauge', b"# x\0y",
    b"# HELPER a", b"# HELP", b"# TYPE", b"# TYPED", b"# \xff", b"# # TYPE a gauge", b"#x", b"# ",
    b"#  x", b"#\tx", b"# \0", b"#\0", b"# HELP a else", b"#", b"# EOF", b'# z" y"', b"x",
)  # fmt: skip
_VALUES = (
    b"NaN", b"+Inf", b"-Inf", b"1e5", b"2.5e+07", b"-0", b"007", b"1_0", b"0x1", b"x", b"1,2",
    b"1e999", b".5", b"5.", b"nan", b'"', b"}", b"{", b"#", b"1\r", b"7", b"8", b"9007199254740993",
)  # fmt: skip
_TAILS = (
    b" ", b"\t", b" 1700000000000", b" 1700000000.5", b' # {trace_id="4bf92f35"} 0.5', b" # {} 1",
    b" 1", b"\r", b"\0", b' # {a="b"} 1 1.7e9', b" \0",
)  # fmt: skip


def _of(pieces: Sequence[bytes], place: int, way: int) -> bytes:
    found = pieces[(way + place) % len(pieces)]
    return found % way if b"%d" in found else found


@_change
def _insert(rows: Lines, at: int, way: int) -> None:
    rows.insert(at, _of(_NEW, at, way))


@_change
def _append(rows: Lines, at: int, way: int) -> None:
    rows.insert(max(0, len(rows) - 2), _of(_NEW, at, way))


@_change
def _insert_odd(rows: Lines, at: int, way: int) -> None:
    rows.insert(at, _of(_ODD, at, way))


@_change
def _delete(rows: Lines, at: int, way: int) -> None:
    del rows[at : at + 1 + way // 8]


@_change
def _delete_a_sample(rows: Lines, at: int, way: int) -> None:  # noqa: ARG001 - all are called alike
    samples = [i for i, line in enumerate(rows) if line and not line.startswith(b"#")]
    if samples:
        del rows[samples[at % len(samples)]]


@_change
def _replace(rows: Lines, at: int, way: int) -> None:
    rows[at : at + 1] = [_of(_NEW, at, way)]


@_change
def _move(rows: Lines, at: int, way: int) -> None:
    moved = rows[at : at + 1]
    del rows[at : at + 1]
    there = (at * 7 + way * 13) % (len(rows) + 1)
    rows[there:there] = moved


@_change
def _swap(rows: Lines, at: int, way: int) -> None:
    other = at + 1 + way
    if other < len(rows):
        rows[at], rows[other] = rows[other], rows[at]


@_change
def _repeat(rows: Lines, at: int, way: int) -> None:
    there = (at + way) % (len(rows) + 1)
    rows[there:there] = rows[at : at + 1]


@_change
def _repeat_in_other_words(rows: Lines, at: int, way: int) -> None:
    line = b"".join(rows[at : at + 1])
    name, brace, rest = line.partition(b"{")
    inner, end, value = rest.rpartition(b"}")
    if brace and end and b"\n" not in line:
        ways = (
            b"%s{%s,}%s" % (name, inner, value),
            b"%s {%s}%s" % (name, inner, value),
            b"%s{%s}%s" % (name, b",".join(reversed(inner.split(b","))), value),
            b'%s{%s,empty=""}%s' % (name, inner, value),
            b'{"%s",%s}%s' % (name, inner, value),
            b"%s{%s} %s" % (name, inner, value),
        )
        rows.insert(at + way % 2, ways[way % len(ways)])


@_change
def _new_family(rows: Lines, at: int, way: int) -> None:
    kinds = (b"counter", b"gauge", b"histogram", b"summary")
    name = b"fam%d" % way
    new = [b"# TYPE %s %s" % (name, kinds[way % 4])]
    new += histogram(name, 1)[: 1 + at % 4] if way % 4 == 2 else [name + b" 1", name + b"_total 2"]
    there = min(at, max(0, len(rows) - 2))
    rows[there:there] = new[way // 5 % 2 :]


@_change
def _whole_histogram(rows: Lines, at: int, way: int) -> None:
    new = histogram(b"h", 50 + way)
    rows[at:at] = new if way % 3 else new[at % 3 :]


@_change
def _begun_counter(rows: Lines, at: int, way: int) -> None:
    labels = b'{n="b%d"}' % way
    new = [b"a_total%s 4" % labels, b"a_created%s 1600000000.5" % labels]
    there = min(at, max(0, len(rows) - 2))
    rows[there:there] = new if way % 4 else new[1:]


@_change
def _comment(rows: Lines, at: int, way: int) -> None:
    rows.insert(at, _of(_COMMENTS, at, way))


@_change
def _last_word_of_a_comment(rows: Lines, at: int, way: int) -> None:
    comments = [i for i, line in enumerate(rows) if line.startswith(b"#")]
    if comments:
        i = comments[at % len(comments)]
        words = (b"counter", b"gauge", b"histogram", b"summary", b"other", b"EOF", b"x\0")
        rows[i] = rows[i].rpartition(b" ")[0] + b" " + words[way % len(words)]


@_change
def _remark(rows: Lines, at: int, way: int) -> None:
    remarks = [
        i
        for i, line in enumerate(rows)
        if line.startswith(b"# ") and not line.startswith((b"# HELP ", b"# TYPE ", b"# EOF"))
    ]
    if remarks:
        rows[remarks[at % len(remarks)]] = _of(_REMARKS, at, way)
    else:
        rows.insert(at, b"# generated at 0")


@_change
def _end_elsewhere(rows: Lines, at: int, way: int) -> None:  # noqa: ARG001
    if b"# EOF" in rows:
        rows.remove(b"# EOF")
    there = max(0, len(rows) - at % 4)
    rows.insert(there, b"# EOF")


@_change
def _toggle_newline_at_end(rows: Lines, at: int, way: int) -> None:  # noqa: ARG001
    if rows and rows[-1] == b"":
        del rows[-1]
    else:
        rows.append(b"")


@_change
def _two_lines(rows: Lines, at: int, way: int) -> None:
    rows[at:at] = [b'{"two', b'# lines",x="%d"} 1' % way] if way % 2 else [b'f{x="1', b'b 1"} 2']


@_change
def _value(rows: Lines, at: int, way: int) -> None:
    if at < len(rows) and b" " in rows[at]:
        rows[at] = rows[at].rpartition(b" ")[0] + b" " + _of(_VALUES, at, way)


@_change
def _all_values(rows: Lines, at: int, way: int) -> None:
    for i, line in enumerate(rows):
        if line.startswith((b"a", b"free")) and i % 3 == at % 3 and b" " in line:
            rows[i] = line.rpartition(b" ")[0] + b" %d.25" % way


@_change
def _tail(rows: Lines, at: int, way: int) -> None:
    if at < len(rows):
        rows[at] += _of(_TAILS, at, way)


@_change
def _many(rows: Lines, at: int, way: int) -> None:
    there = min(at, max(0, len(rows) - 2))
    rows[there:there] = [b'many{i="%d"} %d' % (i, i) for i in range(at, at + way)]


GENTLE = tuple(
    map(
        CHANGES.index,
        (_insert, _append, _delete_a_sample, _replace, _move, _begun_counter, _value, _many),
    )
)
"""Kinds of changes that hardly ever need a body to be learnt."""

_COMPARED = (
    "points", "samples", "series_added", "stale", "duplicates", "dropped", "error", "too_large",
    "kept", "skipped",
)  # fmt: skip


class Forgetful(target_state.TargetState):
    """A target that learns every body anew."""

    def _read(
        self, body: bytes, form: model.Format, time_ns: int
    ) -> tuple[object, series.Readings, staleness.Difference | None]:
        if form is model.Format.PROTOBUF:
            self._shape = None
            return super()._read(body, form, time_ns)
        read = _PARSE[form](body, self._terms.limits, drop_lines=self._terms.drop_lines)
        return self._learn(read, lines.split(body), time_ns)


def unlike(found: target_state.Outcome, owed: target_state.Outcome) -> dict[str, object]:
    """Return what differs between two outcomes, but for how they were found out."""
    said = {
        name: (getattr(found, name), getattr(owed, name))
        for name in _COMPARED
        if getattr(found, name) != getattr(owed, name)
    }
    # Where the first bad line begins is as of when it came: numbers before it may have grown.
    complaints = [re.sub(r"byte \d+", "", each.complaint) for each in (found, owed)]
    if complaints[0] != complaints[1]:
        said["complaint"] = tuple(complaints)
    if found.payload != owed.payload:  # points may be in another order
        one, two = points(found.payload), points(owed.payload)
        if one != two:
            more = [each for each in one if each not in two]
            said["sent"] = more, [each for each in two if each not in one]
    return said


def points(payload: bytes) -> list[tuple[object, ...]]:
    """Return all points of a request in some order, each with all that is said about it."""
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(payload)
    found = []
    for frame in request.resource_metrics:
        resource = frame.resource.SerializeToString(deterministic=True)
        for scoped in frame.scope_metrics:
            scope = (scoped.scope.SerializeToString(deterministic=True), scoped.schema_url)
            assert scoped.metrics, "a scope without metrics"
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                assert data.data_points, "a metric without points"
                for point in data.data_points:
                    if kind != "summary":  # the order of exemplars means nothing
                        examples = sorted(point.exemplars, key=str)
                        del point.exemplars[:]
                        point.exemplars.extend(examples)
                said = [point.SerializeToString(deterministic=True) for point in data.data_points]
                del data.data_points[:]
                around = metric.SerializeToString(deterministic=True)
                found += [(resource, scope, metric.name, around, point) for point in said]
    return sorted(found)
