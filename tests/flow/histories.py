"""Histories of targets: what they answer, scrape by scrape, and how they misbehave."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
)
from prometheus_client.core import (
    GaugeHistogramMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from tests.fakes import metric_families as families
from tests.flow.exporters import Capture
from tests.flow.scripted import OPEN_METRICS, PROTOBUF, TEXT, Step

STEPS: Final = 16
"""Of every history; those that are shorter stay at their last step."""
DOORS: Final = ("closing",)
"""Targets that somebody who wants to connect does not find for a while."""
HONORING: Final = ("honored",)
"""Targets whose own labels win."""
MAX_LABELS, MAX_SAMPLES = 30, 3000
"""The limits that the history of ``limited`` breaks, of one sample and of one exposition."""


def lasting(steps: Sequence[Step]) -> list[Step]:
    """Make a history as long as all are: its last step stays."""
    assert len(steps) <= STEPS
    return [*steps, *([steps[-1]] * (STEPS - len(steps)))]


def of_exporter(captures: Sequence[Capture]) -> list[Step]:
    """Let an exporter change, lose families, fail in every way, and start anew."""
    first, second, third = (Step(body=c.body, content_type=c.content_type) for c in captures)
    kind = first.content_type
    is_protobuf = "protobuf" in kind
    half = _half_of_protobuf(third.body) if is_protobuf else _half_of_text(third.body)
    broken = third.body[:-3] if is_protobuf else third.body + b'broken{x="1" 2\n'
    return lasting(
        [
            first,
            first,
            second,
            Step(status=500, body=b"try again", content_type=TEXT),
            second,
            third,
            Step(content_type=kind),  # nothing at all
            third,
            Step(body=half, content_type=kind),
            third,
            first,  # began anew
            Step(body=second.body, content_type=kind, cut=True),
            second,
            Step(body=broken, content_type=kind),
            third,
        ]
    )


def _half_of_text(body: bytes) -> bytes:
    blocks = re.split(rb"(?m)^(?=# HELP )", body)
    return b"".join(blocks[::2])


def _half_of_protobuf(body: bytes) -> bytes:
    return families.body(families.read(body)[::2])


def made_up(now_ms: int) -> dict[str, list[Step]]:
    """Return the histories that no exporter tells; explicit timestamps are before *now_ms*."""
    return {
        "vanishing": _texts(_VANISHING),
        "retyped": _texts(_RETYPED),
        "timed": _texts(_dated(_TIMED, now_ms)),
        "mixed": _texts(_dated(_MIXED, now_ms)),
        "twice": _texts(_dated(_TWICE, now_ms)),
        "special": _texts(_SPECIAL),
        "conflicting": _texts(_CONFLICTING),
        "honored": _texts(_CONFLICTING),
        "composites": _texts(_COMPOSITES),
        "spaced": _texts(_SPACED),
        "failing": _failing(),
        "limited": _limited(),
        "closing": _closing(),
        "openmetrics": _openmetrics(),
        "exemplary": _exemplary(now_ms),
        "families": _families(now_ms),
    }


def _texts(texts: Sequence[str], kind: str = TEXT) -> list[Step]:
    return lasting([Step(body=text.encode(), content_type=kind) for text in texts])


def _dated(texts: Sequence[str], now_ms: int) -> list[str]:
    """Write a time for each ``@n``."""
    stamps = _stamps(now_ms)
    return [re.sub(r"@(\d)", lambda found: str(stamps[int(found[1])]), text) for text in texts]


def _stamps(now_ms: int) -> list[int]:
    """Return ascending times of the last minute."""
    return [now_ms - 60_000 + 1000 * i for i in range(10)]


_VANISHING = [
    'a{n="1"} 1\na{n="2"} 2\nb 3\n',
    'a{n="1"} 1\nb 3\n',
    'a{n="1"} 1\nb 3\n',
    'a{n="1"} 1\na{n="2"} 4\n',
    'b 5\na{n="2"} 4\n',
    "",
    'a{n="1"} 6\nc 1\n',
    'c 1\na{n="1"} 6\n',  # another order
    'c{} 1\na{n="1",} 6\n',  # another spelling
    'c{x=""} 1\na{n="1"} 6\n',
    "d 1\n",
    "e 1\nd 2\n",
]
_RETYPED = [
    "# TYPE retyped_m counter\n# HELP retyped_m First.\nretyped_m 1\n",
    "# TYPE retyped_m counter\n# HELP retyped_m First.\nretyped_m 2\n",
    "# TYPE retyped_m gauge\n# HELP retyped_m First.\nretyped_m 3\n",
    "# TYPE retyped_m gauge\n# HELP retyped_m Second, \\\\ and\\nlines.\nretyped_m 4\n",
    "retyped_m 5\n",
    "# TYPE retyped_m untyped\nretyped_m 6\n",
    '# TYPE retyped_m summary\nretyped_m{quantile="0.5"} 7\nretyped_m_sum 1\nretyped_m_count 2\n',
    "# TYPE retyped_m gauge\nretyped_m 8\n",
    '# TYPE retyped_m histogram\nretyped_m_bucket{le="+Inf"} 2\nretyped_m_sum 9\n'
    "retyped_m_count 2\n",
    # Of the same names, but no histogram any more.
    '# TYPE retyped_m_bucket gauge\nretyped_m_bucket{le="+Inf"} 3\n'
    "# TYPE retyped_m_sum gauge\nretyped_m_sum 9\n# TYPE retyped_m_count gauge\n"
    "retyped_m_count 3\n",
    "# TYPE retyped_m gauge\n# HELP retyped_m Last.\nretyped_m 10\n",
]
_TIMED = [
    "t 1 @0\nu 1 @5\nalways 1\n",
    "t 2 @1\nu 1 @5\nalways 1\n",  # newer; the same
    "t 3 @1\nu 2 @5\nalways 2\n",  # the same time with another value
    "t 4 @0\nu 3 @4\nalways 3\n",  # older
    "t 5 @2\nalways 3\n",  # gone: no marker
    "always 4\n",
    "t 6 @3\nu 4 @6\nalways 5\n",  # back
    "t 7 @2\nu 5 @7\nalways 6\n",  # older again
    "t 8 @4\nu 6 @8\nalways 6\n",
]
_MIXED = [
    "m 1\nn 1 @0\n",
    "m 1\nn 2\n",  # n from now on with the scrape's time
    "m 2 @1\nn 3\n",  # m older than it was
    "m 3\nn 4 @2\n",
    "m 4\nn 5\n",
    "m 5\nx 1\n",
    "m 6\nn 6 @3\nx 1 @3\n",  # n comes back older than its marker
    "m 7\n",
]
_TWICE = [
    "d 1\nd 1\ne 1\n",
    "d 1\ne 1\nd 2\n",
    'd 2\nd 3\nd 4\nf{a="1",b="2"} 1\nf{b="2",a="1"} 2\n',
    "g 1 @0\ng 2 @1\ng 3 @2\n",  # of different times each
    "g 3 @2\ng 4 @3\ng 2 @1\n",
    'd 5\nd{} 6\nd{x=""} 7\n',
    "# TYPE d counter\nd 8\n# TYPE d gauge\nd 9\n",
]
_SPECIAL = [
    "s NaN\n",
    "s nan\n",
    "s +Inf\n",
    "s -inf\n",
    "s Infinity\n",
    "s -0\n",
    "s 0\n",
    "s 5e-324\n",
    "s 1.7976931348623157e308\n",
    "s 0.30000000000000004\n",
    "s 9007199254740993\n",
    "s 123456789012345678901234567890\n",
    "s .5\n",
    "s 5.\n",
    "s +1E+3\n",
    "# TYPE s counter\ns NaN\n",
]
_CONFLICTING = [
    'c{job="mine"} 1\nc{instance="i"} 2\nc{zone="t"} 3\n',
    'c{job="mine",exported_job="x"} 1\nc{job="mine",exported_job="x",exported_exported_job="y"} 2\n'
    'c{exported_job="x"} 3\n',
    'c{job="",instance="",zone=""} 1\nd{job="a",kept="1"} 2\n',
    'd{job="a",kept="1"} 3\nd{job="b",kept="1"} 3\n',
    'up{job="mine"} 7\nscrape_samples_scraped{job="mine"} 8\n',
    '# TYPE h histogram\nh_bucket{job="a",le="+Inf"} 1\nh_count{job="a"} 1\nh_sum{job="a"} 2\n',
    'c{service="s",namespace="n"} 1\n',
]
_COMPOSITES = [
    '# HELP composites_h About it.\n# TYPE composites_h histogram\n'
    'composites_h_bucket{le="0.1"} 1\ncomposites_h_bucket{le="1"} 2\n'
    'composites_h_bucket{le="2.0"} 2\ncomposites_h_bucket{le="1e6"} 3\n'
    'composites_h_bucket{le="+Inf"} 3\ncomposites_h_sum 4.5\ncomposites_h_count 3\n',
    # A bucket more, and one that is gone.
    '# HELP composites_h About it.\n# TYPE composites_h histogram\n'
    'composites_h_bucket{le="0.1"} 1\ncomposites_h_bucket{le="0.5"} 1\n'
    'composites_h_bucket{le="2.0"} 2\ncomposites_h_bucket{le="1e6"} 3\n'
    'composites_h_bucket{le="+Inf"} 4\ncomposites_h_sum 4.5\ncomposites_h_count 4\n',
    # Without a sum.
    '# TYPE composites_h histogram\ncomposites_h_bucket{le="0.1"} 1\n'
    'composites_h_bucket{le="+Inf"} 4\ncomposites_h_count 4\n',
    '# HELP composites_s About it.\n# TYPE composites_s summary\n'
    'composites_s{quantile="0.5"} 1\ncomposites_s{quantile="0.99"} NaN\n'
    "composites_s_sum 3.5\ncomposites_s_count 2\n",
    '# TYPE composites_s summary\ncomposites_s{quantile="0.5"} 2\n'
    'composites_s{quantile="1"} 3\ncomposites_s_sum 3.5\ncomposites_s_count 3\n',
    '# TYPE composites_s summary\ncomposites_s_sum{l="a"} 3.5\ncomposites_s_count{l="a"} 3\n'
    'composites_s_sum{l="b"} 1\ncomposites_s_count{l="b"} 1\n',
    # Two of a family, interleaved.
    '# TYPE composites_h histogram\n'
    'composites_h_bucket{l="a",le="1"} 1\ncomposites_h_bucket{l="b",le="1"} 1\n'
    'composites_h_bucket{l="a",le="+Inf"} 1\ncomposites_h_bucket{l="b",le="+Inf"} 2\n'
    'composites_h_sum{l="a"} 1\ncomposites_h_sum{l="b"} 1\n'
    'composites_h_count{l="a"} 1\ncomposites_h_count{l="b"} 2\n',
    '# TYPE composites_h histogram\n'
    'composites_h_bucket{l="b",le="1"} 1\ncomposites_h_bucket{l="b",le="+Inf"} 2\n'
    'composites_h_sum{l="b"} 1\ncomposites_h_count{l="b"} 2\n',
]  # fmt: skip
_SPACED = [
    "# a comment\n\n   \n# TYPE  sp\tgauge\n# HELP sp   Two  words\nsp{a = \"b\" , }   1   \n",
    "sp\t{a=\"b\"}\t2\t\n#nothing\n# TYPE sp gauge\n",
    'sp{a="b"} 3',  # no line end
    'esc{a="q\\"uote",b="back\\\\slash",c="new\\nline",d="odd\\q"} 1\n',
    'letters{a="ä☃日本",b=" , } ",c="# {"} 1\n',
    "with:colon 1\n_under 2\n",
]


def _failing() -> list[Step]:
    good = Step(body=b"# TYPE failing_f gauge\nfailing_f 1\nfailing_g 2\n")
    return lasting(
        [
            Step(status=404, body=b"no"),
            good,
            Step(status=503, body=b"failing_f 1\n"),
            Step(status=503, body=b"failing_f 1\n"),  # the markers come once
            good,
            Step(body=b"failing_f 1\nfailing_g 1 2 3\n"),
            good,
            Step(body=b"failing_f one\n"),
            good,
            Step(body=b'failing_f{a="1",a="2"} 1\nfailing_g 1\n'),  # a label twice
            Step(body=b'{a="1"} 1\n'),  # no name
            good,
            Step(body=b"\n\n# only words\n"),
            Step(body=b"failing_f 3\n", content_type=""),
            Step(body=b"# TYPE failing_f nonsense\nfailing_f 3\n"),
            Step(body=b'failing_f{a="\xff"} 1\n'),
        ]
    )


def _limited() -> list[Step]:
    labels = ",".join(f'l{i}="{i}"' for i in range(MAX_LABELS))
    good = Step(body=b"l 1\n")
    many = "".join(f'l{{i="{i}"}} 1\n' for i in range(MAX_SAMPLES + 1))
    return lasting(
        [good, Step(body=f"l 1\nl{{{labels}}} 1\n".encode()), good, Step(body=many.encode()), good]
    )


def _closing() -> list[Step]:
    one, two = (Step(body=f"closing_c {n}\n".encode()) for n in (1, 2))
    return lasting([one, two, Step(body=b"closing_c 3\n", shuts=True), one, two])


class _Odd(Collector):
    """The types that prometheus_client has no instruments for."""

    def __init__(self) -> None:
        self.n = 0

    def collect(self) -> list[object]:
        gauge_histogram = GaugeHistogramMetricFamily("om_queue", "Waiting.", labels=["q"])
        buckets = [("1.0", 1.0), ("+Inf", 2.0 + self.n)]
        gauge_histogram.add_metric(["a"], buckets, 3.0)
        return [gauge_histogram, UnknownMetricFamily("om_whatever", "Nobody knows.", self.n)]


def _openmetrics() -> list[Step]:
    """Return what Python's client exposes, of every type, with created timestamps."""
    steps: list[Step] = []

    def began(scrapes: int) -> None:
        registry = CollectorRegistry()
        odd = _Odd()
        registry.register(odd)
        orders = Counter("om_orders", "Orders.", ["shop"], registry=registry)
        size = Gauge("om_size_bytes", "Size.", unit="bytes", registry=registry)
        took = Histogram(
            "om_took", "It took.", ["way"], buckets=(0.1, 1, 2.5), unit="seconds", registry=registry
        )
        rest = Summary("om_rest", "The rest.", registry=registry)
        build = Info("om_build", "What it is.", registry=registry)
        state = Enum("om_state", "How it is.", states=["up", "down"], registry=registry)
        build.info({"version": "1.2", "name": "ä"})
        for n in range(scrapes):
            odd.n = n
            orders.labels("a").inc(1.5)
            if n % 3:
                orders.labels("b").inc()
            size.set(n * 10)
            took.labels("x").observe(n)
            rest.observe(n)
            state.state("down" if n % 2 else "up")
            if n == 4:
                orders.remove("b")
            body = openmetrics.generate_latest(registry)
            steps.append(Step(body=body, content_type=OPEN_METRICS))

    began(6)
    body = steps[-1].body
    steps.append(Step(body=body.replace(b"# EOF\n", b""), content_type=OPEN_METRICS))  # no end
    steps.append(Step(body=body, content_type=OPEN_METRICS))
    began(4)
    return lasting(steps)


def _exemplary(now_ms: int) -> list[Step]:
    """Return counters and buckets with exemplars, old, new, repeated and without a time."""
    at = [f"{ms / 1000:.3f}" for ms in _stamps(now_ms)]

    texts = [
        f'ex_total 1 # {{trace_id="0af7651916cd43dd8448eb211c80319c"}} 0.5 {at[0]}\n',
        f'ex_total 2 # {{trace_id="0af7651916cd43dd8448eb211c80319c"}} 0.5 {at[0]}\n',  # the same
        f'ex_total 3 # {{a="1",b="2"}} 1 {at[1]}\n',
        'ex_total 4 # {a="1"} 7\n',
        "ex_total 5\n",
        f'ex_total 6 # {{}} 2 {at[2]}\n',
    ]
    buckets = (
        f'ex_h_bucket{{le="1.0"}} 1 # {{a="x"}} 0.25 {at[3]}\n'
        f'ex_h_bucket{{le="+Inf"}} 2 # {{span_id="b7ad6b7169203331"}} 3.5 {at[4]}\n'
        "ex_h_count 2\nex_h_sum 4\n"
    )
    info = '# TYPE target info\ntarget_info{version="1"} 1\n'
    bodies = [
        text.replace("# TYPE", "# TYPE") for text in (f"# TYPE ex counter\n{t}" for t in texts)
    ]
    return _texts(
        [f"{body}# TYPE ex_h histogram\n{buckets}{info}# EOF\n" for body in bodies], OPEN_METRICS
    )


def _families(now_ms: int) -> list[Step]:
    """Return what a Go client may say in protobuf, apart from native histograms."""
    stamps = _stamps(now_ms)

    def exposed(n: int) -> bytes:
        make = families.make
        exemplar = make(
            "Exemplar",
            label=families.labels({"trace_id": f"{n}"}),
            value=n / 2,
            timestamp=make("Timestamp", seconds=stamps[n] // 1000, nanos=n * 1_000_000),
        )
        buckets = [
            make("Bucket", cumulative_count=n, upper_bound=1.0),
            make("Bucket", cumulative_count=2 * n, upper_bound=1e6, exemplar=exemplar),
        ]
        quantiles = [make("Quantile", quantile=q, value=q * n) for q in (0.5, 0.99, 1.0)]
        found = [
            families.family(
                "pb_c_total",
                families.COUNTER,
                families.metric({"l": "ä"}, counter=make("Counter", value=n, exemplar=exemplar)),
                help=b"Counted.",
            ),
            families.family(
                "pb_g",
                families.GAUGE,
                families.metric({"job": "own"}, gauge=make("Gauge", value=-n)),
                families.metric({"l": ""}, gauge=make("Gauge", value=float("nan"))),
                families.metric(
                    {"t": "1"}, gauge=make("Gauge", value=n), timestamp_ms=stamps[n // 2]
                ),
            ),
            families.family(
                "pb_u",
                families.UNTYPED,
                families.metric(untyped=make("Untyped", value=n)),
                help=b"Who knows.",
            ),
            families.family(
                "pb_s",
                families.SUMMARY,
                families.metric(
                    summary=make("Summary", sample_count=n, sample_sum=n, quantile=quantiles)
                ),
            ),
            families.family(
                "pb_h",
                families.HISTOGRAM,
                families.metric(
                    histogram=make(
                        "Histogram", sample_count=3 * n, sample_sum=n / 4, bucket=buckets
                    )
                ),
            ),
        ]
        return families.body(found if n != 5 else found[::2])

    return lasting([Step(body=exposed(n), content_type=PROTOBUF) for n in range(1, 9)])
