"""Targets follow the pods of the node: annotations act at once, and nobody asks in vain."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent import targets
from agent.discovery import following as discovery, pods, roster
from common.kube import credentials
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer, events, page

RULES = pods.Policy(node="n1", interval=30.0, timeout=10.0)
STATIC = targets.Target(
    url="http://static/metrics",
    job="j",
    instance="static",
    subject=targets.STATIC,
    attributes=(),
    interval=1,
    timeout=1,
)


@dataclass
class Told:
    """What the loop was told, and a way to wait for the next word."""

    heard: list[list[str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, wanted: Mapping[str, targets.Target]) -> None:
        self.heard.append(sorted(wanted))
        self.news.set()

    async def until(self, count: int) -> list[list[str]]:
        async with asyncio.timeout(600):
            while len(self.heard) < count:
                self.news.clear()
                await self.news.wait()
        return self.heard


def pod(
    name: str, port: str | None = "8080", *, version: str = "1", ip: str = "10.0.0.1"
) -> object:
    notes = {} if port is None else {"prometheus.io/scrape": "true", "prometheus.io/port": port}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": version,
            "annotations": notes,
        },
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "podIP": ip},
    }


@asynccontextmanager
async def discovering(
    *answers: Answer, fixed: tuple[targets.Target, ...] = ()
) -> AsyncIterator[tuple[discovery.Discovery, Told, kubernetes.FakeKubernetes]]:
    told = Told()
    async with kubernetes.serving() as fake:
        fake.script(*answers)
        known, access = roster.Roster(fixed, 10), credentials.anonymous(fake.url)
        async with discovery.discovering(known, RULES, access, told.take) as found:
            yield found, told, fake


async def test_targets_follow_annotations_as_they_come_change_and_go() -> None:
    changes = events(
        ("MODIFIED", pod("a", "9090", version="2")),
        ("MODIFIED", pod("a", "9090", version="3")),  # nothing that matters
        ("ADDED", pod("b", "7", version="4", ip="10.0.0.2")),
        ("MODIFIED", pod("a", None, version="5")),
        ("DELETED", pod("b", "7", version="6", ip="10.0.0.2")),
        hang=True,
    )
    async with discovering(page(pod("a")), changes) as (found, told, fake):
        assert await told.until(5) == [
            ["http://10.0.0.1:8080/metrics"],
            ["http://10.0.0.1:9090/metrics"],
            ["http://10.0.0.1:9090/metrics", "http://10.0.0.2:7/metrics"],
            ["http://10.0.0.2:7/metrics"],
            [],
        ]
        assert [(entry.subject, entry.why) for entry in found.skipped] == [
            ("shop/a", "annotation prometheus.io/scrape is absent")
        ]
        assert [decision.subject for decision in found.decisions] == ["shop/a"]
        assert found.status == "synced; 1 pods, 0 targets"
    assert fake.requests[0].query["fieldSelector"] == "spec.nodeName=n1"


async def test_static_targets_are_there_at_once_and_stay_while_the_api_server_is_away() -> None:
    async with discovering(fixed=(STATIC,)) as (found, told, _):
        assert told.heard == [["http://static/metrics"]]
        assert found.status == "listing; 0 pods, 1 targets"


async def test_without_an_api_server_or_a_node_nobody_is_asked() -> None:
    told = Told()
    known = roster.Roster((STATIC,), 10)
    async with discovery.discovering(known, RULES, None, told.take) as found:
        assert found.status == "not used; 1 static targets"
    nodeless = pods.Policy(node="", interval=1, timeout=1)
    access = credentials.anonymous("http://127.0.0.1:1")
    async with discovery.discovering(known, nodeless, access, told.take) as found:
        assert found.status == "not used; 1 static targets"
    assert told.heard == [["http://static/metrics"]] * 2


async def test_a_wrong_annotation_is_counted_but_a_missing_one_is_not() -> None:
    async with discovering(page(pod("a", "99999"), pod("b", None), pod("c"))) as (found, told, _):
        await told.until(1)
        values = {
            reading.name.removeprefix("headgate_agent_discovery_"): reading.samples[0][1]
            for reading in found.readings()
        }
    assert (values["pods"], values["skipped"], values["lists_total"]) == (3, 1, 1)


async def test_a_relist_forgets_what_is_gone() -> None:
    gone = Answer(status=410, body=b'{"code": 410, "reason": "Expired"}')
    async with discovering(
        page(pod("a"), pod("b", ip="10.0.0.2")), gone, page(pod("b", ip="10.0.0.2"))
    ) as (_, told, _):
        assert (await told.until(2))[1] == ["http://10.0.0.2:8080/metrics"]
