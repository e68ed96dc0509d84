"""Targets follow the pods of the node: annotations act at once, and nobody asks in vain."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from aiohttp import web

from agent import pod_watch, targets
from agent.discovery import following as discovery, policy, roster
from common.kube import credentials
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer, events, page

SCOPE = policy.Scope(setting="inputs.prometheus", interval=30.0, timeout=10.0)
RULES = policy.Policy(node="n1", workloads=SCOPE)
BOTH = policy.Policy(node="n1", workloads=SCOPE, services=True)
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
        known, access = roster.Roster(fixed, 10, RULES), credentials.anonymous(fake.url)
        async with (
            discovery.discovering(known, access, told.take) as found,
            pod_watch.watching(access, found),
        ):
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
    known = roster.Roster((STATIC,), 10, RULES)
    async with discovery.discovering(known, None, told.take) as found:
        assert found.status == "not used; 1 static targets"
        assert found.troubles == {}
    access = credentials.anonymous("http://127.0.0.1:1")
    nodeless = policy.Policy(node="", workloads=SCOPE, services=True)
    idle = policy.Policy(node="n1", workloads=None, services=True)
    for rules in (nodeless, idle):
        known = roster.Roster((STATIC,), 10, rules)
        async with discovery.discovering(known, access, told.take) as found:
            assert found.status == "not used; 1 static targets"
    assert told.heard == [["http://static/metrics"]] * 3


async def test_a_wrong_annotation_is_counted_but_a_missing_one_is_not() -> None:
    async with discovering(page(pod("a", "99999"), pod("b", None), pod("c"))) as (found, told, _):
        await told.until(1)
        values = {
            reading.name.removeprefix("headgate_agent_discovery_"): reading.samples[0][1]
            for reading in found.readings()
        }
    assert (values["pods"], values["skipped"], values["lists_total"]) == (3, 1, 1)
    assert (values["services"], values["slices"]) == (0, 0)


async def test_a_relist_forgets_what_is_gone() -> None:
    gone = Answer(status=410, body=b'{"code": 410, "reason": "Expired"}')
    async with discovering(
        page(pod("a"), pod("b", ip="10.0.0.2")), gone, page(pod("b", ip="10.0.0.2"))
    ) as (_, told, _):
        assert (await told.until(2))[1] == ["http://10.0.0.2:8080/metrics"]


PREFIX = "headgate_agent_discovery_"
SERVICES, SLICES = "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"


def service(port: str | None = "8080", *, version: str = "1") -> object:
    notes = {} if port is None else {"prometheus.io/scrape": "true", "prometheus.io/port": port}
    metadata = {
        "name": "web",
        "namespace": "shop",
        "resourceVersion": version,
        "annotations": notes,
    }
    return {"metadata": metadata, "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}


def slice_of(*pods: str, version: str = "1") -> object:
    return {
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "resourceVersion": version,
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [f"10.0.0.{number}"],
                "nodeName": "n1",
                "targetRef": {"kind": "Pod", "name": pod, "uid": f"uid-{pod}"},
            }
            for number, pod in enumerate(pods, 1)
        ],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }


@dataclass
class Script:
    """Three collections, each answered as its part of the script says, one step after another."""

    pods: list[Answer]
    services: list[Answer]
    slices: list[Answer]
    asked: list[tuple[str, str]] = field(default_factory=list)
    selectors: dict[str, set[str]] = field(default_factory=dict)

    def answer(self, request: web.Request) -> Answer:
        verb = "watch" if "watch" in request.query else "list"
        self.asked.append((request.path, verb))
        chosen = self.selectors.setdefault(request.path, set())
        chosen.add(request.query.get("labelSelector") or request.query.get("fieldSelector", ""))
        parts = {pod_watch.PODS: self.pods, SERVICES: self.services, SLICES: self.slices}
        part = parts[request.path]
        return part.pop(0) if part else Answer(hang=True)


@asynccontextmanager
async def following(script: Script) -> AsyncIterator[tuple[discovery.Discovery, Told]]:
    told = Told()
    async with kubernetes.serving(script.answer) as fake:
        known, access = roster.Roster((), 10, BOTH), credentials.anonymous(fake.url)
        async with (
            discovery.discovering(known, access, told.take) as found,
            pod_watch.watching(access, found),
        ):
            yield found, told


async def test_services_and_slices_act_as_they_come_change_and_go() -> None:
    silent = [page(pod("p", None)), Answer(hang=True)]
    changes = events(
        ("MODIFIED", service("9090", version="2")),
        ("MODIFIED", service(None, version="3")),
        ("MODIFIED", service("7", version="4")),
        ("DELETED", service("7", version="5")),
        hang=True,
    )
    script = Script(pods=silent, services=[], slices=[page(slice_of("p")), Answer(hang=True)])
    gate = asyncio.Event()
    script.services += [page(service()), replace(changes, after=gate)]
    async with following(script) as (found, told):
        await told.until(1)
        gate.set()
        heard = await told.until(5)
        assert [url for urls in heard for url in urls] == [
            "http://10.0.0.1:8080/metrics",
            "http://10.0.0.1:9090/metrics",
            "http://10.0.0.1:7/metrics",
        ]
        assert heard[-1] == []
        assert found.status == "synced; 1 pods, 0 targets"


async def test_a_new_endpoint_acts_at_once() -> None:
    two = [page(pod("p", None), pod("q", None, ip="10.0.0.2")), Answer(hang=True)]
    grown = events(("MODIFIED", slice_of("p", "q", version="2")), hang=True)
    gate = asyncio.Event()
    script = Script(
        pods=two,
        services=[page(service()), Answer(hang=True)],
        slices=[page(slice_of("p")), replace(grown, after=gate)],
    )
    async with following(script) as (found, told):
        await told.until(1)
        gate.set()
        assert (await told.until(2))[-1] == [
            "http://10.0.0.1:8080/metrics",
            "http://10.0.0.2:8080/metrics",
        ]
        assert sorted(found.chosen) == told.heard[-1]
        assert {target.labels for target in found.chosen.values()} == {(("service", "web"),)}
    assert script.selectors == {
        pod_watch.PODS: {"spec.nodeName=n1"},
        SERVICES: {""},
        SLICES: {"kubernetes.io/service-name"},
    }


def refused(found: discovery.Discovery) -> bool:
    return "refused" in found.troubles["endpointslices"]


async def test_a_right_that_is_missing_is_named_and_pods_go_on() -> None:
    refusal = kubernetes.refusal(403, "Forbidden", "cannot list resource")
    script = Script(
        pods=[page(pod("p")), Answer(hang=True)],
        services=[page(service()), Answer(hang=True)],
        slices=[refusal] * 100,
    )
    async with following(script) as (found, told):
        assert (await told.until(1))[-1] == ["http://10.0.0.1:8080/metrics"]
        async with asyncio.timeout(600):
            while list(found.troubles) != ["endpointslices"] or not refused(found):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
        trouble = found.troubles["endpointslices"]
        assert trouble.startswith("refused: 403 Forbidden: cannot list resource, retrying")
        assert trouble.endswith(
            "; let our service account list and watch endpointslices of discovery.k8s.io"
        )
        assert list(found.troubles) == ["endpointslices"]
        assert found.status.startswith("synced; endpointslices refused: 403 ")
        assert found.status.endswith("; 1 pods, 1 targets")
        readings = {reading.name: reading.samples for reading in found.readings()}
    healthy = {labels["kind"]: value for labels, value in readings[f"{PREFIX}healthy"]}
    assert healthy == {"pods": 1.0, "services": 1.0, "endpointslices": 0.0}
    errors = {labels["kind"]: value for labels, value in readings[f"{PREFIX}errors_total"]}
    assert (errors["pods"], errors["services"]) == (0, 0)
    assert errors["endpointslices"] >= 1
    assert readings[f"{PREFIX}services"] == (({}, 1),)
