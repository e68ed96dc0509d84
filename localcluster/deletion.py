"""Who must act before an object may disappear, and how long it may take."""

from __future__ import annotations

from localcluster import kinds
from localcluster.kinds import Kind, Object


def is_held(kind: Kind, item: Object) -> bool:
    """Tell whether a finalizer, or the content of a Namespace, keeps the object."""
    spec = (item.get("spec") or {}) if kind == kinds.NAMESPACES else {}
    return bool(item["metadata"].get("finalizers") or spec.get("finalizers"))


def grace(kind: Kind, item: Object, wanted: float | None) -> float:
    """Return for how many seconds a kubelet may take; only Pods that may be running have any.

    *wanted* is what the request says, ``None`` leaves it to the Pod.
    """
    if kind != kinds.PODS or not item["spec"].get("nodeName"):
        return 0
    if item["status"].get("phase") in {"Succeeded", "Failed"}:
        return 0
    seconds = item["spec"].get("terminationGracePeriodSeconds", 30) if wanted is None else wanted
    return max(0, seconds)
