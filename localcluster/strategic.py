"""Strategic merge: like a merge patch, but lists of things that have a name are merged by it.

The real server reads the merge key of a list from the Go types. We know them by the list's field
name, which is right for every built-in kind served here; any other list is replaced whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcluster.kinds import Object

MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "ports": ("containerPort", "port"),  # of a container; of a Service
    "conditions": ("type",),
    "addresses": ("type",),
    "podIPs": ("ip",),
    "hostIPs": ("ip",),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey",),
}
_PRIMITIVE = frozenset({"finalizers"})  # lists of strings that are merged as sets


def merge_key(field: str, items: list[Any]) -> str:
    """Return what identifies the elements of the list *field*, or "" when it is replaced whole."""
    for key in MERGE_KEYS.get(field, ()):
        if items and all(isinstance(item, dict) and key in item for item in items):
            return key
    return ""


def merge(target: Object, patch: Object) -> Object:
    """Return *target* with *patch* applied; ``null`` removes, ``$patch`` and friends are obeyed."""
    if patch.get("$patch") == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    merged = dict(target)
    retained = patch.get("$retainKeys")
    if retained is not None:
        merged = {k: v for k, v in merged.items() if k in retained}
    for field, value in patch.items():
        if field.startswith("$deleteFromPrimitiveList/"):
            name = field.partition("/")[2]
            merged[name] = [v for v in merged.get(name) or [] if v not in value]
        elif field.startswith("$"):
            continue
        elif value is None:
            merged.pop(field, None)
        elif isinstance(value, dict):
            old = merged.get(field)
            if value.get("$patch") == "delete":
                merged.pop(field, None)
            else:
                merged[field] = merge(old if isinstance(old, dict) else {}, value)
        elif isinstance(value, list):
            old = merged.get(field)
            order = patch.get(f"$setElementOrder/{field}")
            merged[field] = _merge_list(field, old if isinstance(old, list) else [], value, order)
        else:
            merged[field] = value
    return merged


def _merge_list(field: str, old: list[Any], new: list[Any], order: list[Any] | None) -> list[Any]:
    if field in _PRIMITIVE:
        return old + [v for v in new if v not in old]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in new):
        return [item for item in new if not (isinstance(item, dict) and "$patch" in item)]
    key = merge_key(field, new + old)
    if not key:
        return new
    merged = {item[key]: item for item in old}
    for item in new:
        if item.get("$patch") == "delete":
            merged.pop(item[key], None)
        else:
            merged[item[key]] = merge(merged.get(item[key], {}), item)
    if order is None:
        return list(merged.values())
    places = {
        item[key]: i for i, item in enumerate(order) if isinstance(item, dict) and key in item
    }
    return sorted(merged.values(), key=lambda item: places.get(item[key], len(places)))
