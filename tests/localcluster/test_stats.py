"""A kubelet of ours tells what its pods use, over HTTP, to whoever may ask."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest

from agent.runtime import summary
from localcluster import cluster, kinds, kubelet, stats
from localcluster.cluster import Settings

pytestmark = pytest.mark.wallclock

BUSY = "while True: pass"


async def test_what_a_pod_uses_is_told_on_the_address_of_its_node(tmp_path: Path) -> None:
    door = kubelet.Settings(stats_port=10250, stats_token="t")
    settings = Settings(nodes=("node-a",), kubelet=door)
    async with (
        cluster.running(directory=tmp_path, settings=settings) as found,
        aiohttp.ClientSession() as session,
    ):
        command = [sys.executable, "-c", BUSY]
        containers = [{"name": "c", "image": "none", "command": command}]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "busy"},
            "spec": {"containers": containers},
        }
        found.create(pod)
        await found.wait_for_pods("default/busy")
        node = found.store.get(kinds.NODES, "", "node-a")
        url = f"http://{node['status']['addresses'][0]['address']}:10250/stats/summary"
        async with session.get(url) as refused:
            assert refused.status == 401

        async def ask() -> summary.Summary:
            async with session.get(url, headers={"Authorization": "Bearer t"}) as answer:
                return summary.decode(await answer.read())

        async with asyncio.timeout(10):
            while True:
                told = await ask()
                (busy,) = told.pods or ()
                if busy.cpu and busy.cpu.usage_nano_cores:
                    break
    assert told.node.node_name == "node-a"
    assert busy.reference.name == "busy"
    assert busy.memory is not None
    assert busy.memory.rss_bytes
    assert [container.name for container in busy.containers or ()] == ["c"]


async def test_a_port_that_is_taken_is_an_error() -> None:
    serving = stats.serving("n", "127.0.0.1", 0, pods=list, timestamp=str)
    async with serving as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with stats.serving("n", "127.0.0.1", port, pods=list, timestamp=str):
                raise AssertionError
