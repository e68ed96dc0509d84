"""What an agent must be allowed in the cluster, by input, and no more than that. Pure.

Access control knows no nodes: where an agent asks for what is on its own node only, the right is
for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.discovery import policy as policies
from agent.runtime import cluster_kinds, cluster_names, cluster_terms, kubelet_points
from common.config import agent as config, agent_inputs
from common.kube.rights import Rule

CORE: Final = ("",)
LEASES: Final = "coordination.k8s.io"


def rules(document: config.Agent, lease_namespace: str = cluster_terms.HOME) -> tuple[Rule, ...]:
    """Return the rights that *document* needs, input by input; none where no cluster is asked.

    The Lease is in *lease_namespace*, see `cluster_terms.lease_namespace`.
    """
    if document.kubernetes.source == "none":
        return ()
    runtime = document.inputs.runtime
    found = (
        *of_discovery(policies.policy(document)),
        *of_kubelet(runtime),
        *of_cluster(runtime, lease_namespace),
    )
    return tuple(dict.fromkeys(found))  # inputs share the watch of pods


def of_discovery(policy: policies.Policy) -> tuple[Rule, ...]:
    """Return what must be allowed for what *policy* follows; collections only, no single object."""
    found: list[Rule] = []
    if policy.follows_pods:
        found.append(Rule(groups=CORE, resources=("pods",), verbs=("list", "watch")))
    if policy.follows_services:
        found += [
            Rule(groups=CORE, resources=("services",), verbs=("list", "watch")),
            Rule(
                groups=("discovery.k8s.io",),
                resources=("endpointslices",),
                verbs=("list", "watch"),
            ),
        ]
    return tuple(found)


def of_kubelet(settings: agent_inputs.RuntimeInput) -> tuple[Rule, ...]:
    """Return what must be allowed for what *settings* want of the kubelet of a node.

    The kubelet asks the API server whether we may get nodes/stats; see "Kubelet authentication/
    authorization" in Kubernetes' reference. Access control cannot narrow that to one node.
    """
    chosen = kubelet_points.choice(settings)
    found: list[Rule] = []
    if chosen.metrics:
        found.append(Rule(groups=CORE, resources=("nodes/stats",), verbs=("get",)))
    if chosen.metrics & kubelet_points.NODE_SHARES:
        found.append(Rule(groups=CORE, resources=("nodes",), verbs=("get",)))
    if kubelet_points.needs_pods(chosen):
        found.append(Rule(groups=CORE, resources=("pods",), verbs=("list", "watch")))
    return tuple(found)


def of_cluster(settings: agent_inputs.RuntimeInput, namespace: str) -> tuple[Rule, ...]:
    """Return the rules that *settings* need; the Lease is in *namespace*."""
    return tuple(_of_cluster(settings, namespace))


def _of_cluster(settings: agent_inputs.RuntimeInput, namespace: str) -> Iterator[Rule]:
    kinds = cluster_kinds.needed(cluster_names.wanted(settings))
    apiserver = settings.enabled and settings.resources.apiserver
    if not kinds and not apiserver:
        return
    # Who may create cannot be held to a name; for what is there we can, and others' are not ours.
    yield Rule(groups=(LEASES,), resources=("leases",), verbs=("create",), namespace=namespace)
    yield Rule(
        groups=(LEASES,),
        resources=("leases",),
        names=(settings.lease.name,),
        verbs=("get", "update"),
        namespace=namespace,
    )
    resources: dict[str, list[str]] = {}
    for kind in kinds:
        resources.setdefault(kind.group, []).append(kind.resource)
    for group, names in sorted(resources.items()):
        yield Rule(groups=(group,), resources=tuple(sorted(names)), verbs=("list", "watch"))
    if apiserver:
        yield Rule(verbs=("get",), urls=("/metrics",))
