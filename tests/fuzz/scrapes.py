"""Histories of a target in all formats: whatever it exposes, each scrape ends in a request."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from time import process_time

from agent.exposition import metrics, model, target_state, translate
from tests.fakes import metric_families as families, otlp_wire, scrape_histories as histories

_ORIGIN = metrics.Origin.of(
    job="shop", instance="10.0.0.1:80", scope=("agent", "1"), attributes={}, labels={"pod": "p"}
)
_LIMITS = model.Limits(
    samples=120, labels=20, label_name_bytes=100, label_value_bytes=200, buckets=500
)
_SECOND = 1_000_000_000
_NOW = 1_700_000_000 * _SECOND
BODIES = 6
"""How many sound ones there are in protobuf."""
_SECONDS = 2.0
"""CPU time that a scrape of some kilobytes never takes, however slow the machine."""
_MOST = 200
"""Bytes sent for each byte exposed: a sample of two is a point of a hundred, and its marker."""


def check(random: Random) -> str:
    """Let one target go through a history; return what is wrong, in words."""
    terms = _terms(random)
    state = target_state.TargetState(_ORIGIN, terms)
    forgetful = histories.Forgetful(_ORIGIN, terms)
    form = random.choice(list(model.Format))
    rows = histories.base(random.randrange(10, 100), form)
    sound, largest = rows, 0
    kinds = random.choice((range(len(histories.CHANGES)), histories.GENTLE))
    for number in range(random.randrange(1, 9)):
        if random.random() < 0.05:
            form = random.choice(list(model.Format))
        rows, body = _next(random, rows, form, kinds)
        largest = max(largest, len(body))
        at = _NOW + number * _SECOND
        began = process_time()
        found = state.accept(body, at, 0.1, form)
        took = process_time() - began
        where = f"{form}, scrape {number}: {body!r}"
        if wrong := _wrong(found, took, largest):
            return f"{wrong}; {where}"
        if other := histories.unlike(found, forgetful.accept(body, at, 0.1, form)):
            return f"not as if learnt anew: {other}; {where}"
        if found.error:  # what is wrong would stay so
            rows = sound
        sound = rows
        if random.random() < 0.1:
            state.refused()
            forgetful.refused()
        if random.random() < 0.05:
            state.miss("gone", at, 0.1)
            forgetful.miss("gone", at, 0.1)
    gone = state.vanish(_NOW)
    return _wrong(gone, 0, largest)


def _terms(random: Random) -> target_state.Terms:
    rules = translate.Rules(
        honor_labels=random.random() < 0.3,
        prefixes=random.choice(((), (), (b"a", b"jobs", b"h"))),
        without=random.choice(((), (), ((b"worker", b"1"),))),
        classic=random.random() < 0.3,
    )
    return target_state.Terms(
        limits=_LIMITS,
        rules=rules,
        drop_lines=random.random() < 0.3,
        honor_timestamps=random.random() < 0.8,
        track_timestamps=random.random() < 0.3,
    )


def _next(
    random: Random, rows: histories.Lines, form: model.Format, kinds: Sequence[int]
) -> tuple[histories.Lines, bytes]:
    # What the next body is made of, and the body, now and then damaged on its way.
    if form is model.Format.PROTOBUF:
        body = protobuf(random.randrange(BODIES))
    else:
        for _ in range(random.choice((0, 1, 1, 2, 5))):
            step = histories.Step(random.choice(kinds), random.randrange(99), random.randrange(10))
            changed = histories.change(rows, step)
            # What is complicated would stay so.
            rows = changed if random.random() < 0.9 else histories.base(40, form)
        body = histories.body(rows)
    return rows, otlp_wire.damaged(body, random) if random.random() < 0.15 else body


@cache
def protobuf(number: int) -> bytes:
    """Return one of `BODIES` bodies: they differ in numbers, in series, in what makes sense."""
    exemplar = families.make(
        "Exemplar", label=families.labels({"trace_id": "4bf92f35"}), value=number
    )
    counters = [
        families.metric(
            {"queue": f"q{i}", "worker": str(i)},
            counter=families.make(
                "Counter",
                value=number + i,
                exemplar=exemplar if number % 2 else None,
                start_timestamp=families.make("Timestamp", seconds=1_600_000_000 + number // 4),
            ),
        )
        for i in range(2 + number // 3)
    ]
    spans = [families.make("BucketSpan", offset=number, length=2)]
    histogram = families.make(
        "Histogram",
        sample_count=3 + number % 2,  # does not add up every other time
        sample_sum=2.5,
        schema=number // 2 - 1,
        zero_threshold=1e-9,
        positive_span=spans,
        positive_delta=[1, 1],
        bucket=[families.make("Bucket", upper_bound=0.5, cumulative_count=1, exemplar=exemplar)],
    )
    quantile = families.make("Quantile", quantile=0.5, value=number)
    summary = families.make("Summary", sample_count=3, sample_sum=1, quantile=[quantile])
    gauge = families.make("Gauge", value=number)
    return families.body(
        (
            families.family("jobs_total", families.COUNTER, *counters, help=b"Done.", unit=b"jobs"),
            families.family("wait", families.HISTOGRAM, families.metric(histogram=histogram)),
            families.family("size", families.SUMMARY, families.metric(summary=summary)),
            families.family(
                "depth",
                families.GAUGE,
                families.metric(
                    gauge=gauge, timestamp_ms=1_700_000_000_000 - number if number % 2 else 0
                ),
            ),
            families.family(
                "target_info", families.GAUGE, families.metric({"n": str(number // 3)}, gauge=gauge)
            ),
        )
    )


def _wrong(outcome: target_state.Outcome, took: float, largest: int) -> str:
    # What is wrong with what is sent. It is parsed by upb, or an error escapes.
    sent = len(histories.points(outcome.payload))
    if sent != outcome.points:
        return f"{outcome.points} points announced, {sent} sent"
    if took > _SECONDS:
        return f"took {took:.1f} s"
    if len(outcome.payload) > _MOST * (largest + 20):
        return f"{len(outcome.payload)} bytes made of {largest}"
    return ""
