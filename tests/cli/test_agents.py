"""Agents are found through the API server, a few at most, and asked in turn."""

import msgspec
import pytest
from aiohttp import web

from cli import agents, asking
from common.kube import client, credentials
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer, refusal

POD = {
    "metadata": {"name": "p", "namespace": "shop"},
    "spec": {"nodeName": "n1"},
    "status": {"phase": "Running", "podIP": "10.0.0.1"},
}
UNKNOWN = {"subject": "shop/p", "known": False, "summary": "unknown pod"}


@pytest.mark.parametrize("text", ["shop/p", "kube-system/a.b-1", "1/2"])
def test_a_pod_is_named_by_namespace_and_name(text: str) -> None:
    assert agents.subject(text) == text


@pytest.mark.parametrize(
    "text", ["p", "shop/", "/p", "a/b/c", "Shop/p", "shop/..", "a b/c", "a/b\n", "a/" + "b" * 254]
)
def test_what_is_no_name_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not NAMESPACE/NAME of a pod"):
        agents.subject(text)


def test_what_is_no_explanation_is_said_to_be_none() -> None:
    assert agents.read(msgspec.json.encode(UNKNOWN)).known is False
    for body in (b"<html>", b"[]", b'{"status": "starting"}'):
        with pytest.raises(asking.NoPage, match="says something else than an explanation"):
            agents.read(body)


@pytest.mark.wallclock
async def test_whoever_has_the_label_and_knows_nothing_is_passed_over_five_times() -> None:
    asked: list[str] = []

    def rule(request: web.Request) -> Answer:
        asked.append(request.path)
        if request.path.endswith("/explain"):
            return Answer(body=msgspec.json.encode(UNKNOWN))
        if request.path == "/api/v1/pods":
            meta = ({"name": f"a{number}", "namespace": "sys"} for number in range(9))
            return kubernetes.page(*({**POD, "metadata": each} for each in meta))
        if request.path.endswith("/pods/p"):
            return Answer(body=msgspec.json.encode(POD))
        return refusal(403, "Forbidden", "not you")

    async with (
        kubernetes.serving(rule) as api,
        client.connecting(credentials.anonymous(api.url)) as connected,
    ):
        told = await agents.explain(connected, "shop/p", agents.Search(port=1))
    proxied = [path for path in asked if path.endswith("/explain")]
    assert proxied == [
        f"/api/v1/namespaces/sys/pods/a{number}:1/proxy/debug/explain" for number in range(5)
    ]
    assert told.how == "as an agent with default settings would decide, for no agent told"
    assert told.page.notes == (
        *(f"agent sys/a{number}: unknown pod" for number in range(5)),
        "Services that may ask for it are not known: 403 Forbidden: not you",
    )


@pytest.mark.wallclock
async def test_an_agent_is_asked_at_an_address_of_either_family() -> None:
    agent = {"metadata": {"name": "a", "namespace": "sys"}, "status": {"podIP": "::1"}}
    troubles: list[str] = []
    async with (
        kubernetes.serving(lambda _: refusal(403, "Forbidden", "pods/proxy")) as api,
        client.connecting(credentials.anonymous(api.url)) as connected,
    ):
        found = await agents._ask(
            connected,
            msgspec.convert(agent, agents.objects.Pod),
            "shop/p",
            agents.Search(port=1, timeout=2.0),
            troubles,
        )
    assert found is None
    assert troubles[0] == "agent sys/a, through the API server: 403 Forbidden: pods/proxy"
    assert troubles[1].startswith("agent sys/a, at [::1]:1: cannot be asked: ")
