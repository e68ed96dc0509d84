"""What is known is told in requests of bounded size; what is not chosen, or incomplete, is not."""

from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from agent.runtime import cluster_kinds, cluster_names, cluster_state, writing
from agent.runtime.cluster_facts import Facts
from agent.runtime.cluster_metrics import Shrinker
from agent.runtime.writing import Point
from common.config import shared
from common.kube import reflector
from tests.agent.runtime import clusters
from tests.agent.runtime.clusters import meta, pod

KINDS = {kind.resource: kind for kind in cluster_kinds.KINDS}
ALL = frozenset(cluster_names.METRICS)
NOW = 1_700_000_000_000_000_000


def shrunk(resource: str, *items: object) -> tuple[Facts, ...]:
    body = {"metadata": {"resourceVersion": "7"}, "items": items}
    return KINDS[resource].decoder(Shrinker(ALL)).page(msgspec.json.encode(body)).items


def state(
    namespaces: shared.Namespaces | None = None, /, **known: list[Any]
) -> cluster_state.State:
    made = cluster_state.State(
        [KINDS[resource] for resource in known], namespaces or shared.Namespaces()
    )
    for resource, items in known.items():
        made.take(resource, reflector.Replaced(shrunk(resource, *items)))
    return made


def written(made: cluster_state.State, max_bytes: int = 1 << 20) -> list[tuple[Any, int]]:
    return [
        (metrics_service_pb2.ExportMetricsServiceRequest.FromString(bytes(body)), points)
        for body, points in cluster_state.pieces(
            made.told(), version="1.2", time_ns=NOW, max_bytes=max_bytes
        )
    ]


def subjects(made: cluster_state.State) -> list[tuple[dict[str, str], tuple[Point, ...]]]:
    return [
        (
            {
                pair.key: pair.value.string_value
                for pair in resource_pb2.Resource.FromString(attributes).attributes
            },
            points,
        )
        for attributes, points in made.told()
    ]


def resources(made: cluster_state.State) -> list[dict[str, str]]:
    return [attributes for attributes, _ in subjects(made)]


@pytest.mark.parametrize(("resource", "expected"), [
    ("pods", [
        {"k8s.pod.uid": "uid-p", "k8s.pod.name": "p", "k8s.namespace.name": "shop",
         "k8s.node.name": "n1"},
        {"k8s.pod.uid": "uid-p", "k8s.pod.name": "p", "k8s.namespace.name": "shop",
         "k8s.node.name": "n1", "k8s.container.name": "c", "container.id": "0123abc",
         "container.image.name": "registry:5000/shop/web", "container.image.tag": "1.2"},
    ]),
    *((resource, [
        {f"k8s.{word}.uid": f"uid-{name}", f"k8s.{word}.name": name, "k8s.namespace.name": "shop"}
    ]) for resource, word, name in (
        ("deployments", "deployment", "d"), ("replicasets", "replicaset", "rs"),
        ("replicationcontrollers", "replicationcontroller", "rc"),
        ("daemonsets", "daemonset", "ds"), ("statefulsets", "statefulset", "sts"),
        ("jobs", "job", "j"), ("cronjobs", "cronjob", "cj"),
        ("horizontalpodautoscalers", "hpa", "hpa"), ("resourcequotas", "resourcequota", "rq"),
    )),
    ("namespaces", [{"k8s.namespace.uid": "uid-shop", "k8s.namespace.name": "shop"}]),
    ("nodes", [{"k8s.node.uid": "uid-n1", "k8s.node.name": "n1"}]),
    ("persistentvolumes", [{
        "k8s.persistentvolume.uid": "uid-pv", "k8s.persistentvolume.name": "pv",
        "k8s.storageclass.name": "fast",
    }]),
    ("persistentvolumeclaims", [{
        "k8s.persistentvolumeclaim.uid": "uid-pvc", "k8s.persistentvolumeclaim.name": "pvc",
        "k8s.namespace.name": "shop", "k8s.storageclass.name": "fast",
    }]),
    ("services", [{
        "k8s.service.uid": "uid-svc", "k8s.service.name": "svc", "k8s.namespace.name": "shop",
        "k8s.service.type": "LoadBalancer",
    }]),
])  # fmt: skip
def test_resource_attributes(resource: str, expected: list[dict[str, str]]) -> None:
    found = resources(state(**{resource: clusters.EVERY[resource]}))
    assert found == [one | {"kyma.input.name": "runtime"} for one in expected]


def test_a_reader_finds_scope_time_and_points() -> None:
    ((request, points),) = written(state(deployments=clusters.EVERY["deployments"]))
    assert points == 2
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    assert (scope.scope.name, scope.scope.version) == ("io.kyma-project.telemetry/runtime", "1.2")
    values = {m.name: m.gauge.data_points[0] for m in scope.metrics}
    assert {name: point.as_int for name, point in values.items()} == {
        "k8s.deployment.desired": 3, "k8s.deployment.available": 2,
    }  # fmt: skip
    assert {point.time_unix_nano for point in values.values()} == {NOW}


def test_everything_that_the_api_server_knows_is_told() -> None:
    requests = written(state(**clusters.EVERY))
    names = {
        metric.name
        for request, _ in requests
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert names == ALL


def test_the_endpoints_of_a_service_are_those_of_all_its_slices() -> None:
    made = state(
        services=[*clusters.EVERY["services"], meta("svc", "other", uid="another")],
        endpointslices=clusters.EVERY["endpointslices"],
    )
    counts = {
        (attributes["k8s.namespace.name"], *[v for _, v in p.attributes]): p.value
        for attributes, points in subjects(made)
        for p in points
        if p.metric.name == "k8s.service.endpoint.count"
    }
    assert counts == {
        ("shop", "IPv4", "ready", "z1"): 2, ("shop", "IPv4", "serving", "z1"): 3,
        ("shop", "IPv4", "terminating", "z1"): 1, ("shop", "IPv4", "ready", ""): 1,
        ("shop", "IPv4", "serving", ""): 1, ("shop", "IPv4", "terminating", ""): 0,
    }  # fmt: skip


def test_requests_are_cut_between_resources_and_together_they_are_the_whole() -> None:
    made = state(pods=[pod(f"p{i}") for i in range(50)])
    ((whole, points),) = written(made)
    cut = written(made, max_bytes=4000)
    assert len(cut) > 5
    assert sum(count for _, count in cut) == points
    assert [r for request, _ in cut for r in request.resource_metrics] == list(
        whole.resource_metrics
    )
    assert all(request.ByteSize() <= 4000 for request, _ in cut)
    assert len(written(made, max_bytes=1)) == 100  # each resource by itself, none lost


def test_what_is_written_is_what_the_plain_writer_writes(monkeypatch) -> None:
    monkeypatch.setattr(cluster_state, "MAX_KNOWN", 3)  # forgetting changes nothing
    made = state(**clusters.EVERY | {"pods": [pod(f"p{i}", restarts=i) for i in range(9)]})
    plain, points = writing.request(subjects(made), scope=(writing.SCOPE, "1.2"), time_ns=NOW)
    pieces = cluster_state.pieces(made.told(), version="1.2", time_ns=NOW, max_bytes=1 << 20)
    assert list(pieces) == [(plain, points)]


def test_nothing_is_written_of_nothing() -> None:
    assert written(state(pods=[])) == []


@pytest.mark.parametrize(("namespaces", "expected"), [
    (shared.Namespaces(), {"shop", "kube-system", ""}),
    (shared.Namespaces(include=("shop",)), {"shop", ""}),
    (shared.Namespaces(exclude=("shop",)), {"kube-system", ""}),
])  # fmt: skip
def test_only_chosen_namespaces_are_told_and_whatever_has_none(
    namespaces: shared.Namespaces, expected: set[str]
) -> None:
    made = state(
        namespaces,
        deployments=[meta("a"), meta("b", "kube-system")],
        namespaces=[meta("shop", ""), meta("kube-system", "")],
        nodes=clusters.EVERY["nodes"],
    )
    told = resources(made)
    assert {one.get("k8s.namespace.name", "") for one in told} == expected
    assert made.objects["deployments"] == len(expected) - 1


def test_objects_come_change_and_go() -> None:
    made = state(deployments=[])
    (first,) = shrunk("deployments", meta("a") | {"spec": {"replicas": 1}})
    (second,) = shrunk("deployments", meta("a") | {"spec": {"replicas": 2}})
    made.take("deployments", reflector.Added(first))
    made.take("deployments", reflector.Modified(second))
    ((_, points),) = subjects(made)
    assert points[0].value == 2
    made.take("deployments", reflector.Deleted(second))
    made.take("deployments", reflector.Deleted(second))
    assert list(subjects(made)) == []


def test_a_kind_is_told_only_when_its_list_was_complete() -> None:
    made = cluster_state.State([KINDS["pods"], KINDS["deployments"]], shared.Namespaces())
    assert list(made.missing) == ["pods", "deployments"]
    made.take("deployments", reflector.Replaced(shrunk("deployments", meta("d"))))
    assert list(made.missing) == ["pods"]
    assert [one["k8s.deployment.name"] for one in resources(made)] == ["d"]


def test_objects_without_a_uid_are_told_apart_by_name() -> None:
    items = [{"metadata": {"name": n, "namespace": ns}} for n, ns in (("a", "x"), ("a", "y"))]
    assert state(deployments=items).objects == {"deployments": 2}
