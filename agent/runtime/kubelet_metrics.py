"""What the kubelet's figures are called in OTLP: names, units and types. Pure.

As the OpenTelemetry Collector's kubeletstatsreceiver documents them (its metadata.yaml); only the
descriptions are our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from agent.runtime.writing import Metric

_MEMORY: Final = (
    ("available", "By", "Memory that may still be used before the limit."),
    ("usage", "By", "Memory in use, caches included."),
    ("rss", "By", "Anonymous memory."),
    ("working_set", "By", "Memory in use that cannot be taken back at once."),
    ("page_faults", "1", "Page faults so far."),
    ("major_page_faults", "1", "Page faults so far that had to be read from a disk."),
)
_SHARES: Final = (
    ("cpu.node.utilization", "CPU in use, as a share of the node's."),
    ("cpu_limit_utilization", "CPU in use, as a share of the limit."),
    ("cpu_request_utilization", "CPU in use, as a share of the request."),
    ("memory.node.utilization", "Memory in use, as a share of the node's."),
    ("memory_limit_utilization", "Memory in use, as a share of the limit."),
    ("memory_request_utilization", "Memory in use, as a share of the request."),
)
_VOLUME: Final = (
    ("available", "By", "Bytes left in the volume."),
    ("capacity", "By", "Bytes that the volume can hold."),
    ("inodes", "1", "Inodes of the volume's filesystem."),
    ("inodes.free", "1", "Inodes left in the volume's filesystem."),
    ("inodes.used", "1", "Inodes in use by the volume; others may share its filesystem."),
)


def _cpu(prefix: str) -> Iterable[Metric]:
    words = "CPU time used since the start, over all cores."
    yield Metric(f"{prefix}cpu.time", "s", words, "sum", integer=False)
    words = "Cores in use, on average over the kubelet's window."
    yield Metric(f"{prefix}cpu.usage", "{cpu}", words, integer=False)


def _memory(prefix: str, only: frozenset[str] = frozenset()) -> Iterable[Metric]:
    for name, unit, words in _MEMORY:
        if not only or name in only:
            yield Metric(f"{prefix}memory.{name}", unit, words)


def _filesystem(prefix: str) -> Iterable[Metric]:
    yield Metric(f"{prefix}filesystem.available", "By", "Bytes left in the filesystem.")
    yield Metric(f"{prefix}filesystem.capacity", "By", "Bytes that the filesystem can hold.")
    yield Metric(f"{prefix}filesystem.usage", "By", "Bytes in use.")


def _network(prefix: str) -> Iterable[Metric]:
    yield Metric(f"{prefix}network.io", "By", "Bytes received and sent.", "sum")
    yield Metric(f"{prefix}network.errors", "1", "Errors of receiving and sending.", "sum")


def _uptime(prefix: str) -> Iterable[Metric]:
    yield Metric(f"{prefix}uptime", "s", "Seconds since the start.", "sum")


def _shares(prefix: str) -> Iterable[Metric]:
    for name, words in _SHARES:
        yield Metric(prefix + name, "1", words, integer=False)


def _all() -> Iterable[Metric]:
    for prefix in ("k8s.pod.", "container.", "k8s.node."):
        for family in (_cpu, _memory, _filesystem, _uptime):
            yield from family(prefix)
    for prefix in ("k8s.pod.", "k8s.node."):
        yield from _network(prefix)
    for prefix in ("k8s.pod.", "k8s.container."):
        yield from _shares(prefix)
    system = "k8s.node.system_container."
    yield from _cpu(system)
    yield from _memory(system, frozenset({"usage", "working_set"}))
    for name, unit, words in _VOLUME:
        yield Metric(f"k8s.volume.{name}", unit, words)
    yield Metric("k8s.pod.volume.usage", "By", "Bytes in use in a volume of the pod.", "updown")
    words = "Bytes in use by the container's writable layer and its logs."
    yield Metric("k8s.container.ephemeral_storage.usage", "By", words, "updown")


METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _all()}
"""By name."""
