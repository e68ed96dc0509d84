"""The documents by which a client finds out what is served: versions, groups and resources."""

from __future__ import annotations

from localcluster.kinds import ALL_VERBS, Catalogue, Kind, Object

# kubectl speaks to servers one minor version away, and shows this as the server's version.
VERSION: Object = {
    "major": "1", "minor": "32", "gitVersion": "v1.32.0+localcluster", "gitCommit": "",
    "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "",
    "platform": "linux/amd64",
}  # fmt: skip


def document(catalogue: Catalogue, path: str) -> Object | None:  # noqa: PLR0911 - one per path
    """Return the discovery document at *path*, or ``None`` where none is."""
    parts = path.strip("/").split("/")
    match parts:
        case ["version"]:
            return VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["api", "v1"]:
            return _resources(catalogue, "", "v1")
        case ["apis"]:
            groups = dict.fromkeys(k.group for k in catalogue if k.group)
            listed = [_group(catalogue, group) for group in groups]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        case ["apis", group] if any(k.group == group for k in catalogue):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(catalogue, group)}
        case ["apis", group, version] if any(
            (k.group, k.version) == (group, version) for k in catalogue
        ):
            return _resources(catalogue, group, version)
        case _:
            return None


def _group(catalogue: Catalogue, group: str) -> Object:
    versions = dict.fromkeys(k.version for k in catalogue if k.group == group)
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resources(catalogue: Catalogue, group: str, version: str) -> Object:
    served = [k for k in catalogue if (k.group, k.version) == (group, version)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": [entry for kind in served for entry in _entries(kind)],
    }


def _entries(kind: Kind) -> list[Object]:
    entry: Object = {
        "name": kind.resource, "singularName": kind.singular, "namespaced": kind.namespaced,
        "kind": kind.name, "verbs": list(ALL_VERBS),
    }  # fmt: skip
    if kind.short:
        entry["shortNames"] = list(kind.short)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    verbs = {"log": ["get"], "finalize": ["update"]}
    return [entry] + [
        {
            "name": f"{kind.resource}/{sub}", "singularName": "", "namespaced": kind.namespaced,
            "kind": kind.name, "verbs": verbs.get(sub, ["get", "patch", "update"]),
        }
        for sub in kind.subresources
    ]  # fmt: skip
