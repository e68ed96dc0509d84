"""Which node a new pod runs on: of those that fit, the one with the fewest pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from localcluster import kinds, ownership
from localcluster.actions import Action, Edit
from localcluster.kinds import Object
from localcluster.store import Store


def assign(store: Store, now: str) -> list[Action]:
    """Bind the pods that have no node yet; say of those that fit nowhere that they are pending."""
    pods = store.objects(kinds.PODS)
    nodes = store.objects(kinds.NODES)
    load = Counter(p["spec"].get("nodeName", "") for p in pods if ownership.is_active(p))
    actions: list[Action] = []
    for pod in pods:
        spec = pod["spec"]
        ours = spec.get("schedulerName") == "default-scheduler" and not spec.get("nodeName")
        if not ours or not ownership.is_active(pod):
            continue
        names = [
            node["metadata"]["name"]
            for node in fitting(nodes, spec)
            if not (node.get("spec") or {}).get("unschedulable")
        ]
        if names:
            chosen = min(names, key=lambda name: (load[name], name))
            load[chosen] += 1
            actions.append(Edit(kind=kinds.PODS, item=pod, patch={"spec": {"nodeName": chosen}}))
            continue
        status = {"conditions": [_unschedulable(pod, len(nodes), now)]}
        if ownership.changed(pod, status):
            actions.append(
                Edit(kind=kinds.PODS, item=pod, patch={"status": status}, subresource="status")
            )
    return actions


def fitting(nodes: Iterable[Object], spec: Object) -> list[Object]:
    """Return the nodes that have every label of the pod spec's nodeSelector."""
    wanted = (spec.get("nodeSelector") or {}).items()
    return [node for node in nodes if (node["metadata"].get("labels") or {}).items() >= wanted]


def _unschedulable(pod: Object, nodes: int, now: str) -> Object:
    message = f"0/{nodes} nodes are available: none is schedulable and fits the node selector."
    return ownership.condition(
        pod, "PodScheduled", true=False, reason="Unschedulable", message=message, now=now
    )
