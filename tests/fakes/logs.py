"""A durable buffer in memory, and its lease: what delivery sees of a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from common.service.ledger import DropReason
from common.wire import otlp


@dataclass(slots=True)
class Entry:
    number: int
    body: otlp.Encoded
    points: int
    spans: otlp.Spans
    at: float
    state: Literal["unread", "in hand", "settled"]
    age: float = 0.0


@dataclass(slots=True)
class Memory:
    """See :class:`common.buffer.log.Log`."""

    entries: list[Entry] = field(default_factory=list)
    failing: str = ""
    reading: float = 0.0  # seconds that a read takes
    bytes_on_disk: int = 0
    vanished: list[int] = field(default_factory=list)

    @property
    def unread(self) -> int:
        return sum(entry.state == "unread" for entry in self.entries)

    @property
    def points(self) -> int:
        return sum(entry.points for entry in self.entries if entry.state != "settled")

    @property
    def oldest_age(self) -> float:
        now = asyncio.get_running_loop().time()
        return max((now - e.at for e in self.entries if e.state != "settled"), default=0.0)

    def append(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans,
        *,
        in_hand: bool,
        written: Callable[[bool], None] | None,
    ) -> int:
        if self.failing:
            return -1
        state = "in hand" if in_hand else "unread"
        now = asyncio.get_running_loop().time()
        self.entries.append(Entry(len(self.entries), body, points, spans, now, state))
        self.bytes_on_disk += len(body)
        if written is not None:
            asyncio.get_running_loop().call_soon(written, True)
        return len(self.entries) - 1

    async def take(self, max_bytes: int, *, newest: bool) -> Sequence[Entry]:
        unread = [entry for entry in self.entries if entry.state == "unread"]
        found: list[Entry] = []
        for entry in reversed(unread) if newest else unread:
            if found and sum(len(e.body) for e in found) + len(entry.body) > max_bytes:
                break
            entry.state = "in hand"
            entry.age = asyncio.get_running_loop().time() - entry.at
            found.append(entry)
        await asyncio.sleep(self.reading)
        return found

    def settle(self, number: int) -> None:
        assert self.entries[number].state != "settled" or number in self.vanished, "settled twice"
        self.entries[number].state = "settled"

    def give_back(self) -> frozenset[int]:
        for entry in self.entries:
            if entry.state == "in hand":
                entry.state = "unread"
        return frozenset(self.vanished)

    def vanish(self, number: int) -> None:
        """Have the disk forget a record that somebody has in hand."""
        self.entries[number].state = "settled"
        self.vanished.append(number)

    def delete_unread(self) -> int:
        gone = [entry for entry in self.entries if entry.state == "unread"]
        for entry in gone:
            entry.state = "settled"
        return sum(entry.points for entry in gone)


class Lease:
    """See :class:`common.exporters.storage.Lease`."""

    def __init__(self, log: Memory, *, first: bool = True) -> None:
        self.log = log
        self.wanted = asyncio.Event()
        self.moved_in = asyncio.Event()
        self.lost: Callable[[int, DropReason, str], None] | None = None
        self.failed: Callable[[Sequence[Entry]], None] | None = None
        if first:
            self.moved_in.set()

    async def turn(self) -> None:
        await self.moved_in.wait()

    def listen(
        self,
        lost: Callable[[int, DropReason, str], None],
        failed: Callable[[Sequence[Entry]], None],
    ) -> None:
        self.lost, self.failed = lost, failed
