"""A log on a disk that does as it is told, and what it said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.buffer import log
from common.config import outputs
from tests.fakes.disks import FakeDisk, Inline, Time


@dataclass
class Opened:
    """A log that is open."""

    log: log.Log
    disk: FakeDisk
    hands: Inline
    lost: list[tuple[int, str]] = field(default_factory=list)
    failed: list[log.Record] = field(default_factory=list)
    written: dict[int, list[bool]] = field(default_factory=dict)

    def append(
        self, body: bytes, points: int = 1, *, in_hand: bool = False, spans: Any = ()
    ) -> int:
        answers: list[bool] = []
        number = self.log.append(body, points, spans, in_hand=in_hand, written=answers.append)
        if number > 0:
            self.written[number] = answers
        return number

    async def take(self, max_bytes: int = 1 << 20, *, newest: bool = False) -> list[int]:
        return [record.number for record in await self.log.take(max_bytes, newest=newest)]

    async def turn(self) -> None:
        """Let the writer do what is to be done."""
        self.hands.wake()
        for _ in range(5):
            await asyncio.sleep(0)

    async def wait(self, seconds: float) -> None:
        self.disk.time.pass_by(seconds)
        await self.turn()


def settings(**given: Any) -> outputs.Buffer:
    small = {"dir": "d", "segment_bytes": 4096, "max_bytes": 1 << 20, "sync": "each"}
    return outputs.Buffer(**{**small, **given})


@asynccontextmanager
async def opened(
    folder: Path, disk: FakeDisk | None = None, *, max_unwritten: int = 1 << 20, **given: Any
) -> AsyncIterator[Opened]:
    disk = FakeDisk(Time()) if disk is None else disk
    hands: list[Inline] = []
    lost: list[tuple[int, str]] = []
    failed: list[log.Record] = []

    def inline() -> Inline:
        hands.append(Inline())
        return hands[0]

    opening = log.opening(
        folder,
        settings(**given),
        lost=lambda points, reason, _: lost.append((points, reason)),
        failed=failed.extend,
        max_unwritten=max_unwritten,
        now=lambda: disk.time.steady,
        disk=disk,
        hands=inline,
    )
    async with opening as it:
        yield Opened(it, disk, hands[0], lost, failed)


async def everything(
    folder: Path, disk: FakeDisk | None = None, **given: Any
) -> dict[int, log.Record]:
    """Open a log, take all that is unread, and leave it as it was."""
    async with opened(folder, disk, **given) as one:
        found: dict[int, log.Record] = {}
        while records := await one.log.take(1 << 20, newest=False):
            found |= {record.number: record for record in records}
        one.log.give_back()
        return found
