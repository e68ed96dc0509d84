"""Pods come, change and go 200 times a second while 1,000 requests a second pass: none is misnamed.

Rates are printed, not asserted: on a busy machine they are lower, and right all the same.
"""

import asyncio
import itertools
import os
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench import processes, sending
from cli.demo import sink
from cli.demo.arrivals import Arrivals
from common.service import clock
from localcluster import apiserver, kinds
from localcluster.store import Store
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(120)]

SECONDS = 4.0
TICK = 0.02  # seconds, in which there are so many changes and requests:
CHANGES, REQUESTS = 4, 20
PODS = 60  # alive at once, of twice as many addresses and names
LAG = 5.0  # seconds: how old what the gateway was told may be
UNKNOWN = "unknown"
STYLES = ("uid", "uid+ip", "uid+name+ip", "name+ip", "ip")


@dataclass
class Pod:
    """One life of a pod; *key* is in all that enrichment may tell of it."""

    key: str
    name: str
    ip: str
    uid: str = ""
    revision: int = 0
    since: float = field(default_factory=time.monotonic)
    until: float = float("inf")

    def manifest(self) -> dict[str, object]:
        return {
            "metadata": {"name": self.name, "namespace": "default", "labels": self.labels()},
            "spec": {
                "nodeName": f"node-{self.key}",
                "containers": [{"name": f"container-{self.key}", "image": f"image:{self.key}"}],
            },
            "status": {
                "phase": "Running", "podIP": self.ip, "podIPs": [{"ip": self.ip}],
                "hostIP": "192.168.0.1", "startTime": clock_text(),
            },
        }  # fmt: skip

    def labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/version": f"{self.key}.{self.revision}",
            "app.kubernetes.io/name": f"service-{self.key}",
        }


def clock_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.unix_seconds()))


class World:
    """A cluster that never rests, and the memory of who had what when."""

    def __init__(self, store: Store) -> None:
        self.store, self.random = store, random.Random(7)
        self.alive: list[Pod] = []
        self.left: deque[Pod] = deque(maxlen=30)
        self.lives: dict[str, Pod] = {}
        self.owners: dict[str, list[Pod]] = {}  # of an address or a name, in order
        self.keys = map("p{:05}".format, itertools.count())
        self.names = deque(f"web-{n}" for n in range(2 * PODS))
        self.addresses = deque(f"10.0.0.{n}" for n in range(1, 2 * PODS))
        self.changes = 0
        while len(self.alive) < PODS:
            self.change()

    def change(self) -> None:
        self.changes += 1
        if len(self.alive) < PODS and (len(self.alive) < PODS // 2 or self.random.random() < 0.5):
            self._bear()
        elif self.random.random() < 0.4:
            pod = self.random.choice(self.alive)
            pod.revision += 1
            self.store.change(kinds.PODS, "default", pod.name, lambda item: relabelled(item, pod))
        else:
            self._end(self.alive.pop(self.random.randrange(len(self.alive))))

    def _bear(self) -> None:
        # The latest to be given back is the first to be given away again: the worst case.
        pod = Pod(key=next(self.keys), name=self.names.pop(), ip=self.addresses.pop())
        made = self.store.create(kinds.PODS, pod.manifest(), namespace="default", with_status=True)
        pod.uid = made["metadata"]["uid"]
        self.alive.append(pod)
        self.lives[pod.key] = pod
        for thing in (pod.ip, pod.name):
            self.owners.setdefault(thing, []).append(pod)

    def _end(self, pod: Pod) -> None:
        if self.random.random() < 0.3:  # it ends by itself before it is deleted
            self.store.change(kinds.PODS, "default", pod.name, ended, subresource="status")
        self.store.delete(kinds.PODS, "default", pod.name, grace=0)
        pod.until = time.monotonic()
        self.left.append(pod)
        self.names.append(pod.name)
        self.addresses.append(pod.ip)

    def owned(self, thing: str, pod: Pod, sent: float) -> bool:
        """Say whether *pod* had *thing* at, or as the last one before, a time the gateway knew."""
        owners = self.owners[thing]
        after = owners[owners.index(pod) + 1 :]
        return not after or after[0].since > sent - LAG


def relabelled(item: dict[str, object], pod: Pod) -> dict[str, object]:
    item["metadata"]["labels"] = pod.labels()
    return item


def ended(item: dict[str, object]) -> dict[str, object]:
    item["status"]["phase"] = "Succeeded"
    return item


class Judge(Arrivals):
    """A backend that looks at every resource that arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.arrived: dict[str, int] = {}  # by style
        self.enriched: dict[str, int] = {}
        self.wrong: list[str] = []

    def otlp(self, pipeline: str, body: bytes) -> int:
        request = ExportMetricsServiceRequest.FromString(body)
        for each in request.resource_metrics:
            self._judge({a.key: a.value.string_value for a in each.resource.attributes})
        count = len(request.resource_metrics)
        self.points[pipeline] = self.points.get(pipeline, 0) + count
        return count

    def _judge(self, got: dict[str, str]) -> None:
        assert self.world is not None
        style, sent = got["test.style"], float(got["test.sent"])
        self.arrived[style] = self.arrived.get(style, 0) + 1
        told = {
            got["k8s.node.name"].removeprefix("node-") if "k8s.node.name" in got else UNKNOWN,
            got.get("k8s.container.name", "container-" + UNKNOWN).removeprefix("container-"),
            got.get("service.name", "service-" + UNKNOWN).removeprefix("service-"),
            got.get("service.version", UNKNOWN).partition(".")[0],
        }
        if len(told) > 1:
            self.wrong.append(f"a mixture: {got}")
        if told == {UNKNOWN}:
            return
        self.enriched[style] = self.enriched.get(style, 0) + 1
        pod = self.world.lives[told.pop()]
        if int(got["service.version"].partition(".")[2]) > pod.revision:
            self.wrong.append(f"a revision that never was: {got}")
        if (got["k8s.pod.uid"], got["k8s.pod.name"], got["k8s.pod.ip"]) != (
            pod.uid, pod.name, pod.ip
        ):  # fmt: skip
            self.wrong.append(f"parts of another: {got}")
        if "uid" in style:
            right = pod.key == got["test.pod"]
        elif "name" in style:
            right = self.world.owned(pod.name, pod, sent)
        else:
            right = self.world.owned(pod.ip, pod, sent)
        if not right:
            self.wrong.append(f"of another: {got}")


def request(pod: Pod, style: str) -> bytes:
    made = ExportMetricsServiceRequest()
    frame = made.resource_metrics.add()
    said = {"test.pod": pod.key, "test.style": style, "test.sent": str(time.monotonic())}
    if "uid" in style:
        said["k8s.pod.uid"] = pod.uid
    if "name" in style:
        said |= {"k8s.namespace.name": "default", "k8s.pod.name": pod.name}
    if "ip" in style:
        said["k8s.pod.ip"] = pod.ip
    for key, value in said.items():
        frame.resource.attributes.add(key=key).value.string_value = value
    frame.scope_metrics.add().metrics.add(name="m").gauge.data_points.add(
        as_double=1, time_unix_nano=time.time_ns()
    )
    return made.SerializeToString()


@asynccontextmanager
async def cluster(folder) -> AsyncIterator[tuple[Store, str]]:
    store = Store(now=clock.unix_seconds, entropy=os.urandom)
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    async with apiserver.serving(store) as url:
        file = folder / "kubeconfig"
        file.write_text(apiserver.kubeconfig(url))
        yield store, str(file)


async def test_under_fire_no_resource_carries_an_attribute_of_another_pod(tmp_path) -> None:
    judge = Judge()
    names = sink.Names(otlp_grpc="p", otlp_http="q", remote_write="r")
    async with (
        sink.serving(judge, names) as at,
        cluster(tmp_path) as (store, kubeconfig),
    ):
        world = judge.world = World(store)
        pipeline = {
            "name": "p",
            "output": {"otlp": {"endpoint": at.otlp_grpc, "compression": "none"}},
            "batch": {"linger": 0.05},
        }
        document = {
            "kubernetes": {"source": "kubeconfig", "kubeconfig": kubeconfig},
            "pipelines": [pipeline],
        }
        async with (
            programs.gateway(tmp_path, document) as gateway,
            sending.over_grpc(int(gateway.grpc.rpartition(":")[2])) as send,
        ):
            before, started = world.changes, time.monotonic()
            sent = 0
            for tick in itertools.count(1):
                for _ in range(CHANGES):
                    world.change()
                # Half of them come from pods that were born, or ended, this moment.
                recent = [*world.alive[-CHANGES:], *list(world.left)[-CHANGES:]]
                pods = world.random.choices(world.alive, k=REQUESTS // 2)
                pods += world.random.choices(recent, k=REQUESTS // 2)
                await send([request(pod, world.random.choice(STYLES)) for pod in pods])
                sent += REQUESTS
                now = time.monotonic() - started
                if now > 5 * SECONDS or tick * TICK >= SECONDS:
                    break
                await asyncio.sleep(max(0.0, tick * TICK - now))
            took = time.monotonic() - started

            async def all_there() -> bool:
                return judge.points.get("p") == sent

            await programs.until(all_there, f"{sent} points arrive")
            ledger = await processes.get(f"{gateway.admin}/debug/ledger")
            pod = world.alive[-1]
            page = await processes.get(f"{gateway.admin}/debug/enrichment?ip={pod.ip}")
            nobody = await processes.get(f"{gateway.admin}/debug/enrichment?name=web-1")
    print(  # noqa: T201 - the rates are for people
        f"\n{(world.changes - before) / took:.0f} pod changes/s, {sent / took:.0f} requests/s for "
        f"{took:.1f} s; arrived {judge.arrived}, of these enriched {judge.enriched}; "
        f"waited {ledger['fresh_pods']}"
    )
    assert judge.wrong == []
    assert ledger["pipelines"]["p"] | {"filtered_by": {}, "dropped_by": {}} == {
        "received": sent, "filtered": 0, "delivered": sent, "dropped": 0, "held": 0, "balance": 0,
        "recovered": 0, "stored": 0, "filtered_by": {}, "dropped_by": {},
    }  # fmt: skip
    assert (ledger["fresh_pods"]["held"], ledger["fresh_pods"]["balance"]) == (0, 0)
    assert ledger["mismatches"] == 0
    assert all(judge.enriched[style] for style in STYLES), "the test tests something"
    assert page["pod"]["uid"] == page["adds"]["k8s.pod.uid"] == pod.uid
    assert "name=web-1 is not NAMESPACE/POD" in nobody["error"]
