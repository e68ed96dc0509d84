"""What the cluster's half of the runtime input has to be allowed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.runtime import cluster_kinds, cluster_names
from common.config import agent_inputs
from common.kube.rights import Rule

LEASES: Final = "coordination.k8s.io"


def rules(settings: agent_inputs.RuntimeInput, namespace: str) -> tuple[Rule, ...]:
    """Return the rules that *settings* need; the Lease is in *namespace*."""
    return tuple(_rules(settings, namespace))


def _rules(settings: agent_inputs.RuntimeInput, namespace: str) -> Iterator[Rule]:
    kinds = cluster_kinds.needed(cluster_names.wanted(settings))
    apiserver = settings.enabled and settings.resources.apiserver
    if not kinds and not apiserver:
        return
    yield Rule(
        groups=(LEASES,),
        resources=("leases",),
        verbs=("get", "create", "update"),
        namespace=namespace,
    )
    resources: dict[str, list[str]] = {}
    for kind in kinds:
        resources.setdefault(kind.group, []).append(kind.resource)
    for group, names in sorted(resources.items()):
        yield Rule(groups=(group,), resources=tuple(sorted(names)), verbs=("list", "watch"))
    if apiserver:
        yield Rule(verbs=("get",), urls=("/metrics",))
