"""Agents push everything; every pipeline gets what it asked for, and nobody passes for an agent."""

from __future__ import annotations

import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from common.config import runtime_metrics
from common.service import clock
from localcluster import apiserver, kinds
from localcluster.store import Store
from tests.fakes import backends
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]

SCOPE = "io.kyma-project.telemetry/"
AGENT = "10.0.0.7"  # where the pod of the agent is: nothing of what it tells is that pod's
WEB = {"k8s.pod.name": "web", "k8s.namespace.name": "shop"}
DIAGNOSTIC = {
    "up", "scrape_duration_seconds", "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling", "scrape_series_added",
}  # fmt: skip
DEFAULT = runtime_metrics.DEFAULT
ALL_DEFAULT = set().union(*DEFAULT.values())
OF_NODES = {n for n in runtime_metrics.NAMES if n.startswith("k8s.node.")}
OF_WORKLOADS = set().union(*[DEFAULT[k] for k in ("deployment", "daemonset", "statefulset", "job")])
UTILISATION = {
    f"k8s.{kind}.{name}"
    for kind in ("pod", "container")
    for name in (
        "cpu.node.utilization", "cpu_limit_utilization", "cpu_request_utilization",
        "memory.node.utilization", "memory_limit_utilization", "memory_request_utilization",
    )
}  # fmt: skip
PUSHED = [
    ("prometheus", WEB, {"requests", *DIAGNOSTIC}),
    ("prometheus", {"k8s.namespace.name": "kube-system"}, {"dns_requests"}),
    ("istio", WEB | {"k8s.container.name": "istio-proxy"}, {"istio_requests", "envoy_up", "up"}),
    ("runtime", WEB, {*runtime_metrics.NAMES} - OF_NODES - OF_WORKLOADS),
    ("runtime", {"k8s.node.name": "n1"}, OF_NODES),
    ("runtime", {"k8s.deployment.name": "web", "k8s.namespace.name": "shop"}, OF_WORKLOADS),
    ("apiserver", {"service.name": "apiserver"}, {"apiserver_requests", "up"}),
    ("of tomorrow", {"k8s.node.name": "n1"}, {"tomorrow"}),
]
"""What the agent pushes: input, resource and names."""
OFF: dict[str, Any] = {"enabled": False}
WANTED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "prometheus": (
        {"prometheus": {"namespaces": {"exclude": ["kube-system"]}}},
        {"requests"},
    ),
    "machines": (
        {
            "runtime": {
                "enabled": True,
                "resources": dict.fromkeys(
                    ["deployment", "daemonset", "statefulset", "job"], False
                ),
                "additional_metrics": ["k8s.deployment.desired", "k8s.node.uptime"],
                "metrics": {"exclude": ["*.network.*"]},
            },
        },
        {
            n
            for n in ALL_DEFAULT - OF_WORKLOADS | {"k8s.deployment.desired", "k8s.node.uptime"}
            if ".network." not in n
        },
    ),
    "workloads": (
        {
            "runtime": {
                "enabled": True,
                "resources": dict.fromkeys(["pod", "container", "node", "volume"], False),
            },
        },
        OF_WORKLOADS,
    ),
    "defaults": ({"runtime": {"enabled": True}}, ALL_DEFAULT),
    "utilisation": (
        {
            "runtime": {
                "enabled": True,
                "resources": dict.fromkeys(DEFAULT, False),
                "additional_metrics": sorted(UTILISATION),
            },
        },
        UTILISATION,
    ),
    "elsewhere": (
        {
            name: {"enabled": True, "namespaces": {"include": ["elsewhere"]}}
            for name in ("prometheus", "istio", "runtime")
        },
        set(DEFAULT["node"]),
    ),
    "mesh": ({"istio": {"enabled": True}}, {"istio_requests"}),
    "envoy": ({"istio": {"enabled": True, "envoy_metrics": True}}, {"istio_requests", "envoy_up"}),
    "everything": (
        {
            "prometheus": {"diagnostic_metrics": True},
            "istio": {"enabled": True, "diagnostic_metrics": True, "envoy_metrics": True},
            "runtime": {
                "enabled": True,
                "resources": {"apiserver": True},
                "additional_metrics": sorted(runtime_metrics.ADDITIONAL),
            },
        },
        {
            "requests", "dns_requests", *DIAGNOSTIC, "istio_requests", "envoy_up",
            "apiserver_requests", *runtime_metrics.NAMES,
        },
    ),
}  # fmt: skip
"""By pipeline: what it asks for besides OTLP's absence, and the names that it gets."""


def inputs(asked: Mapping[str, Any], otlp: Mapping[str, Any]) -> dict[str, Any]:
    return {"otlp": otlp, "prometheus": OFF, **asked}


def request(source: str, resource: Mapping[str, str], names: set[str]) -> bytes:
    built = Request()
    frame = built.resource_metrics.add()
    for key, value in {**resource, "kyma.input.name": source, "kyma.more": "x"}.items():
        frame.resource.attributes.add(key=key).value.string_value = value
    scope = frame.scope_metrics.add()
    scope.scope.name = SCOPE + source
    for name in sorted(names):
        scope.metrics.add(name=name).gauge.data_points.add(time_unix_nano=clock.unix_nanoseconds())
    return built.SerializeToString()


class Found:
    """What arrived at a backend."""

    def __init__(self, backend: backends.Backend) -> None:
        self.names: set[str] = set()
        self.points = 0
        self.scopes: set[str] = set()
        self.resources: dict[str, dict[str, str]] = {}  # by the name of a metric
        for received in backend.received:
            for frame in Request.FromString(received.body).resource_metrics:
                resource = {a.key: a.value.string_value for a in frame.resource.attributes}
                for scope in frame.scope_metrics:
                    self.scopes.add(scope.scope.name)
                    for metric in scope.metrics:
                        self.points += len(metric.gauge.data_points)
                        self.names.add(metric.name)
                        self.resources[metric.name] = resource


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[str]:
    """Run an API server that knows the pod of the agent and one more; return a kubeconfig."""
    store = Store(now=clock.unix_seconds, entropy=os.urandom)
    for namespace in ("shop", "kube-system"):
        store.create(kinds.NAMESPACES, {"metadata": {"name": namespace}})
    for namespace, name, address in (("kube-system", "agent", AGENT), ("shop", "web", "10.0.0.8")):
        pod = {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"nodeName": "n7", "containers": [{"name": "main", "image": "i"}]},
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
        }
        store.create(kinds.PODS, pod, namespace=namespace, with_status=True)
    async with apiserver.serving(store) as url:
        file = folder / "kubeconfig"
        file.write_text(apiserver.kubeconfig(url))
        yield str(file)


class Doors:
    """Sends requests by both doors of a gateway, as if they came from the agent's pod."""

    def __init__(self, gateway: programs.Gateway, channel: grpc.aio.Channel) -> None:
        self._export = channel.unary_unary(backends.METHOD)
        self._http = gateway.http

    async def send(self, body: bytes, shown: str | None, by: str) -> None:
        headers = {"x-forwarded-for": AGENT}
        if shown is not None:
            headers["authorization"] = shown
        if by == "grpc":
            await self._export(body, metadata=tuple(headers.items()))
            return
        headers["content-type"] = "application/x-protobuf"
        asked = urllib.request.Request(f"{self._http}/v1/metrics", data=body, headers=headers)

        def post() -> None:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                assert answer.status == 200

        await asyncio.to_thread(post)


@asynccontextmanager
async def serving(
    folder: Path, door: str, chosen: Mapping[str, dict[str, Any]], *, clients: bool = False
) -> AsyncIterator[tuple[programs.Gateway, Doors, dict[str, backends.Backend]]]:
    """Run a gateway with a pipeline and a backend for each of *chosen*."""
    (folder / "agents").write_text("agent-new\nagent-old\n")
    (folder / "clients").write_text("client\n")
    async with AsyncExitStack() as stack:
        places = {name: await stack.enter_async_context(backends.otlp_grpc()) for name in chosen}
        listen: dict[str, Any] = {
            "grpc_door": door,
            "proxies": {"trusted": ["127.0.0.0/8"], "forwarded_for": True},
        }
        if clients:
            listen["auth"] = {"bearer_tokens_file": str(folder / "clients")}
        document = {
            "listen": listen,
            "agents": {"token_file": str(folder / "agents")},
            "kubernetes": {
                "source": "kubeconfig",
                "kubeconfig": await stack.enter_async_context(cluster(folder)),
            },
            "enrichment": {
                "cluster_name": "east", "cluster_uid": "c1",
                "attributes": {"cloud.provider": "local"},
            },
            "pipelines": [
                {
                    "name": name,
                    "output": {"otlp": {"endpoint": places[name].url}},
                    "inputs": inputs,
                    "batch": {"linger": 0.05},
                }
                for name, inputs in chosen.items()
            ],
        }  # fmt: skip
        gateway = await stack.enter_async_context(programs.gateway(folder, document))
        channel = grpc.aio.insecure_channel(gateway.grpc.removeprefix("http://"))
        async with channel:
            yield gateway, Doors(gateway, channel), places


async def settled(gateway: programs.Gateway, pipeline: str, received: int) -> dict[str, Any]:
    async def all_fates_are_known() -> dict[str, Any] | None:
        ledger = await gateway.ledger(pipeline)
        return ledger if ledger["received"] == received and not ledger["held"] else None

    return await programs.until(all_fates_are_known, f"{pipeline} has delivered what it takes")


@pytest.mark.parametrize("door", ["lean", "grpcio"])
async def test_each_backend_gets_exactly_the_names_that_its_pipeline_asked_for(
    tmp_path: Path, door: str
) -> None:
    chosen = {name: inputs(asked, OFF) for name, (asked, _) in WANTED.items()}
    rounds = [("grpc", "Bearer agent-new"), ("http", "bearer agent-old")] * 2
    total = len(rounds) * sum(len(names) for _, _, names in PUSHED)
    async with serving(tmp_path, door, chosen) as (gateway, doors, places):
        for by, shown in rounds:
            for source, resource, names in PUSHED:
                await doors.send(request(source, resource, names), shown, by)
        ledgers = {name: await settled(gateway, name, total) for name in chosen}
        mismatches = (await programs.metrics(gateway))["headgate_gateway_token_mismatches_total"]
    found = {name: Found(backend) for name, backend in places.items()}
    for name, (_, wanted) in WANTED.items():
        assert found[name].names == wanted, name
        assert ledgers[name]["delivered"] == found[name].points
        assert ledgers[name]["balance"] == ledgers[name]["dropped"] == 0
        assert ledgers[name]["filtered_by"]["unknown_input"] == len(rounds)
        resources = found[name].resources.values()
        assert not [key for each in resources for key in each if "kyma" in key]
    assert mismatches == 0
    everything = found["everything"]
    assert everything.scopes == {
        SCOPE + source for source in ("prometheus", "istio", "runtime", "apiserver")
    }
    constants = {"k8s.cluster.name": "east", "k8s.cluster.uid": "c1", "cloud.provider": "local"}
    for name in OF_NODES:
        assert everything.resources[name] == {"k8s.node.name": "n1", **constants}
    for name in OF_WORKLOADS:
        told = {"k8s.deployment.name": "web", "k8s.namespace.name": "shop"}
        assert everything.resources[name] == told | constants
    assert everything.resources["apiserver_requests"] == {"service.name": "apiserver", **constants}
    for name in ("requests", "k8s.pod.phase", "istio_requests"):
        told = everything.resources[name]
        assert (told["k8s.pod.name"], told["k8s.pod.ip"]) == ("web", "10.0.0.8")
        assert (told["k8s.node.name"], told["service.name"]) == ("n7", "web")
    assert everything.resources["istio_requests"]["k8s.container.name"] == "istio-proxy"


STRANGERS = {
    "nobody": None,
    "a client": "Bearer client",
    "an agent of yesterday": "Bearer agent-older",
    "a token in another case": "Bearer AGENT-NEW",
    "another scheme": "Basic agent-new",
}


@pytest.mark.parametrize("door", ["lean", "grpcio"])
@pytest.mark.parametrize("clients", [False, True], ids=["open", "closed"])
async def test_who_only_says_to_be_an_agent_pushes_otlp_of_the_pod_that_it_is(
    tmp_path: Path,
    door: str,
    clients: bool,  # noqa: FBT001
) -> None:
    everything, _ = WANTED["everything"]
    chosen = {"pushed": inputs({}, {}), "collected": inputs(everything, OFF)}
    strangers = {"a client": STRANGERS["a client"]} if clients else STRANGERS
    names = {"node metric", "up"}
    async with serving(tmp_path, door, chosen, clients=clients) as (gateway, doors, places):
        for shown in strangers.values():
            for by in ("grpc", "http"):
                body = request("runtime", {"k8s.node.name": "n1"}, names)
                await doors.send(body, shown, by)
        total = 2 * len(strangers) * len(names)
        pushed = await settled(gateway, "pushed", total)
        collected = await settled(gateway, "collected", total)
    assert pushed["delivered"] == total
    assert collected["filtered_by"]["input_disabled"] == total
    assert not places["collected"].received
    found = Found(places["pushed"])
    assert found.names == names
    for resource in found.resources.values():
        assert resource["k8s.node.name"] == "n1", "what is said stays"
        assert resource["k8s.pod.name"] == "agent", "of nobody but the sender"
        assert not [key for key in resource if "kyma" in key]
