"""Pods and Services of a cluster become targets of their node, within a second of every change."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent import pod_watch, targets
from agent.discovery import explaining, following, policy, roster
from bench import processes
from cli.demo import sink
from cli.demo.arrivals import Arrivals
from common.kube import credentials
from localcluster import cluster, kinds
from localcluster.cluster import Cluster, Settings
from localcluster.kinds import Object
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]

NAMES = sink.Names(otlp_grpc="p", otlp_http="q", remote_write="r")
AT_ONCE = 1.0  # seconds from a change to its effect, at most


@dataclass
class Told:
    """The URLs that are scraped, and whether they are as wanted."""

    urls: dict[str, targets.Target] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, wanted: Mapping[str, targets.Target]) -> None:
        self.urls = dict(wanted)
        self.news.set()

    async def until(self, *urls: str, within: float = AT_ONCE) -> None:
        async with asyncio.timeout(within):
            while sorted(self.urls) != sorted(urls):
                self.news.clear()
                await self.news.wait()


def exposer(name: str, node: str) -> Object:
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    command = [sys.executable, "-m", "localcluster.workloads.exposer", "--address", "$(POD_IP)"]
    container = {
        "name": "app",
        "image": "none",
        "command": command,
        "env": [address, {"name": "PYTHONPATH", "value": str(Path(__file__).parents[2])}],
        "ports": [{"name": "http", "containerPort": 8080}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [container]},
    }


def service(**notes: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "annotations": {f"prometheus.io/{name}": value for name, value in notes.items()},
        },
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }


def annotate(home: Cluster, kind: kinds.Kind, name: str, **notes: str) -> None:
    def edit(item: Object) -> Object:
        given = {f"prometheus.io/{key}": value for key, value in notes.items()}
        item["metadata"]["annotations"] = given
        return item

    home.store.change(kind, "default", name, edit)


def address(home: Cluster, name: str) -> str:
    return str(home.store.get(kinds.PODS, "default", name)["status"]["podIP"])


async def test_every_change_of_pods_services_and_endpoints_acts_within_a_second(tmp_path) -> None:
    told, scope = Told(), policy.Scope(setting="inputs.prometheus", interval=30, timeout=10)
    rules = policy.Policy(node="node-a", workloads=scope, services=True)
    async with cluster.running(directory=tmp_path, settings=Settings()) as home:
        home.create(exposer("one", "node-a"))
        home.create(exposer("far", "node-b"))
        await home.wait_for_pods("default/one", "default/far", timeout=20)
        access = await credentials.from_kubeconfig(home.kubeconfig_path)
        known = roster.Roster((), 10, rules)
        async with (
            following.discovering(known, access, told.take) as found,
            pod_watch.watching(access, found),
        ):
            home.create(service(scrape="true"))
            one = f"http://{address(home, 'one')}:8080"
            await told.until(f"{one}/metrics", within=5)
            (target,) = told.urls.values()
            assert (target.job, target.labels) == ("app-services", (("service", "web"),))
            assert dict(target.attributes)["k8s.container.name"] == "app"

            annotate(home, kinds.SERVICES, "web", scrape="true", path="/stats")
            await told.until(f"{one}/stats")

            home.create(exposer("two", "node-a"))
            await home.wait_for_pods("default/two", timeout=20)
            two = f"http://{address(home, 'two')}:8080"
            await told.until(f"{one}/stats", f"{two}/stats", within=2)  # its slice takes its time

            annotate(home, kinds.PODS, "one", scrape="true", port="8081")
            await told.until(
                f"{one}/stats", f"{two}/stats", f"{one.replace(':8080', ':8081')}/metrics"
            )
            why = explaining.explain("default/one", known, troubles=found.troubles)
            assert [(c.kind, c.scraped) for c in why.candidates] == [
                ("pod", True),
                ("service", True),
            ]
            annotate(home, kinds.PODS, "one")
            await told.until(f"{one}/stats", f"{two}/stats")

            home.delete(exposer("two", "node-a"), grace=0)
            await told.until(f"{one}/stats")

            home.delete(service())
            await told.until()
            assert found.status == "synced; 1 pods, 0 targets"
    assert known.services == {}


async def test_an_agent_scrapes_the_endpoints_of_an_annotated_service(tmp_path) -> None:
    async with (
        sink.serving(Arrivals(), NAMES) as at,
        cluster.running(directory=tmp_path, settings=Settings()) as home,
    ):
        home.create(exposer("one", "node-a"))
        home.create(service(scrape="true"))
        await home.wait_for_pods("default/one", timeout=20)
        document = {
            "node": "node-a",
            "kubernetes": {"source": "kubeconfig", "kubeconfig": str(home.kubeconfig_path)},
            "gateway": {"endpoint": at.otlp_grpc, "batch": {"linger": 0.05}},
            "scraping": {"interval": 0.5, "timeout": 0.5},
        }
        async with programs.agent(tmp_path, document) as pages:

            async def up() -> Any:
                page = await processes.get(f"{pages}/targets")
                return [target for target in page["active"] if target["state"] == "up"]

            (target,) = await programs.until(up, "the Service's endpoint is up")
            checks = (await processes.get(f"{pages}/readyz"))["checks"]
    assert target["url"] == f"http://{address(home, 'one')}:8080/metrics"
    assert (target["subject"], target["job"]) == ("default/one", "app-services")
    assert target["samples"] > 0
    assert checks["discovery"] == "synced; 1 pods, 1 targets"
