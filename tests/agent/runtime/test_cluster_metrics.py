"""What each kind of object tells, by the Collector's rules; hostile objects raise nothing else."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.runtime import cluster_kinds, cluster_metrics, cluster_names
from agent.runtime.cluster_facts import Facts
from agent.runtime.cluster_metrics import Shrinker
from common.config import runtime_metrics
from tests.agent.runtime import clusters
from tests.agent.runtime.clusters import meta, pod

KINDS = {kind.resource: kind for kind in cluster_kinds.KINDS}
ALL = frozenset(cluster_names.METRICS)


def facts(
    resource: str, item: object, wanted: frozenset[str] = ALL, shrinker: Shrinker | None = None
) -> Facts:
    decoder = KINDS[resource].decoder(shrinker or Shrinker(wanted))
    body = {"metadata": {"resourceVersion": "7"}, "items": [item]}
    (found,) = decoder.page(msgspec.json.encode(body)).items
    return found


def told(points: Any) -> dict[Any, Any]:
    """Values by name, or by name and attribute values."""
    return {
        (p.metric.name, *[v for _, v in p.attributes]) if p.attributes else p.metric.name: p.value
        for p in points
    }


def test_every_metric_comes_from_an_object_of_its_kind_and_only_if_it_is_wanted() -> None:
    seen: set[str] = set()
    for kind in cluster_kinds.KINDS:
        for item in clusters.EVERY[kind.resource]:
            found = facts(kind.resource, item)
            names = {
                point.metric.name
                for points in (found.points, *[part.points for part in found.parts])
                for point in points
            }
            assert all(name.startswith(kind.metrics) for name in names)
            seen |= names
            for name in names:
                one = facts(kind.resource, item, frozenset({name}))
                points = [*one.points, *[p for part in one.parts for p in part.points]]
                assert {p.metric.name for p in points} == {name}
    assert seen == ALL


def test_a_pod_has_its_phase_and_reason() -> None:
    found = facts("pods", pod())
    assert found.values == ("uid-p", "p", "shop", "n1")
    assert told(found.points) == {"k8s.pod.phase": 2, "k8s.pod.status_reason": 6}


@pytest.mark.parametrize(("phase", "value"), [
    ("Pending", 1), ("Running", 2), ("Succeeded", 3), ("Failed", 4), ("Unknown", 5), ("", 5),
    ("Strange", 5),
])  # fmt: skip
def test_phases(phase: str, value: int) -> None:
    assert told(facts("pods", pod(phase=phase)).points)["k8s.pod.phase"] == value


@pytest.mark.parametrize(("reason", "value"), [
    ("Evicted", 1), ("NodeAffinity", 2), ("NodeLost", 3), ("Shutdown", 4),
    ("UnexpectedAdmissionError", 5), ("Preempting", 6),
])  # fmt: skip
def test_reasons_of_a_pod(reason: str, value: int) -> None:
    assert told(facts("pods", pod(reason=reason)).points)["k8s.pod.status_reason"] == value


def test_a_container_has_requests_limits_restarts_and_state_and_init_containers_nothing() -> None:
    (part,) = facts("pods", pod()).parts
    assert part.values == ("0123abc", "c", "registry:5000/shop/web", "1.2")
    points = told(part.points)
    assert {key: value for key, value in points.items() if isinstance(key, str)} == {
        "k8s.container.cpu_request": 0.25,
        "k8s.container.cpu_limit": 2.0,
        "k8s.container.memory_request": 64 << 20,
        "k8s.container.memory_limit": 1 << 30,
        "k8s.container.storage_request": 1 << 30,
        "k8s.container.storage_limit": 2 << 30,
        "k8s.container.ephemeralstorage_request": 1000,
        "k8s.container.ephemeralstorage_limit": 2000,
        "k8s.container.restarts": 3,
        "k8s.container.ready": 1,
    }
    states = {k[1]: v for k, v in points.items() if k[0] == "k8s.container.status.state"}
    assert states == {"terminated": 0, "running": 1, "waiting": 0}
    reasons = {k[1]: v for k, v in points.items() if k[0] == "k8s.container.status.reason"}
    assert reasons == dict.fromkeys(cluster_metrics.REASONS, 0)


def test_the_reason_of_a_state_is_one_of_those_that_are_known() -> None:
    waiting = {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    (part,) = facts("pods", pod(containerStatuses=[waiting])).parts
    points = told(part.points)
    assert points["k8s.container.status.state", "waiting"] == 1
    assert points["k8s.container.status.reason", "CrashLoopBackOff"] == 1
    assert sum(v for k, v in points.items() if k[0] == "k8s.container.status.reason") == 1
    assert points["k8s.container.ready"] == 0


def test_a_container_without_a_status_has_what_was_asked_for_only() -> None:
    (part,) = facts("pods", pod(containerStatuses=None)).parts
    assert part.values == ("", "c", "registry:5000/shop/web", "1.2")
    assert {
        name for name in told(part.points) if not name.endswith(("_request", "_limit"))
    } == set()


def test_containers_are_not_kept_unless_they_are_told_about() -> None:
    assert facts("pods", pod(), runtime_metrics.DEFAULT["pod"]).parts == ()


def test_an_image_that_the_runtime_knows_by_its_digest_only_is_that_of_the_specification() -> None:
    statuses = [{"name": "c", "image": "sha256:0123"}]
    (part,) = facts("pods", pod(containerStatuses=statuses)).parts
    assert part.values[2:] == ("registry:5000/shop/web", "1.2")


@pytest.mark.parametrize(("resource", "expected"), [
    ("deployments", {"k8s.deployment.desired": 3, "k8s.deployment.available": 2}),
    ("replicasets", {"k8s.replicaset.desired": 4, "k8s.replicaset.available": 1}),
    ("replicationcontrollers", {
        "k8s.replication_controller.desired": 5, "k8s.replication_controller.available": 0,
    }),
    ("daemonsets", {
        "k8s.daemonset.current_scheduled_nodes": 1, "k8s.daemonset.desired_scheduled_nodes": 2,
        "k8s.daemonset.misscheduled_nodes": 3, "k8s.daemonset.ready_nodes": 4,
    }),
    ("statefulsets", {
        "k8s.statefulset.desired_pods": 4, "k8s.statefulset.current_pods": 3,
        "k8s.statefulset.ready_pods": 2, "k8s.statefulset.updated_pods": 1,
    }),
    ("jobs", {
        "k8s.job.desired_successful_pods": 5, "k8s.job.max_parallel_pods": 4,
        "k8s.job.active_pods": 3, "k8s.job.failed_pods": 2, "k8s.job.successful_pods": 1,
    }),
    ("cronjobs", {"k8s.cronjob.active_jobs": 2}),
    ("horizontalpodautoscalers", {
        "k8s.hpa.min_replicas": 2, "k8s.hpa.max_replicas": 10, "k8s.hpa.current_replicas": 3,
        "k8s.hpa.desired_replicas": 4,
    }),
    ("resourcequotas", {
        ("k8s.resource_quota.hard_limit", "requests.cpu"): 2000,
        ("k8s.resource_quota.hard_limit", "pods"): 10,
        ("k8s.resource_quota.used", "requests.cpu"): 100, ("k8s.resource_quota.used", "pods"): 3,
    }),
    ("namespaces", {"k8s.namespace.phase": 1}),
    ("nodes", {
        ("k8s.node.condition", "Ready"): 1, ("k8s.node.condition", "DiskPressure"): 0,
        ("k8s.node.condition", "PIDPressure"): -1,
    }),
    ("persistentvolumes", {
        "k8s.persistentvolume.storage.capacity": 10 << 30,
        **{("k8s.persistentvolume.status.phase", phase): int(phase == "Bound")
           for phase in ("Pending", "Available", "Bound", "Released", "Failed")},
    }),
    ("persistentvolumeclaims", {
        "k8s.persistentvolumeclaim.storage.capacity": 10 << 30,
        "k8s.persistentvolumeclaim.storage.request": 5 << 30,
        **{("k8s.persistentvolumeclaim.status.phase", phase): int(phase == "Bound")
           for phase in ("Pending", "Bound", "Lost")},
    }),
    ("services", {"k8s.service.load_balancer.ingress.count": 2}),
    ("endpointslices", {
        ("k8s.service.endpoint.count", "IPv4", "ready", "z1"): 1,
        ("k8s.service.endpoint.count", "IPv4", "serving", "z1"): 2,
        ("k8s.service.endpoint.count", "IPv4", "terminating", "z1"): 1,
        ("k8s.service.endpoint.count", "IPv4", "ready", ""): 1,
        ("k8s.service.endpoint.count", "IPv4", "serving", ""): 1,
        ("k8s.service.endpoint.count", "IPv4", "terminating", ""): 0,
    }),
])  # fmt: skip
def test_values(resource: str, expected: dict[Any, Any]) -> None:
    assert told(facts(resource, clusters.EVERY[resource][0]).points) == expected


def test_what_is_left_open_has_the_default_of_the_api_or_is_not_told() -> None:
    bare = meta("x") | {"spec": {}, "status": {}}
    assert told(facts("deployments", bare).points) == {
        "k8s.deployment.desired": 1, "k8s.deployment.available": 0,
    }  # fmt: skip
    assert told(facts("jobs", bare).points) == {
        "k8s.job.active_pods": 0, "k8s.job.failed_pods": 0, "k8s.job.successful_pods": 0,
    }  # fmt: skip
    assert told(facts("horizontalpodautoscalers", bare).points)["k8s.hpa.min_replicas"] == 1
    assert facts("persistentvolumeclaims", bare).values[3] == ""
    assert told(facts("services", bare).points) == {}
    other = bare | {"spec": {"type": "ClusterIP"}, "status": {"loadBalancer": {}}}
    assert told(facts("services", other).points) == {}
    pending = bare | {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {}}}
    assert told(facts("services", pending).points) == {"k8s.service.load_balancer.ingress.count": 0}


def test_null_is_as_good_as_absent_wherever_go_leaves_nil() -> None:
    nothing = {"containerStatuses": None, "phase": "Running"}
    item = meta("p") | {
        "spec": {"containers": [{"name": "c", "resources": {"requests": None, "limits": None}}]},
        "status": nothing,
    }
    assert told(facts("pods", item).points)["k8s.pod.phase"] == 2
    item = meta("q") | {"spec": {"containers": None}, "status": nothing}
    assert facts("pods", item).parts == ()
    for resource, field in (
        ("deployments", "availableReplicas"), ("statefulsets", "readyReplicas"),
        ("daemonsets", "numberReady"), ("jobs", "active"), ("cronjobs", "active"),
        ("horizontalpodautoscalers", "currentReplicas"), ("resourcequotas", "hard"),
        ("nodes", "conditions"), ("persistentvolumeclaims", "capacity"),
        ("services", "loadBalancer"),
    ):  # fmt: skip
        facts(resource, meta("x") | {"status": {field: None}})
    facts("endpointslices", meta("x") | {"endpoints": None, "addressType": "IPv6"})


def test_quantities_that_are_none_are_left_out_and_counted() -> None:
    shrinker = Shrinker(ALL)
    item = pod()
    item["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "much", "memory": "64Mi"}, "limits": {"cpu": ""},
    }  # fmt: skip
    (part,) = facts("pods", item, shrinker=shrinker).parts
    names = {n for n in told(part.points) if str(n).endswith(("_request", "_limit"))}
    assert names == {"k8s.container.memory_request"}
    assert shrinker.unreadable == 2


def test_slices_of_other_families_are_left_out() -> None:
    item = meta("x", labels={"kubernetes.io/service-name": "s"}) | {
        "addressType": "Carrier", "endpoints": [{}],
    }  # fmt: skip
    assert facts("endpointslices", item).points == ()


def test_equal_points_are_one_object() -> None:
    first, second = facts("pods", pod("a")), facts("pods", pod("b"))
    assert first.points is second.points
    assert first.parts[0].points is second.parts[0].points


def test_numbers_beyond_what_otlp_holds_are_capped() -> None:
    item = meta("d") | {"spec": {"replicas": 10**30}, "status": {"availableReplicas": -(10**30)}}
    assert told(facts("deployments", item).points) == {
        "k8s.deployment.desired": (1 << 63) - 1, "k8s.deployment.available": -((1 << 63) - 1),
    }  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def _places(item: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        list(item.items()) if isinstance(item, dict)
        else list(enumerate(item)) if isinstance(item, list) else []
    )  # fmt: skip
    return [path, *[place for key, value in inside for place in _places(value, (*path, key))]]


@given(st.data(), st.sampled_from(sorted(clusters.EVERY)))
def test_hostile_objects_are_facts_or_a_decode_error(data: Any, resource: str) -> None:
    item = msgspec.json.decode(msgspec.json.encode(clusters.EVERY[resource][0]))
    place = data.draw(st.sampled_from([p for p in _places(item) if p]))
    inner = item
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = data.draw(JSON)
    try:
        found = facts(resource, item)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    for points in (found.points, *[part.points for part in found.parts]):
        for point in points:
            assert -(1 << 63) <= point.value < 1 << 63
