"""The strict receiver finds each rule broken that it knows, and nothing in a good request."""

from collections.abc import Callable
from typing import Any

import cramjam
import pytest

from tests.fakes import remote_write_v2 as strict
from tests.fakes.backends import Http

NOW = 1_700_000_000_000


def good() -> Any:
    """Return a request of a counter with an exemplar, and of a native histogram."""
    request = strict.V2["Request"]()
    request.symbols.extend(
        ["", "__name__", "a_total", "h", "job", "shop", "trace_id", "ff", "Help"]
    )
    counter = request.timeseries.add(labels_refs=[1, 2, 4, 5])
    counter.samples.add(value=1, timestamp=NOW, start_timestamp=NOW - 1)
    counter.exemplars.add(labels_refs=[6, 7], value=1, timestamp=NOW)
    counter.metadata.type, counter.metadata.help_ref = 1, 8
    native = request.timeseries.add(labels_refs=[1, 3, 4, 5])
    histogram = native.histograms.add(
        count_int=6, sum=2.5, schema=3, zero_threshold=1e-128, zero_count_int=1, timestamp=NOW
    )
    histogram.positive_spans.add(offset=-3, length=2)
    histogram.positive_deltas.extend([2, 1])
    return request


def judged(
    request: Any = None,
    *,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    method: str = "POST",
) -> list[str]:
    receiver = strict.Receiver("", strict.deque(), strict.honest, utf8=False)
    given = {**strict.HEADERS["2.0"], "user-agent": "a/1", **(headers or {})}
    plain = (request or good()).SerializeToString()
    packed = bytes(cramjam.snappy.compress_raw(plain)) if body is None else body
    return receiver.judge(method, given, packed, 0.0).problems


def broken(change: Callable[[Any], object]) -> list[str]:
    request = good()
    change(request)
    return judged(request)


def test_a_good_request_breaks_no_rule() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ({"content-type": "application/x-protobuf"}, "header content-type"),
        ({"content-encoding": "gzip"}, "header content-encoding"),
        ({"x-prometheus-remote-write-version": "2.1.0"}, "header x-prometheus-remote-write"),
        ({"user-agent": "curl"}, "header user-agent"),
        ({"user-agent": ""}, "header user-agent"),
    ],
)
def test_headers(headers, rule) -> None:
    (problem,) = judged(headers=headers)
    assert problem.startswith(rule)


def test_methods_and_bodies() -> None:
    assert judged(method="PUT") == ["method: PUT"]
    assert judged(body=bytes(cramjam.snappy.compress(good().SerializeToString())))[0].startswith(
        "snappy: it is the format of streams"
    )
    assert judged(body=b"\x05\x10hello")[0].startswith("body:")
    strange = bytes(cramjam.snappy.compress_raw(good().SerializeToString() + b"\x08\x01"))
    assert judged(body=strange) == ["Request has no field 1"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda r: r.symbols.__setitem__(0, "x"), "symbols: the first"),
        (lambda r: r.symbols.__setitem__(8, "h"), "symbols: one is there twice"),
        (lambda r: r.symbols.append("more"), "should: symbols [9]"),
        (lambda r: r.timeseries[0].labels_refs.__setitem__(3, 99), "references: [99]"),
        (lambda r: r.timeseries[0].labels_refs.append(0), "labels_refs: 5"),
        (lambda r: r.timeseries[0].exemplars[0].labels_refs.append(0), "labels_refs: 3"),
        (lambda r: setattr(r.timeseries[0].metadata, "help_ref", 42), "references: [42]"),
        (
            lambda r: r.timeseries[0].labels_refs.__setitem__(slice(0, 4), [4, 5, 1, 2]),
            "labels: not",
        ),
        (lambda r: r.timeseries[0].labels_refs.extend([4, 5]), "labels: a name is repeated"),
        (lambda r: r.timeseries[0].labels_refs.__setitem__(3, 0), "labels: an empty name or value"),
        (lambda r: r.symbols.__setitem__(1, "__nome__"), "labels: no __name__"),
        (lambda r: r.symbols.__setitem__(2, "a-b"), "labels: 'a-b' is no name of a metric"),
        (lambda r: r.symbols.__setitem__(4, "j.b"), "labels: 'j.b' is no name of a label"),
        (lambda r: r.timeseries[0].ClearField("samples"), "series: "),
        (lambda r: r.timeseries[1].samples.add(timestamp=NOW), "series: (('__name__', 'h')"),
        (lambda r: r.timeseries[0].samples.add(timestamp=NOW), "timestamps: not in order"),
        (
            lambda r: setattr(r.timeseries[0].samples[0], "start_timestamp", NOW + 1),
            "should: ",
        ),
        (lambda r: setattr(r.timeseries[0].exemplars[0], "timestamp", 0), "exemplars: without"),
    ],
)
def test_symbols_labels_and_samples(change, rule) -> None:
    assert any(problem.startswith(rule) for problem in broken(change)), broken(change)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda h: setattr(h, "count_int", 7), "histogram: the count is 7, the buckets are 6"),
        (lambda h: setattr(h, "zero_count_float", 1), "histogram: counts of two kinds"),
        (lambda h: h.positive_deltas.append(0), "histogram: 3 positive buckets"),
        (lambda h: h.positive_deltas.__setitem__(1, -3), "histogram: positive buckets below zero"),
        (lambda h: h.positive_counts.append(0), "histogram: positive buckets of the other kind"),
        (lambda h: h.negative_spans.add(length=0), "histogram: negative spans that are none"),
        (lambda h: setattr(h, "schema", 9), "histogram: schema 9"),
        (lambda h: setattr(h, "schema", -5), "histogram: schema -5"),
        (lambda h: h.custom_values.append(1), "histogram: schema 3 with custom_values"),
        (lambda h: setattr(h, "zero_threshold", -1), "histogram: zero_threshold"),
        (lambda h: setattr(h, "reset_hint", 4), "histogram: reset_hint"),
        (lambda h: setattr(h, "timestamp", 0), "histogram: no timestamp"),
    ],
)
def test_native_histograms(change, rule) -> None:
    found = broken(lambda request: change(request.timeseries[1].histograms[0]))
    assert any(problem.startswith(rule) for problem in found), found


def test_custom_buckets_must_rise() -> None:
    def change(request: Any) -> None:
        histogram = request.timeseries[1].histograms[0]
        histogram.schema = -53
        histogram.custom_values.extend([2, 1])

    assert any(problem.startswith("histogram: custom_values") for problem in broken(change))


def test_time_must_not_go_back_over_requests_that_were_taken() -> None:
    receiver = strict.Receiver("", strict.deque(), strict.honest, utf8=False)
    given = {**strict.HEADERS["2.0"], "user-agent": "a/1"}
    early = good()
    for series in early.timeseries:
        for content in (*series.samples, *series.histograms):
            content.timestamp, content.start_timestamp = NOW - 5, 0

    def judge(request: Any) -> strict.Write:
        body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
        return receiver.judge("POST", given, body, 0.0)

    write = judge(good())
    assert judge(early).problems == []  # for the first one was not taken
    receiver.take(write)
    problems = judge(early).problems
    assert len(problems) == 2
    assert all(problem.startswith("timestamps: ") for problem in problems)


def test_1_0_is_held_to_its_own_rules() -> None:
    request = strict.V1["WriteRequest"]()
    series = request.timeseries.add()
    series.labels.add(name="__name__", value="a")
    series.samples.add(value=1, timestamp=NOW)
    old = {**strict.HEADERS["1.0"]}
    assert judged(request, headers=old) == []
    series.labels.add(name="__name__", value="")
    found = judged(request, headers=old)
    assert any(problem.startswith("labels: a name is repeated") for problem in found)
    del series.labels[1]
    started = strict.schema.messages("draft", strict.schema.DRAFT)["WriteRequest"].FromString(
        request.SerializeToString()
    )
    started.timeseries[0].samples[0].start_timestamp = NOW
    assert judged(started, headers=old) == ["Sample has no field 3"]


def test_answers_are_honest() -> None:
    receiver = strict.Receiver("", strict.deque(), strict.honest, utf8=False)
    given = {**strict.HEADERS["2.0"], "user-agent": "a/1"}
    body = bytes(cramjam.snappy.compress_raw(good().SerializeToString()))
    write = receiver.judge("POST", given, body, 0.0)
    assert strict.honest(write) == Http(status=204, headers=strict.written(1, 1, 1))
    write.problems.append("what was wrong")
    assert strict.honest(write) == Http(status=400, body=b"what was wrong")
