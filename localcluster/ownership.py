"""What controllers share: who owns an object, pods from a template, and which pods count."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec

from localcluster.kinds import Kind, Object
from localcluster.store import SAFE_LETTERS

HASH_LABEL = "pod-template-hash"
REVISION_LABEL = "controller-revision-hash"  # of DaemonSets


def reference(kind: Kind, owner: Object) -> Object:
    """Return the ownerReference of the controller *owner*."""
    return {
        "apiVersion": kind.api_version, "kind": kind.name, "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def controlled(items: Iterable[Object], owner: Object) -> list[Object]:
    """Return the *items* that *owner* controls."""
    uid = owner["metadata"]["uid"]
    return [
        item
        for item in items
        if any(
            o["uid"] == uid and o.get("controller")
            for o in item["metadata"].get("ownerReferences") or ()
        )
    ]


def template_hash(template: Object) -> str:
    """Return a short name for a pod template, of the letters that Kubernetes uses."""
    number = zlib.crc32(msgspec.json.encode(template, order="deterministic"))
    return "".join(SAFE_LETTERS[ord(digit) % len(SAFE_LETTERS)] for digit in str(number))


def pod(kind: Kind, owner: Object, *, labels: Object | None = None, node: str = "") -> Object:
    """Return a new pod from *owner*'s template, with more *labels*, bound to *node* if given."""
    template = owner["spec"]["template"]
    about = template.get("metadata") or {}
    return {
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**(about.get("labels") or {}), **(labels or {})},
            "annotations": dict(about.get("annotations") or {}),
            "ownerReferences": [reference(kind, owner)],
        },
        "spec": {**template["spec"], **({"nodeName": node} if node else {})},
    }


def is_active(item: Object) -> bool:
    """Tell whether a pod counts: it has not ended and nobody has deleted it."""
    ended = (item.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    return not ended and not item["metadata"].get("deletionTimestamp")


def is_ready(item: Object) -> bool:
    """Tell whether a pod's Ready condition is True."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def condition(
    item: Object, name: str, *, true: bool, reason: str, message: str, now: str
) -> Object:
    """Return a condition for the status of *item*, whose time changes only when its status does."""
    text = "True" if true else "False"
    known = (item.get("status") or {}).get("conditions") or ()
    before = next((c for c in known if c["type"] == name and c["status"] == text), None)
    since = before["lastTransitionTime"] if before else now
    return {
        "type": name, "status": text, "reason": reason, "message": message,
        "lastTransitionTime": since, "lastUpdateTime": since,
    }  # fmt: skip


def changed(item: Object, status: Object) -> bool:
    """Tell whether *status* says anything that the status of *item* does not."""
    old = item.get("status") or {}
    return {**old, **status} != old
