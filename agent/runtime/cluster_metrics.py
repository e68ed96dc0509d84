"""What each Kubernetes object tells: its resource attributes and its points.

The rules are those of the OpenTelemetry Collector's cluster receiver: what is recorded for which
object, which of its fields are resource attributes, and how quantities become numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Final, final

from agent.runtime import cluster_names, cluster_objects as kube, cluster_pods
from agent.runtime.cluster_facts import Facts, Part, image_name, one_of
from agent.runtime.writing import Metric, Point
from common.kube import objects, quantity

SERVICE_NAME: Final = "kubernetes.io/service-name"  # label of an EndpointSlice
PHASES: Final = {"Pending": 1, "Running": 2, "Succeeded": 3, "Failed": 4}
UNKNOWN_PHASE: Final = 5
POD_REASONS: Final = {
    "Evicted": 1, "NodeAffinity": 2, "NodeLost": 3, "Shutdown": 4, "UnexpectedAdmissionError": 5,
}  # fmt: skip
UNKNOWN_REASON: Final = 6
STATES: Final = ("terminated", "running", "waiting")
REASONS: Final = (
    "ContainerCreating", "CrashLoopBackOff", "CreateContainerConfigError", "ErrImagePull",
    "ImagePullBackOff", "OOMKilled", "Completed", "Error", "ContainerCannotRun",
)  # fmt: skip
VOLUME_PHASES: Final = ("Pending", "Available", "Bound", "Released", "Failed")
CLAIM_PHASES: Final = ("Pending", "Bound", "Lost")
NAMESPACE_PHASES: Final = {"Active": 1, "Terminating": 0}
CONDITIONS: Final = {"True": 1, "False": 0}
ADDRESS_TYPES: Final = frozenset({"IPv4", "IPv6", "FQDN"})
_RESOURCES: Final = {
    "cpu": "cpu", "memory": "memory", "storage": "storage", "ephemeral-storage": "ephemeralstorage",
}  # fmt: skip

Attributes = tuple[tuple[str, str], ...]


@final
class Shrinker:
    """Keeps of objects what *wanted* asks for; ``unreadable`` counts quantities that are none."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._metrics = {
            name: metric for name, metric in cluster_names.METRICS.items() if name in wanted
        }
        self._containers = any(name.startswith("k8s.container.") for name in wanted)
        self.unreadable = 0

    def deployment(self, item: kube.Deployment) -> Facts:
        """Read a Deployment."""
        return self._scaled("k8s.deployment", item)

    def replica_set(self, item: kube.Deployment) -> Facts:
        """Read a ReplicaSet."""
        return self._scaled("k8s.replicaset", item)

    def replication_controller(self, item: kube.Deployment) -> Facts:
        """Read a ReplicationController."""
        return self._scaled("k8s.replication_controller", item)

    def stateful_set(self, item: kube.StatefulSet) -> Facts:
        """Read a StatefulSet."""
        status = item.status
        return self._facts(item.metadata, self._numbers("k8s.statefulset", {
            "desired_pods": 1 if item.spec.replicas is None else item.spec.replicas,
            "ready_pods": status.ready_replicas or 0,
            "current_pods": status.current_replicas or 0,
            "updated_pods": status.updated_replicas or 0,
        }))  # fmt: skip

    def daemon_set(self, item: kube.DaemonSet) -> Facts:
        """Read a DaemonSet."""
        status = item.status
        return self._facts(item.metadata, self._numbers("k8s.daemonset", {
            "current_scheduled_nodes": status.current_number_scheduled or 0,
            "desired_scheduled_nodes": status.desired_number_scheduled or 0,
            "misscheduled_nodes": status.number_misscheduled or 0,
            "ready_nodes": status.number_ready or 0,
        }))  # fmt: skip

    def job(self, item: kube.Job) -> Facts:
        """Read a Job; what its specification leaves open is not told."""
        spec, status = item.spec, item.status
        return self._facts(item.metadata, self._numbers("k8s.job", {
            "active_pods": status.active or 0,
            "failed_pods": status.failed or 0,
            "successful_pods": status.succeeded or 0,
            "desired_successful_pods": spec.completions,
            "max_parallel_pods": spec.parallelism,
        }))  # fmt: skip

    def cron_job(self, item: kube.CronJob) -> Facts:
        """Read a CronJob."""
        active = len(item.status.active or ())
        return self._facts(item.metadata, self._numbers("k8s.cronjob", {"active_jobs": active}))

    def autoscaler(self, item: kube.Autoscaler) -> Facts:
        """Read a HorizontalPodAutoscaler."""
        spec, status = item.spec, item.status
        return self._facts(item.metadata, self._numbers("k8s.hpa", {
            "max_replicas": spec.max_replicas,
            "min_replicas": 1 if spec.min_replicas is None else spec.min_replicas,
            "current_replicas": status.current_replicas or 0,
            "desired_replicas": status.desired_replicas or 0,
        }))  # fmt: skip

    def namespace(self, item: kube.Namespace) -> Facts:
        """Read a Namespace, which is in itself."""
        meta = item.metadata
        phase = NAMESPACE_PHASES.get(item.status.phase, -1)
        points = self._numbers("k8s.namespace", {"phase": phase})
        return Facts(meta.name, (meta.uid, meta.name), one_of(tuple(points)))

    def node(self, item: kube.Node) -> Facts:
        """Read a Node."""
        meta, points = item.metadata, list[Point]()
        if metric := self._metrics.get("k8s.node.condition"):
            for condition in item.status.conditions or ():
                value = CONDITIONS.get(condition.status, -1)
                points.append(Point(metric, value, (("condition", condition.type),)))
        return Facts("", (meta.uid, meta.name), one_of(tuple(points)))

    def resource_quota(self, item: kube.ResourceQuota) -> Facts:
        """Read a ResourceQuota."""
        points = list[Point]()
        for name, given in (("hard_limit", item.status.hard), ("used", item.status.used)):
            metric = self._metrics.get(f"k8s.resource_quota.{name}")
            if metric is None:
                continue
            for resource, amount in sorted((given or {}).items()):
                fine = resource.endswith(".cpu")
                value = quantity.thousandths(amount) if fine else quantity.whole(amount)
                points += self._amount(metric, value, (("resource", resource),))
        return self._facts(item.metadata, points)

    def volume(self, item: kube.PersistentVolume) -> Facts:
        """Read a PersistentVolume."""
        meta, prefix = item.metadata, "k8s.persistentvolume"
        points = self._states(f"{prefix}.status.phase", item.status.phase, VOLUME_PHASES)
        points += self._bytes(f"{prefix}.storage.capacity", item.spec.capacity)
        storage_class = intern(item.spec.storage_class_name or "")
        return Facts("", (meta.uid, meta.name, storage_class), one_of(tuple(points)))

    def claim(self, item: kube.PersistentVolumeClaim) -> Facts:
        """Read a PersistentVolumeClaim."""
        spec, status, prefix = item.spec, item.status, "k8s.persistentvolumeclaim"
        points = self._states(f"{prefix}.status.phase", status.phase, CLAIM_PHASES)
        points += self._bytes(f"{prefix}.storage.capacity", status.capacity)
        asked = spec.resources.requests if spec.resources else None
        points += self._bytes(f"{prefix}.storage.request", asked)
        return self._facts(item.metadata, points, intern(spec.storage_class_name or ""))

    def service(self, item: kube.Service) -> Facts:
        """Read a Service; its endpoints are told by its slices."""
        points = list[Point]()
        if item.spec.type == "LoadBalancer":
            balancer = item.status.load_balancer
            count = len((balancer.ingress if balancer else None) or ())
            points += self._numbers("k8s.service", {"load_balancer.ingress.count": count})
        return self._facts(item.metadata, points, intern(item.spec.type))

    def endpoint_slice(self, item: kube.EndpointSlice) -> Facts:
        """Read an EndpointSlice; its second value is the name of its Service."""
        meta, points = item.metadata, list[Point]()
        metric = self._metrics.get("k8s.service.endpoint.count")
        if metric is not None and item.address_type in ADDRESS_TYPES:
            for (zone, condition), count in _endpoints(item.endpoints or ()).items():
                attributes = (
                    ("k8s.service.endpoint.address_type", item.address_type),
                    ("k8s.service.endpoint.condition", condition),
                    ("k8s.service.endpoint.zone", zone),
                )
                points.append(Point(metric, count, attributes))
        service = (meta.labels or {}).get(SERVICE_NAME, "")
        return Facts(intern(meta.namespace), (meta.uid, service, meta.name), one_of(tuple(points)))

    def pod(self, item: cluster_pods.Pod) -> Facts:
        """Read a Pod and its containers; init containers are not told about."""
        meta, spec, status = item.metadata, item.spec, item.status
        parts = tuple[Part, ...]()
        if self._containers:
            statuses = {one.name: one for one in status.container_statuses or ()}
            parts = tuple(
                [self._container(one, statuses.get(one.name)) for one in spec.containers or ()]
            )
        points = self._numbers("k8s.pod", {
            "phase": PHASES.get(status.phase, UNKNOWN_PHASE),
            "status_reason": POD_REASONS.get(status.reason, UNKNOWN_REASON),
        })  # fmt: skip
        return self._facts(meta, points, intern(spec.node_name), parts=parts)

    def _container(
        self, asked: cluster_pods.Container, found: cluster_pods.ContainerStatus | None
    ) -> Part:
        points = list[Point]()
        if asked.resources is not None:
            points += self._resources("request", asked.resources.requests)
            points += self._resources("limit", asked.resources.limits)
        image, identity = asked.image, ""
        if found is not None:
            identity = found.container_id.rpartition("://")[2]
            if found.image and not found.image.startswith("sha256:"):  # some runtimes forget it
                image = found.image
            points += self._numbers("k8s.container", {
                "restarts": found.restart_count or 0, "ready": int(bool(found.ready)),
            })  # fmt: skip
            points += self._state(found.state)
        name, tag = image_name(image)
        values = (identity, intern(asked.name), intern(name), intern(tag))
        return Part(values, one_of(tuple(points)))

    def _resources(self, word: str, given: kube.Quantities | None) -> Iterable[Point]:
        for resource, amount in sorted((given or {}).items()):
            metric = self._metrics.get(f"k8s.container.{_RESOURCES.get(resource, '')}_{word}")
            if metric is None:
                continue
            if metric.integer:
                yield from self._amount(metric, quantity.whole(amount))
            else:
                cpus = quantity.thousandths(amount)
                yield from self._amount(metric, None if cpus is None else cpus / 1000)

    def _state(self, state: cluster_pods.ContainerState | None) -> Iterable[Point]:
        if state is None:
            return
        for word in STATES:
            inside: cluster_pods.Reasoned | None = getattr(state, word)
            if inside is not None:
                yield from self._states("k8s.container.status.state", word, STATES)
                yield from self._states("k8s.container.status.reason", inside.reason, REASONS)
                return

    def _scaled(self, prefix: str, item: kube.Deployment) -> Facts:
        return self._facts(item.metadata, self._numbers(prefix, {
            "desired": 1 if item.spec.replicas is None else item.spec.replicas,
            "available": item.status.available_replicas or 0,
        }))  # fmt: skip

    def _numbers(self, prefix: str, values: Mapping[str, int | None]) -> list[Point]:
        points = []
        for name, value in values.items():
            metric = self._metrics.get(f"{prefix}.{name}")
            if metric is not None and value is not None:
                points.append(Point(metric, _bounded(value)))
        return points

    def _states(self, name: str, current: str, known: Iterable[str]) -> list[Point]:
        """One point for each of *known*, 1 for the current one; the attribute's key is *name*."""
        metric = self._metrics.get(name)
        if metric is None:
            return []
        return [Point(metric, int(one == current), ((name, one),)) for one in known]

    def _bytes(self, name: str, given: kube.Quantities | None) -> Iterable[Point]:
        metric, amount = self._metrics.get(name), (given or {}).get("storage")
        if metric is not None and amount is not None:
            yield from self._amount(metric, quantity.whole(amount))

    def _amount(
        self, metric: Metric, value: float | None, attributes: Attributes = ()
    ) -> Iterable[Point]:
        if value is None:
            self.unreadable += 1
        else:
            yield Point(metric, value, attributes)

    @staticmethod
    def _facts(
        meta: objects.Metadata,
        points: Iterable[Point],
        *more: str,
        parts: tuple[Part, ...] = (),
    ) -> Facts:
        namespace = intern(meta.namespace)
        values = (meta.uid, meta.name, namespace, *more)
        return Facts(namespace, values, one_of(tuple(points)), parts)


def _endpoints(endpoints: Iterable[kube.Endpoint]) -> Mapping[tuple[str, str], int]:
    """Count by zone and condition; a zone that has any endpoint has all conditions."""
    counts: dict[tuple[str, str], int] = {}
    for endpoint in endpoints:
        zone, conditions = endpoint.zone or "", endpoint.conditions or kube.EndpointConditions()
        ready = conditions.ready is not False
        serving = ready if conditions.serving is None else conditions.serving
        for word, met in (
            ("ready", ready), ("serving", serving), ("terminating", bool(conditions.terminating)),
        ):  # fmt: skip
            counts[zone, word] = counts.get((zone, word), 0) + met
    return counts


def _bounded(value: int) -> int:
    """JSON knows no bounds of integers; OTLP does."""
    return max(-quantity.MAX, min(value, quantity.MAX))
