"""What goes when an owner goes: objects without a living owner, and a namespace's content."""

from __future__ import annotations

from localcluster import kinds, selectors
from localcluster.actions import Action, Delete, Edit
from localcluster.kinds import Catalogue, Object
from localcluster.store import Store


def orphans(store: Store, catalogue: Catalogue) -> list[Action]:
    """Delete every object that names owners of which none exists any more."""
    present = {item["metadata"]["uid"] for kind in catalogue for item in store.objects(kind)}
    return [
        Delete(kind=kind, item=item)
        for kind in catalogue
        for item in store.objects(kind)
        if not item["metadata"].get("deletionTimestamp")
        and (owners := item["metadata"].get("ownerReferences"))
        and present.isdisjoint(owner["uid"] for owner in owners)
    ]


def namespaces(store: Store, catalogue: Catalogue) -> list[Action]:
    """Empty the namespaces that are being deleted, then let them go."""
    actions: list[Action] = []
    for namespace in store.objects(kinds.NAMESPACES):
        metadata = namespace["metadata"]
        if not metadata.get("deletionTimestamp"):
            continue
        inside = selectors.Selection(namespace=metadata["name"])
        content = [
            (kind, item)
            for kind in catalogue
            if kind.namespaced
            for item in store.objects(kind, inside)
        ]
        actions += [
            Delete(kind=kind, item=item)
            for kind, item in content
            if not item["metadata"].get("deletionTimestamp")
        ]
        if not content and namespace["spec"].get("finalizers"):
            actions.append(
                Edit(
                    kind=kinds.NAMESPACES, item=namespace, patch={"spec": {"finalizers": []}},
                    subresource="finalize",
                )
            )  # fmt: skip
    return actions


def release(store: Store, catalogue: Catalogue, uid: str) -> list[Action]:
    """Strike the owner *uid* from everything it owns, so that it may go alone."""
    return [
        Edit(
            kind=kind,
            item=item,
            patch={"metadata": {"ownerReferences": _others(item, uid) or None}},
        )
        for kind in catalogue
        for item in store.objects(kind)
        if len(_others(item, uid)) < len(item["metadata"].get("ownerReferences") or ())
    ]


def _others(item: Object, uid: str) -> list[Object]:
    return [o for o in item["metadata"].get("ownerReferences") or () if o["uid"] != uid]
