"""Deployments: a ReplicaSet per pod template, the newest at full size, the others on their way out.

A rolling update starts all new pods first and ends the old ones once the new are ready: maxSurge is
100 % and maxUnavailable 0, whatever the manifest says. Pausing and rolling back are not known.
"""

from __future__ import annotations

from localcluster import kinds, ownership, selectors
from localcluster.actions import Action, Create, Delete, Edit
from localcluster.kinds import Object
from localcluster.store import Store


def reconcile(store: Store, now: str) -> list[Action]:
    """Decide what every Deployment and ReplicaSet needs."""
    actions: list[Action] = []
    for deployment in store.objects(kinds.DEPLOYMENTS):
        if not deployment["metadata"].get("deletionTimestamp"):
            actions += _deployment(store, deployment, now)
    for replicas in store.objects(kinds.REPLICASETS):
        if not replicas["metadata"].get("deletionTimestamp"):
            actions += _replicas(store, replicas)
    return actions


def _deployment(store: Store, deployment: Object, now: str) -> list[Action]:
    spec, namespace = deployment["spec"], deployment["metadata"]["namespace"]
    inside = selectors.Selection(namespace=namespace)
    owned = ownership.controlled(store.objects(kinds.REPLICASETS, inside), deployment)
    name = ownership.template_hash(spec["template"])
    current = next((r for r in owned if _hash(r) == name), None)
    old = [r for r in owned if r is not current]
    pods = {r["metadata"]["uid"]: _pods(store, r) for r in owned}
    left = sum(len(pods[r["metadata"]["uid"]]) for r in old)
    size = spec["replicas"]
    recreate = spec["strategy"].get("type") == "Recreate"
    wanted = 0 if recreate and left else size
    own = pods[current["metadata"]["uid"]] if current else []
    ready = [p for p in own if ownership.is_ready(p)]
    actions: list[Action] = []
    if current is None:
        actions.append(Create(kind=kinds.REPLICASETS, item=_new(deployment, name, wanted)))
    elif current["spec"]["replicas"] != wanted:
        actions.append(_scale(current, wanted))
    if recreate or len(ready) >= size:
        actions += [_scale(r, 0) for r in old if r["spec"]["replicas"]]
    empty = [r for r in old if not r["spec"]["replicas"] and not pods[r["metadata"]["uid"]]]
    empty.sort(key=lambda r: (r["metadata"]["creationTimestamp"], int(_version(r))))
    surplus = len(empty) - spec["revisionHistoryLimit"]
    actions += [Delete(kind=kinds.REPLICASETS, item=r) for r in empty[: max(0, surplus)]]
    everyone = [p for found in pods.values() for p in found]
    status = _status(deployment, everyone, own, now)
    if ownership.changed(deployment, status):
        actions.append(
            Edit(
                kind=kinds.DEPLOYMENTS, item=deployment, patch={"status": status},
                subresource="status",
            )
        )  # fmt: skip
    return actions


def _replicas(store: Store, replicas: Object) -> list[Action]:
    own = _pods(store, replicas)
    missing = replicas["spec"]["replicas"] - len(own)
    actions: list[Action] = []
    if missing > 0:
        fresh = ownership.pod(kinds.REPLICASETS, replicas)
        actions += [Create(kind=kinds.PODS, item=fresh) for _ in range(missing)]
    elif missing < 0:
        # Those go first that serve nobody, then the youngest.
        doomed = sorted(own, key=lambda p: (ownership.is_ready(p), -int(_version(p))))
        actions += [Delete(kind=kinds.PODS, item=p) for p in doomed[:-missing]]
    ready = sum(map(ownership.is_ready, own))
    status = {
        "replicas": len(own), "fullyLabeledReplicas": len(own), "readyReplicas": ready,
        "availableReplicas": ready, "observedGeneration": replicas["metadata"]["generation"],
    }  # fmt: skip
    if ownership.changed(replicas, status):
        actions.append(
            Edit(
                kind=kinds.REPLICASETS, item=replicas, patch={"status": status},
                subresource="status",
            )
        )  # fmt: skip
    return actions


def _new(deployment: Object, name: str, size: int) -> Object:
    spec, metadata = deployment["spec"], deployment["metadata"]
    label = {ownership.HASH_LABEL: name}
    template = spec["template"]
    about = template.get("metadata") or {}
    selector = spec["selector"]
    return {
        "metadata": {
            "name": f"{metadata['name']}-{name}",
            "namespace": metadata["namespace"],
            "labels": {**(about.get("labels") or {}), **label},
            "ownerReferences": [ownership.reference(kinds.DEPLOYMENTS, deployment)],
        },
        "spec": {
            "replicas": size,
            "selector": {
                **selector, "matchLabels": {**(selector.get("matchLabels") or {}), **label}
            },
            "template": {
                **template,
                "metadata": {**about, "labels": {**(about.get("labels") or {}), **label}},
            },
        },
    }  # fmt: skip


def _status(deployment: Object, pods: list[Object], current: list[Object], now: str) -> Object:
    size = deployment["spec"]["replicas"]
    ready = sum(map(ownership.is_ready, pods))
    available = ready >= size
    complete = len(current) == size == len(pods) and available
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": len(pods),
        "updatedReplicas": len(current),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, size - ready),
        "conditions": [
            ownership.condition(
                deployment, "Available", true=available, now=now,
                reason="MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
                message=f"{ready} of {size} replicas are available.",
            ),
            ownership.condition(
                deployment, "Progressing", true=True, now=now,
                reason="NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
                message="The rollout is complete." if complete else "The rollout is under way.",
            ),
        ],
    }  # fmt: skip


def _pods(store: Store, replicas: Object) -> list[Object]:
    inside = selectors.Selection(namespace=replicas["metadata"]["namespace"])
    owned = ownership.controlled(store.objects(kinds.PODS, inside), replicas)
    return [pod for pod in owned if ownership.is_active(pod)]


def _scale(replicas: Object, size: int) -> Edit:
    return Edit(kind=kinds.REPLICASETS, item=replicas, patch={"spec": {"replicas": size}})


def _hash(replicas: Object) -> str:
    return str((replicas["metadata"].get("labels") or {}).get(ownership.HASH_LABEL, ""))


def _version(item: Object) -> str:
    return str(item["metadata"]["resourceVersion"])
