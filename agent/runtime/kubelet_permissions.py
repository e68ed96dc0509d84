"""The rights that asking a kubelet needs, and no other. Pure."""

from __future__ import annotations

from agent.runtime import kubelet_points
from common.config import agent_inputs
from common.kube.rights import Rule

_CORE = ("",)


def rules(settings: agent_inputs.RuntimeInput) -> tuple[Rule, ...]:
    """Return what must be allowed for what *settings* want of the kubelet of a node.

    The kubelet asks the API server whether we may get nodes/stats; see "Kubelet authentication/
    authorization" in Kubernetes' reference. Access control cannot narrow that to one node.
    """
    chosen = kubelet_points.choice(settings)
    found: list[Rule] = []
    if chosen.metrics:
        found.append(Rule(groups=_CORE, resources=("nodes/stats",), verbs=("get",)))
    if chosen.metrics & kubelet_points.NODE_SHARES:
        found.append(Rule(groups=_CORE, resources=("nodes",), verbs=("get",)))
    if kubelet_points.needs_pods(chosen):
        found.append(Rule(groups=_CORE, resources=("pods",), verbs=("list", "watch")))
    return tuple(found)
