"""Server-side apply: each manager owns the fields it applied, and gives up those it leaves out.

Ownership is recorded in ``metadata.managedFields`` in the ``fieldsV1`` form, for appliers only:
writes by update or by the other patches are not tracked, so they never cause a conflict. Lists are
merged by the keys of :mod:`localcluster.strategic`; every other list is owned whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from localcluster import errors, strategic
from localcluster.kinds import Kind, Object, clone

Fields = dict[str, Any]  # fieldsV1: {"f:spec": {"f:replicas": {}}, 'k:{"name":"a"}': {".": {}}}
_NOT_OWNED = frozenset({"apiVersion", "kind", "status"})
_NOT_OWNED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
    }
)


def applied(
    kind: Kind, live: Object | None, wanted: Object, *, manager: str, force: bool, now: str
) -> Object:
    """Return the object that results when *manager* applies *wanted* onto *live* at time *now*.

    Raises ``StatusError`` 400 without a manager, and 409 when another manager applied a different
    value to the same field, unless *force*, which takes the field over.
    """
    if not manager:
        raise errors.bad_request("metadata.managedFields: fieldManager is required for apply patch")
    if (wanted.get("metadata") or {}).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    wanted = clone(wanted)
    fields = _fields_of(wanted)
    base = clone(live) if live is not None else {}
    entries: list[Object] = (base.get("metadata") or {}).pop("managedFields", None) or []
    others = [e for e in entries if (e["manager"], e["operation"]) != (manager, "Apply")]
    conflicts = [
        (entry["manager"], path)
        for entry in others
        for path in _disputed(entry["fieldsV1"], fields, base, wanted)
    ]
    if conflicts and not force:
        raise _conflict(kind, wanted, conflicts)
    if conflicts:
        others = [e | {"fieldsV1": _minus(e["fieldsV1"], fields)} for e in others]
    for entry in entries:
        if (entry["manager"], entry["operation"]) == (manager, "Apply"):
            gone = _minus(entry["fieldsV1"], fields)
            for other in others:
                gone = _minus(gone, other["fieldsV1"])
            base = _without(base, gone)
    result = strategic.merge(base, wanted)
    own = {
        "manager": manager, "operation": "Apply", "apiVersion": kind.api_version, "time": now,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    }  # fmt: skip
    unchanged = next(
        (e for e in entries if e | {"time": now} == own), own
    )  # a no-op keeps its time
    result["metadata"]["managedFields"] = [*(e for e in others if e["fieldsV1"]), unchanged]
    return result


def _fields_of(wanted: Object) -> Fields:
    owned = {k: v for k, v in wanted.items() if k not in _NOT_OWNED}
    metadata = owned.pop("metadata", None) or {}
    kept = {k: v for k, v in metadata.items() if k not in _NOT_OWNED_METADATA}
    return _own(owned | ({"metadata": kept} if kept else {}))


def _own(value: Object) -> Fields:
    fields: Fields = {}
    for name, item in value.items():
        if isinstance(item, dict) and item:
            fields[f"f:{name}"] = _own(item)
        elif isinstance(item, list) and (key := strategic.merge_key(name, item)):
            fields[f"f:{name}"] = {_element(key, e[key]): {".": {}, **_own(e)} for e in item}
        else:
            fields[f"f:{name}"] = {}
    return fields


def _element(key: str, value: Any) -> str:
    return f"k:{msgspec.json.encode({key: value}).decode()}"


def _child(value: Any, step: str) -> Any:
    """Follow one step of fieldsV1 into a value; ``None`` when it leads nowhere."""
    if step == ".":
        return None
    if step.startswith("f:"):
        return value.get(step[2:]) if isinstance(value, dict) else None
    wanted = msgspec.json.decode(step[2:])
    found = (e for e in value or () if isinstance(e, dict) and e.items() >= wanted.items())
    return next(found, None)


def _disputed(theirs: Fields, ours: Fields, live: Any, wanted: Any, path: str = "") -> list[str]:
    """List the fields that both own and that would change."""
    disputed: list[str] = []
    for step in theirs.keys() & ours.keys() - {"."}:
        before, after = _child(live, step), _child(wanted, step)
        here = f"{path}.{step[2:]}" if step.startswith("f:") else f"{path}[{step[2:]}]"
        if theirs[step] and ours[step]:
            disputed += _disputed(theirs[step], ours[step], before, after, here)
        elif before != after and not (isinstance(before, dict) and isinstance(after, dict)):
            # An object applied as empty asks for nothing inside it.
            disputed.append(here)
    return sorted(disputed)


def _minus(fields: Fields, other: Fields) -> Fields:
    """Return the fields that are not owned by *other*."""
    rest: Fields = {}
    for step, inner in fields.items():
        if step not in other:
            rest[step] = inner
        elif inner and (left := _minus(inner, other[step])):
            rest[step] = left
    return rest


def _without(value: Any, gone: Fields) -> Any:
    """Remove from *value* the fields of *gone*; what becomes empty with them goes as well."""
    if isinstance(value, list):
        kept = []
        for element in value:
            step = next(
                (s for s in gone if s.startswith("k:") and _child([element], s) is not None), ""
            )
            if not step:
                kept.append(element)
            elif "." not in gone[step]:
                kept.append(_without(element, gone[step]))
        return kept
    if not isinstance(value, dict):
        return value
    result = dict(value)
    for step, inner in gone.items():
        name = step[2:]
        if not step.startswith("f:") or name not in result:
            continue
        left = _without(result[name], inner) if inner else None
        if left:
            result[name] = left
        else:
            del result[name]
    return result


def _conflict(kind: Kind, wanted: Object, conflicts: list[tuple[str, str]]) -> errors.StatusError:
    name = wanted["metadata"].get("name", "")
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{who}"', "field": field}
        for who, field in conflicts
    ]
    listed = ", ".join(f'conflict with "{who}": {field}' for who, field in conflicts)
    message = f"Apply failed with {len(conflicts)} conflict{'s'[: len(conflicts) > 1]}: {listed}"
    details = {"name": name, "kind": kind.resource, "causes": causes}
    return errors.StatusError(409, "Conflict", message, details)
