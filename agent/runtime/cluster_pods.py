"""The few fields of pods that the cluster's metrics are made of (core/v1 Pod)."""

from __future__ import annotations

import msgspec

from agent.runtime.cluster_objects import Object, Resources, Struct


class Container(Struct, frozen=True, kw_only=True, gc=False):
    """A container as it was asked for."""

    name: str = ""
    image: str = ""
    resources: Resources | None = None


class PodSpec(Struct, frozen=True, kw_only=True, gc=False):
    """Where a pod runs and what it runs."""

    node_name: str = ""
    containers: tuple[Container, ...] | None = None


class Reasoned(Struct, frozen=True, kw_only=True, gc=False):
    """Why a container is in the state that it is in."""

    reason: str = ""


class ContainerState(Struct, frozen=True, kw_only=True, gc=False):
    """At most one of them is there."""

    running: Reasoned | None = None
    waiting: Reasoned | None = None
    terminated: Reasoned | None = None


class ContainerStatus(Struct, frozen=True, kw_only=True, gc=False):
    """What has become of a container."""

    name: str = ""
    image: str = ""
    container_id: str = msgspec.field(default="", name="containerID")
    restart_count: int | None = None
    ready: bool | None = None
    state: ContainerState | None = None


class PodStatus(Struct, frozen=True, kw_only=True, gc=False):
    """What has become of a pod."""

    phase: str = ""
    reason: str = ""
    container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(Object, frozen=True, kw_only=True, gc=False):
    """A Pod (core/v1)."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
