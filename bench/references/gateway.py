"""The way of a request through the gateway as one would write it first: decode, edit, encode.

Shares nothing with the code it is compared to but the rules of enrichment, which are not its
subject: constants are added where they are missing, and nothing is known of pods.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics

from common.config import runtime_metrics
from common.config.gateway import Input, Inputs, IstioInput, PrometheusInput, RuntimeInput
from common.config.shared import Names

DIAGNOSTIC = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
}
OF_RESOURCE = {
    "container": r"(^k8s[.]container[.].*)|(^container[.].*)",
    **{
        kind: rf"^k8s[.]{kind}[.].*"
        for kind in ("pod", "node", "volume", "deployment", "daemonset", "statefulset", "job")
    },
}


def take(
    body: bytes, *, trusted: bool, constants: Mapping[str, str], pipelines: Mapping[str, Inputs]
) -> dict[str, tuple[int, bytes, int, dict[str, int]]]:
    """Return, by pipeline, the points received, what is sent, its points, and removals by rule."""
    request = ExportMetricsServiceRequest.FromString(body)
    origins = []
    for frame in request.resource_metrics:
        for scope in frame.scope_metrics:
            named = [metric for metric in scope.metrics if metric.name]
            del scope.metrics[:]
            scope.metrics.extend(named)
        said = {a.key: a.value.string_value for a in frame.resource.attributes}
        origins.append((trusted and said.get("kyma.input.name")) or "otlp")
        kept = [a for a in frame.resource.attributes if not a.key.startswith("kyma.")]
        del frame.resource.attributes[:]
        frame.resource.attributes.extend(kept)
        for key, value in constants.items():
            if key not in said:
                frame.resource.attributes.add(key=key).value.string_value = value
    shares = {}
    for name, inputs in pipelines.items():
        removed: dict[str, int] = {}
        out = ExportMetricsServiceRequest()
        for frame, origin in zip(request.resource_metrics, origins, strict=True):
            select(frame, inputs, origin, removed, out)
        received = sum(map(points, request.resource_metrics))
        left = sum(map(points, out.resource_metrics))
        shares[name] = (received, out.SerializeToString(), left, removed)
    return shares


def select(
    frame: ResourceMetrics,
    inputs: Inputs,
    origin: str,
    removed: dict[str, int],
    out: ExportMetricsServiceRequest,
) -> None:
    chosen = chosen_of(inputs, origin)
    said = {a.key: a.value.string_value for a in frame.resource.attributes}
    namespace = said.get("k8s.namespace.name", "")
    copy = ResourceMetrics()
    copy.CopyFrom(frame)
    del copy.scope_metrics[:]
    for scope in frame.scope_metrics:
        kept = copy.scope_metrics.add()
        kept.CopyFrom(scope)
        del kept.metrics[:]
        for metric in scope.metrics:
            rule = rule_of(metric.name, chosen, namespace)
            if rule is None:
                kept.metrics.append(metric)
            else:
                removed[rule] = removed.get(rule, 0) + points_of(metric)
        if not kept.metrics:
            del copy.scope_metrics[-1]
    if points(copy):
        out.resource_metrics.append(copy)


def chosen_of(inputs: Inputs, origin: str) -> Input | None:
    if origin == "apiserver":
        runtime = inputs.runtime
        on = runtime.enabled and runtime.resources.apiserver
        return PrometheusInput(enabled=on, namespaces=runtime.namespaces, metrics=runtime.metrics)
    if origin in {"otlp", "prometheus", "istio", "runtime"}:
        return getattr(inputs, origin)
    return None


def rule_of(  # noqa: PLR0911 - one for each rule
    name: str, chosen: Input | None, namespace: str
) -> str | None:
    """Rule by rule, as section 5.2 of what is known of Kyma's telemetry module has them."""
    if chosen is None:
        return "unknown_input"
    if not chosen.enabled:
        return "input_disabled"
    if namespace and not takes(chosen.namespaces, namespace, exact=True):
        return "namespace"
    if isinstance(chosen, RuntimeInput) and name not in chosen.additional_metrics:
        for kind, pattern in OF_RESOURCE.items():
            if re.match(pattern, name) and not getattr(chosen.resources, kind):
                return "runtime_resource"
        if name in runtime_metrics.ADDITIONAL:
            return "additional_metric"
    wants_diagnostic = not isinstance(chosen, PrometheusInput) or chosen.diagnostic_metrics
    if name in DIAGNOSTIC and not wants_diagnostic:
        return "diagnostic"
    if isinstance(chosen, IstioInput) and name.startswith("envoy_") and not chosen.envoy_metrics:
        return "envoy"
    return None if takes(chosen.metrics, name) else "metric_name"


def takes(names: Names, name: str, *, exact: bool = False) -> bool:
    def match(patterns: tuple[str, ...]) -> bool:
        return any(name == p if exact else fnmatchcase(name, p) for p in patterns)

    return (not names.include or match(names.include)) and not match(names.exclude)


def points(frame: ResourceMetrics) -> int:
    return sum(points_of(metric) for scope in frame.scope_metrics for metric in scope.metrics)


def points_of(metric: Metric) -> int:
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0
