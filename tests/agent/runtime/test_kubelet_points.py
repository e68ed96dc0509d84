"""From summaries to points: which, of whom, and what is left out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.runtime import kubelet_points, node_pods, summary, writing
from agent.runtime.kubelet_points import Capacity, Choice
from agent.runtime.node_pods import Bounds, Facts, Known, Volume
from agent.runtime.writing import Subject
from common.config import agent_inputs, outputs, runtime_metrics, shared
from tests.fakes import kubelet
from tests.fakes.kubelet import MEBIBYTE

NOW = 1_795_514_400_000_000_000  # 2026-11-24T10:00:00Z
HOUR = 3600 * 10**9
EVERYTHING = Choice(metrics=runtime_metrics.OF_KUBELET)
BOUNDS = Bounds(1, 2, 160 * MEBIBYTE, 320 * MEBIBYTE)
WEB = Facts(
    uid="uid-web-0",
    namespace="shop",
    name="web-0",
    ip="10.0.0.7",
    total=BOUNDS,
    containers={"app": Bounds(0.5, 1, 128 * MEBIBYTE, 256 * MEBIBYTE)},
    volumes={
        "data": Volume("persistentVolumeClaim", "orders"),
        "scratch": Volume("emptyDir"),
        "kube-api-access-x": Volume("configMap"),
    },
)
NODE = {"k8s.node.name": "worker-1", "kyma.input.name": "runtime"}
POD = {
    "k8s.pod.uid": "uid-web-0",
    "k8s.pod.name": "web-0",
    "k8s.pod.ip": "10.0.0.7",
    "k8s.namespace.name": "shop",
    **NODE,
}


def told(
    *pods: dict[str, Any],
    known: tuple[Facts, ...] = (WEB,),
    chosen: Choice = EVERYTHING,
    capacity: Capacity = Capacity(4, 8192 * MEBIBYTE),  # noqa: B008 - immutable
    **node: Any,
) -> list[Subject]:
    body = msgspec.json.encode(kubelet.summary(*(pods or (kubelet.pod("web-0"),)), **node))
    return kubelet_points.subjects(
        summary.decode(body), Known(known), chosen, capacity, node="asked", now=NOW
    )


def of(found: list[Subject], **attributes: str) -> dict[str, Any]:
    """Return one resource's values by name, and by attributes where there are any."""
    wanted = {key.replace("__", "."): value for key, value in attributes.items()}
    (points,) = [points for resource, points in found if dict(resource) == wanted]
    return {
        " ".join((point.metric.name, *(value for _, value in point.attributes))): point.value
        for point in points
    }


def as_pod(**attributes: str) -> dict[str, str]:
    return {key.replace(".", "__"): value for key, value in (POD | attributes).items()}


def named(found: list[Subject]) -> set[str]:
    return {point.metric.name for _, points in found for point in points}


def test_a_full_summary_brings_every_metric_of_the_kubelet() -> None:
    assert named(told()) == runtime_metrics.OF_KUBELET


def test_a_node_is_told_about_with_its_physical_interfaces_only() -> None:
    found = of(told(), **{key.replace(".", "__"): value for key, value in NODE.items()})
    assert found == {
        "k8s.node.uptime": 381_600,
        "k8s.node.cpu.usage": 1.5,
        "k8s.node.cpu.time": 100_000.0,
        "k8s.node.memory.available": 4096 * MEBIBYTE + 4096,
        "k8s.node.memory.usage": 4096 * MEBIBYTE,
        "k8s.node.memory.rss": 2048 * MEBIBYTE,
        "k8s.node.memory.working_set": 4096 * MEBIBYTE - 4096,
        "k8s.node.memory.page_faults": 1000,
        "k8s.node.memory.major_page_faults": 3,
        "k8s.node.filesystem.available": 99_950_000_000,
        "k8s.node.filesystem.capacity": 100_000_000_000,
        "k8s.node.filesystem.usage": 50_000_000,
        "k8s.node.network.io eth0 receive": 100,
        "k8s.node.network.io eth0 transmit": 200,
        "k8s.node.network.errors eth0 receive": 1,
        "k8s.node.network.errors eth0 transmit": 2,
        "k8s.node.network.io ens5 receive": 30,
        "k8s.node.network.io ens5 transmit": 40,
        "k8s.node.network.errors ens5 receive": 1,
        "k8s.node.network.errors ens5 transmit": 2,
    }


def test_remote_write_tells_all_series_of_two_nodes_apart_by_default() -> None:
    pods = kubelet.pod("web-0"), kubelet.pod("web-1"), kubelet.pod("web-0", namespace="bank")
    series = [
        (
            point.metric.name,
            point.attributes,
            tuple((key, text) for key, text in resource.items() if key in outputs.IDENTITY),
        )
        for node in ("n1", "n2")
        for resource, points in told(*pods, known=(), nodeName=node)
        for point in points
    ]
    assert len(set(series)) == len(series) > 100


def test_system_containers_are_resources_of_their_own() -> None:
    whose = {**NODE, "k8s.node.system_container.name": "kubelet"}
    found = of(told(), **{key.replace(".", "__"): value for key, value in whose.items()})
    assert found == {
        "k8s.node.system_container.cpu.usage": 0.125,
        "k8s.node.system_container.cpu.time": 1000.0,
        "k8s.node.system_container.memory.usage": 32 * MEBIBYTE,
        "k8s.node.system_container.memory.working_set": 32 * MEBIBYTE - 4096,
    }


def test_a_pod_is_told_about_with_its_default_interface() -> None:
    assert of(told(), **as_pod()) == {
        "k8s.pod.uptime": 3600,
        "k8s.pod.cpu.usage": 0.5,
        "k8s.pod.cpu.time": 25.0,
        "k8s.pod.memory.available": 48 * MEBIBYTE + 4096,
        "k8s.pod.memory.usage": 80 * MEBIBYTE,
        "k8s.pod.memory.rss": 40 * MEBIBYTE,
        "k8s.pod.memory.working_set": 80 * MEBIBYTE - 4096,
        "k8s.pod.memory.page_faults": 1000,
        "k8s.pod.memory.major_page_faults": 3,
        "k8s.pod.cpu.node.utilization": 0.125,
        "k8s.pod.cpu_limit_utilization": 0.25,
        "k8s.pod.cpu_request_utilization": 0.5,
        "k8s.pod.memory.node.utilization": 80 / 8192,
        "k8s.pod.memory_limit_utilization": 0.25,
        "k8s.pod.memory_request_utilization": 0.5,
        "k8s.pod.filesystem.available": 99_999_987_712,
        "k8s.pod.filesystem.capacity": 100_000_000_000,
        "k8s.pod.filesystem.usage": 12_288,
        "k8s.pod.network.io eth0 receive": 7,
        "k8s.pod.network.io eth0 transmit": 8,
        "k8s.pod.network.errors eth0 receive": 1,
        "k8s.pod.network.errors eth0 transmit": 2,
    }


def test_a_container_is_told_about() -> None:
    assert of(told(), **as_pod(k8s__container__name="app")) == {
        "container.uptime": 3590,
        "container.cpu.usage": 0.25,
        "container.cpu.time": 12.5,
        "container.memory.available": 64 * MEBIBYTE + 4096,
        "container.memory.usage": 64 * MEBIBYTE,
        "container.memory.rss": 32 * MEBIBYTE,
        "container.memory.working_set": 64 * MEBIBYTE - 4096,
        "container.memory.page_faults": 1000,
        "container.memory.major_page_faults": 3,
        "k8s.container.cpu.node.utilization": 0.0625,
        "k8s.container.cpu_limit_utilization": 0.25,
        "k8s.container.cpu_request_utilization": 0.5,
        "k8s.container.memory.node.utilization": 64 / 8192,
        "k8s.container.memory_limit_utilization": 0.25,
        "k8s.container.memory_request_utilization": 0.5,
        "container.filesystem.available": 99_999_995_904,
        "container.filesystem.capacity": 100_000_000_000,
        "container.filesystem.usage": 4096,
        "k8s.container.ephemeral_storage.usage rootfs": 4096,
        "k8s.container.ephemeral_storage.usage logs": 8192,
    }


def test_a_volume_is_told_about_with_its_type_and_claim() -> None:
    whose = as_pod(
        k8s__volume__name="data",
        k8s__volume__type="persistentVolumeClaim",
        k8s__persistentvolumeclaim__name="orders",
    )
    assert of(told(), **whose) == {
        "k8s.volume.available": 4000,
        "k8s.volume.capacity": 5000,
        "k8s.volume.inodes": 1000,
        "k8s.volume.inodes.free": 900,
        "k8s.volume.inodes.used": 100,
        "k8s.pod.volume.usage": 1000,
    }


@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        ("configMap", False),
        ("downwardAPI", False),
        ("emptyDir", False),
        ("secret", False),
        ("hostPath", True),
        ("csi", True),
        ("ephemeral", True),
        ("nfs", True),
    ],
)
def test_volumes_of_the_node_itself_are_left_out(kind: str, passes: bool) -> None:  # noqa: FBT001
    known = Facts(uid="uid-web-0", namespace="shop", name="web-0", volumes={"v": Volume(kind)})
    found = told(kubelet.pod("web-0", volume=[kubelet.volume("v")]), known=(known,))
    types = {attributes.get("k8s.volume.type") for attributes, _ in found} - {None}
    assert types == ({kind} if passes else set())


def test_of_a_pod_that_is_not_known_yet_only_claims_are_told() -> None:
    found = told(known=())
    volumes = [dict(resource) for resource, _ in found if "k8s.volume.name" in resource]
    assert [
        (volume["k8s.volume.name"], volume["k8s.persistentvolumeclaim.name"]) for volume in volumes
    ] == [("data", "orders")]
    names = named(found)
    assert not {
        name for name in names if name.endswith(("limit_utilization", "request_utilization"))
    }
    assert "k8s.pod.cpu.node.utilization" in names


def test_a_static_pod_has_the_uid_that_the_api_server_gave_it() -> None:
    mirror = Facts(uid="uid-of-mirror", namespace="shop", name="web-0", hash="uid-web-0")
    found = told(known=(mirror,))
    uids = {resource["k8s.pod.uid"] for resource, _ in found if "k8s.pod.uid" in resource}
    assert uids == {"uid-of-mirror"}


def test_without_a_capacity_there_are_no_shares_of_it() -> None:
    assert not named(told(capacity=Capacity())) & kubelet_points.NODE_SHARES


def test_sums_begin_with_what_they_are_of_and_gauges_have_no_beginning() -> None:
    starts = {
        (point.metric.name, point.metric.kind): point.started
        for _, points in told()
        for point in points
        if not point.metric.name.startswith("k8s.node.system")
    }
    assert starts["k8s.pod.cpu.time", "sum"] == NOW - HOUR
    assert starts["container.cpu.time", "sum"] == NOW - HOUR + 10 * 10**9
    assert starts["k8s.node.network.io", "sum"] == 1_795_132_800_000_000_000
    assert starts["k8s.container.ephemeral_storage.usage", "updown"] == NOW - HOUR + 10 * 10**9
    assert starts["k8s.pod.volume.usage", "updown"] == 0
    assert {at for (_, kind), at in starts.items() if kind == "gauge"} == {0}


def test_what_the_kubelet_does_not_say_gives_no_point() -> None:
    bare = {"podRef": {"name": "web-0", "namespace": "shop", "uid": "uid-web-0"}}
    body = msgspec.json.encode({"node": {"nodeName": "worker-1"}, "pods": [bare]})
    found = kubelet_points.subjects(
        summary.decode(body), Known([WEB]), EVERYTHING, Capacity(1, 1), node="n", now=NOW
    )
    assert found == []


def test_a_pod_in_the_network_of_its_node_has_no_network_metrics() -> None:
    found = of(told(kubelet.pod("web-0", network=None)), **as_pod())
    assert found
    assert not [name for name in found if "network" in name]


@pytest.mark.parametrize("wrong", [-1, 2**64 - 1, 2**63, -0.5, 1e300])
def test_what_cannot_be_true_gives_no_point(wrong: float) -> None:
    cpu = {"usageNanoCores": wrong, "usageCoreNanoSeconds": wrong}
    memory = {"usageBytes": wrong, "rssBytes": 5}
    found = of(told(kubelet.pod("web-0", cpu=cpu, memory=memory)), **as_pod())
    assert [name for name in found if "cpu" in name] == []
    assert {name: value for name, value in found.items() if "memory" in name} == {
        "k8s.pod.memory.rss": 5
    }


def test_namespaces_choose_pods_and_never_the_node() -> None:
    pods = kubelet.pod("web-0"), kubelet.pod("dns", "kube-system")

    def namespaces(chosen: Choice) -> set[str | None]:
        return {resource.get("k8s.namespace.name") for resource, _ in told(*pods, chosen=chosen)}

    metrics = runtime_metrics.OF_KUBELET
    assert namespaces(Choice(metrics=metrics)) == {None, "shop", "kube-system"}
    only = Choice(metrics=metrics, namespaces=shared.Namespaces(include=("shop",)))
    assert namespaces(only) == {None, "shop"}
    without = Choice(metrics=metrics, namespaces=shared.Namespaces(exclude=("kube-system",)))
    assert namespaces(without) == {None, "shop"}


OFF = dict.fromkeys(runtime_metrics.DEFAULT, False)


@pytest.mark.parametrize("resource", ["pod", "container", "node", "volume"])
def test_a_resource_brings_its_own_metrics_and_no_other(resource: str) -> None:
    only = agent_inputs.RuntimeResources(**(OFF | {resource: True}))
    chosen = kubelet_points.choice(agent_inputs.RuntimeInput(enabled=True, resources=only))
    wanted = runtime_metrics.DEFAULT[resource] & runtime_metrics.OF_KUBELET  # type: ignore[index]
    assert named(told(chosen=chosen)) == wanted


def test_by_default_there_is_what_the_resources_bring_and_nothing_additional() -> None:
    chosen = kubelet_points.choice(agent_inputs.RuntimeInput(enabled=True))
    assert named(told(chosen=chosen)) == runtime_metrics.OF_KUBELET - runtime_metrics.ADDITIONAL


@pytest.mark.parametrize("name", sorted(runtime_metrics.OF_KUBELET))
def test_a_metric_asked_for_by_name_comes_even_if_its_resource_is_off(name: str) -> None:
    given = agent_inputs.RuntimeInput(
        enabled=True,
        resources=agent_inputs.RuntimeResources(**OFF),
        additional_metrics=(name,),
    )
    assert named(told(chosen=kubelet_points.choice(given))) == {name}


def test_the_choice_is_that_of_the_document() -> None:
    namespaces = shared.Namespaces(exclude=("kube-system",))
    given = agent_inputs.RuntimeInput(
        enabled=True, namespaces=namespaces, additional_metrics=("k8s.node.condition",)
    )
    chosen = kubelet_points.choice(given)
    assert chosen.namespaces == namespaces
    assert "k8s.node.condition" not in chosen.metrics  # the API server tells it
    assert kubelet_points.choice(agent_inputs.RuntimeInput()).metrics == frozenset()


@pytest.mark.parametrize(
    ("metrics", "needed"),
    [
        ({"k8s.volume.capacity"}, True),
        ({"k8s.pod.volume.usage"}, True),
        ({"k8s.container.cpu_limit_utilization"}, True),
        ({"k8s.pod.memory_request_utilization"}, True),
        ({"k8s.pod.cpu.node.utilization", "k8s.pod.cpu.time", "container.uptime"}, False),
    ],
)
def test_pods_are_followed_only_where_they_are_needed(metrics: set[str], needed: bool) -> None:  # noqa: FBT001
    assert kubelet_points.needs_pods(Choice(metrics=frozenset(metrics))) is needed


# Hypothesis: any summary that can be decoded, with anything missing, at any time.

NUMBERS = (
    st.none() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
)
TIMES = st.none() | st.text(max_size=5) | st.datetimes().map(lambda d: d.isoformat() + "Z")
NAMES = st.sampled_from(["", "app", "data", "eth0", "uid-web-0", "shop", "\n\0é"])


def section(*keys: str, **others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    optional = dict.fromkeys(keys, NUMBERS) | others
    return st.none() | st.fixed_dictionaries({}, optional=optional)


CPU = section("usageNanoCores", "usageCoreNanoSeconds")
MEMORY = section("usageBytes", "availableBytes", "rssBytes", "pageFaults")
FILES = ("availableBytes", "capacityBytes", "usedBytes", "inodes")
TRAFFIC = ("rxBytes", "rxErrors", "txBytes", "txErrors")


def several(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(items.filter(lambda item: item is not None), max_size=2)


CONTAINERS = several(
    section(name=NAMES, startTime=TIMES, cpu=CPU, memory=MEMORY, rootfs=section(*FILES))
)
NETWORK = section(*TRAFFIC, name=NAMES, interfaces=several(section(*TRAFFIC, name=NAMES)))
REFERENCE = st.fixed_dictionaries({}, optional={"name": NAMES, "uid": NAMES, "namespace": NAMES})
PODS = several(
    st.fixed_dictionaries(
        {"podRef": REFERENCE},
        optional={
            "startTime": TIMES,
            "cpu": CPU,
            "memory": MEMORY,
            "network": NETWORK,
            "containers": CONTAINERS,
            "volume": several(section(*FILES, name=NAMES, pvcRef=section(name=NAMES))),
            "ephemeral-storage": section(*FILES),
        },
    )
)
NODES = st.fixed_dictionaries(
    {},
    optional={
        "nodeName": NAMES,
        "startTime": TIMES,
        "cpu": CPU,
        "memory": MEMORY,
        "network": NETWORK,
        "fs": section(*FILES),
        "systemContainers": CONTAINERS,
    },
)
AMOUNTS = st.floats(0, 1e19) | st.just(5e-324)


@given(NODES, PODS, st.builds(Capacity, AMOUNTS, AMOUNTS), st.integers(0, 2**62))
def test_no_summary_raises_or_makes_a_negative_counter(
    node: object, pods: object, capacity: Capacity, now: int
) -> None:
    read = summary.decode(msgspec.json.encode({"node": node, "pods": pods}))
    found = kubelet_points.subjects(read, Known([WEB]), EVERYTHING, capacity, node="n", now=now)
    for _, points in found:
        assert points
        for point in points:
            assert 0 <= point.value < 2**63
            assert 0 <= point.started <= now
    body, total = writing.request(found, scope=("s", "1"), time_ns=now)
    assert total == sum(len(points) for _, points in found)
    assert bool(body) == bool(total)


def test_unknown_pods_are_told_by_the_name_that_the_kubelet_gives() -> None:
    (resource, *_) = [r for r, _ in told(known=()) if "k8s.pod.uid" in r]
    assert resource["k8s.pod.uid"] == "uid-web-0"
    assert resource["k8s.pod.ip"] == node_pods.UNKNOWN.ip == ""
