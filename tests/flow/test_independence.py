"""A destination that is sick is nobody else's business, unless the pipeline says it is required."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.intake import COME_AGAIN
from tests.flow import faulty, numbered, programs, victims
from tests.flow.faulty import Agree, Backend, Hang
from tests.flow.victims import Places, Victim

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

ROUNDS = 5
SECONDS = 0.8  # of load in each round
SLOWER = 4.0  # times; the machine is shared, and four destinations are more work than one
FEWER = 0.5  # of the rate
QUEUE = 60_000  # bytes of a sick pipeline: it is full soon


def pipeline(name: str, backend: Backend, **more: Any) -> dict[str, Any]:
    return {"name": name, "output": backend.output, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round of load found."""

    asked: float  # seconds until a request was acknowledged, at the 99th percentile
    under_way: float  # seconds from then until the backend had it, likewise
    rate: float  # points a second that the backend got


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A gateway, and its healthy pipeline."""

    victim: Victim
    healthy: Backend
    account: numbered.Account

    async def round(self) -> Round:
        account, backend = self.account, self.healthy
        requests, numbers, points = len(account.seconds), account.sent, len(backend.taken)
        load = numbered.Load(self.victim.places.doors, account, pause=0.004)
        async with load.sending():
            await asyncio.sleep(SECONDS)
            rate = (len(backend.taken) - points) / SECONDS

        async def arrived() -> bool:
            return len(backend.taken) == account.sent

        await programs.until(arrived, "the healthy backend has everything")
        times = {first: tries[0] for first, tries in backend.attempts.items() if first > numbers}
        under_way = [at - account.acknowledged[first] for first, at in times.items()]
        return Round(asked=_p99(account.seconds[requests:]), under_way=_p99(under_way), rate=rate)


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


@asynccontextmanager
async def side(folder: Path, sick: dict[str, Backend]) -> AsyncIterator[Side]:
    """Run a gateway with a healthy pipeline beside *sick* ones; check its ledgers at the end."""
    async with AsyncExitStack() as stack:
        healthy = await stack.enter_async_context(faulty.serving("grpc"))
        places = Places.free()
        pipelines = [pipeline(name, each, queue_bytes=QUEUE) for name, each in sick.items()]
        document = places.document(pipeline("healthy", healthy), *pipelines, grace=1.0)
        victim = await stack.enter_async_context(victims.running(folder, places, document))
        account = numbered.Account()
        yield Side(victim=victim, healthy=healthy, account=account)
        ledgers = await victim.ledgers()
        assert set(account.outcomes) == {"OK", "200"}, "the door refused"
        assert ledgers["healthy"]["delivered"] == len(account.acknowledged) == account.sent
        assert set(healthy.taken) == set(account.acknowledged)
        for name in sick:
            ledger = ledgers[name]
            assert ledger["received"] == account.sent
            assert ledger["dropped"] == ledger["dropped_by"]["inbox_full"] > 0, name


async def test_a_healthy_pipeline_does_not_feel_the_sick_ones(tmp_path) -> None:
    async with AsyncExitStack() as stack:
        sick = {
            name: await stack.enter_async_context(faulty.serving(kind))
            for name, kind in (("hanging", "grpc"), ("refusing", "http"), ("slow", "remote_write"))
        }
        sick["hanging"].rule = faulty.always(Hang())
        await sick["refusing"].shut()
        sick["slow"].rule = faulty.always(Agree(2.0))
        folders = [tmp_path / "alone", tmp_path / "beside"]
        for folder in folders:
            folder.mkdir()
        alone = await stack.enter_async_context(side(folders[0], {}))
        beside = await stack.enter_async_context(side(folders[1], sick))
        for each in (alone, beside):  # code that was never run, connections that do not exist yet
            await each.round()
        rounds = [(await alone.round(), await beside.round()) for _ in range(ROUNDS)]
        found = {
            figure: statistics.median(getattr(b, figure) / getattr(a, figure) for a, b in rounds)
            for figure in ("asked", "under_way", "rate")
        }
        print(rounds[-1], found)  # noqa: T201 - figures are for people
        assert found["asked"] < SLOWER
        assert found["under_way"] < SLOWER
        assert found["rate"] > FEWER


@pytest.mark.parametrize("kind", faulty.KINDS)
async def test_a_required_pipeline_without_room_closes_the_doors_until_it_has_some(
    tmp_path, kind
) -> None:
    """What a door turned away is in no pipeline, what it took is in all of them."""
    async with faulty.serving(kind) as sick, faulty.serving("grpc") as healthy:
        sick.rule = faulty.always(faulty.UNAVAILABLE)
        places = Places.free()
        document = places.document(
            pipeline("required", sick, queue_bytes=QUEUE, required=True),
            pipeline("healthy", healthy),
        )
        async with victims.running(tmp_path, places, document) as victim:
            load = numbered.Load(places.doors, numbered.Account())
            account = load.account

            async def turned_away() -> bool:
                return min(account.outcomes["UNAVAILABLE"], account.outcomes["503"]) > 20

            async with load.sending():
                await programs.until(turned_away, "both doors refuse")
                full = len(account.acknowledged)
                sick.rule = faulty.FINE

                async def open_again() -> bool:
                    return len(account.acknowledged) > 2 * full

                await programs.until(open_again, "both doors take requests again")
            ledgers = await victim.settled()
            assert set(account.outcomes) == {"OK", "200", "UNAVAILABLE", "503"}
            assert set(account.waits) == {COME_AGAIN}
            for ledger in ledgers.values():
                assert ledger["received"] == ledger["delivered"] == len(account.acknowledged)
            assert set(healthy.taken) == set(sick.taken) == set(account.acknowledged)
            assert await victim.end() == 0


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="a name server of its own takes root and unshare; in CI both are there",
)
async def test_names_that_nobody_answers_for_delay_no_other_pipeline(tmp_path) -> None:
    """The gateway has name servers of its own, in a mount namespace: one that is silent."""
    hosts, servers = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("127.0.0.1 backend.test\n127.0.0.1 localhost\n")
    servers.write_text("nameserver 127.0.0.9\noptions timeout:20 attempts:2\n")
    mounts = f'mount --bind "{hosts}" /etc/hosts && mount --bind "{servers}" /etc/resolv.conf'
    inside = (
        "unshare", "--mount", "--propagation", "private", "sh", "-c",
        f'{mounts} && exec "$@"', "sh",
    )  # fmt: skip
    silent, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.9", 53)
    )
    async with AsyncExitStack() as stack:
        stack.callback(silent.close)
        healthy = {
            kind: await stack.enter_async_context(faulty.serving(kind, name="backend.test"))
            for kind in faulty.KINDS
        }
        lost = [Backend(kind, 9, name=f"lost{n}.test") for n in range(2) for kind in faulty.KINDS]
        sick = [pipeline(f"sick{n}", each) for n, each in enumerate(lost)]
        well = [pipeline(kind.replace("_", "-"), each) for kind, each in healthy.items()]
        places = Places.free()
        document = places.document(*sick, *well, grace=0.5)
        victim = await stack.enter_async_context(
            victims.running(tmp_path, places, document, inside=inside)
        )
        load = numbered.Load(places.doors, numbered.Account(), lanes=1, pause=0.02)
        async with load.sending():

            async def arrived() -> bool:
                return all(len(each.taken) > 100 for each in healthy.values())

            await programs.until(arrived, "what can be looked up gets its points")
        assert set(load.account.outcomes) == {"OK", "200"}
        ledgers = await victim.ledgers()
        for number in range(len(sick)):
            ledger = ledgers[f"sick{number}"]
            assert ledger["held"] == ledger["received"] > 0
