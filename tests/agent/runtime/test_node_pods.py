"""What is known of pods: bounds, volumes, and who is who for the kubelet."""

from dataclasses import replace

import msgspec
from hypothesis import given, strategies as st

from agent.runtime import node_pods
from agent.runtime.node_pods import UNKNOWN, Bounds, Facts, Known, Volume
from common.kube import objects, reflector

POD = {
    "metadata": {"name": "web-0", "namespace": "shop", "uid": "uid-web-0"},
    "spec": {
        "nodeName": "worker-1",
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "resources": {
                    "requests": {"cpu": "250m", "memory": "64Mi", "ephemeral-storage": "1Gi"},
                    "limits": {"cpu": "500m", "memory": "128Mi"},
                },
            },
            {
                "name": "helper",
                "resources": {"requests": {"cpu": 1, "memory": "1e6"}, "limits": {"cpu": "1"}},
            },
        ],
        "initContainers": [{"name": "proxy", "resources": {"limits": {"cpu": "2"}}}],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "orders", "readOnly": True}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "host", "hostPath": {"path": "/", "type": ""}},
            {"csi": {"driver": "x"}, "name": "inline"},
            {"name": "nothing"},
        ],
    },
    "status": {"podIP": "10.0.0.7", "phase": "Running"},
}


def shrunk(*pods: object) -> tuple[Facts, ...]:
    decoder = objects.decoder(node_pods.Pod, node_pods.facts)
    return decoder.page(msgspec.json.encode({"metadata": {}, "items": pods})).items


def test_a_pod_shrinks_to_what_metrics_need() -> None:
    (pod,) = shrunk(POD)
    assert (pod.uid, pod.namespace, pod.name, pod.ip) == ("uid-web-0", "shop", "web-0", "10.0.0.7")
    assert pod.containers["app"] == Bounds(0.25, 0.5, 64 << 20, 128 << 20)
    assert pod.containers["helper"] == Bounds(1, 1, 1e6, 0)
    assert pod.containers["proxy"] == Bounds(0, 2, 0, 0)
    assert pod.volumes == {
        "data": Volume("persistentVolumeClaim", "orders"),
        "scratch": Volume("emptyDir"),
        "host": Volume("hostPath"),
        "inline": Volume("csi"),
    }


def test_a_total_needs_every_container_and_no_init_container() -> None:
    (pod,) = shrunk(POD)
    assert pod.total == Bounds(1.25, 1.5, (64 << 20) + 1e6, 0)


def test_a_pod_that_says_nothing_has_no_bounds_and_no_volumes() -> None:
    (pod,) = shrunk({})
    assert pod == Facts(uid="", namespace="", name="")


def test_nonsense_counts_as_unsaid() -> None:
    wrong = {"requests": {"cpu": "much", "memory": -5}, "limits": {"cpu": "-1"}}
    spec = {
        "containers": [{"name": "app", "resources": wrong}],
        "volumes": [{"name": 5, "emptyDir": {}}, {"name": "v", "persistentVolumeClaim": "x"}],
    }
    (pod,) = shrunk({"spec": spec})
    assert pod.total == Bounds()
    assert pod.volumes == {"v": Volume("persistentVolumeClaim", "")}


TEXT = st.sampled_from(["", "app", "cpu", "memory", "250m", "1e999", "64Mi", "-3"])
AMOUNTS = st.none() | st.dictionaries(TEXT, TEXT | st.integers() | st.floats(0, 1e30))
CONTAINERS = st.none() | st.lists(
    st.fixed_dictionaries(
        {"name": TEXT},
        optional={"resources": st.fixed_dictionaries({"requests": AMOUNTS, "limits": AMOUNTS})},
    ),
    max_size=3,
)
VOLUMES = st.lists(st.dictionaries(TEXT | st.just("persistentVolumeClaim"), TEXT | st.none()))


@given(CONTAINERS, CONTAINERS, VOLUMES)
def test_whatever_a_pod_asks_for_its_bounds_are_never_negative(
    containers: object, first: object, volumes: object
) -> None:
    spec = {"containers": containers, "initContainers": first, "volumes": volumes}
    (pod,) = shrunk({"spec": spec})
    assert all(value >= 0 for bounds in (pod.total, *pod.containers.values()) for value in bounds)


def test_a_static_pod_is_known_by_the_hash_that_its_kubelet_uses() -> None:
    annotations = {"kubernetes.io/config.hash": "4711"}
    mirrored = {"metadata": {"name": "etcd", "uid": "uid-1", "annotations": annotations}}
    again = {"metadata": {"name": "etcd", "uid": "uid-2", "annotations": annotations}}
    old, new = shrunk(mirrored, again)
    known = Known([old])
    assert known.get("4711") is known.get("uid-1") is old
    known.put(new)
    known.remove(old)
    assert known.get("4711") is known.get("uid-2") is new
    assert known.get("uid-1") is node_pods.UNKNOWN
    known.remove(new)
    assert known.get("4711") is node_pods.UNKNOWN


def test_a_complete_list_replaces_what_was_known() -> None:
    first, second = (Facts(uid=uid, namespace="n", name=uid, hash="") for uid in "ab")
    known = Known([first])
    known.replace([second])
    assert (known.get("a"), known.get("b"), len(known)) == (node_pods.UNKNOWN, second, 1)


def test_what_is_known_follows_changes() -> None:
    known, first = Known(), Facts(uid="u", namespace="n", name="p")
    known.changed(reflector.Added(first))
    known.changed(reflector.Modified(replace(first, ip="10.0.0.1")))
    assert known.get("u").ip == "10.0.0.1"
    known.changed(reflector.Replaced((Facts(uid="w", namespace="n", name="q"),)))
    assert known.get("u") is UNKNOWN
    known.changed(reflector.Deleted(Facts(uid="w", namespace="n", name="q")))
    assert len(known) == 0
