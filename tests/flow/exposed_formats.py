"""What targets expose one after the other in OpenMetrics and in protobuf."""

from __future__ import annotations

from collections.abc import Sequence

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
from prometheus_client.openmetrics import exposition
from prometheus_client.registry import Collector

from tests.fakes import metric_families
from tests.flow.scripted import OPEN_METRICS, PROTOBUF, Step


class _Odd(Collector):
    """The types that prometheus_client has no instruments for."""

    def __init__(self) -> None:
        self.n = 0

    def collect(self) -> list[object]:
        gauge_histogram = GaugeHistogramMetricFamily("om_queue", "Waiting.", labels=["q"])
        buckets = [("1.0", 1.0), ("+Inf", 2.0 + self.n)]
        gauge_histogram.add_metric(["a"], buckets, 3.0)
        return [gauge_histogram, UnknownMetricFamily("om_whatever", "Nobody knows.", self.n)]


def openmetrics() -> list[Step]:
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
            body = exposition.generate_latest(registry)
            steps.append(Step(body=body, content_type=OPEN_METRICS))

    began(6)
    body = steps[-1].body
    steps.append(Step(body=body.replace(b"# EOF\n", b""), content_type=OPEN_METRICS))  # no end
    steps.append(Step(body=body, content_type=OPEN_METRICS))
    began(4)
    return steps


def exemplary(stamps: Sequence[int]) -> list[Step]:
    """Return counters and buckets with exemplars, old, new, repeated and without a time."""
    at = [f"{ms / 1000:.3f}" for ms in stamps]

    texts = [
        f'ex_total 1 # {{trace_id="0af7651916cd43dd8448eb211c80319c"}} 0.5 {at[0]}\n',
        f'ex_total 2 # {{trace_id="0af7651916cd43dd8448eb211c80319c"}} 0.5 {at[0]}\n',  # the same
        f'ex_total 3 # {{a="1",b="2"}} 1 {at[1]}\n',
        'ex_total 4 # {a="1"} 7\n',
        "ex_total 5\n",
        f"ex_total 6 # {{}} 2 {at[2]}\n",
    ]
    buckets = (
        f'ex_h_bucket{{le="1.0"}} 1 # {{a="x"}} 0.25 {at[3]}\n'
        f'ex_h_bucket{{le="+Inf"}} 2 # {{span_id="b7ad6b7169203331"}} 3.5 {at[4]}\n'
        "ex_h_count 2\nex_h_sum 4\n"
    )
    info = '# TYPE target info\ntarget_info{version="1"} 1\n'
    rest = f"# TYPE ex_h histogram\n{buckets}{info}# EOF\n"
    return [
        Step(body=f"# TYPE ex counter\n{text}{rest}".encode(), content_type=OPEN_METRICS)
        for text in texts
    ]


def families(stamps: Sequence[int]) -> list[Step]:
    """Return what a Go client may say in protobuf, apart from native histograms."""
    make = metric_families.make

    def exposed(n: int) -> bytes:
        exemplar = make(
            "Exemplar",
            label=metric_families.labels({"trace_id": f"{n}"}),
            value=n + 0.5,
            timestamp=make("Timestamp", seconds=stamps[n] // 1000, nanos=n * 1_000_000),
        )
        buckets = [
            make("Bucket", cumulative_count=n, upper_bound=1.0),
            make("Bucket", cumulative_count=2 * n, upper_bound=1e6, exemplar=exemplar),
        ]
        quantiles = [make("Quantile", quantile=q, value=q * n) for q in (0.5, 0.99, 1.0)]
        found = [
            metric_families.family(
                "pb_c_total",
                metric_families.COUNTER,
                metric_families.metric(
                    {"l": "ä"}, counter=make("Counter", value=n, exemplar=exemplar)
                ),
                help=b"Counted.",
            ),
            metric_families.family(
                "pb_g",
                metric_families.GAUGE,
                metric_families.metric({"job": "own"}, gauge=make("Gauge", value=-n)),
                metric_families.metric({"l": ""}, gauge=make("Gauge", value=float("nan"))),
                metric_families.metric(
                    {"t": "1"}, gauge=make("Gauge", value=n), timestamp_ms=stamps[n // 2]
                ),
            ),
            metric_families.family(
                "pb_u",
                metric_families.UNTYPED,
                metric_families.metric(untyped=make("Untyped", value=n)),
                help=b"Who knows.",
            ),
            metric_families.family(
                "pb_s",
                metric_families.SUMMARY,
                metric_families.metric(
                    summary=make("Summary", sample_count=n, sample_sum=n, quantile=quantiles)
                ),
            ),
            metric_families.family(
                "pb_h",
                metric_families.HISTOGRAM,
                metric_families.metric(
                    histogram=make(
                        "Histogram", sample_count=3 * n, sample_sum=n / 4, bucket=buckets
                    )
                ),
            ),
            metric_families.family(
                "pb_n",
                metric_families.HISTOGRAM,
                metric_families.metric(
                    {"l": "x"},
                    histogram=make(
                        "Histogram",
                        sample_count=4 + 2 * n,
                        sample_sum=n / 8,
                        schema=2,
                        zero_threshold=0.001,
                        zero_count=1,
                        negative_span=[make("BucketSpan", offset=0, length=1)],
                        negative_delta=[1],
                        positive_span=[
                            make("BucketSpan", offset=-2, length=2),
                            make("BucketSpan", offset=3, length=1),
                        ],
                        positive_delta=[1, n, n - 1 - n],
                    ),
                ),
            ),
        ]
        return metric_families.body(found if n != 5 else found[::2])

    return [Step(body=exposed(n), content_type=PROTOBUF) for n in range(1, 9)]
