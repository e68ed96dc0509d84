"""DaemonSets: one pod on every node that fits, replaced one at a time when the template changes.

A node fits by its nodeSelector; taints are not looked at.
"""

from __future__ import annotations

from localcluster import kinds, ownership, scheduling, selectors
from localcluster.actions import Action, Create, Delete, Edit
from localcluster.kinds import Object
from localcluster.store import Store


def reconcile(store: Store) -> list[Action]:
    """Decide what every DaemonSet needs."""
    return [
        action
        for daemons in store.objects(kinds.DAEMONSETS)
        if not daemons["metadata"].get("deletionTimestamp")
        for action in _daemons(store, daemons)
    ]


def _daemons(store: Store, daemons: Object) -> list[Action]:
    spec = daemons["spec"]
    name = ownership.template_hash(spec["template"])
    nodes = scheduling.fitting(store.objects(kinds.NODES), spec["template"]["spec"])
    names = [node["metadata"]["name"] for node in nodes]
    inside = selectors.Selection(namespace=daemons["metadata"]["namespace"])
    pods = ownership.controlled(store.objects(kinds.PODS, inside), daemons)
    ending = {p["spec"].get("nodeName") for p in pods if p["metadata"].get("deletionTimestamp")}
    by_node: dict[str, list[Object]] = {}
    for pod in pods:
        if ownership.is_active(pod):
            by_node.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    labels = {ownership.REVISION_LABEL: name}
    actions: list[Action] = [
        # The old pod lets go of its ports first.
        Create(
            kind=kinds.PODS, item=ownership.pod(kinds.DAEMONSETS, daemons, labels=labels, node=n)
        )
        for n in names
        if n not in by_node and n not in ending
    ]
    keep = {n: max(by_node[n], key=ownership.is_ready) for n in names if n in by_node}
    actions += [
        Delete(kind=kinds.PODS, item=pod)
        for node, found in by_node.items()
        for pod in found
        if pod is not keep.get(node)
    ]
    stale = [
        p for p in keep.values() if p["metadata"]["labels"].get(ownership.REVISION_LABEL) != name
    ]
    ready = [p for p in keep.values() if ownership.is_ready(p)]
    rolling = spec["updateStrategy"].get("type") == "RollingUpdate"
    if stale and rolling:
        # At most one node goes without (maxUnavailable 1), and those that do already come first.
        down = [p for p in stale if not ownership.is_ready(p)]
        if down or len(ready) == len(names):
            actions += [Delete(kind=kinds.PODS, item=p) for p in down or stale[:1]]
    updated = len(keep) - len(stale)
    status = {
        "observedGeneration": daemons["metadata"]["generation"],
        "desiredNumberScheduled": len(names), "currentNumberScheduled": len(keep),
        "updatedNumberScheduled": updated, "numberReady": len(ready),
        "numberAvailable": len(ready), "numberUnavailable": len(names) - len(ready),
        "numberMisscheduled": 0,
    }  # fmt: skip
    if ownership.changed(daemons, status):
        actions.append(
            Edit(
                kind=kinds.DAEMONSETS, item=daemons, patch={"status": status}, subresource="status"
            )
        )
    return actions
