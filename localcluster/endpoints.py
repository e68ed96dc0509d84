"""EndpointSlices: for every Service with a selector, the addresses of the pods behind it."""

from __future__ import annotations

from typing import Any

from localcluster import kinds, ownership, selectors
from localcluster.actions import Action, Create, Delete, Edit
from localcluster.kinds import Object
from localcluster.store import Store

SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
_MANAGER = "endpointslice-controller.k8s.io"
_ZONE = "topology.kubernetes.io/zone"


def reconcile(store: Store) -> list[Action]:
    """Bring the slices in line with Services and pods: one slice a Service, however many pods."""
    zones = {
        node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(_ZONE)
        for node in store.objects(kinds.NODES)
    }
    slices = {
        (s["metadata"]["namespace"], s["metadata"]["labels"][SERVICE_LABEL]): s
        for s in store.objects(kinds.ENDPOINTSLICES)
        if (s["metadata"].get("labels") or {}).get(_MANAGER_LABEL) == _MANAGER
    }
    actions: list[Action] = []
    for service in store.objects(kinds.SERVICES):
        metadata, spec = service["metadata"], service["spec"]
        if not spec.get("selector") or metadata.get("deletionTimestamp"):
            continue
        known = slices.pop((metadata["namespace"], metadata["name"]), None)
        wanted = _slice(store, service, zones)
        if known is None:
            actions.append(Create(kind=kinds.ENDPOINTSLICES, item=wanted))
        elif (known["endpoints"], known["ports"]) != (wanted["endpoints"], wanted["ports"]):
            patch = {"endpoints": wanted["endpoints"], "ports": wanted["ports"]}
            actions.append(Edit(kind=kinds.ENDPOINTSLICES, item=known, patch=patch))
    return actions + [Delete(kind=kinds.ENDPOINTSLICES, item=s) for s in slices.values()]


def _slice(store: Store, service: Object, zones: dict[str, str | None]) -> Object:
    metadata, spec = service["metadata"], service["spec"]
    chosen = selectors.Selection(
        namespace=metadata["namespace"],
        labels=selectors.from_object({"matchLabels": spec["selector"]}).labels,
    )
    pods = [p for p in store.objects(kinds.PODS, chosen) if _has_address(p)]
    return {
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": {SERVICE_LABEL: metadata["name"], _MANAGER_LABEL: _MANAGER},
            "ownerReferences": [ownership.reference(kinds.SERVICES, service)],
        },
        "addressType": "IPv4",
        "endpoints": [
            _endpoint(p, zones, bool(spec.get("publishNotReadyAddresses"))) for p in pods
        ],
        "ports": [_port(port, pods) for port in spec.get("ports") or ()],
    }


def _has_address(pod: Object) -> bool:
    status = pod.get("status") or {}
    ended = status.get("phase") in {"Succeeded", "Failed"}
    return bool(status.get("podIP")) and not ended


def _endpoint(pod: Object, zones: dict[str, str | None], anyway: bool) -> Object:  # noqa: FBT001
    metadata, node = pod["metadata"], pod["spec"].get("nodeName", "")
    terminating = bool(metadata.get("deletionTimestamp"))
    serving = anyway or ownership.is_ready(pod)
    endpoint: Object = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": anyway or (serving and not terminating), "serving": serving,
            "terminating": terminating,
        },
        "nodeName": node,
        "targetRef": {
            "kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }  # fmt: skip
    return endpoint | ({"zone": zones[node]} if zones.get(node) else {})


def _port(port: Object, pods: list[Object]) -> Object:
    number = _target(port["targetPort"], pods)
    return {"name": port.get("name", ""), "port": number, "protocol": port["protocol"]}


def _target(target: Any, pods: list[Object]) -> int | None:
    """Find a named port in the first pod that has it; all pods of a Service are taken to agree."""
    if isinstance(target, int):
        return target
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for port in container.get("ports") or ():
                if port.get("name") == target:
                    return int(port["containerPort"])
    return None
