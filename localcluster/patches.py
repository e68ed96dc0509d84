"""The patches of the API, by content type: merge (RFC 7386), JSON (RFC 6902), strategic."""

from __future__ import annotations

from typing import Any

from localcluster import errors, strategic
from localcluster.kinds import Kind, Object, clone

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TYPES = (JSON, MERGE, APPLY, STRATEGIC)


def patched(kind: Kind, item: Object, patch: Any, content_type: str) -> Object:
    """Return a copy of *item* with *patch* applied.

    Raises ``StatusError`` 400 (not a patch), 415 (unknown content type), 422 (does not fit).
    """
    if content_type == JSON:
        if not isinstance(patch, list):
            raise errors.bad_request("a JSON patch is a list of operations")
        try:
            result = json_patch(clone(item), patch)
        except (LookupError, TypeError, ValueError) as error:
            why = f"the server rejected our request due to an error in our request: {error}"
            raise errors.invalid(kind, item["metadata"]["name"], "patch", why) from error
    else:
        if not isinstance(patch, dict):
            raise errors.bad_request("a merge patch is a JSON object")
        if content_type == MERGE:
            result = merge_patch(clone(item), patch)
        elif content_type == STRATEGIC:
            result = strategic.merge(clone(item), patch)
        else:
            raise errors.unsupported_media_type(content_type, TYPES)
    if not isinstance(result, dict):
        raise errors.invalid(kind, item["metadata"]["name"], "patch", "the result is no object")
    return result


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch: objects merge, ``null`` removes, all else replaces (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(target: Any, operations: list[Any]) -> Any:
    """Apply a JSON patch to *target*, which is changed, and return the result (RFC 6902).

    Raises ``LookupError`` for a path that leads nowhere, ``ValueError`` for a failed test or an
    unknown operation, ``TypeError`` for what is no operation at all.
    """
    for operation in operations:
        path = _pointer(operation["path"])
        match operation["op"]:
            case "add":
                target = _add(target, path, operation["value"])
            case "remove":
                target = _remove(target, path)
            case "replace":
                _look_up(target, path)
                target = _put(target, path, operation["value"])
            case "move":
                source = _pointer(operation["from"])
                value = _look_up(target, source)
                target = _add(_remove(target, source), path, value)
            case "copy":
                value = _look_up(target, _pointer(operation["from"]))
                target = _add(target, path, clone({"value": value})["value"])
            case "test":
                found = _look_up(target, path)
                if found != operation["value"]:
                    raise ValueError(f"testing value {operation['path']} failed: it is {found!r}")
            case unknown:
                raise ValueError(f"unknown operation {unknown!r}")
    return target


def _pointer(path: str) -> list[str]:
    """Split a JSON pointer (RFC 6901)."""
    if path and not path.startswith("/"):
        raise ValueError(f"the path {path!r} does not begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(holder: list[Any], part: str) -> int:
    if not part.isdecimal() or int(part) >= len(holder):
        raise IndexError(f"no element {part!r} in a list of {len(holder)}")
    return int(part)


def _look_up(target: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(target, list):
            target = target[_index(target, part)]
        elif isinstance(target, dict) and part in target:
            target = target[part]
        else:
            raise KeyError(f"the path /{'/'.join(path)} leads nowhere")
    return target


def _add(target: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder = _look_up(target, path[:-1])
    if not isinstance(holder, list):
        return _put(target, path, value)
    at = len(holder) if path[-1] in {"-", str(len(holder))} else _index(holder, path[-1])
    holder.insert(at, value)
    return target


def _put(target: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder = _look_up(target, path[:-1])
    if isinstance(holder, list):
        holder[_index(holder, path[-1])] = value
    elif isinstance(holder, dict):
        holder[path[-1]] = value
    else:
        raise TypeError(f"/{'/'.join(path[:-1])} is neither an object nor a list")
    return target


def _remove(target: Any, path: list[str]) -> Any:
    if not path:
        raise ValueError("the whole object cannot be removed")
    _look_up(target, path)
    holder = _look_up(target, path[:-1])
    if isinstance(holder, list):
        del holder[_index(holder, path[-1])]
    else:
        del holder[path[-1]]
    return target
