"""Valid OTLP requests to start from, and what a server owes for any other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Literal

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from tests.fakes import otlp_wire
from tests.fuzz import wire

Owed = Literal["ok", "bad", "large", "encoding"]
"""Taken, malformed, over a limit, or in an encoding nobody knows."""

LIMIT = 256 << 10  # limits.max_request_bytes of a gateway under fuzz


@dataclass(frozen=True, slots=True)
class Template:
    """A valid request and its fields."""

    body: bytes
    fields: tuple[wire.Field, ...]

    @property
    def strings(self) -> list[wire.Field]:
        return [f for f in self.fields if f.kind == FieldDescriptor.TYPE_STRING]

    @property
    def frames(self) -> list[wire.Field]:
        return [f for f in self.fields if f.wire_type == 2]


@dataclass
class Pool:
    """Valid requests to start from, the same for every case of a *seed*, whichever comes first."""

    seed: int
    sizes: tuple[int, ...] = (1, 2, 5, 12, 40)

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        random = Random(f"templates {self.seed}")
        bodies = [_request(random, self.sizes[n % len(self.sizes)]) for n in range(40)]
        kind = Request.DESCRIPTOR
        return tuple(Template(body, tuple(wire.fields(body, kind))) for body in bodies)

    @cached_property
    def strange(self) -> tuple[bytes, ...]:
        """Valid to upb, and unlike anything that an SDK would send."""
        random = Random(f"strange {self.seed}")
        made = (otlp_wire.Sender(random).message(Request.DESCRIPTOR) for _ in range(80))
        return tuple(body for body in made if len(body) < 20_000)


def _request(random: Random, points: int) -> bytes:
    """Make what an SDK sends: a resource, a scope, every kind of metric, attributes, exemplars."""
    made = Request()
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        frame = made.resource_metrics.add()
        for key in ("service.name", "k8s.pod.ip", "host.name")[: random.randrange(4)]:
            frame.resource.attributes.add(key=key).value.string_value = random.choice(
                ("shop", "10.1.2.3", "a" * 40)
            )
        scope = frame.scope_metrics.add()
        scope.scope.name = "fuzz"
        for index in range(random.choice((1, 2, 5))):
            metric = scope.metrics.add(name=f"fuzz.metric_{index}", unit="By", description="A.")
            for n in range(points):
                point = _point(random, metric, n)
                point.time_unix_nano = 1_700_000_000_000_000_000 + n
                point.attributes.add(key="route").value.string_value = f"/r{n}"
                if random.random() < 0.1:
                    nested = point.attributes.add(key="nested").value.kvlist_value
                    nested.values.add(key="k").value.array_value.values.add(int_value=n)
    return made.SerializeToString()


def _point(random: Random, metric, n: int):
    match random.randrange(5):
        case 0:
            point = metric.gauge.data_points.add(as_double=n * 1.5)
        case 1:
            metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
            point = metric.sum.data_points.add(as_int=n)
        case 2:
            metric.histogram.aggregation_temporality = 2
            point = metric.histogram.data_points.add(
                count=3, sum=n, bucket_counts=[1, 2, 0], explicit_bounds=[1, 2]
            )
        case 3:
            metric.exponential_histogram.aggregation_temporality = 2
            point = metric.exponential_histogram.data_points.add(count=1, sum=n, scale=2)
            point.positive.bucket_counts.extend((1, n))
        case _:
            point = metric.summary.data_points.add(count=1, sum=n)
            point.quantile_values.add(quantile=0.5, value=n)
            return point
    if random.random() < 0.2:
        point.exemplars.add(as_double=n, time_unix_nano=1, trace_id=b"t" * 16, span_id=b"s" * 8)
    return point


@dataclass(frozen=True, slots=True)
class Judged:
    """What upb, which is not ours, thinks of a body."""

    owed: Owed
    points: int = 0


def judge(body: bytes) -> Judged:
    """Say what a server owes for *body*, and how many points it takes if it takes them."""
    if len(body) > LIMIT:
        return Judged("large")
    try:
        request = Request.FromString(body)
    except DecodeError:
        return Judged("bad")
    points = 0
    for frame in request.resource_metrics:
        for scope in frame.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind:
                    points += len(getattr(metric, kind).data_points)
    return Judged("ok", points)


def stricter(words: str) -> bool:
    """Say whether *words* refuse what upb passes over: field number 0 inside an unknown group.

    The encoding forbids it (protobuf.dev, "Encoding", field numbers begin with 1), so refusing it
    is right, and damaged bytes come to it once in a million.
    """
    return "is not a field number with a wire type" in words
