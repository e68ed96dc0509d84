"""Everything that is collected runs together, and only what is asked for."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from agent import collecting
from common.config import agent
from common.kube import credentials
from common.wire import otlp
from tests.agent.exposer import exposing, page
from tests.fakes import kubernetes


def document(**sections: object) -> agent.Agent:
    return msgspec.convert(sections, agent.Agent)


@pytest.mark.wallclock
async def test_without_an_api_server_only_static_targets_are_scraped() -> None:
    offered: list[tuple[otlp.Encoded, int]] = []
    some = asyncio.Event()

    def offer(body: otlp.Encoded, points: int) -> bool:
        offered.append((body, points))
        some.set()
        return True

    async with exposing(page(b"a 1\n")) as exposer:
        given = {"url": f"http://127.0.0.1:{exposer.port}/metrics", "interval": 0.1, "timeout": 0.1}
        async with (
            asyncio.timeout(20),
            collecting.collecting(
                document(static_targets=[given], inputs={"runtime": {"enabled": True}}),
                None,
                offer,
                host="",
                monotonic=asyncio.get_running_loop().time,
            ) as collected,
        ):
            assert collected.status() == {
                "discovery": "not used; 1 static targets",
                "cluster": "no API server is asked",
            }
            await some.wait()
    body, points = offered[0]
    assert points == 6
    assert b"io.kyma-project.telemetry/prometheus" in body


async def test_each_input_that_is_on_says_how_it_is_doing() -> None:
    async with kubernetes.serving() as api:
        chosen = document(
            node="n",
            inputs={
                "prometheus": {"enabled": False},
                "runtime": {"enabled": True, "resources": {"apiserver": True}},
            },
        )
        async with collecting.collecting(
            chosen,
            credentials.anonymous(api.url),
            lambda _, __: True,
            host="agent-0",
            monotonic=asyncio.get_running_loop().time,
        ) as collected:
            assert collected.status().keys() == {"discovery", "kubelet", "cluster"}
            page = collected.runtime_page()
    assert page["kubelet"]["url"] == "https://n:10250/stats/summary"
    assert page["cluster"]["lease"].endswith("/headgate-agent-cluster")


async def test_all_inputs_share_one_watch_of_the_nodes_pods() -> None:
    def answer(request: web.Request) -> kubernetes.Answer:
        return kubernetes.Answer(hang=True) if "watch" in request.query else kubernetes.page()

    async with kubernetes.serving(answer) as api:
        async with collecting.collecting(
            document(node="n", inputs={"runtime": {"enabled": True}}),
            credentials.anonymous(api.url),
            lambda _, __: True,
            host="agent-0",
            monotonic=asyncio.get_running_loop().time,
        ) as collected:
            await asyncio.sleep(1)
            assert collected.discovery.status.startswith("synced; ")
        asked = [request.query for request in api.requests if request.path == "/api/v1/pods"]
    ours = ["watch" in query for query in asked if query.get("fieldSelector") == "spec.nodeName=n"]
    assert ours == [False, True]
