"""An agent pushes to its gateway: in every encoding, while that is away, and with other tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from bench import processes
from common.wire import otlp
from tests.agent.exposer import exposing, page
from tests.fakes import backends
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]

SAMPLES = 100
REPORTS = 5  # series that a scrape adds about itself
# On a busy machine a scrape may time out: then it has stale markers, and later reports alone.
WHOLE = {SAMPLES + REPORTS, REPORTS}
BODY = b"# TYPE a gauge\n" + b"".join(b'a{number="%d"} %d\n' % (i, i) for i in range(SAMPLES))
TARGETS = 3
PUSH = {"batch": {"linger": 0.05}, "retry": {"initial": 0.05, "max_interval": 0.2}}


@dataclass
class Agent:
    """An agent that scrapes targets of this process; its last words are there when it has ended."""

    url: str
    folder: Path

    async def metrics(self) -> dict[str, float]:
        text = await asyncio.to_thread(processes.fetch_text, f"{self.url}/metrics")
        found = programs.numbers(text)
        return {name.removeprefix("headgate_agent_"): value for name, value in found.items()}

    async def until(self, what: str, least: float) -> dict[str, float]:
        async def enough() -> dict[str, float] | None:
            found = await self.metrics()
            return found if found[what] >= least else None

        return await programs.until(enough, f"{what} is at least {least}")

    def last_words(self) -> dict[str, Any]:
        lines = [json.loads(line) for line in (self.folder / "agent.log").read_text().splitlines()]
        (stopped,) = [line for line in lines if line["msg"] == "stopped"]
        return stopped


@asynccontextmanager
async def agent(folder: Path, endpoint: str, **push: Any) -> AsyncIterator[Agent]:
    """Run an agent that scrapes `TARGETS` targets ten times a second; SIGTERM and 0 at the end."""
    async with AsyncExitStack() as stack:
        exposers = [await stack.enter_async_context(exposing(page(BODY))) for _ in range(TARGETS)]
        document = {
            "gateway": {"endpoint": endpoint, "token_file": str(folder / "token"), **PUSH, **push},
            "scraping": {"interval": 0.1, "timeout": 0.1},
            "static_targets": [
                {"url": each.url, "job": f"job-{i}"} for i, each in enumerate(exposers)
            ],
        }
        url = await stack.enter_async_context(programs.agent(folder, document))
        yield Agent(url, folder)


def document(folder: Path, backend: backends.Backend, listen: Mapping[str, Any]) -> dict[str, Any]:
    """Return a gateway's that takes what agents scrape, and nothing else."""
    return {
        "listen": listen,
        "agents": {"token_file": str(folder / "agents")},
        "pipelines": [
            {
                "name": "p",
                "inputs": {
                    "otlp": {"enabled": False},
                    "prometheus": {"diagnostic_metrics": True},
                },
                "output": {"otlp": {"endpoint": backend.url}},
                "batch": {"linger": 0.05},
            }
        ],
    }


def replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def points(backend: backends.Backend) -> int:
    return sum(otlp.count(received.body) for received in backend.received)


def scrapes(backend: backends.Backend) -> dict[tuple[str, int], int]:
    """Return how many points there are of each scrape, by job and time."""
    found: dict[tuple[str, int], int] = {}
    for received in backend.received:
        for frame in Request.FromString(received.body).resource_metrics:
            said = {a.key: a.value.string_value for a in frame.resource.attributes}
            for scope in frame.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.gauge.data_points:
                        key = (said["service.name"], point.time_unix_nano)
                        found[key] = found.get(key, 0) + 1
    return found


@pytest.mark.parametrize(
    ("door", "compression"),
    [
        *[("lean", compression) for compression in ("none", "gzip", "zstd", "snappy")],
        *[("grpcio", compression) for compression in ("none", "gzip")],  # it knows no others
    ],
)
async def test_what_is_scraped_arrives_in_every_encoding_batched_over_targets(
    tmp_path: Path, door: str, compression: str
) -> None:
    for name in ("token", "agents"):
        (tmp_path / name).write_text("secret")
    async with (
        backends.otlp_grpc() as backend,
        programs.gateway(tmp_path, document(tmp_path, backend, {"grpc_door": door})) as gateway,
    ):
        push = {"compression": compression, "batch": {"linger": 0.3}}
        async with agent(tmp_path, gateway.grpc, **push) as running:
            found = await running.until("points_delivered_total", 2000)
        stopped = running.last_words()
        ledger = await gateway.ledger("p")
        metrics = await programs.metrics(gateway)
    each = TARGETS * (SAMPLES + REPORTS)
    assert found["push_requests_total"] < found["points_delivered_total"] / each
    assert found["push_failing"] == found["push_refused_tokens_total"] == 0
    assert stopped["scraped"] == stopped["delivered"] == ledger["received"]
    assert ledger["delivered"] == ledger["received"] == points(backend)
    sizes = [
        metrics[f'headgate_gateway_received_{kind}_bytes_total{{transport="grpc"}}']
        for kind in ("wire", "inflated")
    ]
    assert (sizes[0] < sizes[1] / 2) is (compression != "none")


async def test_a_gateway_that_is_away_for_long_costs_whole_scrapes_and_never_more_memory(
    tmp_path: Path,
) -> None:
    for name in ("token", "agents"):
        (tmp_path / name).write_text("secret")
    (port,) = processes.free_ports(1)
    where, limit = f"127.0.0.1:{port}", 100_000
    async with backends.otlp_grpc() as backend, AsyncExitStack() as gateways:
        async with agent(tmp_path, f"http://{where}", queue_bytes=limit) as running:
            for lost in range(1, 40, 3):
                away = await running.until("lost_scrapes_total", lost)
                assert limit / 2 < away["queue_bytes"] <= away["queue_limit_bytes"] == limit
            assert away["push_failing"] == 1
            dropped = away['points_dropped_total{reason="inbox_full"}']
            lost = away["lost_scrapes_total"]
            assert lost * min(WHOLE) <= dropped <= lost * max(WHOLE)
            ready = await processes.get(f"{running.url}/readyz")
            assert ready["ready"]
            assert "does not take data" in ready["checks"]["gateway"]
            await gateways.enter_async_context(
                programs.gateway(tmp_path, document(tmp_path, backend, {"grpc": where}))
            )
            back = await running.until("points_delivered_total", 2 * away["points_held"])
        assert back["push_failing"] == 0
        stopped = running.last_words()
        assert stopped["held"] == 0
        assert set(stopped["lost"]) == {"inbox_full"}
        assert stopped["delivered"] == stopped["scraped"] - stopped["lost"]["inbox_full"]
    found = scrapes(backend)
    assert set(found.values()) <= WHOLE, "a part of a scrape is worse than none"
    assert sum(found.values()) == stopped["delivered"] == points(backend)


async def test_a_gateway_that_restarts_costs_nothing(tmp_path: Path) -> None:
    for name in ("token", "agents"):
        (tmp_path / name).write_text("secret")
    (port,) = processes.free_ports(1)
    where = f"127.0.0.1:{port}"
    async with backends.otlp_grpc() as backend, AsyncExitStack() as gateways:
        settings = document(tmp_path, backend, {"grpc": where})
        async with agent(tmp_path, f"http://{where}") as running:
            async with programs.gateway(tmp_path, settings):
                first = await running.until("points_delivered_total", 2000)
            await running.until("push_failing", 1)
            await gateways.enter_async_context(programs.gateway(tmp_path, settings))
            await running.until("points_delivered_total", first["points_delivered_total"] + 2000)
        stopped = running.last_words()
    assert (stopped["lost"], stopped["held"]) == ({}, 0)
    assert stopped["delivered"] == stopped["scraped"] == points(backend)


@pytest.mark.parametrize(("door", "closed"), [("lean", False), ("lean", True), ("grpcio", False)])
async def test_tokens_that_are_exchanged_on_both_sides_cost_nothing_in_whatever_order(
    tmp_path: Path,
    door: str,
    closed: bool,  # noqa: FBT001
) -> None:
    token, agents, clients = (tmp_path / name for name in ("token", "agents", "clients"))
    for file in (token, agents):
        file.write_text("one")
    clients.write_text("client")
    auth = {"bearer_tokens_file": str(clients)} if closed else {}
    listen = {"grpc_door": door, "auth": auth}
    async with (
        backends.otlp_grpc() as backend,
        programs.gateway(tmp_path, document(tmp_path, backend, listen)) as gateway,
    ):
        async with agent(tmp_path, gateway.grpc) as running:
            await running.until("points_delivered_total", 1)
            # As it should be: the gateway knows both for a while.
            replace(agents, "one\ntwo\n")
            await taken(gateway, 1)
            replace(token, "two")
            await looked_again(running)
            replace(agents, "two\n")
            await taken(gateway, 2)
            calm = await looked_again(running)
            # As it should not be: the gateway forgets the token before the agent does.
            replace(agents, "three")
            failing = await running.until("push_refused_tokens_total", 3)
            ready = await processes.get(f"{running.url}/readyz")
            replace(token, "three")
            after = failing["points_delivered_total"] + failing["points_held"] + 1000
            await running.until("points_delivered_total", after)
        stopped = running.last_words()
        ledger = await gateway.ledger("p")
        mismatches = (await programs.metrics(gateway))["headgate_gateway_token_mismatches_total"]
    assert calm["push_refused_tokens_total"] == 0
    assert failing["push_failing"] == 1
    assert "UNAUTHENTICATED: the bearer token is not known here" in ready["checks"]["gateway"]
    assert mismatches >= 3
    assert (stopped["lost"], stopped["held"]) == ({}, 0)
    assert stopped["delivered"] == stopped["scraped"] == ledger["received"] == points(backend)
    assert set(scrapes(backend).values()) <= WHOLE


async def looked_again(running: Agent) -> dict[str, float]:
    """Wait until the agent has looked at its token, as it does once a second.

    It is given two of its own seconds: there are no more than so many scrapes in them.
    """
    name = 'scrapes_total{outcome="up"}'
    before = (await running.metrics())[name]
    return await running.until(name, before + 2 * 10 * TARGETS)


async def taken(gateway: programs.Gateway, changes: int) -> None:
    """Wait until the gateway has applied so many changes of its configuration."""

    async def applied() -> bool:
        found = await programs.metrics(gateway)
        return found['headgate_gateway_reloads_total{outcome="applied"}'] >= changes

    await programs.until(applied, f"{changes} changes are applied")
