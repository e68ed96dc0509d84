"""Objects as rows, for clients that print them: what ``kubectl get`` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcluster.kinds import Kind, Object

Cell = Callable[[Object, float], Any]  # a string or a number, as the column's kind says


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; priority 1 is shown with ``-o wide`` only."""

    name: str
    cell: Cell
    kind: str = "string"
    priority: int = 0


def table(kind: Kind, items: Iterable[Object], *, now: float, include: str = "Metadata") -> Object:
    """Return the ``meta.k8s.io/v1`` Table of *items* at Unix time *now*.

    *include* is the query's ``includeObject``: what each row carries (None, Metadata, Object).
    """
    columns = COLUMNS.get((kind.group, kind.resource), _GENERIC)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [
            {
                "name": c.name, "type": c.kind, "format": "name" if c.name == "Name" else "",
                "description": "", "priority": c.priority,
            }
            for c in columns
        ],
        "rows": [
            {"cells": [c.cell(item, now) for c in columns], **_carried(item, include)}
            for item in items
        ],
    }  # fmt: skip


def age(timestamp: str | None, now: float) -> str:
    """Write how long ago *timestamp* was, in the two units that kubectl would show."""
    if not timestamp:
        return "<unknown>"
    seconds = max(0, int(now - datetime.fromisoformat(timestamp).timestamp()))
    for limit, size, unit, rest_size, rest_unit in (
        (120, 1, "s", 0, ""), (600, 60, "m", 1, "s"), (10800, 60, "m", 0, ""),
        (28800, 3600, "h", 60, "m"), (172800, 3600, "h", 0, ""), (691200, 86400, "d", 3600, "h"),
    ):  # fmt: skip
        if seconds < limit:
            rest = seconds % size // rest_size if rest_size else 0
            return f"{seconds // size}{unit}" + (f"{rest}{rest_unit}" if rest else "")
    return f"{seconds // 86400}d"


def _carried(item: Object, include: str) -> Object:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": item}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return {"object": {**partial, "metadata": item["metadata"]}}


def _path(*path: str, default: str | int = "<none>") -> Cell:
    def cell(item: Object, _now: float) -> Any:
        value: Any = item
        for part in path:
            value = (value or {}).get(part)
        return default if value is None or value == "" else value

    return cell


def _age(item: Object, now: float) -> str:
    return age(item["metadata"].get("creationTimestamp"), now)


def _statuses(pod: Object) -> Sequence[Object]:
    return (pod.get("status") or {}).get("containerStatuses") or ()


def _pod_ready(pod: Object, _now: float) -> str:
    return f"{sum(bool(s.get('ready')) for s in _statuses(pod))}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Object, _now: float) -> str:
    """Say what kubectl says: the reason of a container that waits or has ended, or the phase."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if status.get("reason"):
        return str(status["reason"])
    for container in _statuses(pod):
        state = container.get("state") or {}
        reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
        if reason:
            return str(reason)
    return str(status.get("phase", "Unknown"))


def _restarts(pod: Object, _now: float) -> str:
    return str(sum(s.get("restartCount", 0) for s in _statuses(pod)))


def _node_status(node: Object, _now: float) -> str:
    conditions = {
        c["type"]: c["status"] for c in (node.get("status") or {}).get("conditions") or ()
    }
    ready = {"True": "Ready", "False": "NotReady"}.get(conditions.get("Ready", ""), "Unknown")
    cordoned = (node.get("spec") or {}).get("unschedulable")
    return f"{ready},SchedulingDisabled" if cordoned else ready


def _node_roles(node: Object, _now: float) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(k[len(prefix) :] for k in labels if k.startswith(prefix))) or "<none>"


def _node_address(kind: str) -> Cell:
    def cell(node: Object, _now: float) -> str:
        addresses = (node.get("status") or {}).get("addresses") or ()
        return next((a["address"] for a in addresses if a["type"] == kind), "<none>")

    return cell


def _service_ports(service: Object, _now: float) -> str:
    ports = (service.get("spec") or {}).get("ports") or ()
    return ",".join(f"{p['port']}/{p.get('protocol', 'TCP')}" for p in ports) or "<none>"


def _pairs(*path: str) -> Cell:
    look_up = _path(*path, default="")

    def cell(item: Object, now: float) -> str:
        found = look_up(item, now)
        return (
            ",".join(f"{k}={v}" for k, v in found.items()) if isinstance(found, dict) else "<none>"
        )

    return cell


def _deployment_ready(item: Object, _now: float) -> str:
    return f"{(item.get('status') or {}).get('readyReplicas', 0)}/{item['spec'].get('replicas', 0)}"


def _size(field: str) -> Cell:
    return lambda item, _now: len(item.get(field) or {})


def _slice_ports(item: Object, _now: float) -> str:
    return ",".join(str(p.get("port")) for p in item.get("ports") or ()) or "<unset>"


def _slice_addresses(item: Object, _now: float) -> str:
    found = [a for e in item.get("endpoints") or () for a in e["addresses"]]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) + more) or "<unset>"


def _event_age(item: Object, now: float) -> str:
    return age(item.get("lastTimestamp") or item["metadata"].get("creationTimestamp"), now)


def _event_about(item: Object, _now: float) -> str:
    about = item.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _column(name: str, cell: Cell, *, wide: bool = False) -> Column:
    return Column(name=name, cell=cell, priority=int(wide))


def _count(name: str, field: str) -> Column:
    return Column(name=name, cell=_path("status", field, default=0), kind="integer")


_NAME = _column("Name", _path("metadata", "name"))
_AGE = _column("Age", _age)
_GENERIC = (_NAME, _AGE)

COLUMNS: Mapping[tuple[str, str], tuple[Column, ...]] = {
    ("", "pods"): (
        _NAME,
        _column("Ready", _pod_ready),
        _column("Status", _pod_status),
        _column("Restarts", _restarts),
        _AGE,
        _column("IP", _path("status", "podIP"), wide=True),
        _column("Node", _path("spec", "nodeName"), wide=True),
        _column("Nominated Node", _path("status", "nominatedNodeName"), wide=True),
        _column("Readiness Gates", lambda _item, _now: "<none>", wide=True),
    ),
    ("", "nodes"): (
        _NAME,
        _column("Status", _node_status),
        _column("Roles", _node_roles),
        _AGE,
        _column("Version", _path("status", "nodeInfo", "kubeletVersion")),
        _column("Internal-IP", _node_address("InternalIP"), wide=True),
        _column("External-IP", _node_address("ExternalIP"), wide=True),
        _column("OS-Image", _path("status", "nodeInfo", "osImage", default="<unknown>"), wide=True),
        _column(
            "Kernel-Version",
            _path("status", "nodeInfo", "kernelVersion", default="<unknown>"),
            wide=True,
        ),
        _column(
            "Container-Runtime",
            _path("status", "nodeInfo", "containerRuntimeVersion", default="<unknown>"),
            wide=True,
        ),
    ),
    ("", "namespaces"): (_NAME, _column("Status", _path("status", "phase")), _AGE),
    ("", "services"): (
        _NAME,
        _column("Type", _path("spec", "type")),
        _column("Cluster-IP", _path("spec", "clusterIP")),
        _column("External-IP", _path("spec", "externalName")),
        _column("Port(s)", _service_ports),
        _AGE,
        _column("Selector", _pairs("spec", "selector"), wide=True),
    ),
    ("", "configmaps"): (_NAME, _column("Data", _size("data")), _AGE),
    ("", "secrets"): (_NAME, _column("Type", _path("type")), _column("Data", _size("data")), _AGE),
    ("", "events"): (
        _column("Last Seen", _event_age),
        _column("Type", _path("type")),
        _column("Reason", _path("reason")),
        _column("Object", _event_about),
        _column("Message", _path("message")),
        _column("Name", _path("metadata", "name"), wide=True),
    ),
    ("apps", "deployments"): (
        _NAME,
        _column("Ready", _deployment_ready),
        _count("Up-to-date", "updatedReplicas"),
        _count("Available", "availableReplicas"),
        _AGE,
        _column("Selector", _pairs("spec", "selector", "matchLabels"), wide=True),
    ),
    ("apps", "replicasets"): (
        _NAME,
        Column(name="Desired", cell=_path("spec", "replicas", default=0), kind="integer"),
        _count("Current", "replicas"),
        _count("Ready", "readyReplicas"),
        _AGE,
    ),
    ("apps", "daemonsets"): (
        _NAME,
        _count("Desired", "desiredNumberScheduled"),
        _count("Current", "currentNumberScheduled"),
        _count("Ready", "numberReady"),
        _count("Up-to-date", "updatedNumberScheduled"),
        _count("Available", "numberAvailable"),
        _column("Node Selector", _pairs("spec", "template", "spec", "nodeSelector")),
        _AGE,
    ),
    ("apps", "statefulsets"): (_NAME, _column("Ready", _deployment_ready), _AGE),
    ("coordination.k8s.io", "leases"): (
        _NAME,
        _column("Holder", _path("spec", "holderIdentity")),
        _AGE,
    ),
    ("discovery.k8s.io", "endpointslices"): (
        _NAME,
        _column("AddressType", _path("addressType")),
        _column("Ports", _slice_ports),
        _column("Endpoints", _slice_addresses),
        _AGE,
    ),
}  # fmt: skip
