import asyncio
from itertools import count

from localcluster import controllers, kinds, ownership, selectors
from localcluster.kinds import Catalogue, Kind, Object
from localcluster.store import Store

CATALOGUE = Catalogue(kinds.BUILT_IN)


def fresh(*nodes: str) -> Store:
    ticks = count(1)
    store = Store(now=lambda: 0.0, entropy=lambda n: next(ticks).to_bytes(n, "big"))
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    for name in nodes:
        store.create(kinds.NODES, {"metadata": {"name": name, "labels": {"name": name}}})
    return store


def settle(store: Store) -> None:
    """Make passes until nothing changes any more."""
    for _ in range(50):
        before = store.revision
        controllers.step(store, CATALOGUE)
        if store.revision == before:
            return
    raise AssertionError("the controllers never come to rest")


def workload(kind: Kind, name: str = "web", *, image: str = "one", **spec: object) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": {"note": "x"}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": image,
                            "ports": [{"name": "http", "containerPort": 80}],
                        }
                    ]
                },
            },
            **spec,
        },
    }


def pods(store: Store) -> list[Object]:
    return [p for p in store.objects(kinds.PODS) if ownership.is_active(p)]


def play_kubelet(store: Store, *, ready: bool = True) -> None:
    """Run what is assigned, and let go of what is deleted."""
    for i, item in enumerate(store.objects(kinds.PODS)):
        name = item["metadata"]["name"]
        if item["metadata"].get("deletionTimestamp"):
            store.delete(kinds.PODS, "default", name, grace=0)
            continue
        status = {
            "phase": "Running", "podIP": f"127.10.1.{i + 2}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        }  # fmt: skip
        store.change(
            kinds.PODS, "default", name, lambda p, s=status: p | {"status": s}, subresource="status"
        )


def test_a_deployment_becomes_pods_on_all_nodes() -> None:
    store = fresh("a", "b")
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=4))
    settle(store)
    found = pods(store)
    assert sorted(p["spec"]["nodeName"] for p in found) == ["a", "a", "b", "b"]
    (replicas,) = store.objects(kinds.REPLICASETS)
    name = replicas["metadata"]["labels"]["pod-template-hash"]
    assert replicas["metadata"]["name"] == f"web-{name}"
    for item in found:
        assert item["metadata"]["name"].startswith(f"web-{name}-")
        assert item["metadata"]["labels"] == {"app": "web", "pod-template-hash": name}
        assert item["metadata"]["annotations"] == {"note": "x"}
        (owner,) = item["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("ReplicaSet", replicas["metadata"]["uid"])


def test_the_status_of_a_deployment_counts_its_pods() -> None:
    store = fresh("a")
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=2))
    settle(store)
    status = store.get(kinds.DEPLOYMENTS, "default", "web")["status"]
    assert (status["replicas"], status["readyReplicas"]) == (2, 0)
    assert [c["status"] for c in status["conditions"]] == ["False", "True"]
    play_kubelet(store)
    settle(store)
    status = store.get(kinds.DEPLOYMENTS, "default", "web")["status"]
    assert (status["availableReplicas"], status["unavailableReplicas"]) == (2, 0)
    assert [c["status"] for c in status["conditions"]] == ["True", "True"]


def test_a_pod_that_is_lost_is_replaced_and_one_too_many_is_ended() -> None:
    store = fresh("a")
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=2))
    settle(store)
    lost = pods(store)[0]["metadata"]["name"]
    store.delete(kinds.PODS, "default", lost, grace=0)
    settle(store)
    assert len(pods(store)) == 2
    assert lost not in [p["metadata"]["name"] for p in pods(store)]
    store.change(
        kinds.DEPLOYMENTS, "default", "web", lambda d: d | {"spec": {**d["spec"], "replicas": 1}}
    )
    settle(store)
    assert len(pods(store)) == 1


def test_a_rolling_update_ends_the_old_pods_once_the_new_are_ready() -> None:
    store = fresh("a")
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=2))
    settle(store)
    play_kubelet(store)
    store.update(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, image="two", replicas=2))
    settle(store)
    assert len(pods(store)) == 4
    play_kubelet(store)
    settle(store)
    assert [p["spec"]["containers"][0]["image"] for p in pods(store)] == ["two", "two"]


def test_recreating_ends_the_old_pods_first() -> None:
    store, recreate = fresh("a"), {"type": "Recreate"}
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, strategy=recreate))
    settle(store)
    play_kubelet(store)
    store.update(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, image="two", strategy=recreate))
    for _ in range(5):
        controllers.step(store, CATALOGUE)
        assert len(pods(store)) <= 1
    assert [p["spec"]["containers"][0]["image"] for p in pods(store)] == ["two"]


def test_old_replica_sets_are_kept_up_to_the_limit() -> None:
    store = fresh("a")
    limits = {"revisionHistoryLimit": 1}
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, **limits))
    for image in ("two", "three", "four"):
        settle(store)
        play_kubelet(store)
        store.update(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, image=image, **limits))
    settle(store)
    play_kubelet(store)
    settle(store)
    assert len(store.objects(kinds.REPLICASETS)) == 2


def test_a_daemon_set_has_one_pod_on_every_node_that_fits() -> None:
    store = fresh("a", "b", "c")
    store.create(kinds.DAEMONSETS, workload(kinds.DAEMONSETS))
    settle(store)
    assert sorted(p["spec"]["nodeName"] for p in pods(store)) == ["a", "b", "c"]
    chosen = workload(kinds.DAEMONSETS)
    chosen["spec"]["template"]["spec"]["nodeSelector"] = {"name": "b"}
    play_kubelet(store)
    store.update(kinds.DAEMONSETS, chosen)
    for _ in range(3):
        settle(store)
        play_kubelet(store)
    settle(store)
    (left,) = pods(store)
    assert (left["spec"]["nodeName"], left["spec"]["nodeSelector"]) == ("b", {"name": "b"})


def test_a_daemon_set_is_renewed_one_node_at_a_time() -> None:
    store = fresh("a", "b", "c")
    store.create(kinds.DAEMONSETS, workload(kinds.DAEMONSETS))
    settle(store)
    play_kubelet(store)
    store.update(kinds.DAEMONSETS, workload(kinds.DAEMONSETS, image="two"))
    for _ in range(8):
        settle(store)
        assert sum(map(ownership.is_ready, pods(store))) >= 2
        play_kubelet(store)
    assert [p["spec"]["containers"][0]["image"] for p in pods(store)] == ["two"] * 3
    settle(store)
    status = store.get(kinds.DAEMONSETS, "default", "web")["status"]
    assert (status["updatedNumberScheduled"], status["numberReady"]) == (3, 3)


def test_a_pod_that_fits_nowhere_says_so() -> None:
    store = fresh("a")
    spec = {"containers": [{"name": "c"}], "nodeSelector": {"disk": "fast"}}
    store.create(kinds.PODS, {"metadata": {"name": "p"}, "spec": spec})
    settle(store)
    status = store.get(kinds.PODS, "default", "p")["status"]
    assert (status["phase"], status["conditions"][0]["reason"]) == ("Pending", "Unschedulable")


def test_a_cordoned_node_gets_no_new_pods() -> None:
    store = fresh("a", "b")
    store.change(kinds.NODES, "", "a", lambda n: n | {"spec": {"unschedulable": True}})
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=3))
    settle(store)
    assert {p["spec"]["nodeName"] for p in pods(store)} == {"b"}


def test_a_service_has_a_slice_of_the_pods_behind_it() -> None:
    store = fresh("a")
    spec = {
        "selector": {"app": "web"},
        "ports": [{"name": "web", "port": 80, "targetPort": "http"}],
    }
    store.create(kinds.SERVICES, {"metadata": {"name": "web"}, "spec": spec})
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=2))
    settle(store)
    play_kubelet(store, ready=False)
    settle(store)
    (found,) = store.objects(kinds.ENDPOINTSLICES)
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert found["ports"] == [{"name": "web", "port": 80, "protocol": "TCP"}]
    assert [e["conditions"]["ready"] for e in found["endpoints"]] == [False, False]
    play_kubelet(store)
    settle(store)
    (found,) = store.objects(kinds.ENDPOINTSLICES)
    assert [e["addresses"] for e in found["endpoints"]] == [["127.10.1.2"], ["127.10.1.3"]]
    store.delete(kinds.PODS, "default", found["endpoints"][0]["targetRef"]["name"])
    settle(store)
    (found,) = store.objects(kinds.ENDPOINTSLICES)
    ending = found["endpoints"][0]["conditions"]
    assert ending == {"ready": False, "serving": True, "terminating": True}
    store.delete(kinds.SERVICES, "default", "web")
    settle(store)
    assert store.objects(kinds.ENDPOINTSLICES) == []


def test_what_is_owned_goes_with_its_owner() -> None:
    store = fresh("a")
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=2))
    settle(store)
    store.delete(kinds.DEPLOYMENTS, "default", "web")
    settle(store)
    play_kubelet(store)
    settle(store)
    assert store.objects(kinds.REPLICASETS) == []
    assert store.objects(kinds.PODS) == []


def test_a_namespace_goes_when_it_is_empty() -> None:
    store = fresh("a")
    store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS))
    settle(store)
    store.delete(kinds.NAMESPACES, "", "default")
    settle(store)
    assert store.get(kinds.NAMESPACES, "", "default")["status"]["phase"] == "Terminating"
    assert len(store.objects(kinds.PODS)) == 1, "the kubelet has not let go yet"
    play_kubelet(store)
    settle(store)
    assert store.find(kinds.NAMESPACES, "", "default") is None
    inside = selectors.select("default")
    assert not any(store.objects(kind, inside) for kind in CATALOGUE if kind.namespaced)


async def test_the_controllers_follow_the_store_and_then_stop() -> None:
    store = fresh("a")
    async with controllers.running(store, CATALOGUE):
        store.create(kinds.DEPLOYMENTS, workload(kinds.DEPLOYMENTS, replicas=3))
        await asyncio.sleep(1)
        assert len(pods(store)) == 3
    store.delete(kinds.PODS, "default", pods(store)[0]["metadata"]["name"], grace=0)
    await asyncio.sleep(60)
    assert len(pods(store)) == 2
