"""A backlog outlives the output it was made for: it is OTLP, and converted as it leaves."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import points
from tests.flow import faulty, numbered, programs, victims
from tests.flow.faulty import UNAVAILABLE, Backend, Kind
from tests.flow.victims import Places, Victim

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]

ENRICHED = "a-provider-that-nobody-else-has"
NOISE = "metric_that_is_filtered_away"
NOISES = 7


def document(places: Places, backend: Backend, folder: Path) -> dict[str, Any]:
    pipeline = {
        "name": "p",
        "inputs": {"otlp": {"metrics": {"exclude": [NOISE]}}},
        "output": backend.output,
        "buffer": {"dir": str(folder), "sync": "interval"},
    }
    enrichment = {"attributes": {"cloud.provider": ENRICHED}}
    return places.document(pipeline, enrichment=enrichment)


async def backlog(victim: Victim, account: numbered.Account, dead: Backend) -> None:
    """Push what is filtered away, too, and wait until there is a backlog for *dead*."""
    async with numbered.asking("http", victim.places.http) as ask:
        assert (await ask(points.request(range(NOISES), name=NOISE))).fine

    async def enough() -> bool:
        return len(account.acknowledged) >= 1000 and dead.requests > 0

    await programs.until(enough, "there is a backlog")


async def on_disk(folder: Path) -> None:
    """Check that what is on disk is enriched, filtered, and no protocol's but OTLP's."""

    def whole() -> bytes:
        return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())

    found = await asyncio.to_thread(whole)
    assert ENRICHED.encode() in found
    assert b"service.instance.id" in found, "labels of remote write would say instance"
    assert NOISE.encode() not in found


@pytest.mark.parametrize("how", ["reload", "restart"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("grpc", "remote_write"), ("http", "remote_write"), ("remote_write", "grpc")],
)
async def test_a_backlog_is_delivered_in_the_protocol_that_came_later(
    tmp_path: Path, before: Kind, after: Kind, how: str
) -> None:
    folder = tmp_path / "buffer"
    async with AsyncExitStack() as stack:
        dead = await stack.enter_async_context(faulty.serving(before))
        alive = await stack.enter_async_context(faulty.serving(after))
        dead.rule = faulty.always(UNAVAILABLE)
        places = Places.free()
        load = numbered.Load(places.doors, numbered.Account())
        account = load.account
        old, new = (document(places, backend, folder) for backend in (dead, alive))
        async with victims.running(tmp_path, places, {**old, "grace": 1.0}) as victim:
            async with load.sending():
                await backlog(victim, account, dead)
                if how == "reload":
                    victim.write({**new, "grace": 1.0})

                    async def moved() -> bool:
                        return bool(alive.taken)

                    await programs.until(moved, "the other output is used")
            if how == "reload":
                (ledger,) = (await victim.settled()).values()
            else:
                await on_disk(folder)
            assert await victim.end() == 0
        if how == "restart":
            async with victims.running(tmp_path, places, new) as victim:
                (ledger,) = (await victim.settled()).values()
                assert await victim.end() == 0
            assert ledger["recovered"] == ledger["received"]
    assert not dead.taken
    victims.compare(account, set(alive.taken))
    assert ledger["delivered"] == len(alive.taken) >= len(account.acknowledged)
    assert (ledger["dropped"], ledger["balance"]) == (0, 0)
    assert ledger["filtered"] == (NOISES if how == "reload" else 0)
