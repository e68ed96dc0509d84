"""Every right that is listed is used, and nothing is asked for without one."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from agent import permissions, pod_watch
from agent.discovery import following as discovery, policy, roster
from agent.runtime import cluster_kinds, kubelet, kubelet_points, node_pods
from agent.runtime.kubelet import Clocks
from common.config import agent as config, agent_inputs, runtime_metrics
from common.kube import credentials
from tests.agent.runtime.test_cluster_names import OF_CLUSTER
from tests.fakes import kubelet as fakes, kubernetes
from tests.fakes.kubernetes import Answer, page


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ({"node": "n1"}, 3),
        ({}, 0),
        ({"node": "n1", "kubernetes": {"source": "none"}}, 0),
    ],
)
def test_rights_are_needed_only_where_a_cluster_is_asked(document, count) -> None:
    assert len(permissions.rules(msgspec.convert(document, config.Agent))) == count


def test_a_right_that_two_inputs_need_is_listed_once() -> None:
    given = {"node": "n1", "inputs": {"runtime": {"enabled": True}}}
    rules = permissions.rules(msgspec.convert(given, config.Agent))
    pods = permissions.Rule(groups=("",), resources=("pods",), verbs=("list", "watch"))
    assert rules.count(pods) == 1
    assert len(set(rules)) == len(rules)


def test_the_rules_of_discovery_are_among_them() -> None:
    rules = permissions.rules(msgspec.convert({"node": "n1"}, config.Agent))
    assert rules[0] == permissions.Rule(groups=("",), resources=("pods",), verbs=("list", "watch"))
    assert rules[2].groups == ("discovery.k8s.io",)


COLLECTION = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/v1/(?P<resource>[^/]+)")
INPUTS = [
    {},
    {"prometheus": {"services": False}},
    {"prometheus": {"enabled": False}, "istio": {"enabled": True}},
    {"istio": {"enabled": True}},
    {"prometheus": {"enabled": False}},
]


async def asked_for(rules: policy.Policy, watches: int) -> set[tuple[str, str, str]]:
    """Run discovery until it has opened so many *watches*; return what it had to be allowed."""
    asked: set[tuple[str, str, str]] = set()
    ready = asyncio.Event()

    def answer(request: web.Request) -> Answer:
        found = COLLECTION.fullmatch(request.path)
        assert found is not None and request.method == "GET", request.path
        verb = "watch" if "watch" in request.query else "list"
        asked.add((found["group"] or "", found["resource"], verb))
        if sum(verb == "watch" for _, _, verb in asked) == watches:
            ready.set()
        return Answer(hang=True) if verb == "watch" else kubernetes.page()

    async with kubernetes.serving(answer) as fake:
        known, access = roster.Roster((), 10, rules), credentials.anonymous(fake.url)
        async with (
            discovery.discovering(known, access, lambda _: None) as found,
            pod_watch.watching(access, found),
        ):
            if watches:
                async with asyncio.timeout(600):
                    await ready.wait()
    return asked


@pytest.mark.parametrize("inputs", INPUTS)
async def test_every_request_is_allowed_and_every_right_is_used(inputs) -> None:
    document = msgspec.convert({"node": "n1", "inputs": inputs}, config.Agent)
    rules = permissions.rules(document)
    allowed = {
        (group, resource, verb)
        for rule in rules
        for group in rule.groups
        for resource in rule.resources
        for verb in rule.verbs
    }
    assert all(not rule.urls for rule in rules)
    watches = sum(verb == "watch" for _, _, verb in allowed)
    assert await asked_for(policy.policy(document), watches) == allowed


def test_which_rights_the_inputs_need() -> None:
    def resources(inputs: object) -> list[str]:
        document = msgspec.convert({"node": "n1", "inputs": inputs}, config.Agent)
        return [resource for rule in permissions.rules(document) for resource in rule.resources]

    assert [resources(inputs) for inputs in INPUTS] == [
        ["pods", "services", "endpointslices"],
        ["pods"],
        ["pods"],
        ["pods", "services", "endpointslices"],
        [],
    ]


EPOCH = 1_795_514_400 * 10**9


def of_runtime(endpoint: str, **runtime: Any) -> config.Agent:
    given = {"enabled": True, "kubelet": {"endpoint": endpoint}} | runtime
    inputs = {"prometheus": {"enabled": False}, "runtime": given}
    return msgspec.convert({"node": "worker-1", "inputs": inputs}, config.Agent)


def with_token(server: str) -> credentials.Access:
    return replace(credentials.anonymous(server), authorization=lambda: f"Bearer {fakes.TOKEN}")


def used(api: kubernetes.FakeKubernetes, fake: fakes.Kubelet) -> set[tuple[str, str]]:
    """Return the rights that requests need: verbs and resources."""
    found = {("nodes/stats", "get") for path in fake.paths if path == "/stats/summary"}
    for request in api.requests:
        if request.path == "/api/v1/nodes/worker-1":
            found.add(("nodes", "get"))
        else:
            assert request.path == "/api/v1/pods"
            found.add(("pods", "watch" if "watch" in request.query else "list"))
    return found


ALL = sorted(runtime_metrics.OF_KUBELET & runtime_metrics.ADDITIONAL)


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ({}, {("nodes/stats", "get"), ("pods", "list"), ("pods", "watch")}),
        ({"resources": {"volume": False}}, {("nodes/stats", "get")}),
        (
            {
                "resources": {"volume": False},
                "additional_metrics": ["k8s.pod.cpu.node.utilization"],
            },
            {("nodes/stats", "get"), ("nodes", "get")},
        ),
        (
            {"additional_metrics": ALL},
            {("nodes/stats", "get"), ("nodes", "get"), ("pods", "list"), ("pods", "watch")},
        ),
        ({"enabled": False}, set()),
    ],
)
async def test_asking_the_kubelet_uses_every_right_that_is_listed_and_no_other(
    runtime: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    loop = asyncio.get_running_loop()
    clocks = Clocks(wall=lambda: EPOCH + round(loop.time() * 1e9), stopwatch=loop.time)
    async with fakes.serving() as fake, kubernetes.serving() as api:
        chosen, access = of_runtime(fake.url, **runtime), with_token(api.url)
        api.script(page(), Answer(hang=True))
        known, pods = roster.Roster((), 10, policy.policy(chosen)), node_pods.Known()
        needed = kubelet_points.needs_pods(kubelet_points.choice(chosen.inputs.runtime))
        async with (
            discovery.discovering(known, access, lambda _: None) as found,
            pod_watch.watching(access, found, pods if needed else None),
        ):
            await asyncio.sleep(1)
            async with kubelet.collecting(
                chosen, access, pods, lambda _, __: True, clocks=clocks, version="1"
            ):
                await asyncio.sleep(60)
        assert used(api, fake) == expected
    listed_rules = permissions.of_kubelet(chosen.inputs.runtime)
    listed = {
        (resource, verb)
        for rule in listed_rules
        for resource in rule.resources
        for verb in rule.verbs
    }
    assert listed == expected
    assert {group for rule in listed_rules for group in rule.groups} <= {""}
    assert not any(rule.urls for rule in listed_rules)


LEASES = tuple(
    permissions.Rule(
        groups=("coordination.k8s.io",),
        resources=("leases",),
        names=names,
        verbs=verbs,
        namespace="home",
    )
    for names, verbs in (((), ("create",)), (("headgate-agent-cluster",), ("get", "update")))
)


def of_cluster(*additional: str, **resources: bool) -> tuple[permissions.Rule, ...]:
    every = dict.fromkeys(runtime_metrics.DEFAULT, False) | resources
    settings = agent_inputs.RuntimeInput(
        enabled=True,
        resources=agent_inputs.RuntimeResources(**every),
        additional_metrics=additional,
    )
    return permissions.of_cluster(settings, "home")


def reading(group: str, *resources: str) -> permissions.Rule:
    return permissions.Rule(groups=(group,), resources=resources, verbs=("list", "watch"))


def test_an_input_that_is_off_or_asks_the_kubelet_only_needs_nothing() -> None:
    assert permissions.of_cluster(agent_inputs.RuntimeInput(), "home") == ()
    assert of_cluster(node=True, volume=True) == ()


def test_each_resource_needs_its_own_objects_and_the_lease() -> None:
    assert of_cluster(pod=True) == (*LEASES, reading("", "pods"))
    assert of_cluster(container=True) == (*LEASES, reading("", "pods"))
    assert of_cluster(deployment=True) == (*LEASES, reading("apps", "deployments"))
    assert of_cluster(job=True) == (*LEASES, reading("batch", "jobs"))
    assert of_cluster("k8s.service.endpoint.count") == (
        *LEASES, reading("", "services"), reading("discovery.k8s.io", "endpointslices"),
    )  # fmt: skip
    assert of_cluster("k8s.service.load_balancer.ingress.count") == (
        *LEASES,
        reading("", "services"),
    )


def test_the_metrics_of_the_api_server_need_its_url() -> None:
    assert of_cluster(apiserver=True) == (
        *LEASES,
        permissions.Rule(verbs=("get",), urls=("/metrics",)),
    )


def test_the_default_choice() -> None:
    settings = agent_inputs.RuntimeInput(enabled=True)
    assert permissions.of_cluster(settings, "home") == (
        *LEASES,
        reading("", "pods"),
        reading("apps", "daemonsets", "deployments", "statefulsets"),
        reading("batch", "jobs"),
    )


def test_all_metrics_together_need_every_kind() -> None:
    asked = {
        (g, r) for rule in of_cluster(*OF_CLUSTER)[2:] for g in rule.groups for r in rule.resources
    }
    assert asked == {(kind.group, kind.resource) for kind in cluster_kinds.KINDS}


OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.mark.skipif(not OPERATIONS.exists(), reason="not a checkout: docs are not in the wheel")
def test_the_rights_are_those_that_the_documentation_lists() -> None:
    text = OPERATIONS.read_text()
    table = text.partition("| metric | API group | resource | verbs |\n")[2].partition("\n\n")[0]
    assert table.splitlines()[1:] == [
        f"| {', '.join(f'`{prefix}*`' for prefix in kind.metrics)} | {kind.group or 'core'} "
        f"| `{kind.resource}` | list, watch |"
        for kind in cluster_kinds.KINDS
    ]
