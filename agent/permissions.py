"""All that an agent must be allowed in the cluster for what its document collects. Pure."""

from __future__ import annotations

from agent.discovery import permissions as discovery, policy
from common.config import agent as config
from common.kube.rights import Rule

__all__ = ["Rule", "rules"]


def rules(document: config.Agent) -> tuple[Rule, ...]:
    """Return the rights that *document* needs, input by input; none where no cluster is asked."""
    if document.kubernetes.source == "none":
        return ()
    return discovery.rules(policy.policy(document))
