"""The pods of the node are watched once, for whoever needs them, and else not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent import pod_watch
from agent.discovery import following as discovery, policy, roster
from agent.runtime import node_pods
from agent.runtime.node_pods import Volume
from common.kube import credentials
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer, events, page

SCOPE = policy.Scope(setting="inputs.prometheus", interval=30.0, timeout=10.0)
DECIDES = policy.Policy(node="n", workloads=SCOPE)
IDLE = policy.Policy(node="n", workloads=None)


def pod(name: str, volume: str, version: str) -> dict[str, object]:
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": "80"}
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "annotations": notes}
    return {
        "metadata": metadata | {"resourceVersion": version},
        "spec": {"nodeName": "n", "volumes": [{"name": "v", volume: {}}]},
        "status": {"phase": "Running", "podIP": f"10.0.0.{ord(name)}"},
    }


CHANGES = (
    page(pod("a", "emptyDir", "1"), pod("b", "nfs", "1")),
    events(
        ("MODIFIED", pod("a", "hostPath", "2")),
        ("DELETED", pod("b", "nfs", "3")),
        ("ADDED", pod("c", "csi", "4")),
        hang=True,
    ),
)


@asynccontextmanager
async def watching(
    rules: policy.Policy, known: node_pods.Known | None, *answers: Answer
) -> AsyncIterator[tuple[discovery.Discovery, kubernetes.FakeKubernetes]]:
    """Enter what is tested, with a scripted API server, and let it hear all that it says."""
    async with kubernetes.serving() as fake:
        fake.script(*answers)
        access = credentials.anonymous(fake.url)
        decided = roster.Roster((), 10, rules)
        async with (
            discovery.discovering(decided, access, lambda _: None) as found,
            pod_watch.watching(access, found, known),
        ):
            await asyncio.sleep(1)
            yield found, fake


async def test_one_watch_tells_discovery_and_the_runtime_input_of_every_change() -> None:
    known = node_pods.Known()
    async with watching(DECIDES, known, *CHANGES) as (found, fake):
        assert sorted(found.chosen) == [
            "http://10.0.0.97:80/metrics",
            "http://10.0.0.99:80/metrics",
        ]
        assert found.status == "synced; 2 pods, 2 targets"
        assert known.get("uid-a").volumes == {"v": Volume("hostPath")}
        assert known.get("uid-b") is node_pods.UNKNOWN
        assert known.get("uid-c").volumes == {"v": Volume("csi")}
    listed, watched = fake.requests
    assert listed.path == watched.path == pod_watch.PODS
    assert listed.query["fieldSelector"] == watched.query["fieldSelector"] == "spec.nodeName=n"
    assert watched.query["watch"] == "true"


async def test_discovery_alone_is_enough_to_watch() -> None:
    async with watching(DECIDES, None, *CHANGES) as (found, fake):
        assert len(found.chosen) == 2
        assert len(fake.requests) == 2


async def test_for_the_runtime_input_alone_nothing_is_decided() -> None:
    known = node_pods.Known()
    async with watching(IDLE, known, *CHANGES) as (found, fake):
        assert len(known) == 2
        assert not found.roster.pods
        assert found.status == "not used; 0 static targets"
        assert len(fake.requests) == 2
        lists = {r.name: r.samples for r in found.readings()}[
            "headgate_agent_discovery_lists_total"
        ]
        assert lists == (({"kind": "pods"}, 1.0),)


async def test_whoever_needs_pods_that_are_forbidden_is_told_so() -> None:
    refusal = kubernetes.refusal(403, "Forbidden", "cannot list resource")
    async with watching(IDLE, node_pods.Known(), *[refusal] * 100) as (found, _):
        assert found.status.startswith("not used; pods refused: 403 Forbidden")
        assert "let our service account list and watch pods" in found.status


@pytest.mark.parametrize(
    ("rules", "known"),
    [
        (IDLE, None),
        (policy.Policy(node="", workloads=SCOPE), node_pods.Known()),
    ],
)
async def test_nobody_is_asked_for_what_nobody_needs(rules, known) -> None:
    async with watching(rules, known) as (found, fake):
        assert found.troubles == {}
        assert not fake.requests


async def test_without_an_api_server_nothing_is_known() -> None:
    known, decided = node_pods.Known(), roster.Roster((), 10, DECIDES)
    async with (
        discovery.discovering(decided, None, lambda _: None) as found,
        pod_watch.watching(None, found, known),
    ):
        assert len(known) == 0
        assert found.status == "not used; 0 static targets"
