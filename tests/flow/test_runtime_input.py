"""The runtime input, whole: two nodes, the cluster's state, and what each pipeline asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench import processes
from common.config import runtime_metrics
from common.wire import compression, remote_write
from localcluster import api, cluster, kinds, kubelet as node_kubelet
from localcluster.cluster import Cluster
from localcluster.kinds import Object
from tests.fakes import backends, certificates, kubelet
from tests.flow import collected, programs
from tests.flow.collected import Arrived

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

NODES = ("node-a", "node-b")
TOKEN = kubelet.TOKEN  # of the agents' service account, for kubelets and the API server alike
INTERVAL = collected.INTERVAL
LEASE = {"duration": 2.0, "renew_deadline": 1.2, "retry_period": 0.2}
"""A takeover within some 3 s, where the defaults take up to 20."""
DEFAULT = runtime_metrics.DEFAULT
MACHINES = ("pod", "container", "node", "volume")
WORKLOADS = ("deployment", "statefulset", "daemonset", "job")
MEASURED = runtime_metrics.OF_KUBELET
UTILISATION = sorted(n for n in runtime_metrics.ADDITIONAL if n.endswith("utilization"))
SYSTEM = {"kube-system", "headgate-system"}


def names(*resources: str) -> set[str]:
    return set().union(*[DEFAULT[resource] for resource in resources])


def only(*resources: str) -> dict[str, bool]:
    return {resource: resource in resources for resource in DEFAULT}


WANTED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "machines": ({"resources": only(*MACHINES)}, names(*MACHINES)),
    "workloads": ({"resources": only(*WORKLOADS)}, names(*WORKLOADS)),
    "defaults": ({"namespaces": {"exclude": sorted(SYSTEM)}}, names(*DEFAULT)),
    "shares": ({"resources": only(), "additional_metrics": UTILISATION}, set(UTILISATION)),
    "included": ({"namespaces": {"include": ["shop"]}}, names(*DEFAULT)),
    "excluded": (
        {"namespaces": {"exclude": ["shop"]}},
        names(*MACHINES) - DEFAULT["volume"],
    ),
}
"""By pipeline: what it asks of the runtime input, and the names that it gets."""
CONSTANTS = {"k8s.cluster.name", "k8s.cluster.uid", "cloud.provider"}
POD = CONSTANTS | {
    "k8s.namespace.name", "k8s.node.name", "k8s.pod.name", "k8s.pod.uid", "k8s.pod.ip",
    "k8s.pod.start_time", "service.name", "service.namespace",
}  # fmt: skip
"""Of whatever is of a pod, be it one with one container, apart from the name of its workload."""
CONTAINER = {*POD, "k8s.container.name"}
IMAGE = {"container.id", "container.image.name", "container.image.tag"}
VOLUME = {"k8s.volume.name", "k8s.volume.type", "k8s.persistentvolumeclaim.name"}
OWNED = [{f"k8s.{kind}.name"} for kind in WORKLOADS]
KEYS: dict[str, set[frozenset[str]]] = {
    "k8s.node.": {frozenset(CONSTANTS | {"k8s.node.name"})},
    "k8s.pod.": {frozenset(POD | owner) for owner in OWNED},
    "container.": {frozenset(CONTAINER | owner) for owner in OWNED},
    "k8s.container.": {frozenset(CONTAINER | owner | IMAGE) for owner in OWNED},
    "k8s.volume.": {frozenset(POD | VOLUME | {"k8s.statefulset.name"})},
    **{
        f"k8s.{kind}.": {
            frozenset(CONSTANTS | {"k8s.namespace.name", f"k8s.{kind}.name", f"k8s.{kind}.uid"})
        }
        for kind in WORKLOADS
    },
}
"""By the beginning of metrics' names: the keys of their resources' attributes."""


def sleeping(**resources: Any) -> Object:
    container = {"name": "app", "image": "app:1.0.0", "command": ["sleep", "600"], **resources}
    return {"containers": [container], "terminationGracePeriodSeconds": 0}


BOUNDS = {
    "requests": {"cpu": "100m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}
VOLUMES = [
    {"name": "data", "persistentVolumeClaim": {"claimName": "orders"}},
    {"name": "scratch", "emptyDir": {}},
    {"name": "settings", "configMap": {"name": "settings"}},
]


def workload(kind: str, name: str, spec: Object, **more: Any) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            **({} if kind == "Job" else {"selector": {"matchLabels": labels}}),
            "template": {"metadata": {"labels": labels}, "spec": spec},
            **more,
        },
    }


def owned(owner: Object, name: str, node: str, **more: Any) -> Object:
    """Return a pod as the controller of *owner* would make it: nobody plays that one here."""
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {
        key: owner["metadata"][key] for key in ("name", "uid")
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [reference | {"controller": True}],
        },
        "spec": {"nodeName": node, **sleeping(resources=BOUNDS), **more},
    }


async def furnish(home: Cluster) -> None:
    """Make one workload of each kind, and a pod of the system's own."""
    for namespace in ("shop", "headgate-system"):
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        home.create(made)
    home.create(workload("Deployment", "web", sleeping(resources=BOUNDS), replicas=2))
    home.create(workload("DaemonSet", "probe", sleeping(resources=BOUNDS)))
    status = {"replicas": 1, "readyReplicas": 1, "currentReplicas": 1, "updatedReplicas": 1}
    db = home.store.create(
        kinds.STATEFULSETS,
        workload("StatefulSet", "db", sleeping(), replicas=1) | {"status": status},
        with_status=True,
    )
    spec = sleeping() | {"restartPolicy": "Never"}
    migrate = home.store.create(
        kinds.JOBS, workload("Job", "migrate", spec) | {"status": {"active": 1}}, with_status=True
    )
    home.create(owned(db, "db-0", "node-a", volumes=VOLUMES))
    home.create(owned(migrate, "migrate-x", "node-b", restartPolicy="Never"))
    dns = {"name": "dns", "namespace": "kube-system", "labels": {"app": "dns"}}
    spec = {"nodeName": "node-a", **sleeping(resources=BOUNDS)}
    home.create({"apiVersion": "v1", "kind": "Pod", "metadata": dns, "spec": spec})
    await home.wait_until(lambda: len(home.pods()) == 7, timeout=20, what="all pods are made")
    await home.wait_for_pods(timeout=20)


def told(home: Cluster, node: str) -> Object:
    """Return what the kubelet of *node* says: everything, of every pod."""
    found = []
    for pod in home.pods():
        if pod["spec"]["nodeName"] != node:
            continue
        metadata = pod["metadata"]
        volumes = [
            kubelet.volume(v["name"], v.get("persistentVolumeClaim", {}).get("claimName", ""))
            for v in pod["spec"].get("volumes", ())
        ]
        reference = {key: metadata[key] for key in ("name", "namespace", "uid")}
        found.append(kubelet.pod(metadata["name"], podRef=reference, volume=volumes))
    return kubelet.summary(*found, nodeName=node)


@asynccontextmanager
async def serving(
    folder: Path,
    chosen: Mapping[str, Mapping[str, Any]],
    runtime: Mapping[str, Any],
    *,
    own_kubelets: bool = False,
    further: Sequence[Mapping[str, Any]] = (),
) -> AsyncIterator[tuple[Cluster, dict[str, programs.Mortal], dict[str, backends.Backend]]]:
    """Run the cluster, a gateway with the pipelines *chosen*, and an agent for each node.

    Kubelets are fakes that tell all that there is, or the cluster's *own*. *further* pipelines are
    taken as they are.
    """
    (port,) = processes.free_ports(1)
    settings = cluster.Settings(
        nodes=NODES,
        api=api.Settings(token=TOKEN),
        kubelet=node_kubelet.Settings(stats_port=port if own_kubelets else 0, stats_token=TOKEN),
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        home = await enter(cluster.running(directory=folder / "cluster", settings=settings))
        await furnish(home)
        places = {name: await enter(backends.otlp_grpc()) for name in chosen}
        around = collected.Around(folder, home)
        asked = {name: {"runtime": {"enabled": True, **one}} for name, one in chosen.items()}
        documented = around.gateway(places, asked)
        documented["pipelines"] += further
        gateway = await enter(programs.gateway(folder, documented))
        agents = {}
        for node in NODES:
            own = folder / node
            own.mkdir()
            if own_kubelets:
                host = home.store.get(kinds.NODES, "", node)["status"]["addresses"][0]["address"]
                asking: dict[str, Any] = {"endpoint": f"http://{host}:{port}"}
            else:
                files = certificates.write(own, node)
                fake = await enter(kubelet.serving(files, told(home, node)))
                tls = {"ca_file": str(files.authority), "server_name": node}
                asking = {"endpoint": fake.url, "tls": tls}
            asked = {
                "enabled": True,
                "lease": LEASE,
                "kubelet": asking,
                **runtime,
            }
            inputs = {"prometheus": collected.OFF, "runtime": asked}
            document = around.agent(node, gateway.grpc, inputs)
            agents[node] = await enter(programs.mortal_agent(own, document))
        yield home, agents, places


async def leaders(agents: Mapping[str, programs.Mortal]) -> list[str]:
    """Return the nodes whose agents say that they lead, of those that live."""
    found = []
    for node, agent in agents.items():
        if agent.child.returncode is None:
            ready: Any = await processes.get(f"{agent.pages}/readyz")
            found += [node] if ready["checks"]["cluster"].startswith("leads") else []
    return found


def complete(arrived: Arrived, wanted: set[str]) -> bool:
    """Say whether every metric came, of both nodes and more than once."""
    on = {point.about.get("k8s.node.name", "") for point in arrived.points}
    often = all(len(arrived.times(name)) > 1 for name in wanted)
    return arrived.names >= wanted and often and (on >= set(NODES) or not wanted & MEASURED)


async def test_each_pipeline_gets_exactly_the_metrics_that_it_asked_for(tmp_path: Path) -> None:
    chosen = {name: asked for name, (asked, _) in WANTED.items()}
    runtime = {"additional_metrics": UTILISATION}
    async with serving(tmp_path, chosen, runtime) as (home, agents, places):

        async def all_came() -> bool:
            return all(complete(Arrived(places[name]), want) for name, (_, want) in WANTED.items())

        await programs.until(all_came, "every metric came", within=20)
        assert len(await leaders(agents)) == 1
        pods = {pod["metadata"]["name"]: pod for pod in home.pods()}
    found = {name: Arrived(place) for name, place in places.items()}
    for name, (_, wanted) in WANTED.items():
        assert found[name].names == wanted, name
        assert found[name].scopes == {f"{collected.SCOPE}runtime"}, name
        assert {p.version for p in found[name].points} != {""}, name
        assert not found[name].twice(), name
        resources = [p.about for p in found[name].points]
        assert not [key for about in resources for key in about if "kyma" in key], name
    whole = found["defaults"]
    for prefix, keys in KEYS.items():
        assert whole.keys(prefix) == keys, prefix
    assert whole.keys("k8s.pod.phase") == KEYS["k8s.pod."], "as the kubelet's metrics of a pod"
    # Every node and every pod by name, and as the API server knows it.
    assert {p.about["k8s.node.name"] for p in whole.of("k8s.node.")} == set(NODES)
    of_pods = {p.about["k8s.pod.name"]: p.about for p in whole.of("k8s.pod.")}
    assert set(of_pods) == set(pods) - {"dns"}
    for name, about in of_pods.items():
        assert about["k8s.pod.uid"] == pods[name]["metadata"]["uid"]
        assert about["k8s.node.name"] == pods[name]["spec"]["nodeName"]
    assert {about["service.name"] for about in of_pods.values()} == {
        "web", "probe", "db", "migrate",
    }  # fmt: skip
    # Namespaces: nothing of the system's where it is left out; nodes are in none.
    assert whole.namespaces == {"", "shop"}
    assert found["machines"].namespaces == {"", "shop", "kube-system"}
    assert found["included"].namespaces == {"", "shop"}
    assert found["excluded"].namespaces == {"", "kube-system"}
    for name in ("included", "excluded"):
        assert {p.about["k8s.node.name"] for p in found[name].of("k8s.node.")} == set(NODES)
        assert {p.name for p in found[name].of("k8s.node.")} == DEFAULT["node"]
    # Attributes of points: interfaces and directions; volumes are those of claims only.
    for prefix, interfaces in (("k8s.node.", {"eth0", "ens5"}), ("k8s.pod.", {"eth0"})):
        traffic = whole.of(f"{prefix}network.")
        assert {p.labels["interface"] for p in traffic} == interfaces
        assert {p.labels["direction"] for p in traffic} == {"receive", "transmit"}
        assert {frozenset(p.labels) for p in traffic} == {frozenset({"interface", "direction"})}
    (volume,) = {p.resource for p in whole.of("k8s.volume.")}
    assert dict(volume)["k8s.volume.type"] == "persistentVolumeClaim"
    assert dict(volume)["k8s.persistentvolumeclaim.name"] == "orders"
    last = {p.name: p.value for p in whole.of(*(f"k8s.{kind}." for kind in WORKLOADS))}
    assert (last["k8s.deployment.desired"], last["k8s.deployment.available"]) == (2, 2)
    assert (last["k8s.daemonset.ready_nodes"], last["k8s.statefulset.ready_pods"]) == (2, 1)
    assert (last["k8s.job.active_pods"], last["k8s.job.desired_successful_pods"]) == (1, 1)
    shares = {p.name: p.value for p in found["shares"].points}
    assert shares["k8s.pod.cpu_limit_utilization"] == 0.5
    assert shares["k8s.container.memory_request_utilization"] == 1.0
    assert 0 < shares["k8s.pod.cpu.node.utilization"] <= 0.5


async def test_remote_write_tells_everything_in_the_cluster_apart(tmp_path: Path) -> None:
    # With whatever may be asked for by name, as two nodes and the leader tell it.
    further = {"additional_metrics": sorted(runtime_metrics.ADDITIONAL)}
    async with backends.http() as written:
        pipeline = {
            "name": "written",
            "inputs": {"runtime": {"enabled": True, **further}, "prometheus": collected.OFF},
            "output": {"remote_write": {"url": f"{written.url}/api/v1/write"}},
        }
        async with serving(tmp_path, {}, further, further=[pipeline]) as (home, _, _):

            def samples() -> list[tuple[tuple[tuple[str, str], ...], int]]:
                return [
                    (tuple(series.labels), at)
                    for received in written.received
                    for series in remote_write.read(
                        compression.inflate(received.body, "snappy", 1 << 24)
                    ).series
                    for _, at in series.samples
                ]

            async def all_came() -> bool:
                found = {dict(labels)["__name__"] for labels, _ in samples()}
                return {"k8s_job_active_pods", "k8s_node_uptime_seconds_total"} <= found

            await programs.until(all_came, "the leader and the kubelets have told", within=20)
            pods = {pod["metadata"]["name"] for pod in home.pods()}
    assert not [one for one, count in Counter(samples()).items() if count > 1]
    every = [dict(labels) for labels, _ in samples() if ("__name__", "target_info") not in labels]

    def named(beginning: str, label: str) -> set[str]:
        return {each.get(label, "") for each in every if each["__name__"].startswith(beginning)}

    assert named("k8s_node_", "k8s_node_name") == set(NODES)
    assert named("k8s_pod_", "k8s_pod_name") == named("container_", "k8s_pod_name") == pods
    assert named("container_", "k8s_container_name") == {"app"}
    assert named("k8s_volume_", "k8s_volume_name") == {"data"}
    assert named("k8s_deployment_", "k8s_deployment_name") == {"web"}
    assert named("k8s_deployment_", "k8s_namespace_name") == {"shop"}
    assert {each.get("instance") for each in every} == {None}


TOLD = {
    n
    for n in names("pod", "node")
    if ".network." not in n and ".filesystem." not in n and n != "k8s.pod.memory.available"
}
"""What the cluster's own kubelets know: processes have no file system, no network of their own, and
no limit. Of the machine's interfaces only physical ones are told, if it has any.
"""


async def apiservers(agent: programs.Mortal) -> int:
    """Return how many API servers *agent* scrapes."""
    page: Any = await processes.get(f"{agent.pages}/targets")
    return sum(target["job"] == "apiserver" for target in page["active"])


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
async def test_only_the_leader_tells_the_cluster_and_when_it_ends_another_goes_on(
    tmp_path: Path,
    killed: bool,  # noqa: FBT001
) -> None:
    chosen = {
        "workloads": WANTED["workloads"][0],
        "apiserver": {"resources": only() | {"apiserver": True}},
        "measured": {"resources": only("pod", "node")},
    }
    collecting = {"resources": only("pod", "node", *WORKLOADS) | {"apiserver": True}}
    desired, requests = "k8s.deployment.desired", "apiserver_request_total"
    async with serving(tmp_path, chosen, collecting, own_kubelets=True) as (home, agents, places):

        async def reports(count: int) -> bool:
            told, scraped = Arrived(places["workloads"]), Arrived(places["apiserver"])
            return min(len(told.times(desired)), len(scraped.times(requests))) >= count

        await programs.until(lambda: reports(4), "a leader reports")
        (leader,) = await leaders(agents)
        (survivor,) = set(NODES) - {leader}
        assert await apiservers(agents[leader]) == 1
        assert await apiservers(agents[survivor]) == 0
        await (agents[leader].kill() if killed else agents[leader].stop())
        already = max(
            len(Arrived(places["workloads"]).times(desired)),
            len(Arrived(places["apiserver"]).times(requests)),
        )
        await programs.until(lambda: reports(already + 4), "the survivor reports", within=20)
        assert await leaders(agents) == [survivor]
        assert await apiservers(agents[survivor]) == 1
        pods = {pod["metadata"]["name"] for pod in home.pods()}
    measured = Arrived(places["measured"])
    assert {n for n in measured.names if ".network." not in n} == TOLD
    assert {p.about["k8s.pod.name"] for p in measured.of("k8s.pod.memory.")} == pods
    assert {p.about["k8s.node.name"] for p in measured.of("k8s.node.")} == set(NODES)
    assert all(p.value and p.value > 0 for p in measured.of("k8s.pod.memory.usage"))
    assert not measured.twice()
    told, scraped = Arrived(places["workloads"]), Arrived(places["apiserver"])
    assert told.names == WANTED["workloads"][1]
    assert told.keys(desired) == KEYS["k8s.deployment."]
    for arrived, name in ((told, desired), (scraped, requests)):
        assert not arrived.twice(), "two led at once, or something was repeated"
        times = arrived.times(name)
        gaps = [after - before for before, after in pairwise(times)]
        # All agents keep the same times, so that series go on at their pace.
        assert median(abs(gap / INTERVAL - round(gap / INTERVAL)) for gap in gaps) < 0.02
        print(f"{name}: {max(gaps):.1f} s, of a lease of {LEASE['duration']:g} s")  # noqa: T201
        # Who is stopped gives the Lease back; that of the dead has to expire.
        assert max(gaps) < LEASE["duration"] + (6 if killed else 0)
    # The API server counts who asks for its metrics: had another asked, it would count faster.
    asked = [p for p in scraped.of(requests) if p.labels.get("subresource") == "/metrics"]
    counted = [point.value or 0 for point in sorted(asked, key=lambda point: point.at)]
    assert not [point for point in scraped.points if point.stale]
    steps = [after - before for before, after in pairwise(counted)]
    assert {point.labels["code"] for point in asked} == {"200"}
    assert median(steps) == 1
    assert scraped.scopes == {f"{collected.SCOPE}runtime"}
    (about,) = {point.resource for point in scraped.points}
    assert dict(about)["service.name"] == "apiserver"
    assert not any(key.startswith("k8s.pod.") for key, _ in about)


async def test_a_leader_that_stood_still_tells_nothing_more_once_another_leads(
    tmp_path: Path,
) -> None:
    chosen = {
        "workloads": WANTED["workloads"][0],
        "apiserver": {"resources": only() | {"apiserver": True}},
    }
    collecting = {"resources": only(*WORKLOADS) | {"apiserver": True}}
    desired, requests = "k8s.deployment.desired", "apiserver_request_total"
    async with serving(tmp_path, chosen, collecting) as (_, agents, places):

        async def reports(count: int) -> bool:
            told, scraped = Arrived(places["workloads"]), Arrived(places["apiserver"])
            return min(len(told.times(desired)), len(scraped.times(requests))) >= count

        await programs.until(lambda: reports(4), "a leader reports")
        (leader,) = await leaders(agents)
        (survivor,) = set(NODES) - {leader}
        with agents[leader].frozen():
            already = len(Arrived(places["apiserver"]).times(requests))
            await programs.until(lambda: reports(already + 4), "the survivor reports", within=20)
        await programs.until(lambda: reports(already + 7), "the survivor reports", within=20)
        assert await leaders(agents) == [survivor]
        assert await apiservers(agents[leader]) == 0
    told, scraped = Arrived(places["workloads"]), Arrived(places["apiserver"])
    for arrived in (told, scraped):
        assert not arrived.twice(), "two led at once, or something was repeated"
    gaps = [after - before for before, after in pairwise(told.times(desired))]
    assert min(gaps) > 0.5 * INTERVAL, "two told of one interval, one of them what was long ago"
    assert not [point for point in scraped.points if point.stale], "the series go on elsewhere"
