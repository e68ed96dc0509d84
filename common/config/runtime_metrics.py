"""The metrics of the runtime input: which there are, and which resource each belongs to.

Names are those of the OpenTelemetry Collector's kubelet stats and cluster receivers; the choice is
that of Kyma's telemetry module.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

Resource: TypeAlias = Literal[
    "pod", "container", "node", "volume", "deployment", "daemonset", "statefulset", "job"
]


def _named(prefix: str, words: str) -> tuple[str, ...]:
    return tuple(prefix + word for word in words.split())


_USE: Final = "cpu.time cpu.usage filesystem.available filesystem.capacity filesystem.usage"
_MEMORY: Final = "memory.available memory.rss memory.usage memory.working_set"
_FAULTS: Final = "memory.major_page_faults memory.page_faults"

DEFAULT: Final[Mapping[Resource, frozenset[str]]] = {
    "pod": frozenset(
        _named("k8s.pod.", f"{_USE} {_MEMORY} {_FAULTS} network.errors network.io phase")
    ),
    "container": frozenset((
        *_named("container.", f"{_USE} {_MEMORY} {_FAULTS}"),
        *_named("k8s.container.", "cpu_request cpu_limit memory_request memory_limit restarts"),
    )),
    "node": frozenset(
        _named(
            "k8s.node.",
            "cpu.usage filesystem.available filesystem.capacity filesystem.usage "
            f"{_MEMORY} network.errors network.io",
        )
    ),
    "volume": frozenset(
        _named("k8s.volume.", "available capacity inodes inodes.free inodes.used")
    ),
    "deployment": frozenset(_named("k8s.deployment.", "available desired")),
    "daemonset": frozenset(
        _named(
            "k8s.daemonset.",
            "current_scheduled_nodes desired_scheduled_nodes misscheduled_nodes ready_nodes",
        )
    ),
    "statefulset": frozenset(
        _named("k8s.statefulset.", "current_pods desired_pods ready_pods updated_pods")
    ),
    "job": frozenset(
        _named(
            "k8s.job.",
            "active_pods desired_successful_pods failed_pods max_parallel_pods successful_pods",
        )
    ),
}  # fmt: skip
"""What each resource brings unless it is switched off."""

_OF_KUBELET: Final = frozenset((
    *_named("k8s.node.", f"cpu.time {_FAULTS} uptime"),
    *_named(
        "k8s.node.system_container.", "cpu.time cpu.usage memory.usage memory.working_set"
    ),
    "container.uptime",
    *_named(
        "k8s.container.",
        "cpu.node.utilization cpu_limit_utilization cpu_request_utilization "
        "ephemeral_storage.usage "
        "memory.node.utilization memory_limit_utilization memory_request_utilization",
    ),
    *_named(
        "k8s.pod.",
        "cpu.node.utilization cpu_limit_utilization cpu_request_utilization "
        "memory.node.utilization memory_limit_utilization memory_request_utilization "
        "uptime volume.usage",
    ),
))  # fmt: skip
_OF_CLUSTER: Final = frozenset((
    *_named(
        "k8s.container.",
        "storage_request storage_limit ephemeralstorage_request ephemeralstorage_limit "
        "ready status.reason status.state",
    ),
    "k8s.namespace.phase",
    *_named("k8s.hpa.", "current_replicas desired_replicas min_replicas max_replicas"),
    *_named("k8s.replicaset.", "available desired"),
    *_named("k8s.replication_controller.", "available desired"),
    *_named("k8s.resource_quota.", "hard_limit used"),
    "k8s.cronjob.active_jobs",
    "k8s.node.condition",
    *_named("k8s.persistentvolume.", "status.phase storage.capacity"),
    *_named("k8s.persistentvolumeclaim.", "status.phase storage.capacity storage.request"),
    "k8s.pod.status_reason",
    *_named("k8s.service.", "endpoint.count load_balancer.ingress.count"),
))  # fmt: skip

OF_KUBELET: Final = (
    frozenset(
        name
        for resource in ("pod", "container", "node", "volume")
        for name in DEFAULT[resource]
        if name != "k8s.pod.phase" and not (resource == "container" and name.startswith("k8s."))
    )
    | _OF_KUBELET
)
"""What the kubelet of each node tells; all else is known by the API server."""

ADDITIONAL: Final = _OF_KUBELET | _OF_CLUSTER
"""What comes only if it is asked for by name."""

NAMES: Final = frozenset().union(*DEFAULT.values()) | ADDITIONAL
"""Every name that may be asked for."""

_PREFIXES: Final[tuple[tuple[str, Resource], ...]] = (
    ("container.", "container"),
    *((f"k8s.{resource}.", resource) for resource in DEFAULT),
)


def resource_of(name: str) -> Resource | None:
    """Return the resource whose switch decides about the metric *name*, ``None`` if none does."""
    for prefix, resource in _PREFIXES:
        if name.startswith(prefix):
            return resource
    return None


def unknown(key: str, names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield a problem of *key* for each of *names* that is no metric of the runtime input."""
    for i, name in enumerate(names):
        if name in NAMES:
            continue
        close = difflib.get_close_matches(name, NAMES, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        yield f"{key}[{i}]", f"{name!r} is no metric of the runtime input{meant}"
