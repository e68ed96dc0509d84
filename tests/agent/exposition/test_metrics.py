"""Metrics: the messages around the points."""

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from agent.exposition import metrics, points
from agent.exposition.translate import Kind

ORIGIN = metrics.Origin.of(
    job="shop",
    instance="10.0.0.1:80",
    scope=("agent", "1.2"),
    attributes={"url.scheme": "http", "server.address": ""},
    labels={"b": "2", "a": "1", "c": ""},
)


def test_an_origin_names_the_resource_and_the_scope_and_skips_what_is_empty() -> None:
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(ORIGIN.request(b""))
    (frame,) = request.resource_metrics
    assert {a.key: a.value.string_value for a in frame.resource.attributes} == {
        "service.name": "shop",
        "service.instance.id": "10.0.0.1:80",
        "url.scheme": "http",
    }
    assert (frame.scope_metrics[0].scope.name, frame.scope_metrics[0].scope.version) == (
        "agent",
        "1.2",
    )
    assert ORIGIN.labels == ((b"a", b"1"), (b"b", b"2"))


def test_an_origin_of_nothing_is_still_a_request() -> None:
    nobody = metrics.Origin.of(job="", instance="", scope=("", ""), attributes={}, labels={})
    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(nobody.request(b""))
    assert len(request.resource_metrics[0].scope_metrics) == 1


def test_each_kind_is_wrapped_in_its_own_message() -> None:
    parts = []
    for kind in Kind:
        wrapping = metrics.Wrapping.of(kind.value.encode(), kind, b"word", b"x" * 300)
        parts.append(wrapping.metric([points.number(b"")] * 20 if kind in points.LONE else [b""]))
    scoped = metrics_pb2.ScopeMetrics.FromString(b"".join(parts))
    gauge, counter, updown, histogram, summary, exponential = scoped.metrics
    assert [m.WhichOneof("data") for m in scoped.metrics] == [
        "gauge", "sum", "sum", "histogram", "summary", "exponential_histogram",
    ]  # fmt: skip
    assert [m.name for m in scoped.metrics] == [kind.value for kind in Kind]
    assert all(m.description == "x" * 300 for m in scoped.metrics)
    assert all(m.metadata[0].key == "prometheus.type" for m in scoped.metrics)
    assert all(m.metadata[0].value.string_value == "word" for m in scoped.metrics)
    assert len(gauge.gauge.data_points) == len(counter.sum.data_points) == 20
    assert counter.sum.is_monotonic
    cumulative = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert counter.sum.aggregation_temporality == cumulative
    assert histogram.histogram.aggregation_temporality == cumulative
    assert not updown.sum.is_monotonic
    assert updown.sum.aggregation_temporality == cumulative
    assert exponential.exponential_histogram.aggregation_temporality == cumulative
    assert len(summary.summary.data_points) == 1
