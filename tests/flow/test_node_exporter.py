"""A real node_exporter body, scraped by Prometheus and by us, gives the same series and values."""

import asyncio
import math
import shutil
import urllib.request

import pytest
from aiohttp import web

from bench import processes
from tests.flow import programs

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.timeout(90),
    pytest.mark.needs_prometheus,
    pytest.mark.needs_prometheus_node_exporter,
]
TIMED = {"scrape_duration_seconds"}  # differs between any two scrapes


async def captured() -> bytes:
    """Return what node_exporter exposes now."""
    (port,) = processes.free_ports(1)
    child = await asyncio.create_subprocess_exec(
        shutil.which("prometheus-node-exporter") or "prometheus-node-exporter",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    def fetch() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read()

    async def answers() -> bytes:
        try:
            return await asyncio.to_thread(fetch)
        except OSError:
            return b""

    try:
        return await programs.until(answers, "node_exporter answers")
    finally:
        child.terminate()
        await child.wait()


async def test_the_agents_series_are_those_of_prometheus_own_scrape(tmp_path) -> None:
    body = await captured()
    assert body.count(b"\n") > 300

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = f"127.0.0.1:{runner.addresses[0][1]}"
    scrape = {
        "job_name": "node",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [{"targets": [target], "labels": {"way": "direct"}}],
    }
    async with programs.prometheus(tmp_path, [scrape]) as prometheus:
        pipeline = {
            "name": "p",
            "inputs": {"prometheus": {"diagnostic_metrics": True}},
            "output": {
                "remote_write": {
                    "url": prometheus.write_url,
                    "naming": "plain",
                    "scope_labels": False,
                    "target_info": False,
                    "external_labels": {"way": "through"},
                }
            },
            "batch": {"linger": 0.1},
        }
        async with programs.gateway(tmp_path, {"pipelines": [pipeline]}) as gateway:
            document = {
                "gateway": {"endpoint": gateway.grpc, "batch": {"linger": 0.1}},
                "scraping": {"interval": 1.0, "timeout": 1.0},
                "static_targets": [{"url": f"http://{target}/metrics", "job": "node"}],
            }
            async with programs.agent(tmp_path, document):

                async def both():
                    direct, through = [
                        series(await prometheus.query(f'{{way="{way}"}}'))
                        for way in ("direct", "through")
                    ]
                    # The first scrape adds all series, the second none: both must have had two.
                    settled = all(
                        found.get(key(found, "scrape_series_added")) == 0
                        for found in (direct, through)
                    )
                    return (direct, through) if settled else None

                direct, through = await programs.until(both, "both ways had two scrapes", within=30)
        await runner.cleanup()
    assert len(direct) > 300
    assert direct.keys() == through.keys()
    different = {
        k: (direct[k], through[k])
        for k in direct
        if not same(direct[k], through[k]) and dict(k)["__name__"] not in TIMED
    }
    assert different == {}


def series(result) -> dict[frozenset[tuple[str, str]], float]:
    """Return values by labels, apart from the label that tells the two ways apart."""
    return {
        frozenset((k, v) for k, v in s["metric"].items() if k != "way"): float(s["value"][1])
        for s in result
    }


def key(found, name: str):
    """Return the labels of the one series called *name*."""
    return next((k for k in found if dict(k)["__name__"] == name), None)


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))
