"""The obvious way from an exposition to OTLP: prometheus_client's parser and protobuf objects.

The parser differs from Prometheus' own, and so from ours: it takes whatever Python's ``float``
takes (underscores, signed NaN), negative and fractional timestamps, unknown TYPE words and repeated
labels; it renames counters without ``_total``. Use `samples` for bodies that avoid these, and
`request` on what our strict parser made of all others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE

Sample = tuple[str, Mapping[str, str], float, int | None]
_Key = tuple[str, str, tuple[tuple[str, str], ...], int]


def samples(body: bytes) -> list[Sample]:
    """Parse *body* into name, labels, value and timestamp in milliseconds."""
    found = []
    for family in parser.text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            stamp = None if sample.timestamp is None else round(float(sample.timestamp) * 1000)
            found.append((sample.name, sample.labels, sample.value, stamp))
    return found


Exemplified = tuple[str, Mapping[str, str], float, int | None, tuple[object, ...] | None]
Said = dict[str, tuple[str, str, str]]


def open_metrics(body: bytes) -> tuple[list[Exemplified], Said]:
    """Parse *body*, which must keep every rule of OpenMetrics 1.0: that parser is a strict one.

    Return samples like those of `samples`, each with the labels, value and timestamp of its
    exemplar, and the type, help and unit of each family.
    """
    found: list[Exemplified] = []
    families: Said = {}
    for family in openmetrics_parser.text_string_to_metric_families(body.decode()):
        families[family.name] = (family.type, family.documentation, family.unit)
        for sample in family.samples:
            example = sample.exemplar
            exemplar = example and (example.labels, example.value, _stamp(example.timestamp))
            stamp = _stamp(sample.timestamp)
            found.append((sample.name, sample.labels, sample.value, stamp, exemplar))
    return found, families


def _stamp(seconds: object) -> int | None:
    return None if seconds is None else int(float(seconds) * 1000)  # type: ignore[arg-type]


def request(
    exposed: Iterable[Sample],
    families: Mapping[str, tuple[str, str]],
    *,
    resource: Mapping[str, str],
    scope: tuple[str, str],
    labels: Mapping[str, str],
    time_ns: int,
) -> metrics_service_pb2.ExportMetricsServiceRequest:
    """Translate samples whose histograms and summaries are sound; *families* has type and help."""
    out = metrics_service_pb2.ExportMetricsServiceRequest()
    frame = out.resource_metrics.add()
    frame.resource.attributes.extend(_pairs(resource))
    scoped = frame.scope_metrics.add()
    scoped.scope.name, scoped.scope.version = scope
    metrics: dict[tuple[str, str], metrics_pb2.Metric] = {}
    groups: dict[_Key, _Group] = {}
    seen = set()
    had: Counter[tuple[object, ...]] = Counter()
    for name, exposed_labels, value, stamp in exposed:
        full = _relabelled(exposed_labels, labels)
        identity = (name, tuple(sorted(full.items())))
        if stamp is None:
            if identity in seen:
                continue
            seen.add(identity)
        part, family, word = _role(name, families)
        label = "le" if word == "histogram" else "quantile"
        if part == "step" and not _is_float(full.get(label, "")):
            part, family, word = "number", name, "unknown"
        if (family, word) not in metrics:
            metrics[family, word] = _metric(family, word, families)
        metric = metrics[family, word]
        time = time_ns if stamp is None else stamp * 1_000_000
        if part == "number":
            point = _number_point(metric, word)
            point.attributes.extend(_pairs(dict(identity[1])))
            point.time_unix_nano, point.as_double = time, value
            continue
        step = float(full.pop(label)) if part == "step" else math.nan
        attributes = tuple(sorted(full.items()))
        place = (family, word, part, step if part == "step" else None, attributes)
        if stamp is None:
            if place in seen:
                continue
            seen.add(place)
        # Repetitions of a series have times of their own: the n-th belongs to the n-th point.
        group = groups.setdefault((family, word, attributes, had[place]), _Group())
        had[place] += 1
        group.add(part, step, value, time)
    _finish(metrics, groups)
    scoped.metrics.extend(m for m in metrics.values() if _has_points(m))
    return out


def _finish(
    metrics: Mapping[tuple[str, str], metrics_pb2.Metric],
    groups: Mapping[_Key, _Group],
) -> None:
    # Repetitions stand behind all the others, as they come.
    for key in sorted(groups, key=lambda key: key[3] > 0):
        (family, word, attributes, _), group = key, groups[key]
        if group.count is not None:
            group.write(metrics[family, word], word, attributes)


def _metric(name: str, word: str, families: Mapping[str, tuple[str, str]]) -> metrics_pb2.Metric:
    metric = metrics_pb2.Metric(name=name, description=families.get(name, ("", ""))[1])
    metric.metadata.extend(_pairs({"prometheus.type": word}))
    return metric


class _Group:
    def __init__(self) -> None:
        self.steps: dict[float, float] = {}
        self.sum: float | None = None
        self.count: float | None = None
        self.time = 0

    def add(self, part: str, step: float, value: float, time: int) -> None:
        if part == "step":
            self.steps[step] = value
        elif part == "sum":
            self.sum = value
        else:
            self.count, self.time = value, time

    def write(
        self, metric: metrics_pb2.Metric, word: str, attributes: tuple[tuple[str, str], ...]
    ) -> None:
        assert self.count is not None
        if word == "summary":
            quantile = metric.summary.data_points.add()
            for step in sorted(self.steps):
                quantile.quantile_values.add(quantile=step, value=self.steps[step])
            quantile.sum = self.sum or 0.0
            quantile.count, quantile.time_unix_nano = int(self.count), self.time
            quantile.attributes.extend(_pairs(dict(attributes)))
            return
        metric.histogram.aggregation_temporality = CUMULATIVE
        point = metric.histogram.data_points.add(count=int(self.count), time_unix_nano=self.time)
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
        point.attributes.extend(_pairs(dict(attributes)))


def _relabelled(exposed: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    reserved = {"job", "instance", *labels}
    kept = {k: v for k, v in exposed.items() if v}
    full = {k: v for k, v in kept.items() if k not in reserved} | dict(labels)
    for k in sorted((k for k in kept if k in reserved), key=len):
        free = "exported_" + k
        while free in full or free in reserved:
            free = "exported_" + free
        full[free] = kept[k]
    return full


def _number_point(metric: metrics_pb2.Metric, word: str) -> metrics_pb2.NumberDataPoint:
    if word != "counter":
        return metric.gauge.data_points.add()
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = CUMULATIVE, True
    return metric.sum.data_points.add()


def _role(name: str, families: Mapping[str, tuple[str, str]]) -> tuple[str, str, str]:
    word = families.get(name, ("", ""))[0]
    if word == "summary":
        return "step", name, word
    if word in ("counter", "gauge"):
        return "number", name, word
    if not word:
        for suffix, part in (("_bucket", "step"), ("_sum", "sum"), ("_count", "count")):
            family = name.removesuffix(suffix)
            if name.endswith(suffix):
                kind = families.get(family, ("", ""))[0]
                if kind == "histogram" or (kind == "summary" and part != "step"):
                    return part, family, kind
        if name.endswith("_total") and families.get(name[:-6], ("", ""))[0] == "counter":
            return "number", name, "counter"
    return "number", name, "unknown"


def _has_points(metric: metrics_pb2.Metric) -> bool:
    data = metric.WhichOneof("data")
    return data is not None and bool(getattr(metric, data).data_points)


def _is_float(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _pairs(attributes: Mapping[str, str]) -> list[common_pb2.KeyValue]:
    return [
        common_pb2.KeyValue(key=key, value=common_pb2.AnyValue(string_value=value))
        for key, value in attributes.items()
        if value
    ]
