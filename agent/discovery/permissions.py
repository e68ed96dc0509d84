"""The rights that discovery needs, and no other. Pure."""

from __future__ import annotations

from agent.discovery.policy import Policy
from common.kube.rights import Rule


def rules(policy: Policy) -> tuple[Rule, ...]:
    """Return what must be allowed for what *policy* follows; collections only, no single object.

    Pods are asked for by node, but access control cannot narrow a rule to that.
    """
    found: list[Rule] = []
    if policy.follows_pods:
        found.append(Rule(groups=("",), resources=("pods",), verbs=("list", "watch")))
    if policy.follows_services:
        found += [
            Rule(groups=("",), resources=("services",), verbs=("list", "watch")),
            Rule(
                groups=("discovery.k8s.io",),
                resources=("endpointslices",),
                verbs=("list", "watch"),
            ),
        ]
    return tuple(found)
