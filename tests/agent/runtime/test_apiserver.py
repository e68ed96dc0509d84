"""The API server is a target like others, asked as our own client asks it."""

from dataclasses import replace

import pytest

from agent import targets
from agent.runtime import apiserver
from common.config import agent as config, agent_inputs
from common.kube import credentials


def document(interval: float | None = None) -> config.Agent:
    runtime = agent_inputs.RuntimeInput(enabled=True, interval=interval)
    return config.Agent(inputs=agent_inputs.Inputs(runtime=runtime))


@pytest.mark.parametrize(("server", "url", "instance"), [
    ("https://10.0.0.1:443", "https://10.0.0.1:443/metrics", "10.0.0.1:443"),
    ("https://k8s.example/k8s/c-1", "https://k8s.example/k8s/c-1/metrics", "k8s.example:443"),
    ("https://[fd00::1]:6443", "https://[fd00::1]:6443/metrics", "[fd00::1]:6443"),
    ("http://127.0.0.1:8001", "http://127.0.0.1:8001/metrics", "127.0.0.1:8001"),
])  # fmt: skip
def test_it_is_where_the_client_finds_it(server: str, url: str, instance: str) -> None:
    access = credentials.Access(server=server, authorization=lambda: "")
    target = apiserver.apiserver_target(access, document())
    assert (target.url, target.instance) == (url, instance)
    assert (target.kind, target.job, target.credentials) == ("apiserver",) * 3
    assert target.subject == targets.APISERVER
    assert target.attributes == (("kyma.input.name", "apiserver"),)


def test_its_pace_is_that_of_the_runtime_input() -> None:
    access = credentials.anonymous("http://h")
    slow, fast = (apiserver.apiserver_target(access, document(i)) for i in (None, 5.0))
    assert (slow.interval, slow.timeout) == (30.0, 10.0)
    assert (fast.interval, fast.timeout) == (5.0, 5.0)


def test_it_is_scraped_beside_what_was_discovered_while_this_agent_leads() -> None:
    access = credentials.anonymous("http://h")
    target = apiserver.apiserver_target(access, document())
    other = replace(target, url="http://other/metrics")
    told: list[dict[str, targets.Target]] = []
    merging = apiserver.Merging(lambda wanted: told.append(dict(wanted)))
    merging.discovered({other.url: other})
    merging.lead(target)
    merging.discovered({})
    merging.lead(None)
    assert told == [
        {other.url: other}, {target.url: target, other.url: other}, {target.url: target}, {},
    ]  # fmt: skip


def test_a_static_target_of_the_same_url_stays_what_it_is() -> None:
    target = apiserver.apiserver_target(credentials.anonymous("http://h"), document())
    static = replace(target, kind="static")
    told: list[dict[str, targets.Target]] = []
    merging = apiserver.Merging(lambda wanted: told.append(dict(wanted)))
    merging.lead(target)
    merging.discovered({static.url: static})
    assert told[-1] == {target.url: static}
