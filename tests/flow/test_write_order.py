"""Under load, however its receiver fares, a real Prometheus sees no series go back in time.

Prometheus 2.42 refuses a whole request for one sample that is older than the last of its series, so
a sender that loses the order of a series loses data.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from common.service import clock
from tests.fakes import http_proxy
from tests.fakes.backends import METHOD
from tests.fakes.remote_write_rules import bits
from tests.fakes.remote_write_v1 import Labels, Samples
from tests.flow import programs

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.needs_prometheus,
]

RESOURCES, CONNECTIONS = 200, 4
PIPELINES = ("p0", "p1", "p2")
WORKERS = ("a", "b", "ü")  # points of a metric
WITHIN = 60.0  # seconds until everything is delivered
SLOWEST = 0.3  # seconds of an answer
REFUSED = "prometheus_tsdb_out_of_order_samples_total"


Lanes: TypeAlias = tuple[int, int]
"""min_lanes and max_lanes."""


class Load:
    """Resources that send as fast as they are answered, each its own samples in order."""

    def __init__(self, sends: int) -> None:
        self._sends = sends  # of each resource
        self._begin = int(clock.unix_seconds() * 1000) - 60_000
        self.points = 0
        self.expected: dict[Labels, Samples] = {}

    async def run(self, gateway: programs.Gateway) -> None:
        where = gateway.grpc.removeprefix("http://")
        async with asyncio.TaskGroup() as tasks:
            for lane in range(CONNECTIONS):
                tasks.create_task(self._connection(where, range(lane, RESOURCES, CONNECTIONS)))

    async def _connection(self, where: str, resources: range) -> None:
        # A subchannel of its own for each, or grpcio would share one connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(where, options=options) as channel:
            export = channel.unary_unary(METHOD)
            async with asyncio.TaskGroup() as tasks:
                for resource in resources:
                    tasks.create_task(self._resource(export, resource))

    async def _resource(self, export: Any, resource: int) -> None:
        for n in range(self._sends):
            body = self._request(resource, n).SerializeToString()
            assert await export(body, timeout=30) == b""

    def _request(self, resource: int, n: int) -> Request:
        message = Request()
        frame = message.resource_metrics.add()
        for key, value in (("service.name", "order"), ("service.instance.id", f"i{resource}")):
            frame.resource.attributes.add(key=key).value.string_value = value
        ms = self._begin + n * 100
        gauge = frame.scope_metrics.add().metrics.add(name="busy").gauge
        for worker in WORKERS:
            value = float(1000 * resource + n)
            point = gauge.data_points.add(time_unix_nano=ms * 1_000_000, as_double=value)
            point.attributes.add(key="worker").value.string_value = worker
            self.points += 1
            for pipeline in PIPELINES:
                labels = {
                    "__name__": "busy",
                    "job": "order",
                    "instance": f"i{resource}",
                    "worker": worker,
                    "pipeline": pipeline,
                }
                series = self.expected.setdefault(frozenset(labels.items()), {})
                series[ms] = bits(value)
        return message


def pipeline(name: str, url: str, lanes: Lanes) -> dict[str, Any]:
    return {
        "name": name,
        "output": {
            "remote_write": {
                "url": f"{url}/api/v1/write",
                "external_labels": {"pipeline": name},
                "min_lanes": lanes[0],
                "max_lanes": lanes[1],
            }
        },
        "batch": {"linger": 0.05, "max_bytes": 40_000},
        "retry": {"initial": 0.2, "max_interval": 1.0},
    }


@asynccontextmanager
async def forwarding(
    folder: Path, proxy: http_proxy.Proxy, lanes: Lanes
) -> AsyncIterator[programs.Gateway]:
    document = {"pipelines": [pipeline(name, proxy.url, lanes) for name in PIPELINES]}
    async with programs.gateway(folder, document) as gateway:
        yield gateway


async def delivered(gateway: programs.Gateway, points: int) -> None:
    async def all_of_it() -> bool:
        ledgers = [await gateway.ledger(name) for name in PIPELINES]
        return all(each["received"] == points and not each["held"] for each in ledgers)

    await programs.until(all_of_it, "everything is delivered", WITHIN)


async def out_of_order(prometheus: programs.Prometheus) -> float:
    found = [v for name, v in (await prometheus.metrics()).items() if name.startswith(REFUSED)]
    assert found, f"this Prometheus has no {REFUSED}"
    return sum(found)


@pytest.mark.parametrize("lanes", [(1, 1), (1, 8), (4, 4)])
async def test_no_sample_is_out_of_order_though_the_receiver_is_slow_and_starts_anew(
    tmp_path: Path, lanes: Lanes
) -> None:
    load, random = Load(30), Random(1)
    async with http_proxy.proxying("") as proxy:
        proxy.closed = True  # nobody is there yet
        async with forwarding(tmp_path, proxy, lanes) as gateway, asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(load.run(gateway))
            async with programs.prometheus(tmp_path) as prometheus:
                proxy.target, proxy.closed = prometheus.url, False
                proxy.delay = lambda: random.random() * SLOWEST
                await programs.until(lambda: answered(proxy, 20), "requests are answered")
                # What was taken but not answered would be refused the second time, and rightly.
                proxy.closed = True
                await programs.until(lambda: quiet(proxy), "nothing is under way")
                assert await out_of_order(prometheus) == 0
                assert (await prometheus.held()).samples
            async with programs.prometheus(tmp_path) as prometheus:
                proxy.target, proxy.closed = prometheus.url, False
                await sending
                await delivered(gateway, load.points)
                assert await out_of_order(prometheus) == 0
                held = (await prometheus.held()).samples
                ledgers = [await gateway.ledger(name) for name in PIPELINES]
    # As many requests at once as there were to be, or this would prove nothing.
    least, most = (len(PIPELINES) * each for each in lanes)
    assert least <= proxy.most_in_flight <= most
    assert proxy.refusals == []
    assert proxy.statuses.keys() == {204}
    held = {k: v for k, v in held.items() if ("__name__", "busy") in k}
    assert held == load.expected
    assert load.points == RESOURCES * 30 * len(WORKERS)
    for ledger in ledgers:
        assert (ledger["delivered"], ledger["balance"]) == (load.points, 0)


@pytest.mark.parametrize("window", ["0s", "10m"])
async def test_an_answer_that_is_lost_costs_no_sample(tmp_path: Path, window: str) -> None:
    load = Load(10)
    storage = {"tsdb": {"out_of_order_time_window": window}}
    async with (
        programs.prometheus(tmp_path, storage=storage) as prometheus,
        http_proxy.proxying(prometheus.url) as proxy,
    ):
        async with forwarding(tmp_path, proxy, (1, 8)) as gateway:
            proxy.lose = 5
            await load.run(gateway)
            await delivered(gateway, load.points)
            ledgers = [await gateway.ledger(name) for name in PIPELINES]
        held = (await prometheus.held()).samples
    # Prometheus has them all. A request that it had taken already it refuses, if that has two
    # samples of a series and there is no window; the ledger cannot but believe it.
    assert proxy.lose == 0
    held = {k: v for k, v in held.items() if ("__name__", "busy") in k}
    assert held == load.expected
    for ledger in ledgers:
        assert ledger["dropped_by"].keys() <= ({"refused"} if window == "0s" else set())
        assert ledger["balance"] == 0
    assert all("out of order" in said for said in proxy.refusals), proxy.refusals


async def answered(proxy: http_proxy.Proxy, requests: int) -> bool:
    return proxy.statuses.total() >= requests


async def quiet(proxy: http_proxy.Proxy) -> bool:
    return not proxy.in_flight
