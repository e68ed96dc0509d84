"""Send what logs on disk hold, request by request, and keep account of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never, final

from common.buffer import cursor, folders, inspection, reading
from common.buffer.disk import Disk
from common.buffer.index import Run
from common.buffer.segment import SETTLED
from common.config import outputs, shared
from common.exporters import backoff, build, cutting
from common.exporters.outcomes import Batch, Delivered, Exporter, Refused, Request, Retry, TooBig
from common.service import clock
from common.service.ledger import DropReason
from common.wire import otlp

_BATCH: Final = 1 << 20  # bytes of a request, before compression


class GaveUpError(Exception):
    """The backend did not take a request for as long as patience lasted."""


@final
@dataclass(slots=True)
class Sent:
    """What became of the points."""

    delivered: int = 0
    refused: int = 0  # the backend said that it will never take them
    unsendable: int = 0  # the protocol has no words for them
    corrupt: int = 0  # not what was written
    left: int = 0  # not sent, since the backend took nothing
    why: str = ""  # what the backend said last, when it took something not

    @property
    def is_complete(self) -> bool:
        """Whether all of it was delivered."""
        return not (self.refused or self.unsendable or self.corrupt or self.left)

    def words(self) -> str:
        """Say it for people."""
        said = [f"{self.delivered:,} points delivered"]
        said += [
            f"{points:,} {name}"
            for name in ("refused", "unsendable", "corrupt", "left")
            if (points := getattr(self, name))
        ]
        return f"{', '.join(said)}{f': {self.why}' if self.why else ''}"


@final
class Job:
    """One log, and what of it is to be sent."""

    def __init__(self, folder: Path, *, oldest: int, everything: bool, settle: bool) -> None:
        """Choose what was appended at *oldest* or later, in milliseconds since the Unix epoch."""
        self.folder, self._settle = folder, settle
        self._disk = Disk()
        contents = inspection.inspect(folder, self._disk, thorough=False)
        self._real = contents.index  # of which the cursor is made
        self._chosen = inspection.inspect(
            folder, self._disk, thorough=False, settled=not everything
        ).index
        for segment in self._chosen.segments.values():
            for index in range(len(segment)):
                if segment.base + segment.since[index] < oldest:
                    self._chosen.move(segment, index, SETTLED)
        self.points = self._chosen.unread_points

    def take(self) -> list[Run]:
        """Return what to send next, oldest first; nothing at the end."""
        return self._chosen.pick(_BATCH, newest=False)

    def read(self, run: Run) -> Sequence[reading.Payload | reading.Damage]:
        """Return the records of *run*."""
        return reading.read(self.folder, self._disk, run)

    def settle(self, runs: Sequence[Run]) -> None:
        """Note in memory that *runs* were delivered."""
        for run in runs:
            segment = self._real.segments[run.segment.first]
            for index in range(run.start, run.stop):
                self._real.move(segment, index, SETTLED)

    def close(self) -> None:
        """Note in the log what was delivered, if that was asked for."""
        if not self._settle:
            return
        path = self.folder / folders.CURSOR
        file = path.read_bytes() if path.exists() else b""
        before, generation = cursor.decode(file)
        last = max((s.first + len(s) for s in self._real.segments.values()), default=1)
        following = max(before.next, last)
        after = self._real.snapshot(low=following, following=following)
        offset, slot = cursor.encode(after, generation + 1)
        with path.open("r+b" if path.exists() else "w+b") as opened:
            opened.seek(offset)
            opened.write(slot)


async def replay(
    jobs: Sequence[Job],
    output: outputs.Output,
    *,
    patience: float,
    sent: Sent,
    told: Callable[[int], None],
) -> int:
    """Send all *jobs* to *output*, one request at a time; book points in *sent*, and tell *told*.

    A request that the backend does not take for *patience* seconds ends it; so does the user.
    Either way what was delivered until then is noted.
    """
    async with build.exporting(output, now=clock.unix_seconds) as exporter:
        sender = _Sender(exporter, sent, patience)
        sent.left = sum(job.points for job in jobs)
        for job in jobs:
            try:
                while runs := job.take():
                    before = sent.delivered
                    points = await sender.send(job, runs)
                    if sent.delivered - before == points:
                        job.settle(runs)
                    sent.left -= points
                    told(points)
            except GaveUpError as error:
                sent.why = str(error)
                return 1
            finally:
                job.close()
    return 0


@final
class _Sender:
    """Makes requests of runs, and sees each to its end."""

    def __init__(self, exporter: Exporter, sent: Sent, patience: float) -> None:
        self._exporter, self._sent = exporter, sent
        self._now = asyncio.get_running_loop().time
        self._retrying = shared.Retrying(initial=0.5, max_interval=10.0, max_age=patience)

    async def send(self, job: Job, runs: Sequence[Run]) -> int:
        """Send what is in *runs* as one batch; return the points in it, lost ones included."""
        bodies: list[bytes] = []
        points = corrupt = 0
        for run in runs:
            for index, payload in enumerate(job.read(run), run.start):
                if isinstance(payload, reading.Damage):
                    corrupt += run.segment.points[index]
                else:
                    bodies.append(payload.body)
                    points += run.segment.points[index]
        if points:
            body = otlp.Encoded(b"".join(bodies))
            await self._deliver(Batch(body=body, points=points, oldest=self._now()))
        self._sent.corrupt += corrupt
        return points + corrupt

    async def _deliver(self, batch: Batch) -> None:
        prepared = self._exporter.prepare(batch)
        self._drop(prepared.dropped)
        cutter = cutting.Cutter(prepared.batch)
        while True:
            piece, lost = cutter.take()
            self._sent.refused += lost
            if piece is None:
                return
            encoding = self._exporter.encode(piece)
            for index, request in enumerate(encoding.requests):
                if not await self._request(request) and index == 0:
                    cutter.refuse(piece)
                    break
            else:
                self._drop(encoding.dropped)

    def _drop(self, dropped: Mapping[DropReason, int]) -> None:
        if points := sum(dropped.values()):
            self._sent.unsendable += points
            self._sent.why = ", ".join(reason for reason, count in dropped.items() if count)

    async def _request(self, request: Request) -> bool:
        """Send until it is certain what becomes of it; false if it is too big."""
        began, attempts = self._now(), 0
        while True:
            attempts += 1
            verdict = await self._exporter.send(request)
            match verdict:
                case Delivered(rejected=rejected, message=message):
                    rejected = min(rejected, request.points)
                    self._sent.delivered += request.points - rejected
                    self._sent.refused += rejected
                    self._sent.why = message if rejected else self._sent.why
                    return True
                case Refused(why=why):
                    self._sent.refused += request.points
                    self._sent.why = why
                    return True
                case TooBig(why=why):
                    self._sent.why = why
                    return False
                case Retry(why=why, after=after):
                    pause = backoff.pause(
                        self._retrying,
                        attempts=attempts,
                        after=after,
                        age=self._now() - began,
                        random=random.random,
                    )
                    if pause is None:
                        raise GaveUpError(why)
                    await asyncio.sleep(pause)
                case _ as never:
                    assert_never(never)
