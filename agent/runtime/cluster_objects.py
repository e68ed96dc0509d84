"""The few fields that the cluster's metrics are made of, as structs that decode nothing else.

Field names and meanings are those of the Kubernetes API reference (apps/v1, autoscaling/v2,
batch/v1, core/v1, discovery.k8s.io/v1). Whatever Go leaves nil may be missing or JSON ``null``.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from common.kube import objects, quantity

Quantities: TypeAlias = dict[str, quantity.Given]
"""By the name of the resource: "cpu", "memory", "requests.cpu"."""


class Struct(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True
):
    """What all of them have in common."""


class Object(Struct, frozen=True, kw_only=True, gc=False):
    """Anything that Kubernetes stores."""

    metadata: objects.Metadata = objects.Metadata()


class Scaled(Struct, frozen=True, kw_only=True, gc=False):
    """The specification of whatever runs so many pods; ``None``: nobody has said how many."""

    replicas: int | None = None


class Available(Struct, frozen=True, kw_only=True, gc=False):
    """How many of them are there."""

    available_replicas: int | None = None


class Deployment(Object, frozen=True, kw_only=True, gc=False):
    """A Deployment, ReplicaSet or ReplicationController."""

    spec: Scaled = Scaled()
    status: Available = Available()


class StatefulSetStatus(Struct, frozen=True, kw_only=True, gc=False):
    """How far a StatefulSet is."""

    current_replicas: int | None = None
    ready_replicas: int | None = None
    updated_replicas: int | None = None


class StatefulSet(Object, frozen=True, kw_only=True, gc=False):
    """A StatefulSet (apps/v1)."""

    spec: Scaled = Scaled()
    status: StatefulSetStatus = StatefulSetStatus()


class DaemonSetStatus(Struct, frozen=True, kw_only=True, gc=False):
    """On how many nodes a DaemonSet runs."""

    current_number_scheduled: int | None = None
    desired_number_scheduled: int | None = None
    number_misscheduled: int | None = None
    number_ready: int | None = None


class DaemonSet(Object, frozen=True, kw_only=True, gc=False):
    """A DaemonSet (apps/v1)."""

    status: DaemonSetStatus = DaemonSetStatus()


class JobSpec(Struct, frozen=True, kw_only=True, gc=False):
    """How often a Job's pods are to succeed, and how many run at once."""

    completions: int | None = None
    parallelism: int | None = None


class JobStatus(Struct, frozen=True, kw_only=True, gc=False):
    """What has become of a Job's pods."""

    active: int | None = None
    failed: int | None = None
    succeeded: int | None = None


class Job(Object, frozen=True, kw_only=True, gc=False):
    """A Job (batch/v1)."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class CronJobStatus(Struct, frozen=True, kw_only=True, gc=False):
    """Which of a CronJob's jobs are running."""

    active: tuple[msgspec.Raw, ...] | None = None


class CronJob(Object, frozen=True, kw_only=True, gc=False):
    """A CronJob (batch/v1)."""

    status: CronJobStatus = CronJobStatus()


class AutoscalerSpec(Struct, frozen=True, kw_only=True, gc=False):
    """Between which numbers of pods is scaled."""

    min_replicas: int | None = None
    max_replicas: int | None = None


class AutoscalerStatus(Struct, frozen=True, kw_only=True, gc=False):
    """How many pods there are, and shall be."""

    current_replicas: int | None = None
    desired_replicas: int | None = None


class Autoscaler(Object, frozen=True, kw_only=True, gc=False):
    """A HorizontalPodAutoscaler (autoscaling/v2)."""

    spec: AutoscalerSpec = AutoscalerSpec()
    status: AutoscalerStatus = AutoscalerStatus()


class QuotaStatus(Struct, frozen=True, kw_only=True, gc=False):
    """What is allowed, and what is used of it."""

    hard: Quantities | None = None
    used: Quantities | None = None


class ResourceQuota(Object, frozen=True, kw_only=True, gc=False):
    """A ResourceQuota (core/v1)."""

    status: QuotaStatus = QuotaStatus()


class Phased(Struct, frozen=True, kw_only=True, gc=False):
    """The status of whatever has a phase and nothing else of interest."""

    phase: str = ""


class Namespace(Object, frozen=True, kw_only=True, gc=False):
    """A Namespace (core/v1)."""

    status: Phased = Phased()


class NodeCondition(Struct, frozen=True, kw_only=True, gc=False):
    """One condition; ``status`` is True, False or Unknown."""

    type: str = ""
    status: str = ""


class NodeStatus(Struct, frozen=True, kw_only=True, gc=False):
    """How a node is."""

    conditions: tuple[NodeCondition, ...] | None = None


class Node(Object, frozen=True, kw_only=True, gc=False):
    """A Node (core/v1)."""

    status: NodeStatus = NodeStatus()


class VolumeSpec(Struct, frozen=True, kw_only=True, gc=False):
    """What a PersistentVolume offers."""

    capacity: Quantities | None = None
    storage_class_name: str | None = None


class PersistentVolume(Object, frozen=True, kw_only=True, gc=False):
    """A PersistentVolume (core/v1)."""

    spec: VolumeSpec = VolumeSpec()
    status: Phased = Phased()


class Resources(Struct, frozen=True, kw_only=True, gc=False):
    """What is asked for, and what is allowed."""

    requests: Quantities | None = None
    limits: Quantities | None = None


class ClaimSpec(Struct, frozen=True, kw_only=True, gc=False):
    """What a PersistentVolumeClaim asks for."""

    resources: Resources | None = None
    storage_class_name: str | None = None


class ClaimStatus(Struct, frozen=True, kw_only=True, gc=False):
    """What it got."""

    phase: str = ""
    capacity: Quantities | None = None


class PersistentVolumeClaim(Object, frozen=True, kw_only=True, gc=False):
    """A PersistentVolumeClaim (core/v1)."""

    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class Ingresses(Struct, frozen=True, kw_only=True, gc=False):
    """Where a load balancer is reached."""

    ingress: tuple[msgspec.Raw, ...] | None = None


class ServiceSpec(Struct, frozen=True, kw_only=True, gc=False):
    """How a Service is offered."""

    type: str = ""


class ServiceStatus(Struct, frozen=True, kw_only=True, gc=False):
    """What has become of it."""

    load_balancer: Ingresses | None = None


class Service(Object, frozen=True, kw_only=True, gc=False):
    """A Service (core/v1)."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointConditions(Struct, frozen=True, kw_only=True, gc=False):
    """Unset means: ready; serving if ready; not terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Struct, frozen=True, kw_only=True, gc=False):
    """One endpoint of a slice."""

    conditions: EndpointConditions | None = None
    zone: str | None = None


class EndpointSlice(Object, frozen=True, kw_only=True, gc=False):
    """An EndpointSlice (discovery.k8s.io/v1)."""

    address_type: str = ""
    endpoints: tuple[Endpoint, ...] | None = None
