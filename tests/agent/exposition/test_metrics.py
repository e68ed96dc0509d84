"""Metrics: the messages around the points."""

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from agent.exposition import metrics, points
from agent.exposition.translate import OWN, Kind, Scope
from common.wire import protobuf

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
        wrapping = metrics.Wrapping.of(kind.value.encode(), kind, b"word", b"x" * 300, unit=b"By")
        parts.append(wrapping.metric([points.number(b"")] * 20 if kind in points.LONE else [b""]))
    scoped = metrics_pb2.ScopeMetrics.FromString(b"".join(parts))
    gauge, counter, updown, histogram, summary, exponential = scoped.metrics
    assert [m.WhichOneof("data") for m in scoped.metrics] == [
        "gauge", "sum", "sum", "histogram", "summary", "exponential_histogram",
    ]  # fmt: skip
    assert [m.name for m in scoped.metrics] == [kind.value for kind in Kind]
    assert all(m.description == "x" * 300 for m in scoped.metrics)
    assert all(m.unit == "By" for m in scoped.metrics)
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


def read(body: bytes) -> metrics_service_pb2.ExportMetricsServiceRequest:
    return metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)


def test_several_scopes_share_one_resource() -> None:
    wrapping = metrics.Wrapping.of(b"a", Kind.GAUGE, b"gauge", b"")
    metric = wrapping.metric([points.number(b"")])
    shop = Scope(protobuf.framed(1, b"shop"), b"https://x")
    body = ORIGIN.scoped(OWN, metric) + ORIGIN.scoped(shop, metric * 30)
    (frame,) = read(ORIGIN.before_scopes(len(body)) + body).resource_metrics
    assert frame.resource.attributes[0].value.string_value == "shop"
    own, other = frame.scope_metrics
    assert (own.scope.name, own.schema_url, len(own.metrics)) == ("agent", "", 1)
    assert (other.scope.name, other.schema_url, len(other.metrics)) == ("shop", "https://x", 30)
    assert ORIGIN.before_scopes(len(ORIGIN.scoped(OWN, metric))) + ORIGIN.scoped(
        OWN, metric
    ) == ORIGIN.request(metric)


def attributes(origin: metrics.Origin) -> dict[str, str]:
    (frame,) = read(origin.request(b"")).resource_metrics
    return {a.key: a.value.string_value for a in frame.resource.attributes}


def test_series_that_claim_to_be_of_somebody_else_have_a_resource_of_their_own() -> None:
    def claiming(**whose: str) -> dict[str, str]:
        pairs = tuple(sorted((k.encode(), v.encode()) for k, v in whose.items()))
        (frame,) = read(ORIGIN.before_scopes(0, pairs)).resource_metrics
        return {a.key: a.value.string_value for a in frame.resource.attributes}

    own = attributes(ORIGIN)
    assert claiming(job="other") == own | {"service.name": "other"}
    assert claiming(job="o", instance="i") == own | {
        "service.name": "o",
        "service.instance.id": "i",
    }
    nobody = {key: value for key, value in own.items() if key != "service.name"}
    assert claiming(job="") == nobody


def test_a_claimed_job_is_not_of_the_targets_namespace() -> None:
    origin = metrics.Origin.of(
        job="shop", instance="i", scope=("", ""), attributes={"service.namespace": "n"}, labels={}
    )
    (frame,) = read(origin.before_scopes(0, ((b"job", b"x"),))).resource_metrics
    assert {a.key for a in frame.resource.attributes} == {"service.name", "service.instance.id"}
    (frame,) = read(origin.before_scopes(0, ((b"instance", b"x"),))).resource_metrics
    assert "service.namespace" in {a.key for a in frame.resource.attributes}


def test_the_scope_of_what_is_claimed_is_the_agents_own() -> None:
    body = ORIGIN.scoped(OWN._replace(whose=((b"job", b"x"),)), b"")
    assert body == ORIGIN.scoped(OWN, b"")


def test_what_target_info_says_is_added_but_never_overwrites() -> None:
    info = ((b"service.name", b"other"), (b"service_name", b"other"), (b"team", b"blue"))
    found = ORIGIN.with_info((*info, (b"url.scheme", b"ftp"), (b"service.instance.id", b"x")))
    assert attributes(found) == attributes(ORIGIN) | {"service_name": "other", "team": "blue"}
    assert (found.scope, found.labels) == (ORIGIN.scope, ORIGIN.labels)


def test_nothing_said_is_nothing_added() -> None:
    assert ORIGIN.with_info(()) is ORIGIN


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({b"service_name": b"cart"}, "cart"),
        ({b"service.name": b"cart"}, "cart"),
        ({b"service.name": b"cart", b"service_name": b"till"}, "cart"),
    ],
)
def test_a_target_without_a_job_is_called_what_it_calls_itself(info, name: str) -> None:
    nameless = metrics.Origin.of(
        job="", instance="10.0.0.1:80", scope=("", ""), attributes={}, labels={}
    )
    found = attributes(nameless.with_info(tuple(info.items())))
    assert found.pop("service.name") == name
    assert found.pop("service.instance.id") == "10.0.0.1:80"
    assert found == {k.decode(): v.decode() for k, v in info.items() if k != b"service.name"}
