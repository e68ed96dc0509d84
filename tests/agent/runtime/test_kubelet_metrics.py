"""Names, units and types are those of the Collector's receiver."""

import pytest

from agent.runtime.kubelet_metrics import METRICS
from agent.runtime.writing import Metric
from common.config import runtime_metrics

# From the receiver's metadata.yaml: unit, what it is, whether it is an integer.
GAUGE, SUM, UPDOWN = "gauge", "sum", "updown"
KINDS = {
    "cpu.time": ("s", SUM, False),
    "cpu.usage": ("{cpu}", GAUGE, False),
    "filesystem.available": ("By", GAUGE, True),
    "filesystem.capacity": ("By", GAUGE, True),
    "filesystem.usage": ("By", GAUGE, True),
    "memory.available": ("By", GAUGE, True),
    "memory.usage": ("By", GAUGE, True),
    "memory.rss": ("By", GAUGE, True),
    "memory.working_set": ("By", GAUGE, True),
    "memory.page_faults": ("1", GAUGE, True),
    "memory.major_page_faults": ("1", GAUGE, True),
    "network.io": ("By", SUM, True),
    "network.errors": ("1", SUM, True),
    "uptime": ("s", SUM, True),
    "ephemeral_storage.usage": ("By", UPDOWN, True),
    "cpu.node.utilization": ("1", GAUGE, False),
    "cpu_limit_utilization": ("1", GAUGE, False),
    "cpu_request_utilization": ("1", GAUGE, False),
    "memory.node.utilization": ("1", GAUGE, False),
    "memory_limit_utilization": ("1", GAUGE, False),
    "memory_request_utilization": ("1", GAUGE, False),
}
OF_VOLUMES = {
    "k8s.volume.available": ("By", GAUGE, True),
    "k8s.volume.capacity": ("By", GAUGE, True),
    "k8s.volume.inodes": ("1", GAUGE, True),
    "k8s.volume.inodes.free": ("1", GAUGE, True),
    "k8s.volume.inodes.used": ("1", GAUGE, True),
    "k8s.pod.volume.usage": ("By", UPDOWN, True),
}
PREFIXES = ("k8s.node.system_container.", "k8s.container.", "k8s.node.", "k8s.pod.", "container.")


def documented(name: str) -> tuple[str, str, bool]:
    if name in OF_VOLUMES:
        return OF_VOLUMES[name]
    prefix = next(prefix for prefix in PREFIXES if name.startswith(prefix))
    return KINDS[name.removeprefix(prefix)]


def test_these_are_exactly_the_metrics_that_the_kubelet_is_asked_for() -> None:
    assert METRICS.keys() == runtime_metrics.OF_KUBELET


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_units_and_types_are_the_documented_ones(metric: Metric) -> None:
    assert (metric.unit, metric.kind, metric.integer) == documented(metric.name)
    assert metric.description.endswith(".")
