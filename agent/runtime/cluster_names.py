"""The metrics of the cluster's state: units, types and meanings, and what is read for each.

Names, units and types are those of the OpenTelemetry Collector's cluster receiver
(``k8sclusterreceiver/documentation.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from agent.runtime.writing import Metric
from common.config import agent_inputs, runtime_metrics


def _gauges(prefix: str, unit: str, **words: str) -> Iterable[Metric]:
    for name, description in words.items():
        yield Metric(f"{prefix}.{name.replace('__', '.')}", unit, description)


def _updowns(prefix: str, unit: str, **words: str) -> Iterable[Metric]:
    for metric in _gauges(prefix, unit, **words):
        yield metric._replace(kind="updown")


_ALL: Final = (
    *(m._replace(integer=False) for m in _gauges(
        "k8s.container", "{cpu}",
        cpu_request="CPUs requested for the container", cpu_limit="CPUs it may use",
    )),
    *_gauges(
        "k8s.container", "By",
        memory_request="Memory requested for the container", memory_limit="Memory it may use",
        storage_request="Storage requested for the container", storage_limit="Storage it may use",
        ephemeralstorage_request="Ephemeral storage requested for the container",
        ephemeralstorage_limit="Ephemeral storage it may use",
    ),
    *_gauges("k8s.container", "{restart}", restarts="How often it was restarted recently"),
    *_gauges("k8s.container", "", ready="Whether it is ready: 1 for yes, 0 for no"),
    *_updowns(
        "k8s.container", "{container}",
        status__reason="1 for the reason of its state, 0 for all others",
        status__state="1 for its state, 0 for all others",
    ),
    *_gauges(
        "k8s.pod", "",
        phase="1 Pending, 2 Running, 3 Succeeded, 4 Failed, 5 Unknown",
        status_reason="1 Evicted, 2 NodeAffinity, 3 NodeLost, 4 Shutdown, "
        "5 UnexpectedAdmissionError, 6 Unknown",
    ),
    *_gauges("k8s.deployment", "{pod}", desired="Pods wanted", available="Pods available"),
    *_gauges("k8s.replicaset", "{pod}", desired="Pods wanted", available="Pods available"),
    *_gauges(
        "k8s.replication_controller", "{pod}", desired="Pods wanted", available="Pods available"
    ),
    *_gauges(
        "k8s.daemonset", "{node}",
        current_scheduled_nodes="Nodes that run it, and should",
        desired_scheduled_nodes="Nodes that should run it",
        misscheduled_nodes="Nodes that run it, and should not",
        ready_nodes="Nodes where it is ready",
    ),
    *_gauges(
        "k8s.statefulset", "{pod}",
        current_pods="Pods of the current revision", desired_pods="Pods wanted",
        ready_pods="Pods that are ready", updated_pods="Pods of the newest revision",
    ),
    *_gauges(
        "k8s.job", "{pod}",
        active_pods="Pods that run", desired_successful_pods="Pods that are to succeed",
        failed_pods="Pods that failed", max_parallel_pods="Pods that may run at once",
        successful_pods="Pods that succeeded",
    ),
    *_gauges("k8s.cronjob", "{job}", active_jobs="Jobs that run"),
    *_gauges(
        "k8s.hpa", "{pod}",
        current_replicas="Pods there are", desired_replicas="Pods wanted",
        min_replicas="Pods there are at least", max_replicas="Pods there are at most",
    ),
    *_gauges("k8s.namespace", "", phase="1 active, 0 terminating, -1 unknown"),
    *_gauges(
        "k8s.resource_quota", "{resource}",
        hard_limit="What may be used; CPUs in thousandths", used="What is; CPUs in thousandths",
    ),
    *_gauges("k8s.node", "{condition}", condition="1 true, 0 false, -1 unknown"),
    *_updowns(
        "k8s.persistentvolume", "{persistentvolume}",
        status__phase="1 for its phase, 0 for all others",
    ),
    *_updowns("k8s.persistentvolume", "By", storage__capacity="Its capacity"),
    *_updowns(
        "k8s.persistentvolumeclaim", "{persistentvolumeclaim}",
        status__phase="1 for its phase, 0 for all others",
    ),
    *_updowns(
        "k8s.persistentvolumeclaim", "By",
        storage__capacity="What it got", storage__request="What it asks for",
    ),
    *_gauges(
        "k8s.service", "{endpoint}",
        endpoint__count="Endpoints by condition, type of address and zone",
    ),
    *_gauges(
        "k8s.service", "{ingress}",
        load_balancer__ingress__count="Addresses and names that its load balancer has",
    ),
)  # fmt: skip

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}
"""Every metric that the API server knows, by name."""


def wanted(settings: agent_inputs.RuntimeInput) -> frozenset[str]:
    """Return the names of the cluster's metrics that *settings* ask for; none if it is off."""
    if not settings.enabled:
        return frozenset()
    chosen = set(settings.additional_metrics)
    for resource, names in runtime_metrics.DEFAULT.items():
        if getattr(settings.resources, resource):
            chosen |= names
    return frozenset(chosen & METRICS.keys())
