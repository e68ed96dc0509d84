"""The rights that are listed are those that are used, no fewer and no more."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from agent import pod_watch
from agent.discovery import following as discovery, policy, roster
from agent.runtime import kubelet, kubelet_permissions, kubelet_points, node_pods
from agent.runtime.kubelet import Clocks
from common.config import agent as config, runtime_metrics
from common.kube import credentials
from tests.fakes import kubelet as fakes, kubernetes
from tests.fakes.kubernetes import Answer, page

EPOCH = 1_795_514_400 * 10**9


def document(endpoint: str, **runtime: Any) -> config.Agent:
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
async def test_every_right_that_is_listed_is_used_and_no_other(
    runtime: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    loop = asyncio.get_running_loop()
    clocks = Clocks(wall=lambda: EPOCH + round(loop.time() * 1e9), stopwatch=loop.time)
    async with fakes.serving() as fake, kubernetes.serving() as api:
        chosen, access = document(fake.url, **runtime), with_token(api.url)
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
    rules = kubelet_permissions.rules(chosen.inputs.runtime)
    listed = {
        (resource, verb) for rule in rules for resource in rule.resources for verb in rule.verbs
    }
    assert listed == expected
    assert {group for rule in rules for group in rule.groups} <= {""}
    assert not any(rule.urls for rule in rules)
