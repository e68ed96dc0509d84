"""As much OpenAPI v3 as kubectl needs to leave validation to the server.

kubectl asks whether PATCH takes the query parameter ``fieldValidation``; where it does, kubectl
sends manifests as they are. This server takes the parameter and accepts unknown fields: it knows
no schemas, so ``--validate=strict`` finds no typing mistakes here.
"""

from __future__ import annotations

from localcluster.kinds import Catalogue, Kind, Object

_ROOT = "openapi/v3"


def document(catalogue: Catalogue, path: str) -> Object | None:
    """Return the OpenAPI document at *path*, or ``None`` where none is."""
    path = path.strip("/")
    bases = dict.fromkeys(_base(kind) for kind in catalogue)
    if path == _ROOT:
        return {"paths": {base: {"serverRelativeURL": f"/{_ROOT}/{base}"} for base in bases}}
    base = path.removeprefix(f"{_ROOT}/")
    if base == path or base not in bases:
        return None
    served = [kind for kind in catalogue if _base(kind) == base]
    return {
        "openapi": "3.0.0",
        "info": {"title": "localcluster", "version": "v1"},
        "paths": {_item_path(kind): _item(kind) for kind in served},
    }


def _base(kind: Kind) -> str:
    return f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"


def _item_path(kind: Kind) -> str:
    namespace = "namespaces/{namespace}/" if kind.namespaced else ""
    return f"/{_base(kind)}/{namespace}{kind.resource}/{{name}}"


def _item(kind: Kind) -> Object:
    about = {"group": kind.group, "version": kind.version, "kind": kind.name}
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    patch = {"parameters": [parameter], "responses": {}, "x-kubernetes-group-version-kind": about}
    return {"patch": patch}
