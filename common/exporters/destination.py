"""One destination: its queue, its batches, its attempts, and the account of every point it took."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import final

from common.config import outputs, shared
from common.exporters import reporting
from common.exporters.account import Account
from common.exporters.lanes import PERIOD, Lanes
from common.exporters.loads import Load, Piece, Supply
from common.exporters.outcomes import Exporter, Proofs, Recognition
from common.exporters.sending import Sender
from common.exporters.slots import Slots
from common.exporters.storage import Lease, Record, Storage
from common.service.ledger import DropReason, Ledger
from common.wire import otlp, temporality


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A destination as it stands."""

    bytes_held: int  # in memory: waiting or being sent
    points_held: int  # in memory and on disk
    oldest_age: float  # seconds since the oldest point that is held arrived; 0.0 when none is
    attempts: int  # requests sent so far, repetitions included
    retries: int  # of these, repetitions
    lanes: int  # requests that may be in flight at once
    condition: reporting.Condition
    recognition: Recognition | None  # of the exporter, if it converts
    proofs: Proofs
    series: temporality.Stats | None  # what is remembered of them, if temporality is changed


class Destination:
    """Where a pipeline sends to. Made and run by :func:`common.exporters.delivery.delivering`."""

    def __init__(
        self,
        name: str,
        exporter: Exporter,
        ledger: Ledger,
        *,
        supply: Supply,
        lanes: Lanes,
        retrying: shared.Retrying,
        queue_bytes: int,
        random: Callable[[], float],
        lease: Lease | None,
        buffer: outputs.Buffer | None,
    ) -> None:
        self.name = name
        self._now = asyncio.get_running_loop().time
        self._reporter = reporting.Reporter(name, self._now)
        self._account = Account(ledger, self._reporter)
        self._exporter, self._supply, self._lanes = exporter, supply, lanes
        self._sender = Sender(
            exporter, self._account, self._reporter, supply, retrying, now=self._now, random=random
        )
        self._queue_bytes = queue_bytes
        self._sending: dict[int, Load] = {}  # by lane
        self._since: dict[int, float] = {}  # when each of them began, or was last looked at
        self._busy = 0.0  # seconds that lanes were sending since the last look
        self._sending_bytes = 0
        self._idle: dict[int, asyncio.Future[None]] = {}  # by lane
        self._closed = False
        self._storage: Storage | None = None
        if lease is not None and buffer is not None:
            self._storage = Storage(
                lease, settings=buffer, queue_bytes=queue_bytes, room=self._room, add=self._add,
                looked=self._maybe_over, now=self._now,
            )  # fmt: skip
            lease.listen(self._deleted, self._unwritten)

    @property
    def bytes_held(self) -> int:
        """Bytes in memory, waiting or being sent, before conversion and compression."""
        later = 0 if self._storage is None else self._storage.later_bytes
        return self._supply.size + self._sending_bytes + later

    def has_room(self, size: int) -> bool:
        """Say whether *size* bytes more would be taken now, without anything else being lost."""
        if self._storage is not None and not self._storage.log.failing:
            return self._storage.has_room(size)
        held = self.bytes_held
        return not held or held + size <= self._queue_bytes

    def offer(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans = (),
        written: Callable[[bool], None] | None = None,
    ) -> bool:
        """Take *points* that the ledger holds already, or book their loss; never wait.

        *spans* are those of *body*. *written* is called once: when the data is safe from a crash,
        or with False if this destination has no buffer, or its disk does not take it. A body larger
        than the whole queue is taken while nothing is held: it could never fit. One without points
        is nothing to deliver.
        """
        storage = self._storage
        if points and storage is not None and not self._closed:  # noqa: SIM102 - one acts
            if storage.offer(body, points, spans, written):
                self._account.store(storage.log.points)
                return True
        if written is not None:
            written(not points)
        if not points:
            return True
        self._account.take(points)
        if self._closed:
            self._account.lose(points, DropReason.SHUTDOWN, "the destination is closing")
            return False
        held = self.bytes_held
        if held and held + len(body) > self._queue_bytes:
            if storage is not None:
                why = f"{storage.log.failing or 'behind with writing'}, and memory is full"
                self._account.lose(points, DropReason.BUFFER_FAILED, why)
            else:
                why = f"{held} of {self._queue_bytes} bytes are waiting; see queue_bytes"
                self._account.lose(points, DropReason.INBOX_FULL, why)
            return False
        self._keep(Piece(body, points, self._now()), spans)
        return True

    def renew(self, output: outputs.Output) -> None:
        """Use the secrets of *output*, which differs in nothing else, from the next request on."""
        self._exporter.renew(output)

    def stats(self) -> Stats:
        """Return how things stand, for metrics and pages."""
        held = [load.batch.oldest for load in self._sending.values()]
        waiting = self._supply.oldest()
        if waiting is not None:
            held.append(waiting)
        age = max(0.0, self._now() - min(held)) if held else 0.0
        points = self._account.held
        if self._storage is not None:
            age = max(age, self._storage.log.oldest_age)
            points += self._storage.log.points
        return Stats(
            bytes_held=self.bytes_held,
            points_held=points,
            oldest_age=age,
            attempts=self._sender.attempts,
            retries=self._sender.retries,
            lanes=self._supply.lanes,
            condition=self._reporter.condition,
            recognition=self._exporter.recognition(),
            proofs=self._exporter.proofs(),
            series=self._exporter.series(),
        )

    def close(self) -> None:
        """Take no more; `work` ends when all that is held has met its fate."""
        self._closed = True
        self._wake(tuple(self._idle))

    def abandon(self) -> None:
        """Book what only memory holds as lost; nothing may be sent afterwards."""
        self._closed = True
        why = self._reporter.condition.last_error or "the grace period is over"
        self._account.lose(self._account.held, DropReason.SHUTDOWN, why)
        if self._storage is not None:
            again, lost = self._storage.leave(self._sending.values())
            self._account.recover(again)
            self._account.lose_stored(lost, DropReason.SHUTDOWN, why)
            self._account.store(self._storage.log.points)
            if self._storage.log.points:
                self._reporter.kept(self._storage.log.points)
        self._supply.drain()
        self._sending.clear()
        self._sending_bytes = 0
        self._reporter.close()

    async def work(self, lane: int, turn: Callable[[], Awaitable[None]]) -> None:
        """Wait for the *turn*, then send loads, one after the other, until closed and empty."""
        await turn()
        while (load := await self._next(lane)) is not None:
            self._begin(lane, load)
            await self._sender.send(load)
            self._end(lane, load)

    async def adapt(self) -> None:
        """Open and close lanes as the load asks for, for ever."""
        supply = self._supply
        if not isinstance(supply, Slots):
            return
        while True:
            await asyncio.sleep(PERIOD)
            now = self._now()
            for lane, since in self._since.items():
                self._busy += now - since
                self._since[lane] = now
            busy, self._busy = self._busy / PERIOD, 0.0
            wanted = self._lanes.look(
                busy=busy, full=supply.size >= supply.max_bytes, failing=self._reporter.failing
            )
            if wanted != supply.lanes:
                supply.resize(wanted)
                self._wake(tuple(self._idle))

    async def feed(self) -> None:
        """Move what is on disk into memory as there is room, for ever."""
        if self._storage is not None:
            await self._storage.feed()

    async def give_way(self, senders: Iterable[asyncio.Task[None]]) -> None:
        """Stop the *senders* when another destination wants the buffer: it has what is left."""
        if self._storage is not None:
            await self._storage.wanted.wait()
            for sender in senders:
                sender.cancel()

    async def _next(self, lane: int) -> Load | None:
        supply = self._supply
        while True:
            load = supply.take(lane, self._now(), hurry=self._closed)
            if load is not None:
                return load
            if self._is_over():
                self._wake(tuple(self._idle))
                return None
            # Woken when a batch is full, when there is something to wait for, and at the end.
            self._idle[lane] = idle = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout_at(supply.due(lane)):
                    await idle
            except TimeoutError:
                continue
            finally:
                self._idle.pop(lane, None)

    def _begin(self, lane: int, load: Load) -> None:
        self._sending[lane] = load
        self._since[lane] = self._now()
        self._sending_bytes += load.size
        if self._supply.size:
            self._wake(self._supply.left())

    def _end(self, lane: int, load: Load) -> None:
        del self._sending[lane]
        self._busy += self._now() - self._since.pop(lane)
        self._sending_bytes -= load.size
        wake = self._supply.done(load)
        if self._storage is not None:
            self._storage.done(load)
            self._account.store(self._storage.log.points)
        self._wake(tuple(self._idle) if self._closed else wake)

    def _is_over(self) -> bool:
        storage = self._storage
        return self._closed and not self.bytes_held and (storage is None or not storage.behind)

    def _maybe_over(self) -> None:
        if self._is_over():
            self._wake(tuple(self._idle))

    def _deleted(self, points: int, reason: DropReason, why: str) -> None:
        self._account.lose_stored(points, reason, why)
        if self._storage is not None:
            self._account.store(self._storage.log.points)
        self._maybe_over()

    def _room(self) -> int:
        return self._queue_bytes - self.bytes_held

    def _add(self, piece: Piece, spans: otlp.Spans) -> None:
        self._wake(self._supply.add(piece, spans))

    def _keep(self, piece: Piece, spans: otlp.Spans) -> None:
        """Take what only memory has."""
        if self._storage is None:
            self._add(piece, spans)
        else:
            self._storage.keep(piece, spans)

    def _wake(self, lanes: Iterable[int]) -> None:
        """Let *lanes* look what there is to do; where any may do it, one that is idle."""
        for lane in lanes:
            idle = self._idle.pop(lane, None)
            if idle is None and self._supply.shared and self._idle:
                _, idle = self._idle.popitem()
            if idle is not None and not idle.done():
                idle.set_result(None)

    def _unwritten(self, records: Sequence[Record]) -> None:
        """Take back into memory what could not be written, as long as there is room."""
        for record in records:
            self._account.take(record.points)
            if self.bytes_held + len(record.body) > self._queue_bytes or self._closed:
                why = "the disk does not take it, and memory is full"
                self._account.lose(record.points, DropReason.BUFFER_FAILED, why)
            else:
                self._keep(Piece(record.body, record.points, self._now()), record.spans)
