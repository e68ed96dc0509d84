"""One agent tells about the cluster, at its ticks, with the rights it lists and no others."""

import asyncio
import copy
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent import permissions, targets
from agent.runtime import cluster, cluster_names, cluster_terms
from common.config import agent as config, agent_inputs, runtime_metrics
from common.kube import credentials
from common.kube.rights import Rule
from common.service import clock
from localcluster import apiserver, kinds
from localcluster.store import Store
from tests.agent.runtime import clusters
from tests.agent.runtime.test_cluster_names import OF_CLUSTER

SECOND = 1_000_000_000
EPOCH = 1_700_000_000 * SECOND


def runtime(*additional: str, **more: Any) -> agent_inputs.RuntimeInput:
    resources = {
        name: more.pop(name)
        for name in agent_inputs.RuntimeResources.__struct_fields__
        if name in more
    }
    if resources:
        resources = dict.fromkeys(runtime_metrics.DEFAULT, False) | resources
    return agent_inputs.RuntimeInput(
        enabled=True,
        resources=agent_inputs.RuntimeResources(**resources),
        additional_metrics=additional,
        lease=agent_inputs.Lease(name="the-lease", namespace="home"),
        **more,
    )


@dataclass
class Offered:
    """What was handed on, and a way to wait for it."""

    room: bool = True
    requests: list[tuple[Any, int]] = field(default_factory=list)
    heard: list[targets.Target | None] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, body: bytes, points: int) -> bool:
        read = metrics_service_pb2.ExportMetricsServiceRequest.FromString(bytes(body))
        self.requests.append((read, points))
        self.news.set()
        return self.room

    def names(self) -> set[str]:
        return {
            metric.name
            for request, _ in self.requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def times(self) -> list[int]:
        return sorted({
            point.time_unix_nano
            for request, _ in self.requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.gauge.data_points
        })  # fmt: skip

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(600):
            while not met():
                self.news.clear()
                await self.news.wait()


def terms(
    settings: agent_inputs.RuntimeInput, url: str, identity: str = "a"
) -> cluster_terms.Terms:
    loop = asyncio.get_running_loop()
    return cluster_terms.terms(
        config.Agent(inputs=agent_inputs.Inputs(runtime=settings)),
        credentials.anonymous(url),
        host="pod",
        suffix=identity,
        version="1",
        wall=lambda: EPOCH + round(loop.time() * SECOND),
    )


@asynccontextmanager
async def collecting(
    settings: agent_inputs.RuntimeInput, *, rules: tuple[Rule, ...] | None = None
) -> AsyncIterator[tuple[cluster.Cluster, Offered, clusters.Guarded]]:
    allowed = permissions.of_cluster(settings, "home") if rules is None else rules
    async with clusters.guarded(allowed) as fake:
        offered = Offered()
        async with cluster.collecting(
            terms(settings, fake.url),
            credentials.anonymous(fake.url),
            offered.offer,
            offered.heard.append,
        ) as found:
            yield found, offered, fake


@pytest.mark.parametrize("settings", [
    runtime(), runtime(pod=True), runtime(container=True), runtime(deployment=True, job=True),
    runtime("k8s.service.endpoint.count", daemonset=True),
    runtime("k8s.node.condition", "k8s.hpa.max_replicas", statefulset=True),
    runtime(*sorted(OF_CLUSTER)),
])  # fmt: skip
async def test_it_asks_for_what_it_may_and_may_what_it_asks_for(
    settings: agent_inputs.RuntimeInput,
) -> None:
    async with collecting(settings) as (_, offered, fake):
        await offered.until(lambda: offered.names() == cluster_names.wanted(settings))
    # The lease was created, renewed and given back; every object was listed and watched.
    assert fake.forbidden == []
    assert fake.used == fake.allowed
    assert fake.leases["the-lease"]["spec"]["holderIdentity"] == ""


async def test_a_right_that_is_missing_costs_its_own_kind_only_and_is_named(caplog) -> None:
    settings = runtime(pod=True, deployment=True)
    allowed = tuple(
        rule
        for rule in permissions.of_cluster(settings, "home")
        if "deployments" not in rule.resources
    )
    async with collecting(settings, rules=allowed) as (found, offered, _):
        await offered.until(lambda: bool(offered.requests))
        await asyncio.sleep(0)
        assert offered.names() == {"k8s.pod.phase"}
        page = found.page()
        assert page["last_report"]["missing"] == ["deployments"]
        assert page["troubles"]["deployments"].startswith("refused: 403 Forbidden: cannot list")
        assert "deployments: refused: 403" in found.status
        errors = {r.name: r.samples[0][1] for r in found.readings()}
        assert errors["headgate_agent_cluster_errors_total"] > 0
    assert "the cluster is told without deployments" in caplog.text


async def test_reports_are_at_ticks_anchored_to_wall_time() -> None:
    async with collecting(runtime(interval=10.0)) as (found, offered, _):
        await offered.until(lambda: len(offered.times()) == 4)
        times = offered.times()
        assert {later - earlier for earlier, later in itertools.pairwise(times)} == {10 * SECOND}
        assert found.counts.reports >= 3
        assert found.counts.late == 0
        assert found._grid.after(times[0] - 1) == times[0]


async def test_pages_and_metrics_tell_who_leads_and_how_it_went() -> None:
    async with collecting(runtime(deployment=True)) as (found, offered, _):
        assert not found.leading
        assert found.status == "nobody is known to lead"
        await offered.until(lambda: bool(offered.requests))
        await asyncio.sleep(0.1)
        page = found.page()
        assert page["leading"] is True
        assert page["leader"] == page["identity"] == "pod_a"
        assert page["lease"] == "home/the-lease"
        assert page["objects"] == {"deployments": 1}
        assert page["last_report"]["points"] == 2
        assert found.status == "leads; 1 objects; last report of 2 points"
        values = {(r.name, *r.samples[0][0].values()): r.samples[0][1] for r in found.readings()}
        assert values["headgate_agent_cluster_leading",] == 1
        assert values["headgate_agent_cluster_report_points_total",] == 2
        assert values["headgate_agent_cluster_objects", "deployments"] == 1


async def test_what_finds_no_room_is_counted() -> None:
    async with collecting(runtime(deployment=True)) as (found, offered, _):
        offered.room = False
        await offered.until(lambda: bool(offered.requests))
        await asyncio.sleep(0.1)
        assert (found.counts.refused, found.counts.points) == (2, 2)
        assert found.page()["last_report"]["refused"] == 2


async def test_the_api_server_is_a_target_while_it_leads_and_remains_one_when_it_stops() -> None:
    async with collecting(runtime(apiserver=True)) as (found, offered, fake):
        await asyncio.sleep(100)
        assert found.kinds == ()
        (target,) = offered.heard
        assert target is not None
        assert target.url == f"{fake.url}/metrics"
    # The next leader goes on with the same series: no stale markers.
    assert offered.heard == [target]


def usurp(fake: clusters.Guarded) -> None:
    usurped = copy.deepcopy(fake.leases["the-lease"])
    usurped["spec"] |= {"holderIdentity": "usurper", "leaseDurationSeconds": 3600}
    usurped["metadata"]["resourceVersion"] = "usurped"
    fake.leases["the-lease"] = usurped


async def test_after_standing_still_for_long_it_does_not_tell_what_it_knew_before() -> None:
    async with collecting(runtime(deployment=True, interval=1.0)) as (found, offered, fake):
        await offered.until(lambda: len(offered.times()) > 2)
        usurp(fake)
        await asyncio.sleep(0.1)  # now it waits for its next tick
        loop: Any = asyncio.get_running_loop()
        loop.stand_still(600)
        count = len(offered.requests)
        await asyncio.sleep(300)
        assert len(offered.requests) == count
        assert not found.leading


async def test_a_leader_that_is_overthrown_stops_and_forgets() -> None:
    async with collecting(runtime(apiserver=True, deployment=True)) as (found, offered, fake):
        await offered.until(lambda: bool(offered.requests))
        usurp(fake)
        async with asyncio.timeout(600):
            while len(offered.heard) < 2:  # noqa: ASYNC110 - the callback has no event
                await asyncio.sleep(0.1)
        assert offered.heard[1] is None
        assert found.page()["leader"] == "usurper"
        assert found.page()["objects"] == {}
        count = len(offered.requests)
        await asyncio.sleep(300)
        assert len(offered.requests) == count


@pytest.mark.parametrize(("settings", "words"), [
    (agent_inputs.RuntimeInput(), "not asked for"),
    (runtime(node=True, volume=True), "not asked for"),
    (runtime(), "no API server is asked"),
])  # fmt: skip
async def test_where_there_is_nothing_to_tell_nobody_is_asked(
    settings: agent_inputs.RuntimeInput, words: str
) -> None:
    offered = Offered()
    made = cluster_terms.terms(
        config.Agent(inputs=agent_inputs.Inputs(runtime=settings)),
        None, host="", suffix="x", version="1", wall=lambda: EPOCH,
    )  # fmt: skip
    assert made.identity == "headgate-agent_x"
    access = (
        None if words.startswith("no") and settings.enabled else credentials.anonymous("http://x")
    )
    async with cluster.collecting(made, access, offered.offer) as found:
        assert found.status == words
        assert found.election is None
        assert dict(found.page())["last_report"] is None
        assert list(found.readings())


OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


@pytest.mark.skipif(not OPERATIONS.exists(), reason="not a checkout: docs are not in the wheel")
async def test_every_metric_is_documented() -> None:
    text = OPERATIONS.read_text()
    async with collecting(runtime(deployment=True)) as (found, offered, _):
        await offered.until(lambda: bool(offered.requests))
        for reading in found.readings():
            assert f"| `{reading.name}` | {reading.kind} |" in text
            assert reading.words.removesuffix(".") in text


@pytest.mark.wallclock
async def test_of_two_agents_one_tells_and_the_other_goes_on_where_it_ended() -> None:
    store = Store(now=clock.unix_seconds, entropy=os.urandom)
    for name in ("home", "shop"):
        store.create(kinds.NAMESPACES, {"metadata": {"name": name}})

    def deployment(name: str) -> dict[str, Any]:
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}

    store.create(kinds.DEPLOYMENTS, deployment("one"))
    settings = runtime(deployment=True, interval=0.2)
    one, two = Offered(), Offered()
    async with apiserver.serving(store) as url:
        access = credentials.anonymous(url)

        def part(name: str, offered: Offered) -> Any:
            return cluster.collecting(terms(settings, url, name), access, offered.offer)

        async with asyncio.timeout(15), part("b", two) as second:
            async with part("a", one) as first:
                leader, told, silent = (first, one, two)
                while not (one.requests or two.requests):  # noqa: ASYNC110 - of two, either
                    await asyncio.sleep(0.01)
                if two.requests:
                    leader, told, silent = (second, two, one)
                assert leader.leading
                assert not silent.requests
                store.create(kinds.DEPLOYMENTS, deployment("new"))
                await told.until(lambda: "new" in str(told.requests[-1][0]))
            await two.until(lambda: bool(two.requests))
            assert second.leading
