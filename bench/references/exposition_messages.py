"""Protobuf objects for the obvious way from an exposition to OTLP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from agent.exposition import model, native

CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE

Families = Mapping[str, tuple[str, ...]]
"""Type, help and, if there is one, the unit, by name."""

Labels = tuple[tuple[str, str], ...]
Metric = tuple[str, str, str, str]
"""Its name, type, family, and the kind of its points."""

_UNITS = {
    "days": "d", "hours": "h", "minutes": "min", "seconds": "s", "milliseconds": "ms",
    "microseconds": "us", "nanoseconds": "ns", "bytes": "By", "kibibytes": "KiBy",
    "mebibytes": "MiBy", "gibibytes": "GiBy", "tebibytes": "TiBy", "kilobytes": "kBy",
    "megabytes": "MBy", "gigabytes": "GBy", "terabytes": "TBy", "meters": "m", "volts": "V",
    "amperes": "A", "joules": "J", "watts": "W", "grams": "g", "celsius": "Cel", "hertz": "Hz",
    "percent": "%",
}  # fmt: skip


class Group:
    def __init__(self) -> None:
        self.steps: dict[float, float] = {}
        self.sum: float | None = None
        self.count: float | None = None
        self.time = 0
        self.examples: dict[float, model.Exemplar] = {}

    def add(
        self, part: str, step: float, value: float, time: int, example: model.Exemplar | None
    ) -> None:
        if part == "step":
            self.steps[step] = value
            if example is not None:
                self.examples[step] = example
        elif part == "sum":
            self.sum = value
        else:
            self.count, self.time = value, time

    def point(self, word: str) -> Any:
        assert self.count is not None
        if word == "summary":
            quantile = metrics_pb2.SummaryDataPoint()
            for step in sorted(self.steps):
                quantile.quantile_values.add(quantile=step, value=self.steps[step])
            quantile.sum = self.sum or 0.0
            quantile.count, quantile.time_unix_nano = int(self.count), self.time
            return quantile
        point = metrics_pb2.HistogramDataPoint(count=int(self.count), time_unix_nano=self.time)
        if self.sum is not None:
            point.sum = self.sum
        if self.steps:
            self.steps.setdefault(math.inf, self.count)
        below = 0
        for bound in sorted(self.steps):
            point.bucket_counts.append(int(self.steps[bound]) - below)
            below = int(self.steps[bound])
            if bound != math.inf:
                point.explicit_bounds.append(bound)
        point.exemplars.extend(exemplar(self.examples[bound]) for bound in sorted(self.examples))
        return point


def framed(
    points: Mapping[Metric, list[tuple[Labels, Any]]],
    families: Families,
    *,
    resource: Mapping[str, str],
    info: Mapping[str, str],
    own: tuple[str, str],
) -> metrics_service_pb2.ExportMetricsServiceRequest:
    out = metrics_service_pb2.ExportMetricsServiceRequest()
    known = dict(info)
    if "service_name" in known:
        known.setdefault("service.name", known["service_name"])
    known = {**resource, **{k: v for k, v in known.items() if k not in resource}}
    scopes: dict[Labels, metrics_pb2.ScopeMetrics] = {}
    _scope((), own, scopes)
    for (name, word, family, kind), those in points.items():
        told = (*families.get(family, ("", "")), "")
        metrics: dict[Labels, metrics_pb2.Metric] = {}
        for attributes, point in those:
            of_scope = tuple(
                (k, v)
                for k, v in attributes
                if (k.startswith("otel_scope_") and k != "otel_scope_") or k in ("job", "instance")
            )
            if of_scope not in metrics:
                metrics[of_scope] = _scope(of_scope, own, scopes).metrics.add(
                    name=name, description=told[1], unit=_UNITS.get(told[2], told[2])
                )
                metrics[of_scope].metadata.extend(_pairs({"prometheus.type": word}))
            data = _data(metrics[of_scope], kind)
            point.attributes.extend(_pairs(dict(p for p in attributes if p not in of_scope)))
            data.data_points.append(point)
    for whose, those in groupby(scopes.items(), lambda scope: _whose(scope[0])):
        frame = out.resource_metrics.add()
        frame.resource.attributes.extend(_pairs(_claimed(known, whose)))
        frame.scope_metrics.extend(scope for _, scope in those)
    return out


def _whose(labels: Labels) -> Labels:
    return tuple((k, v) for k, v in labels if k in ("job", "instance"))


def _claimed(known: Mapping[str, str], whose: Labels) -> dict[str, str]:
    claims = {"service.instance.id" if k == "instance" else "service.name": v for k, v in whose}
    gone = {*claims, "service.namespace"} if "service.name" in claims else {*claims}
    others = {k: v for k, v in known.items() if k not in gone}
    return {k: v for k, v in claims.items() if v} | others


_DATA = {
    "gauge": "gauge",
    "sum": "sum",
    "updown": "sum",
    "histogram": "histogram",
    "exponential": "exponential_histogram",
    "summary": "summary",
}


def _data(metric: metrics_pb2.Metric, kind: str) -> Any:
    data = getattr(metric, _DATA[kind])
    if kind in ("sum", "updown", "histogram", "exponential"):
        data.aggregation_temporality = CUMULATIVE
    if kind == "sum":
        data.is_monotonic = True
    return data


def _scope(
    labels: Labels, own: tuple[str, str], scopes: dict[Labels, metrics_pb2.ScopeMetrics]
) -> metrics_pb2.ScopeMetrics:
    if labels not in scopes:
        scoped = scopes[labels] = metrics_pb2.ScopeMetrics()
        told = {k.removeprefix("otel_scope_"): v for k, v in labels if k.startswith("otel")}
        if not told:
            scoped.scope.name, scoped.scope.version = own
        if "name" in told:
            scoped.scope.name = told.pop("name")
        if "version" in told:
            scoped.scope.version = told.pop("version")
        scoped.schema_url = told.pop("schema_url", "")
        if told:
            scoped.scope.attributes.extend(_pairs(told))
    return scopes[labels]


def start(seconds: float, time_ns: int) -> int:
    # To the millisecond, a microsecond of which is a rounding error; nothing that cannot be.
    if not math.isfinite(seconds):
        return 0
    found = math.floor(seconds * 1000 + 0.001) * 1_000_000
    return found if 0 < found <= time_ns else 0


def native_point(histogram: model.Native, time: int) -> Any:
    told = native.exponential(histogram)
    if isinstance(told, native.Explicit):
        return metrics_pb2.HistogramDataPoint(
            time_unix_nano=time,
            count=told.count,
            sum=told.sum,
            bucket_counts=told.counts,
            explicit_bounds=told.bounds,
            exemplars=map(exemplar, histogram.exemplars),
        )
    if isinstance(told, native.Unsent):
        return None
    point = metrics_pb2.ExponentialHistogramDataPoint(
        time_unix_nano=time,
        count=told.count,
        sum=told.sum,
        scale=told.scale,
        zero_count=told.zero_count,
        zero_threshold=told.zero_threshold,
    )
    for side, offset, counts in (
        ("positive", told.positive_offset, told.positive),
        ("negative", told.negative_offset, told.negative),
    ):
        if counts:
            getattr(point, side).offset = offset
            getattr(point, side).bucket_counts.extend(counts)
    point.exemplars.extend(map(exemplar, histogram.exemplars))
    return point


def exemplar(example: model.Exemplar) -> metrics_pb2.Exemplar:
    out = metrics_pb2.Exemplar(as_double=example.value)
    if example.time > 0:
        out.time_unix_nano = example.time * 1_000_000
    for name, value in ((n.decode(), v.decode()) for n, v in example.labels):
        size = {"trace_id": 32, "span_id": 16}.get(name)
        is_hex = len(value) == size and set(value) <= set("0123456789abcdefABCDEF")
        if is_hex and set(value) != {"0"}:
            setattr(out, name, bytes.fromhex(value))
        else:
            out.filtered_attributes.extend(_pairs({name: value}))
    return out


def _pairs(attributes: Mapping[str, str]) -> list[common_pb2.KeyValue]:
    return [
        common_pb2.KeyValue(key=key, value=common_pb2.AnyValue(string_value=value))
        for key, value in attributes.items()
        if value
    ]
