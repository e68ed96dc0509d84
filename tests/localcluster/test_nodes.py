from dataclasses import replace
from itertools import count

from localcluster import kinds, nodes
from localcluster.nodes import Machine
from localcluster.store import Store
from localcluster.subnet import Subnet

MACHINE = Machine(architecture="arm64", system="linux", kernel="6.1", cores=4, memory=8 << 30)


def test_a_node_says_where_it_is_and_what_it_is() -> None:
    node = nodes.node("node-b", 1, Subnet("127.10.2"), MACHINE, "now")
    labels = node["metadata"]["labels"]
    assert labels["topology.kubernetes.io/region"] == "local"
    assert labels["topology.kubernetes.io/zone"] == "local-b"
    assert labels["kubernetes.io/arch"] == "arm64"
    assert node["spec"]["podCIDR"] == "127.10.2.0/24"
    assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "127.10.2.1"}
    capacity = {"pods": node["status"]["capacity"]["pods"], "cpu": "4", "memory": "8388608Ki"}
    assert node["status"]["capacity"] == node["status"]["allocatable"] == capacity


def test_a_node_does_not_say_what_it_does_not_know() -> None:
    machine = replace(MACHINE, memory=0)
    node = nodes.node("node-b", 1, Subnet("127.10.2"), machine, "now")
    assert "memory" not in node["status"]["capacity"]


def test_a_fresh_cluster_has_the_namespaces_that_all_have() -> None:
    ticks = count(1)
    store = Store(now=lambda: 0.0, entropy=lambda n: next(ticks).to_bytes(n, "big"))
    nodes.furnish(store)
    assert [n["metadata"]["name"] for n in store.objects(kinds.NAMESPACES)] == list(
        nodes.NAMESPACES
    )
    assert store.get(kinds.NAMESPACES, "", "kube-system")["metadata"]["uid"]
