"""Every metric that the API server knows has a unit, a type and a sentence."""

import pytest

from agent.runtime import cluster_names
from common.config import agent_inputs, runtime_metrics

OF_CLUSTER = runtime_metrics.NAMES - runtime_metrics.OF_KUBELET


def chosen(*additional: str, **resources: bool) -> frozenset[str]:
    every = dict.fromkeys(runtime_metrics.DEFAULT, False) | resources
    return cluster_names.wanted(
        agent_inputs.RuntimeInput(
            enabled=True,
            resources=agent_inputs.RuntimeResources(**every),
            additional_metrics=additional,
        )
    )


def test_they_are_exactly_those_that_may_be_asked_for_and_no_kubelet_knows() -> None:
    assert cluster_names.METRICS.keys() == OF_CLUSTER


@pytest.mark.parametrize(("name", "unit", "kind", "integer"), [
    ("k8s.container.cpu_request", "{cpu}", "gauge", False),
    ("k8s.container.cpu_limit", "{cpu}", "gauge", False),
    ("k8s.container.memory_request", "By", "gauge", True),
    ("k8s.container.ephemeralstorage_limit", "By", "gauge", True),
    ("k8s.container.restarts", "{restart}", "gauge", True),
    ("k8s.container.ready", "", "gauge", True),
    ("k8s.container.status.state", "{container}", "updown", True),
    ("k8s.container.status.reason", "{container}", "updown", True),
    ("k8s.pod.phase", "", "gauge", True),
    ("k8s.pod.status_reason", "", "gauge", True),
    ("k8s.deployment.desired", "{pod}", "gauge", True),
    ("k8s.replication_controller.available", "{pod}", "gauge", True),
    ("k8s.daemonset.ready_nodes", "{node}", "gauge", True),
    ("k8s.statefulset.updated_pods", "{pod}", "gauge", True),
    ("k8s.job.max_parallel_pods", "{pod}", "gauge", True),
    ("k8s.cronjob.active_jobs", "{job}", "gauge", True),
    ("k8s.hpa.min_replicas", "{pod}", "gauge", True),
    ("k8s.namespace.phase", "", "gauge", True),
    ("k8s.resource_quota.used", "{resource}", "gauge", True),
    ("k8s.node.condition", "{condition}", "gauge", True),
    ("k8s.persistentvolume.status.phase", "{persistentvolume}", "updown", True),
    ("k8s.persistentvolume.storage.capacity", "By", "updown", True),
    ("k8s.persistentvolumeclaim.status.phase", "{persistentvolumeclaim}", "updown", True),
    ("k8s.persistentvolumeclaim.storage.request", "By", "updown", True),
    ("k8s.service.endpoint.count", "{endpoint}", "gauge", True),
    ("k8s.service.load_balancer.ingress.count", "{ingress}", "gauge", True),
])  # fmt: skip
def test_units_and_types_are_those_of_the_collector(
    name: str, unit: str, kind: str, *, integer: bool
) -> None:
    metric = cluster_names.METRICS[name]
    assert (metric.unit, metric.kind, metric.integer) == (unit, kind, integer)
    assert metric.description


def test_a_resource_brings_what_the_api_server_knows_of_it_and_nothing_more() -> None:
    for resource, names in runtime_metrics.DEFAULT.items():
        assert chosen(**{resource: True}) == names & OF_CLUSTER
    assert chosen(pod=True) == {"k8s.pod.phase"}
    assert chosen(node=True, volume=True) == set()


def test_an_additional_metric_comes_even_if_its_resource_is_off_and_alone() -> None:
    assert chosen("k8s.pod.phase", "k8s.container.ready", "k8s.pod.uptime") == {
        "k8s.pod.phase", "k8s.container.ready",
    }  # fmt: skip


def test_an_input_that_is_off_wants_nothing() -> None:
    assert cluster_names.wanted(agent_inputs.RuntimeInput()) == set()
