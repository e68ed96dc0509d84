"""Which kinds of Kubernetes objects are read, for which metrics, and what is kept of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from agent.runtime import cluster_objects as kube, cluster_pods
from agent.runtime.cluster_facts import Facts
from agent.runtime.cluster_metrics import Shrinker
from common.kube import objects

CONTAINER_KEYS: Final = (
    "container.id", "k8s.container.name", "container.image.name", "container.image.tag",
)  # fmt: skip
"""Of the values of `cluster_facts.Part`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One collection of the API server."""

    resource: str
    """Its name in a URL, "deployments"."""
    group: str
    """Its API group, "" for core."""
    version: str
    metrics: tuple[str, ...]
    """Beginnings of the names of metrics that it is needed for."""
    keys: tuple[str, ...]
    """Resource attributes, in the order of `cluster_facts.Facts.values`; none: it has none of
    its own."""
    decoder: Callable[[Shrinker], objects.Decoder[Facts]]

    @property
    def path(self) -> str:
        """Where all of them are listed."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.resource}"


def _keys(word: str, *more: str) -> tuple[str, ...]:
    return (f"k8s.{word}.uid", f"k8s.{word}.name", *more)


_NAMESPACE: Final = "k8s.namespace.name"

KINDS: Final = (
    Kind(
        resource="pods", group="", version="v1", metrics=("k8s.pod.", "k8s.container."),
        keys=_keys("pod", _NAMESPACE, "k8s.node.name"),
        decoder=lambda shrinker: objects.decoder(cluster_pods.Pod, shrinker.pod),
    ),
    Kind(
        resource="deployments", group="apps", version="v1", metrics=("k8s.deployment.",),
        keys=_keys("deployment", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.Deployment, shrinker.deployment),
    ),
    Kind(
        resource="daemonsets", group="apps", version="v1", metrics=("k8s.daemonset.",),
        keys=_keys("daemonset", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.DaemonSet, shrinker.daemon_set),
    ),
    Kind(
        resource="statefulsets", group="apps", version="v1", metrics=("k8s.statefulset.",),
        keys=_keys("statefulset", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.StatefulSet, shrinker.stateful_set),
    ),
    Kind(
        resource="replicasets", group="apps", version="v1", metrics=("k8s.replicaset.",),
        keys=_keys("replicaset", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.Deployment, shrinker.replica_set),
    ),
    Kind(
        resource="replicationcontrollers", group="", version="v1",
        metrics=("k8s.replication_controller.",),
        keys=_keys("replicationcontroller", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.Deployment, shrinker.replication_controller),
    ),
    Kind(
        resource="jobs", group="batch", version="v1", metrics=("k8s.job.",),
        keys=_keys("job", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.Job, shrinker.job),
    ),
    Kind(
        resource="cronjobs", group="batch", version="v1", metrics=("k8s.cronjob.",),
        keys=_keys("cronjob", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.CronJob, shrinker.cron_job),
    ),
    Kind(
        resource="horizontalpodautoscalers", group="autoscaling", version="v2",
        metrics=("k8s.hpa.",), keys=_keys("hpa", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.Autoscaler, shrinker.autoscaler),
    ),
    Kind(
        resource="resourcequotas", group="", version="v1", metrics=("k8s.resource_quota.",),
        keys=_keys("resourcequota", _NAMESPACE),
        decoder=lambda shrinker: objects.decoder(kube.ResourceQuota, shrinker.resource_quota),
    ),
    Kind(
        resource="namespaces", group="", version="v1", metrics=("k8s.namespace.",),
        keys=_keys("namespace"),
        decoder=lambda shrinker: objects.decoder(kube.Namespace, shrinker.namespace),
    ),
    Kind(
        resource="nodes", group="", version="v1", metrics=("k8s.node.",), keys=_keys("node"),
        decoder=lambda shrinker: objects.decoder(kube.Node, shrinker.node),
    ),
    Kind(
        resource="persistentvolumes", group="", version="v1", metrics=("k8s.persistentvolume.",),
        keys=_keys("persistentvolume", "k8s.storageclass.name"),
        decoder=lambda shrinker: objects.decoder(kube.PersistentVolume, shrinker.volume),
    ),
    Kind(
        resource="persistentvolumeclaims", group="", version="v1",
        metrics=("k8s.persistentvolumeclaim.",),
        keys=_keys("persistentvolumeclaim", _NAMESPACE, "k8s.storageclass.name"),
        decoder=lambda shrinker: objects.decoder(kube.PersistentVolumeClaim, shrinker.claim),
    ),
    Kind(
        resource="services", group="", version="v1", metrics=("k8s.service.",),
        keys=_keys("service", _NAMESPACE, "k8s.service.type"),
        decoder=lambda shrinker: objects.decoder(kube.Service, shrinker.service),
    ),
    Kind(
        resource="endpointslices", group="discovery.k8s.io", version="v1",
        metrics=("k8s.service.endpoint.",), keys=(),
        decoder=lambda shrinker: objects.decoder(kube.EndpointSlice, shrinker.endpoint_slice),
    ),
)  # fmt: skip


def needed(wanted: frozenset[str]) -> tuple[Kind, ...]:
    """Return the kinds that must be read to tell *wanted*."""
    return tuple(kind for kind in KINDS if any(name.startswith(kind.metrics) for name in wanted))
