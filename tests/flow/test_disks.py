"""Disks that are full, or broken for a while: what was acknowledged is not lost."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.buffer.disk import Disk, InUse
from common.buffer.folders import LOCK
from common.config.gateway import Pipeline
from common.exporters.destination import Destination
from common.service.ledger import DropReason, Ledger
from common.wire import otlp
from gateway import destinations, shelves
from gateway.handover import Handover
from tests.flow import faulty, numbered, programs, victims
from tests.flow.faulty import KINDS, Backend
from tests.flow.victims import Places, Victim

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

DISK = 4 << 20  # bytes
WIDTH = 2000  # bytes of a point: it is full after some hundred requests
POINTS = 5


def buffered(backend: Backend, folder: str, **more: Any) -> dict[str, Any]:
    buffer = {"dir": folder, "sync": "each", "segment_bytes": 1 << 18, "max_bytes": 1 << 28}
    return {
        "name": backend.kind.replace("_", "-"),
        "output": backend.output,
        "buffer": buffer,
        "queue_bytes": 200_000,
        **victims.QUICK,
        **more,
    }


@asynccontextmanager
async def on_a_small_disk(
    tmp_path: Path, backend: Backend, *, required: bool
) -> AsyncIterator[Victim]:
    """Run a gateway whose buffer is on a disk of `DISK` bytes, which nobody else sees."""
    folder = tmp_path / "disk"
    folder.mkdir()
    places = Places.free()
    document = places.document(buffered(backend, str(folder), required=required))
    inside = (
        "unshare", "--mount", "--propagation", "private", "sh", "-c",
        f'mount -t tmpfs -o size={DISK} tmpfs "{folder}" && exec "$@"', "sh",
    )  # fmt: skip
    async with victims.running(tmp_path, places, document, inside=inside) as victim:
        yield victim
        assert await victim.end() == 0


needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="a disk of its own takes root and unshare; in CI both are there",
)


@needs_mounts
@pytest.mark.parametrize("kind", KINDS)
async def test_a_disk_that_is_full_closes_the_doors_of_what_is_required(tmp_path, kind) -> None:
    async with faulty.serving(kind) as backend:
        await backend.shut()
        async with on_a_small_disk(tmp_path, backend, required=True) as victim:
            load = numbered.Load(victim.places.doors, numbered.Account(), width=WIDTH)
            account = load.account
            async with load.sending():

                async def full() -> bool:
                    return min(account.outcomes["UNAVAILABLE"], account.outcomes["503"]) > 20

                await programs.until(full, "both doors refuse")
                had = len(account.acknowledged)
                assert had * WIDTH > DISK // 2, "the disk was not what was full"
                await backend.open()

                async def taken_again() -> bool:
                    return len(account.acknowledged) > had + 500

                await programs.until(taken_again, "both doors take requests again")
            (ledger,) = (await victim.settled()).values()
    assert set(account.outcomes) == {"OK", "200", "UNAVAILABLE", "503"}
    assert all(account.waits), "told to come again, but not when"
    # Requests that were taken, and then could not be written: their senders were told so.
    assert ledger["dropped"] == ledger["dropped_by"].get("buffer_failed", 0) < 100 * POINTS
    assert ledger["delivered"] >= len(account.acknowledged)
    victims.compare(account, set(backend.taken))


@needs_mounts
@pytest.mark.parametrize("kind", KINDS)
async def test_a_disk_that_is_full_costs_points_that_are_counted_where_nothing_is_required(
    tmp_path, kind
) -> None:
    async with faulty.serving(kind) as backend:
        await backend.shut()
        async with on_a_small_disk(tmp_path, backend, required=False) as victim:
            load = numbered.Load(victim.places.doors, numbered.Account(), width=WIDTH)
            account = load.account
            async with load.sending():

                async def lost() -> bool:
                    (ledger,) = (await victim.ledgers()).values()
                    return ledger["dropped"] > 500

                await programs.until(lost, "points are lost")
                await backend.open()
                had = len(account.acknowledged)

                async def more() -> bool:
                    return len(account.acknowledged) > had + 500

                await programs.until(more, "the load goes on")
            (ledger,) = (await victim.settled()).values()
    assert set(account.outcomes) == {"OK", "200"}
    assert ledger["received"] == len(account.acknowledged) == account.sent
    assert ledger["dropped"] == ledger["dropped_by"]["buffer_failed"]
    victims.compare(account, set(backend.taken), lost=ledger["dropped"])


@dataclass(slots=True, kw_only=True)
class Shelf:
    """A destination with a buffer, and what it was given."""

    destination: Destination
    ledger: Ledger
    safe: set[int] = field(default_factory=set)  # numbers that are said to be on disk
    unsafe: set[int] = field(default_factory=set)  # of which it is said that they are not
    given: int = 0

    async def give(self, requests: int) -> None:
        """Offer requests, and wait until something is said of all of them."""
        told = asyncio.Event()
        left = requests

        def hear(numbers: range, written: bool) -> None:  # noqa: FBT001 - it is called back
            nonlocal left
            left -= 1
            (self.safe if written else self.unsafe).update(numbers)
            if not left:
                told.set()

        for _ in range(requests):
            numbers = range(self.given + 1, self.given + 1 + POINTS)
            self.given += POINTS
            body = otlp.Encoded(numbered.request(numbers, "sender"))
            self.ledger.receive(POINTS, {})
            self.destination.offer(
                body, POINTS, (), lambda written, numbers=numbers: hear(numbers, written)
            )
            await asyncio.sleep(0)
        async with asyncio.timeout(programs.WITHIN):
            await told.wait()
        assert self.ledger.balance() == 0


async def free(folder: Path) -> bool:
    """Say whether nobody has a buffer: who is torn away leaves a thread that ends a bit later."""
    try:
        Disk().close(Disk().lock(folder / LOCK))
    except InUse:
        return False
    except FileNotFoundError:  # it is new
        return True
    return True


@asynccontextmanager
async def shelf(folder: Path, backend: Backend, **more: Any) -> AsyncIterator[Shelf]:
    document = {**buffered(backend, str(folder)), "queue_bytes": 1 << 20, **more}
    await programs.until(lambda: free(folder / document["name"] / "0"), "nobody has the buffer")
    ledger = Ledger("p")
    pipeline = msgspec.convert(document, Pipeline)
    async with (
        shelves.keeping(0, 0) as kept,
        destinations.entering(pipeline, ledger, shelves=kept, handover=Handover()) as destination,
    ):
        yield Shelf(destination=destination, ledger=ledger)
    assert ledger.balance() == 0


class Broken:
    """Lets calls to every disk fail, of the kinds it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.now = False
        self.failed = 0
        for name in names:
            monkeypatch.setattr(Disk, name, self._failing(getattr(Disk, name)))

    def _failing(self, call: Any) -> Any:
        def fail(*arguments: Any, **named: Any) -> Any:
            if self.now:
                self.failed += 1
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return call(*arguments, **named)

        return fail


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("calls", [("writev", "pwrite"), ("sync",)], ids=["write", "sync"])
async def test_what_a_broken_disk_did_not_take_is_told_and_kept_in_memory(
    tmp_path, monkeypatch, kind, calls
) -> None:
    broken = Broken(monkeypatch, *calls)
    async with faulty.serving(kind) as backend:
        await backend.shut()
        async with shelf(tmp_path, backend) as found:
            await found.give(50)
            assert len(found.safe) == 50 * POINTS
            broken.now = True
            await found.give(50)
            assert found.unsafe
            assert broken.failed
            broken.now = False
            await backend.open()
        # Left in good order: all has arrived, from the disk and from memory.
        assert not any(found.ledger.dropped.values())
        assert found.ledger.delivered == found.given == len(backend.taken)
        assert found.safe | found.unsafe == set(backend.taken)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("calls", [("writev", "pwrite"), ("sync",)], ids=["write", "sync"])
async def test_what_a_disk_that_broke_had_taken_is_there_in_the_next_life(
    tmp_path, monkeypatch, kind, calls
) -> None:
    broken = Broken(monkeypatch, *calls)
    async with faulty.serving(kind) as backend:
        await backend.shut()
        with suppress(ExceptionGroup, ZeroDivisionError):
            async with shelf(tmp_path, backend) as found:
                await found.give(50)
                broken.now = True
                await found.give(50)
                raise ZeroDivisionError
        assert found.unsafe
        lost = found.ledger.dropped[DropReason.SHUTDOWN]
        assert found.ledger.balance() == 0
        assert lost <= len(found.unsafe), "what is on disk is not lost"
        broken.now = False
        await backend.open()
        async with shelf(tmp_path, backend) as again:
            pass
        assert again.ledger.recovered == again.ledger.delivered == backend.taken.total()
        assert found.safe <= set(backend.taken)
        assert found.ledger.held == again.ledger.recovered


@pytest.mark.parametrize("kind", KINDS)
async def test_a_disk_that_cannot_be_read_for_a_moment_costs_nothing(
    tmp_path, monkeypatch, kind
) -> None:
    broken = Broken(monkeypatch, "pread")
    async with faulty.serving(kind) as backend:
        await backend.shut()
        async with shelf(tmp_path, backend, queue_bytes=10_000) as found:
            await found.give(200)
            broken.now = True
            await backend.open()

            async def tried() -> bool:
                return broken.failed > 0

            await programs.until(tried, "it was read in vain")
            broken.now = False
        assert not any(found.ledger.dropped.values())
        assert found.ledger.delivered == found.given
        assert found.safe == set(backend.taken)


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["forwards", "backwards"])
@pytest.mark.parametrize("between", [True, False], ids=["between-lives", "in-a-life"])
async def test_a_clock_that_jumps_makes_nothing_on_disk_too_old(
    tmp_path, monkeypatch, jump, between
) -> None:
    ahead = 0.0
    true = time.time  # noqa: TID251 - the clock that is turned here

    def clock() -> float:
        return true() + ahead

    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(time, "time_ns", lambda: int(clock() * 10**9))
    async with faulty.serving("grpc") as backend:
        await backend.shut()
        with suppress(ExceptionGroup, ZeroDivisionError):
            async with shelf(tmp_path, backend) as found:
                await found.give(50)
                if not between:
                    ahead = jump
                await found.give(50)
                assert abs(found.destination.stats().oldest_age) < 60.0
                raise ZeroDivisionError
        ahead = jump
        async with shelf(tmp_path, backend) as again:
            assert again.ledger.recovered == found.given
            assert 0.0 <= again.destination.stats().oldest_age < 3700.0
            ahead = 0.0
            await again.give(50)
            await backend.open()
        assert not any(again.ledger.dropped.values())
        assert found.safe <= set(backend.taken)
