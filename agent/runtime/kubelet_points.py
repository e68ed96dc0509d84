"""From a kubelet's summary to the points that were asked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, final

from agent.runtime import node_pods, summary
from agent.runtime.kubelet_metrics import METRICS
from agent.runtime.writing import Point, Subject
from common.config import agent_inputs, input_names, runtime_metrics, shared

NODE_SHARES: Final = frozenset(name for name in METRICS if name.endswith(".node.utilization"))
"""What needs the node's capacity."""
LOCAL: Final = frozenset({"configMap", "downwardAPI", "emptyDir", "secret"})
"""Types of volumes that are parts of the node's own filesystem, and not told about."""
_PHYSICAL: Final = re.compile("(eth|en)")  # interfaces of a node that are not virtual
_TOO_MUCH: Final = 1 << 63
_NANO: Final = 1e9
_SECOND: Final = 1_000_000_000  # nanoseconds

Attributes: TypeAlias = tuple[tuple[str, str], ...]
Found: TypeAlias = Iterator[tuple[str, summary.Number, Attributes]]


ALL_NAMESPACES: Final = shared.Namespaces()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is told: metrics by name, and of which namespaces; nodes have none."""

    metrics: frozenset[str]
    namespaces: shared.Namespaces = ALL_NAMESPACES


class Capacity(NamedTuple):
    """What the node has, in cores and bytes; 0 for unknown."""

    cpu: float = 0.0
    memory: float = 0.0


NOTHING_KNOWN: Final = Capacity()


def choice(given: agent_inputs.RuntimeInput) -> Choice:
    """Take from the configuration what the kubelet shall tell; nothing if it is switched off."""
    metrics = {
        name
        for resource, names in runtime_metrics.DEFAULT.items()
        if getattr(given.resources, resource)
        for name in names
    } | set(given.additional_metrics)
    return Choice(
        metrics=runtime_metrics.OF_KUBELET.intersection(metrics) if given.enabled else frozenset(),
        namespaces=given.namespaces,
    )


def needs_pods(chosen: Choice) -> bool:
    """Say whether anything chosen cannot be told without the API server's knowledge of pods."""
    return any(
        name.startswith(("k8s.volume.", "k8s.pod.volume."))
        or name.endswith(("limit_utilization", "request_utilization"))
        for name in chosen.metrics
    )


def subjects(
    told: summary.Summary,
    known: node_pods.Known,
    chosen: Choice,
    capacity: Capacity = NOTHING_KNOWN,
    *,
    node: str,
    now: int,
) -> list[Subject]:
    """Return all resources with the points that are *chosen*, as of *now* in Unix nanoseconds.

    What the kubelet does not say gives no point, and neither does what cannot be true: a negative
    number, or one that does not fit into 63 bits. *node* is used where the summary names none.
    """
    name = told.node.node_name or node
    round_ = _Round(name, chosen.metrics, capacity, now)
    found = list(_of_node(told.node, round_))
    for pod in told.pods or ():
        if chosen.namespaces.take(pod.reference.namespace):
            found += _of_pod(pod, known.get(pod.reference.uid), round_)
    return [subject for subject in found if subject[1]]


class _Round(NamedTuple):
    """What all entities of one summary have in common."""

    node: str
    metrics: frozenset[str]
    capacity: Capacity
    now: int


def _of_node(node: summary.Node, of: _Round) -> Iterable[Subject]:
    identity = {"k8s.node.name": of.node, input_names.ATTRIBUTE: input_names.RUNTIME}
    start = summary.started(node.start_time, of.now)
    yield identity, _points(_node_readings(node, start, of.now), of.metrics, start)
    for system in node.system_containers or ():
        start = summary.started(system.start_time, of.now)
        own = {**identity, "k8s.node.system_container.name": system.name}
        readings = _used("k8s.node.system_container.", system.cpu, system.memory)
        yield own, _points(readings, of.metrics, start)


def _node_readings(node: summary.Node, start: int, now: int) -> Found:
    yield from _uptime("k8s.node.", start, now)
    yield from _used("k8s.node.", node.cpu, node.memory)
    yield from _filesystem("k8s.node.", node.fs)
    for interface in (node.network and node.network.interfaces) or ():
        if _PHYSICAL.match(interface.name):
            yield from _traffic("k8s.node.", interface)


def _of_pod(pod: summary.Pod, facts: node_pods.Facts, of: _Round) -> Iterable[Subject]:
    identity = {
        "k8s.pod.uid": facts.uid or pod.reference.uid,
        "k8s.pod.name": pod.reference.name,
        "k8s.pod.ip": facts.ip,
        "k8s.namespace.name": pod.reference.namespace,
        "k8s.node.name": of.node,
        input_names.ATTRIBUTE: input_names.RUNTIME,
    }
    start = summary.started(pod.start_time, of.now)
    readings = _pod_readings(pod, facts.total, start, of)
    yield identity, _points(readings, of.metrics, start)
    for container in pod.containers or ():
        start = summary.started(container.start_time, of.now)
        bounds = facts.containers.get(container.name, node_pods.UNBOUNDED)
        readings = _container_readings(container, bounds, start, of)
        own = {**identity, "k8s.container.name": container.name}
        yield own, _points(readings, of.metrics, start)
    for volume in pod.volumes or ():
        whose = _whose(volume, facts)
        if whose is not None:
            yield {**identity, **whose}, _points(_volume(volume), of.metrics, 0)


def _pod_readings(pod: summary.Pod, total: node_pods.Bounds, start: int, of: _Round) -> Found:
    yield from _uptime("k8s.pod.", start, of.now)
    yield from _used("k8s.pod.", pod.cpu, pod.memory)
    yield from _shares("k8s.pod.", pod.cpu, pod.memory, total, of.capacity)
    yield from _filesystem("k8s.pod.", pod.storage)
    if pod.network is not None:  # only the default interface; pods in the node's network have none
        yield from _traffic("k8s.pod.", pod.network)


def _container_readings(
    container: summary.Container, bounds: node_pods.Bounds, start: int, of: _Round
) -> Found:
    yield from _uptime("container.", start, of.now)
    yield from _used("container.", container.cpu, container.memory)
    yield from _shares("k8s.container.", container.cpu, container.memory, bounds, of.capacity)
    yield from _filesystem("container.", container.rootfs)
    for kind, storage in (("rootfs", container.rootfs), ("logs", container.logs)):
        if storage is not None:
            name = "k8s.container.ephemeral_storage.usage"
            yield name, storage.used_bytes, (("fs.type", kind),)


def _whose(volume: summary.Volume, facts: node_pods.Facts) -> Mapping[str, str] | None:
    """Return what identifies *volume* within its pod, ``None`` if it is not told about.

    Of a pod that is not known yet only volumes with a claim are: others may be parts of the node's
    filesystem.
    """
    claim = "" if volume.claim is None else volume.claim.name
    known = facts.volumes.get(volume.name)
    if known is None and not claim:
        return None
    kind = node_pods.CLAIM if known is None else known.type
    if kind in LOCAL:
        return None
    return {
        "k8s.volume.name": volume.name,
        "k8s.volume.type": kind,
        "k8s.persistentvolumeclaim.name": claim or (known.claim if known else ""),
    }


def _volume(volume: summary.Volume) -> Found:
    yield "k8s.volume.available", volume.available_bytes, ()
    yield "k8s.volume.capacity", volume.capacity_bytes, ()
    yield "k8s.volume.inodes", volume.inodes, ()
    yield "k8s.volume.inodes.free", volume.inodes_free, ()
    yield "k8s.volume.inodes.used", volume.inodes_used, ()
    yield "k8s.pod.volume.usage", volume.used_bytes, ()


def _uptime(prefix: str, start: int, now: int) -> Found:
    if start:
        yield f"{prefix}uptime", (now - start) // _SECOND, ()


def _used(prefix: str, cpu: summary.Cpu | None, memory: summary.Memory | None) -> Found:
    if cpu is not None:
        yield f"{prefix}cpu.usage", _ratio(cpu.usage_nano_cores, _NANO), ()
        yield f"{prefix}cpu.time", _ratio(cpu.usage_core_nano_seconds, _NANO), ()
    if memory is not None:
        yield f"{prefix}memory.available", memory.available_bytes, ()
        yield f"{prefix}memory.usage", memory.usage_bytes, ()
        yield f"{prefix}memory.rss", memory.rss_bytes, ()
        yield f"{prefix}memory.working_set", memory.working_set_bytes, ()
        yield f"{prefix}memory.page_faults", memory.page_faults, ()
        yield f"{prefix}memory.major_page_faults", memory.major_page_faults, ()


def _shares(
    prefix: str,
    cpu: summary.Cpu | None,
    memory: summary.Memory | None,
    bounds: node_pods.Bounds,
    capacity: Capacity,
) -> Found:
    """Relate what is used to what there is; of memory the usage, as the Collector's receiver."""
    cores = None if cpu is None else _ratio(cpu.usage_nano_cores, _NANO)
    held = None if memory is None else memory.usage_bytes
    yield f"{prefix}cpu.node.utilization", _ratio(cores, capacity.cpu), ()
    yield f"{prefix}cpu_limit_utilization", _ratio(cores, bounds.cpu_limit), ()
    yield f"{prefix}cpu_request_utilization", _ratio(cores, bounds.cpu_request), ()
    yield f"{prefix}memory.node.utilization", _ratio(held, capacity.memory), ()
    yield f"{prefix}memory_limit_utilization", _ratio(held, bounds.memory_limit), ()
    yield f"{prefix}memory_request_utilization", _ratio(held, bounds.memory_request), ()


def _filesystem(prefix: str, filesystem: summary.Filesystem | None) -> Found:
    if filesystem is not None:
        yield f"{prefix}filesystem.available", filesystem.available_bytes, ()
        yield f"{prefix}filesystem.capacity", filesystem.capacity_bytes, ()
        yield f"{prefix}filesystem.usage", filesystem.used_bytes, ()


def _traffic(prefix: str, interface: summary.Interface) -> Found:
    for direction, moved, errors in (
        ("receive", interface.rx_bytes, interface.rx_errors),
        ("transmit", interface.tx_bytes, interface.tx_errors),
    ):
        attributes = (("interface", interface.name), ("direction", direction))
        yield f"{prefix}network.io", moved, attributes
        yield f"{prefix}network.errors", errors, attributes


def _ratio(value: summary.Number, of: float) -> float | None:
    return value / of if value is not None and 0 <= value < _TOO_MUCH and of > 0 else None


def _points(readings: Found, metrics: frozenset[str], start: int) -> list[Point]:
    points = []
    for name, value, attributes in readings:
        # The kubelet's numbers are unsigned, and some of its sources count below zero: then they
        # are near 2^64, and would be negative in OTLP.
        if value is None or name not in metrics or not 0 <= value < _TOO_MUCH:
            continue
        metric = METRICS[name]
        points.append(Point(metric, value, attributes, 0 if metric.kind == "gauge" else start))
    return points
