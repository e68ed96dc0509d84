"""Discovery asks for what the rules allow, and the rules allow what it asks for: no more."""

import asyncio
import re

import msgspec
import pytest
from aiohttp import web

from agent import permissions, pod_watch
from agent.discovery import following, policy, roster
from common.config import agent as config
from common.kube import credentials
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer

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
            following.discovering(known, access, lambda _: None) as found,
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
