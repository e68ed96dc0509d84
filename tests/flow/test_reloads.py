"""A hundred changes of the configuration under load: every point is accounted for, none is lost."""

import asyncio
import json
import struct
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from tests.fakes import points
from tests.flow import programs
from tests.fuzz import (
    grpc_cases,
    grpc_link,
    http2_link,
    http2_wire as h2,
    http_cases,
    http_link,
    process,
)
from tests.fuzz.grpc_cases import GrpcCase
from tests.fuzz.http_cases import HttpCase

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(240)]

RELOADS = {"lean": 100, "grpcio": 20}  # a change is seen within half a second
EACH_WITHIN = 10.0  # seconds; 0.5 and a bit where nothing else is going on
LANES = 10  # of each door
PAUSE = 0.2  # seconds between two handfuls of a lane
HANDFUL = 10  # requests: with 20 lanes 1,000 a second
MOST = 200_000  # requests
MARK = struct.pack("<Q", 1_700_000_000 * 10**9)
NAMES = ("kept", "left")


class Load:
    """Sends requests of one point each, all of different times, and knows which were taken."""

    def __init__(self, gateway: programs.Gateway) -> None:
        self._grpc, self._http = (int(u.rpartition(":")[2]) for u in (gateway.grpc, gateway.http))
        self._bodies = [points.request([1.0], name=name) for name in NAMES]
        self.done = False
        self.sent = 0
        self.taken = Counter[str]()  # by name of the metric
        self.answers = Counter[str]()

    def body(self, name: int) -> bytes:
        self.sent += 1
        time = struct.pack("<Q", (1_700_000_000_000 + self.sent) * 10**6)
        return self._bodies[name].replace(MARK, time, 1)

    def book(self, name: int, outcome: str) -> None:
        self.answers[outcome] += 1
        if outcome in {"200", "OK"}:
            self.taken[NAMES[name]] += 1

    async def over_http(self, lane: int) -> None:
        link: http_link.HttpLink | None = None
        while not self.done and self.sent < MOST:
            if link is None or link.closed or link.transport.is_closing():
                link = await http_link.connect(self._http, f"127.0.1.{lane + 1}")
            name = self.sent // HANDFUL % 2
            cases = [
                HttpCase(name="", data=http_cases.post(self.body(name)), right=frozenset())
                for _ in range(HANDFUL)
            ]
            found, left = await http_link.run(link, cases, EACH_WITHIN)
            assert not left, "the door closed a connection before it had answered"
            for _, outcome, _ in found:
                self.book(name, outcome)
            await asyncio.sleep(PAUSE)

    async def over_grpc(self, lane: int) -> None:
        link = await http2_link.connect(self._grpc, f"127.0.1.{lane + 1}")
        while not self.done and self.sent < MOST:
            name = self.sent // HANDFUL % 2
            cases = [
                GrpcCase(
                    name="", pieces=grpc_cases.call(h2.message(self.body(name))), right=frozenset()
                )
                for _ in range(HANDFUL)
            ]
            found, left = await grpc_link.run(link, cases, Random(lane), EACH_WITHIN)
            assert not left, "the door closed a connection before it had answered"
            for _, outcome, _ in found:
                self.book(name, outcome)
            await asyncio.sleep(PAUSE)
        link.transport.abort()


def document(generation: int, to: dict[str, str]) -> list[dict[str, object]]:
    """Return pipelines of which something is different in every *generation*."""

    def otlp(url: str) -> dict[str, object]:
        return {"otlp": {"endpoint": url, "protocol": "http", "compression": "none"}}

    leave = {"metrics": {"exclude": [NAMES[1]] if generation % 2 else []}}
    moving = to["a"] if generation % 3 else to["b"]
    pipelines = [
        {"name": "steady", "output": otlp(to["steady"])},
        {"name": "filters", "output": otlp(to["filters"]), "inputs": {"otlp": leave}},
        {"name": "moving", "output": otlp(moving)},
        {"name": f"named-{generation % 7}", "output": otlp(to["named"])},
        {
            "name": "write",
            "output": {
                "remote_write": {
                    "url": f"{to['write']}/api/v1/write",
                    "external_labels": {"generation": str(generation // 2)},
                }
            },
        },
    ]
    for pipeline in pipelines:
        pipeline["batch"] = {"linger": 0.05}
    Random(generation).shuffle(pipelines)
    return pipelines


@pytest.mark.parametrize("door", process.doors())
async def test_no_point_is_lost_while_the_configuration_changes(tmp_path: Path, door: str) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        places = ("steady", "filters", "a", "b", "named", "write")
        backends = {name: await stack.enter_async_context(process.backend()) for name in places}
        to = {name: url for name, (url, _) in backends.items()}
        base = {"pipelines": document(0, to), "listen": {"grpc_door": door}}
        async with programs.gateway(tmp_path, base) as gateway:
            config = tmp_path / "gateway.yaml"
            whole = json.loads(config.read_text())
            load = Load(gateway)

            async def applied(generation: int) -> bool:
                text = await programs.metrics(gateway)
                return text['headgate_gateway_reloads_total{outcome="applied"}'] >= generation

            async with asyncio.TaskGroup() as tasks:
                for lane in range(LANES):
                    tasks.create_task(load.over_http(lane))
                    tasks.create_task(load.over_grpc(LANES + lane))
                began = loop.time()
                for generation in range(1, RELOADS[door] + 1):
                    whole["pipelines"] = document(generation, to)
                    new = config.with_suffix(".new")
                    new.write_text(json.dumps(whole))
                    new.replace(config)
                    what = f"change {generation} is applied"
                    await programs.until(lambda g=generation: applied(g), what, EACH_WITHIN)
                seconds = loop.time() - began
                load.done = True
            rate = sum(load.answers.values()) / seconds
            print(  # noqa: T201 - figures are for people
                f"{door}: {RELOADS[door]} reloads in {seconds:.0f} s "
                f"under {rate:.0f} requests a second"
            )

            async def empty() -> dict[str, dict[str, int]] | None:
                found = {n: await gateway.ledger(n) for n in await programs.pipelines(gateway)}
                return None if any(each["held"] for each in found.values()) else found

            ledgers = await programs.until(empty, "everything is delivered")
    taken = sum(load.taken.values())
    assert set(load.answers) == {"200", "OK"}, "nobody was turned away, or left without an answer"
    assert taken == load.sent
    for name, ledger in ledgers.items():
        assert (ledger["balance"], ledger["dropped"]) == (0, 0), name
        assert ledger["received"] == ledger["delivered"] + ledger["filtered"], name
    for name in ("steady", "filters", "moving", "write"):
        assert ledgers[name]["received"] == taken, name
    named = [ledger for name, ledger in ledgers.items() if name.startswith("named-")]
    assert len(named) == 7
    assert sum(ledger["received"] for ledger in named) == taken
    assert 0 < ledgers["filters"]["filtered"] < load.taken[NAMES[1]]
    arrived = {name: account.points for name, (_, account) in backends.items()}
    assert arrived["steady"] == arrived["named"] == arrived["a"] + arrived["b"] == taken
    assert arrived["filters"] == ledgers["filters"]["delivered"]
    assert min(arrived["a"], arrived["b"]) > 0
