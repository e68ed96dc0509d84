"""What a few senders of sums and histograms send in the course of time, legible and less so."""

from __future__ import annotations

from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from common.wire import protobuf
from tests.fakes.otlp_wire import Sender

Request = metrics_service_pb2.ExportMetricsServiceRequest
BEGAN = 1_000
KINDS = ["gauge", "sum", "sum", "sum", "histogram", "exponential_histogram", "summary"]
BOUNDS = [(), (1.0, 5.0), (1.0, 5.0), (1.0, 5.0), (1.0, 6.0), (0.5, 1.0, 5.0)]


class History:
    """Points of few series, mostly in order, whose values mostly rise."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.time = BEGAN
        self.temporality = random.choice([[1], [2], [0, 1, 1, 2, 2, 3]])
        self.attributes = random.choice([1, 2, 4])

    def request(self) -> Any:
        request = Request()
        for _ in range(self.random.randint(1, 2)):
            frame = request.resource_metrics.add(schema_url=self.random.choice(["", "u"]))
            self.label(frame.resource)
            for _ in range(self.random.randint(0, 2)):
                scope = frame.scope_metrics.add()
                scope.scope.name = self.random.choice(["", "s"])
                self.label(scope.scope)
                for _ in range(self.random.randint(0, 3)):
                    self.metric(scope.metrics.add(name=self.random.choice("ab")))
        return request

    def label(self, message: Any) -> None:
        """Give *message* attributes: few sets, in any order, now and then with one twice."""
        keys = self.random.choice([[], ["k"], ["k", "l"], ["k", "l", "m"]])[: self.attributes]
        self.random.shuffle(keys)
        for key in keys:
            message.attributes.add(key=key).value.int_value = 1
        if self.random.random() < 0.02:
            message.attributes.add(key="k").value.int_value = 1

    def metric(self, metric: Any) -> None:
        kind = self.random.choice(KINDS)
        content = getattr(metric, kind)
        content.SetInParent()
        if kind not in {"gauge", "summary"}:
            content.aggregation_temporality = self.random.choice(self.temporality)
        if kind == "sum":
            content.is_monotonic = self.random.random() < 0.8
        for _ in range(self.random.randint(0, 4)):
            point = content.data_points.add()
            self.label(point)
            self.times(point)
            {
                "gauge": self.number,
                "sum": self.number,
                "histogram": self.histogram,
                "exponential_histogram": self.exponential,
                "summary": lambda _: None,
            }[kind](point)
            if kind != "summary":
                if self.random.random() < 0.1:
                    point.exemplars.add(time_unix_nano=5, as_double=1.5)
                if self.random.random() < 0.05:
                    point.flags = self.random.choice([1, 2, 3])

    def times(self, point: Any) -> None:
        self.time += self.random.choice([0, 1, 1, 2, 5])
        late = self.random.choice([0, 0, 0, 0, 0, 3, self.time])
        point.time_unix_nano = self.time - late
        point.start_time_unix_nano = self.random.choice([
            0, BEGAN - 500, BEGAN - 500, BEGAN + 1, self.time - 1, self.time, self.time + 9,
        ])  # fmt: skip

    def number(self, point: Any) -> None:
        number = self.random.choice([0, 1, 2, self.time, self.time, self.time, -1, 2**63 - 1])
        match self.random.randrange(20):
            case 0:
                pass
            case 1:
                point.as_double = self.random.choice([float("nan"), float("inf"), 1e308, -1e308])
            case n if n < 8:
                point.as_double = number / 4
            case _:
                point.as_int = number

    def counts(self, size: int) -> list[int]:
        base = self.random.choice([0, 1, self.time, self.time])
        big = 2**64 - 1 if self.random.random() < 0.05 else 0
        return [max(big, base * self.random.choice([0, 1, 1])) for _ in range(size)]

    def composite(self, point: Any) -> None:
        point.count = self.random.choice([0, 3, self.time, self.time])
        if self.random.random() < 0.8:
            point.sum = self.random.choice([0.0, -1.5, self.time / 2, float("nan")])
        if self.random.random() < 0.5:
            point.min, point.max = 0.5, 9.0

    def histogram(self, point: Any) -> None:
        self.composite(point)
        bounds = self.random.choice(BOUNDS)
        point.explicit_bounds.extend(bounds)
        size = len(bounds) + 1 if bounds else self.random.choice([0, 1])
        point.bucket_counts.extend(self.counts(size + (self.random.random() < 0.03)))

    def exponential(self, point: Any) -> None:
        self.composite(point)
        point.scale = self.random.choice([0, 0, 0, 1, 2, -1, 20])
        point.zero_count = self.random.choice([0, self.time])
        point.zero_threshold = self.random.choice([0.0, 0.0, 0.0, 1e-9, 1.0, 3.0, 8.0])
        if self.random.random() < 0.02:
            point.zero_threshold = self.random.choice([-1.0, float("nan"), float("inf")])
            point.scale = self.random.choice([-(2**31), 2**31 - 1, 0])
        for side in (point.positive, point.negative):
            if self.random.random() < 0.7:
                side.offset = self.random.choice([0, 0, -1, 1, 3, -400, 2**31 - 2])
                side.bucket_counts.extend(self.counts(self.random.randrange(4)))


def scrambled(body: bytes, kind: Descriptor, sender: Sender, odds: float) -> bytes:
    """Write a message as nobody would: other orders, repetitions, strangers, long varints."""
    random = sender.random
    parts: list[bytes] = []
    for number, wire_type, tag_at, at, end in protobuf.fields(body):
        field = kind.fields_by_number[number]
        whole = body[tag_at:end]
        if field.message_type is not None:
            whole = (
                sender.framed(number, scrambled(body[at:end], field.message_type, sender, odds))
                if random.random() < 0.9
                else whole
            )
        elif wire_type != protobuf.BYTES and not field.is_repeated and random.random() < odds:
            whole = sender.field(field, 0) + whole  # the last one wins
        parts.append(whole)
    if random.random() < odds:
        parts.insert(random.randrange(len(parts) + 1), sender.stranger(random.choice([15, 100])))
    if random.random() < odds:
        random.shuffle(parts)
    return b"".join(parts)


def _history(seed: int) -> list[bytes]:
    random = Random(seed)
    history, sender = History(random), Sender(random)
    odds = random.choice([0.0, 0.0, 0.02, 0.1])
    return [
        scrambled(request.SerializeToString(), Request.DESCRIPTOR, sender, odds)
        if odds
        else request.SerializeToString()
        for request in (history.request() for _ in range(random.randint(2, 12)))
    ]


histories = st.integers(0, 2**48).map(_history)
"""Lists of valid requests, whose times are nanoseconds around `BEGAN`."""
