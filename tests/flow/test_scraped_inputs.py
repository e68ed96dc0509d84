"""The prometheus and istio inputs, whole: what annotations ask for, sidecars, and the mesh."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import processes
from localcluster import cluster
from localcluster.kinds import Object
from localcluster.workloads import sidecar
from tests.fakes import backends, certificates
from tests.flow import collected, programs
from tests.flow.collected import Arrived

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]

NODE = "node-a"
DOTTED = {"cpu.temperature.celsius": "gauge", "hd.errors_total": "sum",
    "cpu.energy.watt_core": "histogram"}  # fmt: skip
PLAIN = {"app_visits_total": "sum", "app_latency_seconds": "histogram", "app_sessions": "gauge"}
DIAGNOSTIC = {
    "up", "scrape_duration_seconds", "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling", "scrape_series_added",
}  # fmt: skip
ISTIO = {*sidecar.COUNTERS, *sidecar.HISTOGRAMS, "istio_build"}
ENVOY = {"envoy_cluster_upstream_rq_total", "envoy_server_live"}
IDENTITY = "spiffe://cluster.local/ns/shop/sa/any"


def container(name: str, command: Sequence[str], port: int = 0, named: str = "http") -> Object:
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    path = {"name": "PYTHONPATH", "value": str(Path(__file__).parents[2])}
    ports = {"ports": [{"name": named, "containerPort": port}]} if port else {}
    return {
        "name": name, "image": f"{name}:1.0.0", "command": list(command),
        "env": [address, path], **ports,
    }  # fmt: skip


def exposer(*options: str) -> Object:
    where = ["--address", "$(POD_IP)", "--dotted", *options]
    return container("app", [sys.executable, "-m", "localcluster.workloads.exposer", *where], 8080)


def proxy(workload: str, namespace: str, *clients: str) -> Object:
    asked = [word for client in clients for word in ("--client", client)]
    whose = ["--workload", workload, "--namespace", namespace, "--address", "$(POD_IP)"]
    command = [sys.executable, "-m", "localcluster.workloads.sidecar", *whose, *asked]
    return container("istio-proxy", command, 15090, "http-envoy-prom")


def pod(
    namespace: str, name: str, *containers: Object, notes: Mapping[str, str], **labels: str
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": name, **labels},
            "annotations": {f"prometheus.io/{key}": value for key, value in notes.items()},
        },
        "spec": {"nodeName": NODE, "containers": list(containers)},
    }


def service(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        },
        "spec": {
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"port": 80, "targetPort": "http"}],
        },
    }


@asynccontextmanager
async def serving(
    folder: Path,
    objects: Sequence[Object],
    chosen: Mapping[str, Mapping[str, Any]],
    inputs: Mapping[str, Any],
) -> AsyncIterator[tuple[collected.Around, str, dict[str, Arrived]]]:
    """Run a node with *objects*, its agent that collects *inputs*, and a gateway.

    Yields the agent's pages and, once the block is left, what arrived by pipeline.
    """
    arrived: dict[str, Arrived] = {}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        settings = cluster.Settings(nodes=(NODE,))
        home = await enter(cluster.running(directory=folder / "cluster", settings=settings))
        for namespace in ("shop", "other", "headgate-system"):
            home.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for item in objects:
            home.create(item)
        await home.wait_for_pods(timeout=20)
        around = collected.Around(folder, home)
        places = {name: await enter(backends.otlp_grpc()) for name in chosen}
        gateway = await enter(programs.gateway(folder, around.gateway(places, chosen)))
        document = around.agent(NODE, gateway.grpc, inputs)
        pages = await enter(programs.agent(folder, document))

        await programs.until(lambda: up(pages), "every target is up")
        before = {target["url"]: target["last_scrape"] for target in await up(pages)}

        async def again() -> bool:
            now = await up(pages)
            return bool(now) and all(t["last_scrape"] != before[t["url"]] for t in now)

        await programs.until(again, "every target is scraped once more")
        yield around, pages, arrived
    arrived |= {name: Arrived(place) for name, place in places.items()}


async def up(pages: str) -> list[Any]:
    """Return the targets of an agent if all of them are up, and nothing otherwise."""
    page: Any = await processes.get(f"{pages}/targets")
    found = page["active"]
    return found if all(target["state"] == "up" for target in found) else []


def series(arrived: Arrived, pod: str) -> dict[str, list[collected.Point]]:
    """Return the points that came of *pod*, by metric."""
    found: dict[str, list[collected.Point]] = {}
    for point in arrived.points:
        if point.about.get("k8s.pod.name") == pod:
            found.setdefault(point.name, []).append(point)
    return found


async def test_annotated_pods_and_services_arrive_with_their_types_and_dotted_names(
    tmp_path: Path,
) -> None:
    asked = {"scrape": "true", "port": "8080"}
    needs = exposer("--need", "format=prometheus")
    objects = [
        pod("shop", "cart", needs, notes={**asked, "param_format": "prometheus", "scheme": "http"}),
        pod("shop", "web", exposer(), notes={}),
        service("web"),
        pod("kube-system", "dns", exposer(), notes=asked),
    ]
    namespaces = {"exclude": ["kube-system"]}
    chosen = {
        "scraped": {"prometheus": {"namespaces": namespaces}},
        "diagnosed": {"prometheus": {"namespaces": namespaces, "diagnostic_metrics": True}},
        "others": {
            "prometheus": collected.OFF,
            "istio": {"enabled": True, "diagnostic_metrics": True, "envoy_metrics": True},
            "runtime": {"enabled": True},
        },
    }
    inputs = {"prometheus": {"enabled": True}}
    async with serving(tmp_path, objects, chosen, inputs) as (_, pages, arrived):
        assert len(await up(pages)) == 3
    scraped = arrived["scraped"]
    assert scraped.names == {*DOTTED, *PLAIN}
    assert arrived["diagnosed"].names == {*DOTTED, *PLAIN, *DIAGNOSTIC}
    assert not arrived["others"].points
    assert {p.name: p.kind for p in scraped.points} == DOTTED | PLAIN
    for found in (scraped, arrived["diagnosed"]):
        assert found.namespaces == {"shop"}
        assert found.scopes == {f"{collected.SCOPE}prometheus"}
        assert not found.twice()
        assert not [key for p in found.points for key in p.about if "kyma" in key]
    for name, labels in (("cart", {None}), ("web", {"web"})):
        of_pod = series(arrived["diagnosed"], name)
        assert set(of_pod) == arrived["diagnosed"].names, name
        # Only what a Service led to says which: its scrapes' own series, too.
        assert {p.labels.get("service") for each in of_pod.values() for p in each} == labels
        abouts = [point.about for each in of_pod.values() for point in each]
        assert {about["service.name"] for about in abouts} == {name}
        assert {about["k8s.container.name"] for about in abouts} == {"app"}
        assert {about["k8s.node.name"] for about in abouts} == {NODE}
        assert {about["k8s.cluster.name"] for about in abouts} == {"east"}
        assert {point.value for point in of_pod["up"]} == {1.0}
    visits = [p for p in scraped.points if p.name == "app_visits_total"]
    assert {p.labels["page"] for p in visits} == {"home", "search", "item"}


async def test_sidecars_arrive_without_our_own_traffic_and_the_mesh_with_its_certificates(
    tmp_path: Path,
) -> None:
    mesh = tmp_path / "mesh"
    mesh.mkdir()
    made = certificates.write(mesh, IDENTITY)
    for path, name in (
        (made.authority, "root-cert.pem"),
        (made.certificate, "cert-chain.pem"),
    ):
        path.rename(mesh / name)
    idle = container("app", ["sleep", "600"])
    ours = "telemetry-agent", "telemetry-metric-agent"
    injected = {"security.istio.io/tlsMode": "istio"}
    objects = [
        pod("shop", "web", idle, proxy("web", "shop", "frontend", *ours), notes={}),
        pod("other", "api", idle, proxy("api", "other", "frontend"), notes={}),
        pod(
            "headgate-system", "telemetry-gateway", idle,
            proxy("telemetry-gateway", "headgate-system", "web"), notes={},
        ),
        pod("shop", "secure", exposer("--mesh", str(mesh)), notes={}, **injected),
        service("secure"),
    ]  # fmt: skip
    chosen = {
        "istio": {"istio": {"enabled": True, "namespaces": {"include": ["shop"]}}},
        "envoy": {"istio": {"enabled": True, "envoy_metrics": True}},
        "diagnosed": {"istio": {"enabled": True, "diagnostic_metrics": True}},
        "scraped": {"prometheus": {"enabled": True}},
    }
    istio = {"enabled": True, "envoy_metrics": True}
    inputs = {"istio": istio, "prometheus": {"mesh_certificates": str(mesh)}}
    async with serving(tmp_path, objects, chosen, inputs) as (around, pages, arrived):
        found = await up(pages)
        assert sorted((target["subject"], target["url"].split(":")[0]) for target in found) == [
            ("headgate-system/telemetry-gateway", "http"), ("other/api", "http"),
            ("shop/secure", "https"), ("shop/web", "http"),
        ]  # fmt: skip
        # Who has no certificates of the mesh says so, and asks in no other way.
        other = tmp_path / "without"
        other.mkdir()
        async with backends.otlp_grpc() as elsewhere:
            document = around.agent(NODE, elsewhere.url, {"istio": collected.OFF})
            async with programs.agent(other, document) as lacking:

                async def skipped() -> list[Any]:
                    page: Any = await processes.get(f"{lacking}/targets")
                    assert not page["active"]
                    return [e for e in page["skipped"] if e["subject"] == "shop/secure"]

                said = await programs.until(skipped, "the workload of the mesh is skipped")
    (why,) = {entry["why"] for entry in said if entry["why"].startswith("Service")}
    assert why.startswith("Service shop/secure: the pod is in the mesh (label ")
    assert why.endswith("and inputs.prometheus.mesh_certificates is not set")

    assert arrived["istio"].names == ISTIO
    assert arrived["envoy"].names == ISTIO | ENVOY
    assert arrived["diagnosed"].names == ISTIO | DIAGNOSTIC
    assert arrived["istio"].namespaces == {"shop"}
    assert arrived["scraped"].names == {*DOTTED, *PLAIN}
    assert {p.about["k8s.pod.name"] for p in arrived["scraped"].points} == {"secure"}
    assert {p.labels["service"] for p in arrived["scraped"].points} == {"secure"}
    for name in ("istio", "envoy", "diagnosed"):
        assert arrived[name].scopes == {f"{collected.SCOPE}istio"}, name
        assert not arrived[name].twice(), name
        traffic = [p for p in arrived[name].of("istio_") if p.name != "istio_build"]
        assert {p.labels["source_workload"] for p in traffic} == {"frontend"}, name
        assert not [p for p in traffic if p.labels["destination_workload"].startswith("telemetry")]
        assert {p.about["k8s.container.name"] for p in arrived[name].points} == {"istio-proxy"}
    (about,) = {point.resource for point in arrived["istio"].points}
    assert dict(about)["service.name"] == dict(about)["k8s.pod.name"] == "web"
    requests = [p for p in arrived["istio"].points if p.name == "istio_requests_total"]
    told = sidecar.labels("frontend", "web", "shop")
    assert {point.attributes for point in requests} == {tuple(sorted(told.items()))}
    assert {point.kind for point in requests} == {"sum"}
