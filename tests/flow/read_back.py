"""What senders push in the test of that name, and what a receiver must then hold, sample by sample.

The expectation is written down beside what is pushed, metric by metric and label by label; nothing
of the product translates it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA as DELTA,
    Metric,
)

from tests.fakes.remote_write_rules import STALE, bits
from tests.fakes.remote_write_v1 import GONE as NO_HISTOGRAM, Exemplar, Held, Native

SENDS = 12
PACE = 1000  # milliseconds between two samples of a series
NS_PER_MS = 1_000_000
NO_RECORDED_VALUE = 1
SHUFFLED, UNKNOWN, TWICE, GONE = {4, 8}, {6, 7}, {9}, {10}  # what is special about some sends

OUTPUT = {
    "external_labels": {"cluster": "c1", "team": "nobody"},
    "promote": ["team", "k8s.pod.name"],
    "deltas": "drop",
}
"""The settings that the expectation was written for, beside the defaults."""

SPECIALS = [
    0.0, -0.0, 1.0, -1.5, float("inf"), float("-inf"), float("nan"), 5e-324, -2.2250738585e-308,
    1.7976931348623157e308, 1e21, 1e-7, 0.1 + 0.2, 2.0**53, 1 / 3,
]  # fmt: skip
INTEGERS = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 1_234_567_890_123]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A resource, and the labels that come of it."""

    attributes: tuple[tuple[str, Any], ...]
    every: dict[str, str]  # labels of all its series
    info: dict[str, str] | None  # labels of its target_info beside job and instance


def _plain(n: int) -> Source:
    own = {"job": "shop/orders", "instance": f"orders-{n}"}
    return Source(
        attributes=(
            ("service.namespace", "shop"),
            ("service.name", "orders"),
            ("service.instance.id", f"orders-{n}"),
            ("team", "Käse & Brot"),
            ("k8s.pod.name", f"orders-{n}-日本"),
            ("cloud.region", "eu-1"),
            ("9lives", True),
            ("_private", 7),
            ("_pri-vate", -7),
            ("ratio", 1.5),
            ("raw", b"\x00\xff"),
            ("list", ["a", 1]),
            ("empty", ""),
        ),
        every=own | {"cluster": "c1", "team": "Käse & Brot", "k8s_pod_name": f"orders-{n}-日本"},
        info={
            "cluster": "c1",
            "team": "Käse & Brot",
            "k8s_pod_name": f"orders-{n}-日本",
            "cloud_region": "eu-1",
            "key_9lives": "true",
            "_private": "7",  # a label's name already
            "key_pri_vate": "-7",
            "ratio": "1.5",
            "raw": "AP8=",
            "list": '["a",1]',
        },
    )


def sources(who: str, count: int) -> list[Source]:
    """Return the resources of one sender: many that are alike, and some that lack something."""
    bare = Source(
        attributes=(("service.name", f"bare-{who}"),),
        every={"job": f"bare-{who}", "cluster": "c1", "team": "nobody"},
        info=None,  # nothing to tell
    )
    nameless = Source(
        attributes=(("host.name", f"nameless-{who}"), ("team", who)),
        every={"cluster": "c1", "team": who},
        info=None,  # nobody to tell it of
    )
    first = 0 if who == "grpc" else 1000
    return [*(_plain(first + n) for n in range(count)), bare, nameless]


@dataclass(slots=True)
class Expected:
    """What a receiver must hold, and what the ledger must say."""

    held: Held = field(default_factory=Held)
    metadata: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    points: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, labels: dict[str, str], ms: int, value: float | None) -> None:
        """Expect a sample; a value of None is a stale marker."""
        series = self.held.samples.setdefault(frozenset(labels.items()), {})
        assert ms not in series, f"the test expects a sample twice: {labels}"
        series[ms] = STALE if value is None else bits(value)


class Sender:
    """Makes the requests of one sender, one after the other."""

    def __init__(self, who: str, resources: int, begin: int, expected: Expected) -> None:
        self._sources = sources(who, resources)
        self._begin, self._expected = begin, expected
        self._random = Random(who)

    def request(self, n: int) -> Request:
        """Make the request number *n*, and expect what comes of it."""
        message = Request()
        for at, source in enumerate(self._sources):
            frame = message.resource_metrics.add()
            frame.resource.attributes.extend(pair(k, v) for k, v in source.attributes)
            _Frame(self, source, frame, n, at).fill()
            for scope in frame.scope_metrics if n in SHUFFLED else ():
                self._shuffle(scope)
        return message

    def _shuffle(self, scope: Any) -> None:
        for metric in scope.metrics:
            points = getattr(metric, metric.WhichOneof("data")).data_points
            mixed = self._random.sample([*points], len(points))
            del points[:]
            points.extend(mixed)
        mixed = self._random.sample([*scope.metrics], len(scope.metrics))
        del scope.metrics[:]
        scope.metrics.extend(mixed)

    @property
    def expected(self) -> Expected:
        return self._expected

    @property
    def begin(self) -> int:
        """The milliseconds of the first sample."""
        return self._begin


class _Frame:
    """One resource of one request on its way."""

    def __init__(self, sender: Sender, source: Source, frame: Any, n: int, at: int) -> None:
        self._expected, self._source, self._n, self._at = sender.expected, source, n, at
        self._first = sender.begin + n * PACE
        self._frame = frame
        self._scope: Any = None
        self._labels: dict[str, str] = {}
        self._gone = n in GONE
        # What comes and goes in a frame, or has no fixed width, keeps all of it from being known.
        self._rich = at % 2 == 1
        self._times = [self._first, self._first + PACE // 2] if n in TWICE else [self._first]

    def fill(self) -> None:
        self._start_scope("shop.métrique", "1.2")
        self._numbers()
        self._start_scope("", "")
        self._composites()
        if self._rich:
            self._exponentials()
        if self._at == 0:
            self._start_scope("", "")
            self._lost()
        if self._n == 0 and self._source.info is not None:
            own = {k: v for k, v in self._source.every.items() if k in {"job", "instance"}}
            labels = {"__name__": "target_info", **own, **self._source.info}
            self._expected.add(labels, self._first, 1.0)
            help_text = "Attributes of the resource that the metrics come from"
            self._expected.metadata["target_info"] = ("gauge", help_text, "")

    def _start_scope(self, name: str, version: str) -> None:
        self._scope = self._frame.scope_metrics.add()
        self._scope.scope.name, self._scope.scope.version = name, version
        named = {"otel_scope_name": name, "otel_scope_version": version} if name else {}
        self._labels = {**self._source.every, **named}

    def _metric(self, name: str, unit: str, family: str, word: str, kind: str) -> Metric:
        about = f"About {name}: ünits \\ and\nlines."
        self._expected.metadata[family] = (kind, about, word)
        return self._scope.metrics.add(name=name, unit=unit, description=about)

    def _numbers(self) -> None:
        n = self._n
        family = "room_temperature_celsius"
        gauge = self._metric("room.temperature", "Cel", family, "celsius", "gauge").gauge
        for room in ("hall", "näß", "日本語", 'quoted " and \\', "x" * 200):
            value = 20.5 + n + len(room) / 8
            self._number(gauge, family, value, [("room", room)], {"room": room})

        family = "cpu_utilization_ratio"
        gauge = self._metric("cpu.utilization", "1", family, "", "gauge").gauge
        attributes = [("a_b", "2"), ("a.b", "1"), ("cluster", "own"), ("job", "x"), ("none", "")]
        job = self._source.every.get("job", "x")
        self._number(
            gauge, family, n / 16, attributes, {"a_b": "1;2", "cluster": "own", "job": job}
        )

        gauge = self._metric("queue.length", "{item}", "queue_length", "", "gauge").gauge
        self._number(gauge, "queue_length", n - 3)

        family = "disk_io_bytes_total"
        total = self._metric("disk.io", "By", family, "bytes", "counter").sum
        total.aggregation_temporality, total.is_monotonic = CUMULATIVE, True
        for disk in ("sda", "sdb"):
            self._number(total, family, 1000.25 * (n + 1), [("disk", disk)], {"disk": disk})

        total = self._metric("orders", "{order}", "orders_total", "", "counter").sum
        total.aggregation_temporality, total.is_monotonic = CUMULATIVE, True
        attributes = [("paid", True), ("size", 12)]
        self._number(total, "orders_total", 7 * n, attributes, {"paid": "true", "size": "12"})

        total = self._metric("connections.open", "", "connections_open", "", "gauge").sum
        total.aggregation_temporality = CUMULATIVE
        self._number(total, "connections_open", 40 - 3 * n)

        special = self._metric("special", "", "special", "", "gauge").gauge
        for i, value in enumerate((*SPECIALS, *INTEGERS)):
            self._number(special, "special", value, [("which", i)], {"which": str(i)})
        if n in UNKNOWN:  # a series, and a metric, that nobody has seen before
            self._number(special, "special", n, [("which", f"new-{n}")], {"which": f"new-{n}"})
            family = f"fresh_{n}_meters_per_second"
            fresh = self._metric(f"fresh.{n}", "m/s", family, "meters_per_second", "gauge").gauge
            self._number(fresh, family, n)

    def _number(
        self,
        points: Any,
        family: str,
        value: float,
        attributes: Sequence[tuple[str, Any]] = (),
        labels: dict[str, str] | None = None,
    ) -> None:
        for ms in self._times:
            point = self._point(points, ms, attributes)
            if self._gone:
                point.flags = NO_RECORDED_VALUE
            elif isinstance(value, int):
                point.as_int = value
            else:
                point.as_double = value
            named = {"__name__": family, **(labels or {})}
            self._expect(named, ms, float(value))
            if family.endswith("_total"):
                self._exemplar(point, ms - 1, value, named)

    def _composites(self) -> None:
        n = self._n
        counts = [n, 2 * n, 0, 1, 3]
        self._histogram("latency", [0.005, 1.0, 2.5, 1e6], ["0.005", "1", "2.5", "1000000", "+Inf"],
                        counts, 0.125 * n)  # fmt: skip
        self._histogram("sumless", [-1.0, 0.0], ["-1", "0", "+Inf"], [n, 0, n], None)
        self._histogram("bucketless", [], ["+Inf"], [], 5.0 + n)
        summary = self._metric("rpc", "ms", "rpc_milliseconds", "milliseconds", "summary")
        for ms in self._times:
            point = self._point(summary.summary, ms, [("way", "in")])
            ranks = [(0.5, "0.5"), (0.99, "0.99"), (1.0, "1")]
            for rank, _ in ranks:
                point.quantile_values.add(quantile=rank, value=rank * 8 + n)
            point.count, point.sum = 10 + n, 99.5 + n
            if self._gone:
                point.flags = NO_RECORDED_VALUE
            for rank, text in ranks:
                labels = {"__name__": "rpc_milliseconds", "way": "in", "quantile": text}
                self._expect(labels, ms, rank * 8 + n)
            self._expect({"__name__": "rpc_milliseconds_sum", "way": "in"}, ms, 99.5 + n)
            self._expect({"__name__": "rpc_milliseconds_count", "way": "in"}, ms, 10.0 + n)

    def _histogram(
        self, name: str, bounds: list[float], les: list[str], counts: list[int], total: float | None
    ) -> None:
        family = f"{name}_seconds"
        metric = self._metric(name, "s", family, "seconds", "histogram")
        metric.histogram.aggregation_temporality = CUMULATIVE
        for ms in self._times:
            point = self._point(metric.histogram, ms, [("path", "/ä")])
            point.explicit_bounds.extend(bounds)
            point.count = sum(counts) or self._n
            if self._gone:
                point.flags = NO_RECORDED_VALUE
            else:
                point.bucket_counts.extend(counts)
                if total is not None:
                    point.sum = total
            for le, value in (("1", 1.0), ("+Inf", 3e6)) if "1" in les else ():
                named = {"__name__": f"{family}_bucket", "path": "/ä", "le": le}
                self._exemplar(point, ms, value, named)
            for le, count in zip(les, [*accumulate(counts)] or [point.count], strict=True):
                labels = {"__name__": f"{family}_bucket", "path": "/ä", "le": le}
                self._expect(labels, ms, float(count))
            if total is not None or self._gone:  # a marker for a sum that there might have been
                self._expect({"__name__": f"{family}_sum", "path": "/ä"}, ms, total or 0.0)
            self._expect({"__name__": f"{family}_count", "path": "/ä"}, ms, float(point.count))

    def _exponentials(self) -> None:
        n = self._n
        self._exponential(
            "size",
            scale=3,
            threshold=0.5,
            zeros=2,
            negative=(1, [3 * n]),
            # A gap of four: a span of its own.
            positive=(-2, [n + 1, 0, 2, 0, 0, 0, 0, 5, n]),
            native={
                "negative": [(2, 3 * n)],
                "positive": [(-1, n + 1), (1, 2), (6, 5), (7, n)],
                "zero_threshold": 0.5,
            },
        )
        self._exponential(
            "fine",  # finer than there is: four buckets become one
            scale=10,
            threshold=0.0,
            zeros=0,
            negative=(0, []),
            positive=(-5, [1, 1, 1, 1, 1, n]),
            native={
                "negative": [],
                "positive": [(-1, 1), (0, 4), (1, n)],
                "zero_threshold": 1e-128,
            },
        )

    def _exponential(
        self,
        name: str,
        *,
        scale: int,
        threshold: float,
        zeros: int,
        negative: tuple[int, list[int]],
        positive: tuple[int, list[int]],
        native: dict[str, Any],
    ) -> None:
        family = f"{name}_bytes"
        metric = self._metric(name, "By", family, "bytes", "histogram").exponential_histogram
        metric.aggregation_temporality = CUMULATIVE
        for ms in self._times:
            point = self._point(metric, ms, [("path", "/ä")])
            point.scale = scale
            if self._gone:
                point.flags = NO_RECORDED_VALUE
            else:
                point.zero_threshold, point.zero_count = threshold, zeros
                point.negative.offset, point.positive.offset = negative[0], positive[0]
                point.negative.bucket_counts.extend(negative[1])
                point.positive.bucket_counts.extend(positive[1])
                point.count = zeros + sum(negative[1]) + sum(positive[1])
                point.sum = 1.25 * self._n
            meant = Native(
                count=point.count,
                total=bits(point.sum),
                schema=min(scale, 8),
                zero_threshold=native["zero_threshold"],
                zero_count=zeros,
                negative=filled(native["negative"]),
                positive=filled(native["positive"]),
            )
            labels = {**self._labels, "__name__": family, "path": "/ä"}
            series = self._expected.held.histograms.setdefault(frozenset(labels.items()), {})
            series[ms] = NO_HISTOGRAM if self._gone else meant

    def _exemplar(self, point: Any, ms: int, value: float, labels: dict[str, str]) -> None:
        """Attach an exemplar, and expect it on the series that has *labels*."""
        if self._gone or not self._rich:
            return
        exemplar = point.exemplars.add(time_unix_nano=ms * NS_PER_MS)
        if isinstance(value, int):
            exemplar.as_int = value
        else:
            exemplar.as_double = value
        told: dict[str, str] = {}
        if self._n % 3 != 2:  # what is JSON would have to spell them otherwise
            exemplar.trace_id, exemplar.span_id = bytes(15) + b"\x01", b"\xff" * 8
            told = {"trace_id": "0" * 31 + "1", "span_id": "f" * 16}
        if self._n % 4 == 3:  # does not fit into the 128 characters that there are
            exemplar.filtered_attributes.append(pair("user.agent", "ü" * 128))
        else:
            exemplar.filtered_attributes.append(pair("user.id", "ü"))
            told["user_id"] = "ü"
        meant = Exemplar(labels=frozenset(told.items()), milliseconds=ms, value=bits(float(value)))
        series = frozenset({**self._labels, **labels}.items())
        self._expected.held.exemplars.setdefault(series, set()).add(meant)

    def _lost(self) -> None:
        """Add what remote write cannot carry: a point for each reason to drop one."""
        lost = {
            "delta_unsupported": self._scope.metrics.add(name="delta"),
            "unnameable": self._scope.metrics.add(name="!!!"),
            "invalid_point": self._scope.metrics.add(name="valueless"),
            "unsupported_type": self._scope.metrics.add(name="coarse"),
            "duplicate": self._scope.metrics.add(name="echo", description="About echo."),
        }
        coarse = lost["unsupported_type"].exponential_histogram
        coarse.aggregation_temporality = CUMULATIVE
        point = self._point(coarse, self._first, [])
        point.scale, point.sum = -5, 0.0  # coarser than there is
        lost["delta_unsupported"].sum.aggregation_temporality = DELTA
        self._point(lost["delta_unsupported"].sum, self._first, []).as_int = 1
        self._point(lost["unnameable"].gauge, self._first, []).as_int = 1
        self._point(lost["invalid_point"].gauge, self._first, [])
        for _ in range(2):
            self._point(lost["duplicate"].gauge, self._first, []).as_int = 5
        self._expected.add({**self._labels, "__name__": "echo"}, self._first, 5.0)
        self._expected.metadata["echo"] = ("gauge", "About echo.", "")
        self._expected.dropped.update(lost.keys())

    def _point(self, points: Any, ms: int, attributes: Sequence[tuple[str, Any]]) -> Any:
        self._expected.points += 1
        # What is less than a millisecond is cut off, not rounded.
        point = points.data_points.add(time_unix_nano=ms * NS_PER_MS + NS_PER_MS - 1)
        if self._n % 2:
            point.start_time_unix_nano = (self._first - 5000) * NS_PER_MS
        point.attributes.extend(pair(key, value) for key, value in attributes)
        return point

    def _expect(self, labels: dict[str, str], ms: int, value: float) -> None:
        self._expected.add({**self._labels, **labels}, ms, None if self._gone else value)


def filled(buckets: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the buckets that are not empty."""
    return tuple((index, count) for index, count in buckets if count)


def pair(key: str, value: Any) -> KeyValue:
    """Encode an attribute."""
    made = KeyValue(key=key)
    match value:
        case bool():
            made.value.bool_value = value
        case int():
            made.value.int_value = value
        case float():
            made.value.double_value = value
        case bytes():
            made.value.bytes_value = value
        case list():
            made.value.array_value.values.extend(pair("", each).value for each in value)
        case _:
            made.value.string_value = value
    return made
