"""Only the kinds that are needed are read."""

from agent.runtime import cluster_kinds, cluster_names
from common.config import outputs
from tests.agent.runtime import clusters


def needed(*names: str) -> list[str]:
    return [kind.path for kind in cluster_kinds.needed(frozenset(names))]


def test_paths_are_those_of_the_api() -> None:
    assert needed("k8s.pod.phase") == ["/api/v1/pods"]
    assert needed("k8s.container.restarts") == ["/api/v1/pods"]
    assert needed("k8s.hpa.max_replicas") == ["/apis/autoscaling/v2/horizontalpodautoscalers"]
    assert needed("k8s.node.condition") == ["/api/v1/nodes"]
    assert needed("k8s.persistentvolumeclaim.storage.request") == ["/api/v1/persistentvolumeclaims"]
    assert needed("k8s.service.endpoint.count") == [
        "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices",
    ]  # fmt: skip
    assert needed() == []


def test_every_metric_needs_a_kind_and_every_kind_is_tested() -> None:
    for name in cluster_names.METRICS:
        assert needed(name)
    assert {kind.resource for kind in cluster_kinds.KINDS} == clusters.EVERY.keys()


def test_whatever_has_a_name_has_it_as_a_label_of_remote_write_by_default() -> None:
    attributes = "k8s.storageclass.name", "k8s.namespace.name"  # of others; the kind of namespaces
    for kind in cluster_kinds.KINDS:
        for key in kind.keys:
            if key.endswith(".name") and key not in attributes:
                assert key in outputs.IDENTITY, kind.resource
    assert outputs.IDENTITY.count("k8s.namespace.name") == 1
    assert outputs.IDENTITY.count("k8s.container.name") == 1
