"""kill -9 at any moment: what was acknowledged arrives, now or from the disk in the next life.

Two gateways at a time are started and killed, each again and again over the same buffer, while they
are sent points at both doors and their backends behave badly. What arrived in the end is compared,
point by point, with what was acknowledged.

``HEADGATE_SEED`` repeats the moments of the kills and the moods of the backends of another run, as
far as a machine can be made to repeat itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bench import processes
from tests.flow import faulty, numbered, programs, victims, zygote
from tests.flow.faulty import Act, Agree, Backend, CutAnswer, Hang, Kind
from tests.flow.victims import Places

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(150)]

SIDES = 2  # gateways that live at the same time
BEHIND: tuple[Kind, ...] = ("grpc", "remote_write")
INTERVAL = 0.1  # seconds, with sync: interval
# What else may pass on a busy machine from an acknowledgement to the write that is due.
SLACK = 0.2


def moods(seed: random.Random) -> Callable[[int], Act]:
    """Return a rule by which a backend is at times slow, silent, absent, or breaks off."""
    acts = (Agree(), Agree(0.03), faulty.UNAVAILABLE, CutAnswer(), Hang())
    return lambda _: seed.choices(acts, weights=(60, 15, 10, 10, 5))[0]


class Side:
    """A gateway with several lives, its backends, and who sends to it."""

    def __init__(
        self, folder: Path, zygote: zygote.Zygote, backends: list[Backend], sync: str, seed: int
    ) -> None:
        self._folder, self._zygote, self._random = folder, zygote, random.Random(seed)
        self.places = Places.free()
        self.account = numbered.Account()
        self.backends = backends
        self.start_seconds = [0.05]  # that starts took, as far as they came
        self.starts: list[float] = []
        self.kills: list[float] = []
        buffer = {
            "dir": str(folder / "buffer"),
            "sync": sync,
            "sync_interval": INTERVAL,
            "segment_bytes": 1 << 16,
            "max_bytes": 1 << 28,
        }
        document = self.places.document(*[_pipeline(each, buffer) for each in backends])
        self._config, self._log = folder / "gateway.yaml", folder / "gateway.log"
        self._config.write_text(json.dumps(document))

    async def lives(self, count: int, longest: float) -> None:
        """Start and kill a gateway *count* times, up to *longest* seconds after it is ready."""
        loop = asyncio.get_running_loop()
        for backend in self.backends:
            backend.rule = moods(random.Random(self._random.random()))
        load = numbered.Load(self.places.doors, self.account, pause=0.003)
        async with load.sending():
            for _ in range(count):
                self.starts.append(loop.time())
                pid = await self._zygote.start(self._config, self._log)
                # One in four in its first moments, in which it finds out what is on disk.
                early, moment = self._random.random() < 0.25, self._random.random()
                if early:
                    await asyncio.sleep(moment * statistics.median(self.start_seconds))
                else:
                    await programs.until(self._listens, "the doors are open", every=0.005)
                    self.start_seconds.append(loop.time() - self.starts[-1])
                    await asyncio.sleep(moment * longest)
                self.kills.append(loop.time())
                self._zygote.signal(pid, signal.SIGKILL)
                assert await self._zygote.reap(pid) == -signal.SIGKILL, self._log.read_text()
        await programs.until(self._quiet, "the last bytes of the dead have arrived")

    async def calm_life(self) -> dict[str, Any]:
        """Start a gateway whom nobody disturbs, let it empty its buffer; return its accounts."""
        for backend in self.backends:
            backend.rule = faulty.FINE
        pid = await self._zygote.start(self._config, self._log)
        pages = f"{self.places.pages}"
        await processes.until_ready(f"{pages}/readyz")

        async def empty() -> dict[str, Any] | None:
            page: Any = await processes.get(f"{pages}/debug/ledger")
            victims.check(page)
            found = page["pipelines"]
            return None if any(each["held"] for each in found.values()) else found

        found = await programs.until(empty, "the buffer is empty", within=30.0)
        self._zygote.signal(pid, signal.SIGTERM)
        assert await self._zygote.reap(pid) == 0, self._log.read_text()[-3000:]
        return found

    async def _listens(self) -> bool:
        try:
            async with numbered.asking("http", self.places.http):
                return True
        except numbered.Lost:
            return False

    async def _quiet(self) -> bool:
        return not any(backend.links for backend in self.backends)

    def owed(self, spared: float) -> set[int]:
        """Return what was acknowledged more than *spared* seconds before the end of that life."""
        if not spared:
            return set(self.account.acknowledged)
        # A life's last acknowledgements may be read behind its kill, never behind the next start.
        return {
            number
            for number, at in self.account.acknowledged.items()
            if self.kills[bisect_left(self.starts, at) - 1] - at > spared
        }

    def complaints(self) -> list[str]:
        lines = self._log.read_text().splitlines()
        return [line for line in lines if "BUG" in line or "Traceback" in line]


def _pipeline(backend: Backend, buffer: dict[str, Any]) -> dict[str, Any]:
    output = {key: {**value, "timeout": 0.3} for key, value in backend.output.items()}
    return {
        "name": backend.kind.replace("_", "-"),
        "output": output,
        "batch": {"linger": 0.01},
        "retry": {"initial": 0.02, "max_interval": 0.1},
        "buffer": buffer,
    }


@pytest.mark.parametrize(
    ("sync", "kills", "longest", "spared"),
    [("each", 250, 0.08, 0.0), ("interval", 50, 0.6, INTERVAL + SLACK)],
    ids=["each", "interval"],
)
async def test_what_was_acknowledged_survives_kills_at_any_moment(
    tmp_path, sync, kills, longest, spared
) -> None:
    seed = int(os.environ.get("HEADGATE_SEED") or secrets.randbits(32))
    print(f"HEADGATE_SEED={seed}")  # noqa: T201 - who wants to see it again needs it
    async with AsyncExitStack() as stack:
        mother = await stack.enter_async_context(zygote.running())
        sides: list[Side] = []
        for number in range(SIDES):
            folder = tmp_path / str(number)
            folder.mkdir()
            backends = [await stack.enter_async_context(faulty.serving(k)) for k in BEHIND]
            sides.append(Side(folder, mother, backends, sync, seed + number))
        async with asyncio.TaskGroup() as tasks:
            for side in sides:
                tasks.create_task(side.lives(kills // SIDES, longest))
        assert sum(len(side.kills) for side in sides) == kills
        for side in sides:
            before = [Counter(backend.taken) for backend in side.backends]
            ledgers = await side.calm_life()
            assert not side.complaints()
            for backend, had in zip(side.backends, before, strict=True):
                ledger = ledgers[backend.kind.replace("_", "-")]
                arrived = backend.taken.total() - had.total()
                assert ledger["recovered"] == ledger["received"] == ledger["delivered"] == arrived
                lost = set(side.account.acknowledged) - set(backend.taken)
                print(  # noqa: T201 - figures are for people
                    f"{sync}, {backend.kind}: {len(side.kills)} kills, {side.account.sent} points "
                    f"sent, {len(side.account.acknowledged)} acknowledged, {len(lost)} of them "
                    f"lost, {len(backend.taken)} arrived, {backend.duplicates} a second time, "
                    f"{ledger['recovered']} in the last life"
                )
                assert not side.owed(spared) & lost
                assert max(backend.taken, default=0) <= side.account.sent
            nothing = await side.calm_life()
            assert [each["received"] for each in nothing.values()] == [0] * len(BEHIND)
            assert len(side.account.acknowledged) > 5 * kills, "hardly anything was at stake"
