"""The objects that a fresh cluster has: its nodes and its first namespaces."""

from __future__ import annotations

from dataclasses import dataclass

from localcluster import discovery, kinds
from localcluster.kinds import Object
from localcluster.store import Store
from localcluster.subnet import Subnet

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the nodes say of the machine they are on."""

    architecture: str  # as Go names it: amd64, arm64
    system: str
    kernel: str
    cores: int
    memory: int  # bytes; 0 if it is not known


def furnish(store: Store) -> None:
    """Create the first namespaces; the uid of kube-system stands for the cluster's."""
    for name in NAMESPACES:
        store.create(kinds.NAMESPACES, {"metadata": {"name": name}})


def node(name: str, number: int, subnet: Subnet, machine: Machine, now: str) -> Object:
    """Return the Node *name*, the *number*-th from 0: each is in a zone of its own."""
    zone = f"local-{'abcdefghijklmnopqrstuvwxyz'[number % 26]}"
    capacity = {"pods": str(subnet.capacity), "cpu": str(machine.cores)}
    if machine.memory:
        capacity["memory"] = f"{machine.memory >> 10}Ki"
    condition = {
        "type": "Ready", "status": "True", "reason": "KubeletReady",
        "message": "the kubelet is ready", "lastHeartbeatTime": now, "lastTransitionTime": now,
    }  # fmt: skip
    return {
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": machine.system,
                "kubernetes.io/arch": machine.architecture,
                "node.kubernetes.io/instance-type": "process",
                "topology.kubernetes.io/region": "local",
                "topology.kubernetes.io/zone": zone,
            },
        },
        "spec": {
            "podCIDR": f"{subnet.prefix}.0/24",
            "podCIDRs": [f"{subnet.prefix}.0/24"],
            "providerID": f"localcluster://local/{name}",
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [condition],
            "addresses": [
                {"type": "InternalIP", "address": subnet.host},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "architecture": machine.architecture, "operatingSystem": machine.system,
                "kernelVersion": machine.kernel, "osImage": machine.system,
                "containerRuntimeVersion": "process://1",
                "kubeletVersion": discovery.VERSION["gitVersion"],
            },
        },
    }  # fmt: skip
