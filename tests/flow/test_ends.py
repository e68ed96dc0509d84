"""SIGTERM under load: doors close, what is held is sent until the grace ends, the rest is told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest

from bench import processes
from tests.flow import faulty, numbered, programs, victims
from tests.flow.faulty import Agree, Backend, Hang
from tests.flow.victims import Places

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]


def pipeline(name: str, backend: Backend, **more: Any) -> dict[str, Any]:
    return {"name": name, "output": backend.output, **more}


def sent(account: numbered.Account, requests: int) -> Callable[[], Any]:
    async def enough() -> bool:
        return min(account.outcomes["OK"], account.outcomes["200"]) >= requests

    return enough


@pytest.mark.parametrize("kind", faulty.KINDS)
async def test_the_end_under_load_loses_nothing_when_the_backend_is_only_slow(
    tmp_path, kind
) -> None:
    async with faulty.serving(kind) as backend:
        backend.rule = faulty.always(Agree(0.5))
        places = Places.free()
        document = places.document(pipeline("p", backend))
        async with victims.running(tmp_path, places, document) as victim:
            load = numbered.Load(places.doors, numbered.Account())
            async with load.sending():
                await programs.until(sent(load.account, 50), "there was load")
                assert await victim.end() == 0
            said = victim.last_words()
    account = load.account
    assert said["received"] == said["delivered"] >= len(account.acknowledged)
    assert (said["lost"], said["held"]) == ({}, 0)
    victims.compare(account, set(backend.taken))


async def test_the_doors_close_first_and_what_is_held_is_sent_after_that(tmp_path) -> None:
    async with faulty.serving("grpc") as backend:
        backend.rule = faulty.always(faulty.UNAVAILABLE)
        places = Places.free()
        document = places.document(pipeline("p", backend))
        async with victims.running(tmp_path, places, document) as victim:
            load = numbered.Load(places.doors, numbered.Account())
            async with load.sending():
                await programs.until(sent(load.account, 20), "there was load")
            victim.child.send_signal(signal.SIGTERM)

            async def closed() -> bool:
                return all([await refuses(port) for port in places.doors.values()])

            await programs.until(closed, "both doors are closed")
            page: Any = await processes.get(f"{places.pages}/readyz")
            assert not page["ready"]
            ledger = (await victim.ledgers())["p"]
            assert ledger["received"] == ledger["held"] == len(load.account.acknowledged)
            backend.rule = faulty.FINE
            async with asyncio.timeout(programs.WITHIN):
                assert await victim.child.wait() == 0
            assert victim.last_words()["delivered"] == ledger["received"]
    victims.compare(load.account, set(backend.taken))


async def refuses(port: int) -> bool:
    """Say whether nobody listens on *port* of loopback."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    await writer.wait_closed()
    return False


async def test_what_is_not_sent_when_the_grace_ends_is_counted_by_pipeline(tmp_path) -> None:
    async with faulty.serving("grpc") as dead, faulty.serving("http") as alive:
        dead.rule = faulty.always(Hang())
        places = Places.free()
        document = places.document(pipeline("dead", dead), pipeline("alive", alive), grace=1.0)
        async with victims.running(tmp_path, places, document) as victim:
            load = numbered.Load(places.doors, numbered.Account())
            async with load.sending():
                await programs.until(sent(load.account, 50), "there was load")
                assert await victim.end() == 1
            said = victim.last_words()
            told = [line for line in victim.lines() if line["msg"].startswith("points lost: shut")]
    account = load.account
    victims.compare(account, set(alive.taken))
    assert not dead.taken
    assert said["delivered"] == len(alive.taken)
    assert said["lost"] == {"shutdown": len(alive.taken)} == {"shutdown": said["received"] // 2}
    assert said["held"] == 0
    assert {line["destination"] for line in told} == {"dead"}
    assert sum(line["points"] for line in told) == said["lost"]["shutdown"]


@pytest.mark.parametrize(
    ("kind", "sync"), [("grpc", "none"), ("http", "interval"), ("remote_write", "interval")]
)
async def test_what_is_not_sent_when_the_grace_ends_is_on_disk_for_the_next_life(
    tmp_path, kind, sync
) -> None:
    buffer = {"dir": str(tmp_path / "buffer"), "sync": sync, "sync_interval": 30.0}
    async with faulty.serving(kind) as backend:
        backend.rule = faulty.always(Hang())
        places = Places.free()
        document = places.document(pipeline("p", backend, buffer=buffer), grace=1.0)
        load = numbered.Load(places.doors, numbered.Account())
        account = load.account
        async with victims.running(tmp_path, places, document) as victim:
            async with load.sending():
                await programs.until(sent(account, 50), "there was load")
                code = await victim.end()
            said = victim.last_words()
        assert (said["lost"], said["delivered"]) == ({}, 0)
        assert said["held"] == said["received"] >= len(account.acknowledged)
        assert code == 0, "nothing is lost, so this was a good end"
        backend.rule = faulty.FINE
        async with victims.running(tmp_path, places, document) as victim:
            (ledger,) = (await victim.settled()).values()
            assert await victim.end() == 0
    assert ledger["recovered"] == ledger["received"] == ledger["delivered"] == said["held"]
    victims.compare(account, set(backend.taken))
