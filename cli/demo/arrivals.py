"""What a sink saw: points per pipeline, and a few of them as they arrived. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from cli.demo.screen import Example
from common.wire import remote_write

KEPT = 400  # examples remembered; the oldest leave first
STALE_FLAG = 1  # DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


@dataclass(slots=True)
class Arrivals:
    """The memory of a sink, bounded: counters, and the newest examples."""

    points: dict[str, int] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    examples: deque[Example] = field(default_factory=lambda: deque(maxlen=KEPT))
    resources: dict[tuple[tuple[str, str], ...], None] = field(default_factory=dict)

    def otlp(self, pipeline: str, body: bytes) -> int:
        """Count the points of an ExportMetricsServiceRequest; raises protobuf's DecodeError."""
        request = ExportMetricsServiceRequest.FromString(body)
        count = 0
        for resource_metrics in request.resource_metrics:
            resource = _strings(resource_metrics.resource.attributes)
            self._remember(resource)
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    count += self._metric(pipeline, resource, metric)
        self.points[pipeline] = self.points.get(pipeline, 0) + count
        return count

    def remote_write(self, pipeline: str, body: bytes) -> int:
        """Count the OTLP points that a prometheus.WriteRequest carries; raises Malformed.

        A histogram or summary is one point whose ``_count`` series stands for it, the family's type
        is in the request's metadata; a native histogram is one by itself; ``target_info`` is no
        point of anybody.
        """
        request = remote_write.read(body)
        kinds = {m.family: m.kind for m in request.metadata}
        count = samples = 0
        for series in request.series:
            samples += len(series.samples) + len(series.histograms)
            labels = dict(series.labels)
            name = labels.pop("__name__")
            count += len(series.histograms)
            count += len(series.samples) * stands_for_a_point(name, kinds)
            values = [*[each.count for each in series.histograms], *[v for v, _ in series.samples]]
            if not values:
                continue
            self.examples.append(
                Example(
                    pipeline=pipeline,
                    metric=name,
                    resource=(),
                    labels=tuple(sorted(labels.items())),
                    value=f"{values[-1]:g}",
                )
            )
        self.points[pipeline] = self.points.get(pipeline, 0) + count
        self.samples[pipeline] = self.samples.get(pipeline, 0) + samples
        return count

    def best_resource(self) -> dict[str, str]:
        """Return the resource that tells most about its pod."""
        ranked = sorted(
            self.resources, key=lambda r: (sum(k.startswith("k8s.") for k, _ in r), len(r))
        )
        return dict(ranked[-1]) if ranked else {}

    def _remember(self, resource: tuple[tuple[str, str], ...]) -> None:
        self.resources.pop(resource, None)
        self.resources[resource] = None
        while len(self.resources) > KEPT:
            del self.resources[next(iter(self.resources))]

    def _metric(self, pipeline: str, resource: tuple[tuple[str, str], ...], metric: Metric) -> int:
        kind = metric.WhichOneof("data")
        if kind is None:
            return 0
        points = getattr(metric, kind).data_points
        if points:
            point = points[-1]
            if point.flags & STALE_FLAG:
                value = "stale"
            elif kind in {"gauge", "sum"}:
                number = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
                value = f"{number:g}"
            else:
                value = f"{point.count} × ∑ {point.sum:.3g}"
            self.examples.append(
                Example(
                    pipeline=pipeline,
                    metric=metric.name,
                    resource=resource,
                    labels=_strings(point.attributes),
                    value=value,
                )
            )
        return len(points)


def stands_for_a_point(name: str, kinds: Mapping[str, str]) -> bool:
    """Tell whether a sample of the series called *name* is to be counted as one OTLP point."""
    if name == "target_info":
        return False
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix) and kinds.get(name.removesuffix(suffix)) in {
            "histogram",
            "summary",
        }:
            return suffix == "_count"
    return kinds.get(name) != "summary"


def _strings(attributes: Iterable[KeyValue]) -> tuple[tuple[str, str], ...]:
    found = []
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        found.append((attribute.key, str(getattr(attribute.value, kind)) if kind else ""))
    return tuple(sorted(found))
