"""Remote write the obvious way: protobuf objects all along, a dict of labels per series.

It shares the spelling of names and values with the real thing, and nothing else. It knows no sizes:
no splitting, and no points that are too large.
"""

from __future__ import annotations

import math
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from bench.references import prompb, remote_write_extras
from common.wire import prometheus_names, remote_write_text
from common.wire.prometheus_names import Kind
from common.wire.remote_write import Options
from common.wire.remote_write_view import KINDS

STALE = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]

IDENTITY = {"service.name", "service.namespace", "service.instance.id"}

Labels = tuple[tuple[str, str], ...]
Texts = dict[str, str]
Value = tuple[float, int]  # with the start of what it counts, 0 if there is none


class Reference:
    """Converts bodies one after the other, as `common.wire.remote_write.Converter` does."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.announced: dict[tuple[str, str], int] = {}

    def convert(self, body: bytes, now_ms: int) -> tuple[bytes, int, Counter[str]]:
        """Return one WriteRequest, the points it carries, and the points dropped by reason."""
        request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
        metadata: dict[str, tuple[int, str, str]] = {}
        gathered = Gathered(now_ms)
        infos: list[tuple[Labels, int]] = []
        for frame in request.resource_metrics:
            gathered.newest = -1
            resource = list(frame.resource.attributes)
            for scope in frame.scope_metrics:
                around = self._around(resource, scope.scope)
                for metric in scope.metrics:
                    family, kind, described, reason = self._describe(metric)
                    if kind is None:
                        continue
                    points = getattr(metric, metric.WhichOneof("data")).data_points
                    if reason:
                        gathered.dropped[reason] += len(points)
                        continue
                    metadata.setdefault(family, described)
                    for point in points:
                        self._point(point, (family, kind), around, gathered)
            infos += self._target_info(resource, gathered.newest, now_ms)
        return gathered.encode(infos, metadata)

    def _point(
        self, point: Any, called: tuple[str, Kind], around: tuple[Texts, Texts], gathered: Gathered
    ) -> None:
        (family, kind), dropped = called, gathered.dropped
        at = point.time_unix_nano // 1_000_000 if point.time_unix_nano else gathered.now_ms
        start = self._start(point, at, kind)
        exemplars = self._exemplars(point, at, kind)
        if kind is Kind.EXPONENTIAL:
            native = remote_write_extras.native(point, at, start, STALE)
            if isinstance(native, str):
                dropped[native] += 1
                return
            labels = self._labels(family, point.attributes, *around, {})
            dropped["duplicate"] += at in gathered.natives[family, labels]
            gathered.natives[family, labels][at] = native
            gathered.examples[family, labels, at] = {labels: exemplars}
            gathered.newest = max(gathered.newest, at)
            return
        series = _series(point, kind)
        if series is None:
            dropped["invalid_point"] += 1
            return
        gathered.newest = max(gathered.newest, at)
        labelled = {
            self._labels(family + suffix, point.attributes, *around, extra): (value, start)
            for suffix, extra, value in series
        }
        if kind in {Kind.HISTOGRAM, Kind.SUMMARY}:
            *_, base = labelled
            dropped["duplicate"] += at in gathered.groups[family, base]
            gathered.groups[family, base][at] = labelled
            told = gathered.examples[family, base, at] = defaultdict(list)
            for each in exemplars:
                bound = remote_write_extras.bound_of(each.value, list(point.explicit_bounds))
                if bound is not None:
                    le = {"le": remote_write_text.decimal(bound)}
                    labels = self._labels(f"{family}_bucket", point.attributes, *around, le)
                    told[labels].append(each)
        else:
            ((labels, value),) = labelled.items()
            dropped["duplicate"] += at in gathered.numbers[labels]
            gathered.numbers[labels][at] = value
            gathered.examples[labels].setdefault(labels, []).extend(exemplars)

    def _start(self, point: Any, at: int, kind: Kind) -> int:
        start = point.start_time_unix_nano // 1_000_000
        cumulative = kind not in {Kind.GAUGE, Kind.SUM}
        return start if self.options.start_times and cumulative and start <= at else 0

    def _exemplars(self, point: Any, at: int, kind: Kind) -> list[Any]:
        if not self.options.exemplars or kind in {Kind.GAUGE, Kind.SUM, Kind.SUMMARY}:
            return []
        return remote_write_extras.exemplars(point, at, self._joined)

    def _describe(self, metric: Metric) -> tuple[str, Kind | None, tuple[int, str, str], str]:
        data = metric.WhichOneof("data")
        kinds = {
            "gauge": Kind.GAUGE,
            "histogram": Kind.HISTOGRAM,
            "exponential_histogram": Kind.EXPONENTIAL,
            "summary": Kind.SUMMARY,
        }
        kind = kinds.get(data, Kind.COUNTER if metric.sum.is_monotonic else Kind.SUM)
        name = prometheus_names.metric_name(metric.name, metric.unit, kind, self.options.naming)
        reason = "" if name else "unnameable"
        if data in {"sum", "histogram", "exponential_histogram"}:
            temporality = getattr(metric, data).aggregation_temporality
            if temporality != 2:
                reason = "delta_unsupported" if temporality == 1 else "invalid_point"
            elif kind is Kind.EXPONENTIAL and not self.options.native_histograms:
                reason = "unsupported_type"
        word = {Kind.SUM: "gauge", Kind.EXPONENTIAL: "histogram"}.get(kind, kind.value)
        for pair in metric.metadata:
            hint = pair.value.string_value
            if (
                pair.key == "prometheus.type"
                and kind in {Kind.GAUGE, Kind.SUM}
                and hint in {"unknown", "info", "stateset"}
            ):
                word = hint
        unit = prometheus_names.unit_name(metric.unit)
        described = (KINDS.index(word), metric.description, unit)
        return name, kind if data else None, described, reason

    def _around(
        self, resource: list[KeyValue], scope: Any
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the labels that attributes override, and those that override attributes."""
        job, instance = _identity(resource)
        wanted = set(self.options.promote)
        if not instance:
            wanted |= set(self.options.promote_without_instance)
        promoted = [pair for pair in resource if pair.key in wanted]
        weak = dict(self.options.external_labels) | self._joined(promoted)
        strong = {"job": job, "instance": instance}
        if self.options.scope_labels:
            strong |= {"otel_scope_name": scope.name, "otel_scope_version": scope.version}
        return weak, {name: value for name, value in strong.items() if value}

    def _target_info(
        self, resource: list[KeyValue], newest: int, now_ms: int
    ) -> Iterator[tuple[Labels, int]]:
        others = [pair for pair in resource if pair.key not in IDENTITY]
        job, instance = _identity(resource)
        if not self.options.target_info or not self._joined(others) or not (job or instance):
            return
        at = min(newest, now_ms)
        last = self.announced.get((job, instance))
        if newest >= 0 and (last is None or at >= last + 60_000):
            self.announced[job, instance] = at
            own = {"job": job, "instance": instance}
            external = dict(self.options.external_labels)
            yield self._labels("target_info", others, external, own, {}), at

    def _joined(self, attributes: Iterable[KeyValue]) -> dict[str, str]:
        labels: dict[str, str] = {}
        for pair in sorted(attributes, key=lambda pair: pair.key):
            value = remote_write_text.value(pair.value)
            name = prometheus_names.label_name(pair.key, self.options.naming)
            if value and name != "__name__":
                labels[name] = f"{labels[name]};{value}" if name in labels else value
        return labels

    def _labels(
        self,
        name: str,
        attributes: Iterable[KeyValue],
        weak: dict[str, str],
        strong: dict[str, str],
        extra: dict[str, str],
    ) -> Labels:
        labels = weak | self._joined(attributes) | strong | extra | {"__name__": name}
        return tuple(sorted((name, value) for name, value in labels.items() if value))


class Gathered:
    """What a body has, so far: samples with their starts by series, histograms by their names."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.newest = -1
        self.dropped: Counter[str] = Counter()
        self.numbers: dict[Labels, dict[int, Value]] = defaultdict(dict)
        self.groups: dict[tuple[str, Labels], dict[int, dict[Labels, Value]]] = defaultdict(dict)
        self.natives: dict[tuple[str, Labels], dict[int, Any]] = defaultdict(dict)
        self.examples: dict[Any, dict[Labels, list[Any]]] = defaultdict(dict)

    def encode(
        self, infos: list[tuple[Labels, int]], metadata: dict[str, tuple[int, str, str]]
    ) -> tuple[bytes, int, Counter[str]]:
        """Return what `Reference.convert` does."""
        series: dict[Labels, dict[int, Any]] = {
            labels: dict(samples) for labels, samples in self.numbers.items()
        }
        told: dict[Labels, list[Any]] = defaultdict(list)
        for labels in series:
            told[labels] += self.examples[labels].get(labels, [])
        used = {dict(labels)["__name__"] for labels in series}
        points = sum(map(len, series.values()))
        for (family, base), group in self._survivors():
            points += len(group)
            used.add(family)
            for at, samples in group.items():
                for labels, value in samples.items():
                    series.setdefault(labels, {})[at] = value
                for labels, exemplars in self.examples[family, base, at].items():
                    told[labels] += exemplars
        for labels, at in infos:
            series.setdefault(labels, {}).setdefault(at, (1.0, 0))
        metadata = {family: what for family, what in metadata.items() if family in used}
        return _write_request(series, metadata, told), points, +self.dropped

    def _survivors(self) -> Iterator[tuple[tuple[str, Labels], dict[int, dict[Labels, Any]]]]:
        """Give what is no gauge or counter, and has no series that another has too."""
        taken: dict[str, set[Labels]] = defaultdict(set)
        for (family, _), group in self.groups.items():
            taken[family] |= {labels for samples in group.values() for labels in samples}
        for key, group in self.groups.items():
            rivals = [taken[key[0] + end] for end in ("_bucket", "_sum", "_count")]
            heads = {labels for samples in group.values() for labels in samples}
            if any(labels in there for there in (self.numbers, *rivals) for labels in heads):
                self.dropped["duplicate"] += len(group)
            else:
                yield key, group
        for key, found in self.natives.items():
            _, labels = key
            if labels in self.numbers or any(labels in there for there in taken.values()):
                self.dropped["duplicate"] += len(found)
            else:
                yield key, {at: {labels: native} for at, native in found.items()}


def _write_request(
    series: dict[Labels, dict[int, Any]],
    metadata: dict[str, tuple[int, str, str]],
    exemplars: dict[Labels, list[Any]],
) -> bytes:
    request = prompb.WriteRequest()
    for labels, samples in series.items():
        added = request.timeseries.add()
        for name, value in labels:
            added.labels.add(name=name, value=value)
        for at in sorted(samples):
            if isinstance(samples[at], tuple):
                value, start = samples[at]
                added.samples.add(value=value, timestamp=at, start_timestamp=start)
            else:
                added.histograms.append(samples[at])
        added.exemplars.extend(exemplars.get(labels, []))
    for family, (kind, description, unit) in metadata.items():
        request.metadata.add(type=kind, metric_family_name=family, help=description, unit=unit)
    return request.SerializeToString()


def _identity(resource: list[KeyValue]) -> tuple[str, str]:
    texts: dict[str, str] = {}
    for pair in resource:
        texts.setdefault(pair.key, remote_write_text.value(pair.value))
    namespace, name = texts.get("service.namespace", ""), texts.get("service.name", "")
    job = f"{namespace}/{name}" if namespace and name else name
    return job, texts.get("service.instance.id", "")


def _series(point: Any, kind: Kind) -> list[tuple[str, dict[str, str], float]] | None:
    """Return suffix, extra label and value of each series of a point; None if it is not valid."""
    stale = bool(point.flags & 1)
    text = remote_write_text.decimal
    if kind is Kind.HISTOGRAM:
        counts, bounds = list(point.bucket_counts), list(point.explicit_bounds)
        if not stale and len(counts) != len(bounds) + 1 and (counts or bounds):
            return None
        if any(map(math.isnan, bounds)) or sorted(set(bounds)) != bounds or -INFINITY in bounds:
            return None
        found = [
            ("_bucket", {"le": text(bound)}, sum(counts[: i + 1]))
            for i, bound in enumerate(bounds)
            if bound != INFINITY
        ]
        found.append(("_bucket", {"le": "+Inf"}, point.count))
        if point.HasField("sum") or stale:
            found.append(("_sum", {"le": ""}, point.sum))
        found.append(("_count", {"le": ""}, point.count))
    elif kind is Kind.SUMMARY:
        ranks = [text(entry.quantile) for entry in point.quantile_values]
        if len(set(ranks)) < len(ranks):
            return None
        found = [
            ("", {"quantile": rank}, entry.value)
            for rank, entry in zip(ranks, point.quantile_values, strict=True)
        ]
        found += [("_sum", {"quantile": ""}, point.sum), ("_count", {"quantile": ""}, point.count)]
    else:
        field = point.WhichOneof("value")
        if field is None and not stale:
            return None
        found = [("", {}, getattr(point, field) if field else 0)]
    return [(suffix, extra, STALE if stale else float(value)) for suffix, extra, value in found]


INFINITY = float("inf")
