"""All that an agent must be allowed in the cluster for what its document collects. Pure."""

from __future__ import annotations

from agent.discovery import permissions as discovery, policy
from agent.runtime import cluster_permissions, cluster_terms, kubelet_permissions
from common.config import agent as config
from common.kube.rights import Rule

__all__ = ["Rule", "rules"]


def rules(document: config.Agent, lease_namespace: str = cluster_terms.HOME) -> tuple[Rule, ...]:
    """Return the rights that *document* needs, input by input; none where no cluster is asked.

    The Lease is in *lease_namespace*, see `cluster_terms.lease_namespace`.
    """
    if document.kubernetes.source == "none":
        return ()
    runtime = document.inputs.runtime
    found = (
        *discovery.rules(policy.policy(document)),
        *kubelet_permissions.rules(runtime),
        *cluster_permissions.rules(runtime, lease_namespace),
    )
    return tuple(dict.fromkeys(found))  # inputs share the watch of pods
