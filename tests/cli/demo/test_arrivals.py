"""The sink counts what arrived by itself, so that it can contradict the gateway."""

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench.references import prompb
from cli.demo import arrivals
from cli.demo.arrivals import Arrivals


def request() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    for key, value in (("k8s.pod.name", "cart-1"), ("service.name", "cart")):
        resource_metrics.resource.attributes.add(key=key).value.string_value = value
    metrics = resource_metrics.scope_metrics.add().metrics
    metrics.add(name="g").gauge.data_points.add(as_int=7)
    total = metrics.add(name="s")
    total.sum.data_points.add(as_double=1.5)
    total.sum.data_points.add(as_double=2.5, flags=1)
    metrics.add(name="h").histogram.data_points.add(count=3, sum=0.5)
    metrics.add(name="empty")
    return request


def test_points_are_counted_and_examples_kept() -> None:
    seen = Arrivals()
    assert seen.otlp("p", request().SerializeToString()) == 4
    assert seen.points == {"p": 4}
    assert [(e.metric, e.value) for e in seen.examples] == [
        ("g", "7"),
        ("s", "stale"),
        ("h", "3 × ∑ 0.5"),
    ]
    assert seen.best_resource() == {"k8s.pod.name": "cart-1", "service.name": "cart"}


def test_a_native_histogram_is_a_point_and_a_series_of_nothing_is_none() -> None:
    written = prompb.WriteRequest()
    for name in ("spread", "void"):
        written.timeseries.add().labels.add(name="__name__", value=name)
    for n in (3, 5):
        written.timeseries[0].histograms.add(count_int=n, timestamp=n)
    written.metadata.add(type=3, metric_family_name="spread")
    seen = Arrivals()
    assert seen.remote_write("p", written.SerializeToString()) == 2
    assert (seen.points, seen.samples) == ({"p": 2}, {"p": 2})
    assert [(e.metric, e.value) for e in seen.examples] == [("spread", "5")]


def test_memory_is_bounded() -> None:
    seen = Arrivals()
    for n in range(arrivals.KEPT * 2):
        body = request()
        body.resource_metrics[0].resource.attributes[0].value.string_value = str(n)
        seen.otlp("p", body.SerializeToString())
    assert (len(seen.examples), len(seen.resources)) == (arrivals.KEPT, arrivals.KEPT)


def test_what_is_no_request_is_refused_and_not_counted() -> None:
    seen = Arrivals()
    with pytest.raises(DecodeError):
        seen.otlp("p", b"\xff")
    assert seen.points == {}


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("h_bucket", False),
        ("h_sum", False),
        ("h_count", True),
        ("q", False),
        ("q_count", True),
        ("q_sum", False),
        ("target_info", False),
        ("requests_total", True),
        ("queue_count", True),
    ],
)
def test_one_series_of_a_family_stands_for_the_point(name, counts) -> None:
    assert (
        arrivals.stands_for_a_point(
            name, {"h": "histogram", "q": "summary", "queue_count": "gauge"}
        )
        is counts
    )
