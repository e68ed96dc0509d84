"""The writer, turn by turn: what it synchronises, closes, deletes and tells, by its settings."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.buffer import cursor, events, folders, segment
from common.buffer.events import Event, Pending
from common.buffer.writing import RETRY, TICK, Writer
from tests.fakes import buffers, points
from tests.fakes.disks import FakeDisk, failing

BODY = points.request([1.0])


@dataclass
class Desk:
    """A writer at work, and what it told."""

    writer: Writer
    disk: FakeDisk
    told: list[Event]
    number: int = 0

    def append(self, count: int = 1, body: bytes = BODY) -> list[Pending]:
        """Queue a group."""
        group = [
            Pending(
                number=self.number + n + 1, body=body, points=1, spans=(),
                at=self.disk.time.steady, state=segment.UNREAD, written=None,
            )
            for n in range(count)
        ]  # fmt: skip
        self.number += count
        self.writer.queue.extend(group)
        return group

    def work(self, seconds: float = 0.0) -> float | None:
        self.disk.time.pass_by(seconds)
        return self.writer.work()

    def heard(self, kind: type) -> list[Any]:
        """Return what was told of that kind since the last time."""
        found = [event for event in self.told if isinstance(event, kind)]
        self.told[:] = [event for event in self.told if not isinstance(event, kind)]
        return found

    def syncs(self) -> int:
        return self.disk.calls.count("sync")


@contextmanager
def desk(folder: Path, **given: Any) -> Iterator[Desk]:
    disk = FakeDisk()
    told: list[Event] = []
    writer = Writer(
        folder,
        buffers.settings(**given),
        disk,
        now=lambda: disk.time.steady,
        tell=told.extend,
        segments=(),
        generation=0,
        lock=os.open(folder, os.O_RDONLY),
    )
    writer.prepare()
    disk.calls.clear()
    yield Desk(writer, disk, told)
    writer.stop()


def test_a_group_is_one_write_and_one_synchronisation_with_each(tmp_path: Path) -> None:
    with desk(tmp_path, sync="each") as it:
        group = it.append(20)
        it.work()
        assert (it.disk.calls.count("writev"), it.syncs()) == (1, 1)
        (wrote,) = it.heard(events.Wrote)
        assert wrote.pending == group
        it.append(20)
        it.work()
        assert it.syncs() == 2


def test_with_interval_it_is_told_at_once_and_synchronised_later(tmp_path: Path) -> None:
    with desk(tmp_path, sync="interval", sync_interval=3.0) as it:
        it.append(2)
        it.work()
        it.append(2)
        assert it.work(1.0) is not None
        assert len(it.heard(events.Wrote)) == 2
        assert it.syncs() == 0
        it.work(1.9)
        assert it.syncs() == 0
        it.work(0.2)  # the interval counts from the first write after the last synchronisation
        assert it.syncs() == 1
        it.work(10.0)
        assert it.syncs() == 1, "there was nothing new"


def test_with_interval_much_at_once_is_synchronised_early(tmp_path: Path) -> None:
    with desk(tmp_path, sync="interval", sync_interval=60.0, segment_bytes=32 << 20) as it:
        it.append(8, bytes(1 << 20))
        it.work()
        assert it.syncs() == 1


def test_with_none_nothing_is_synchronised_but_on_order(tmp_path: Path) -> None:
    with desk(tmp_path, sync="none", segment_bytes=1 << 12) as it:
        for _ in range(100):
            it.append()
            it.work(1.0)
        assert len(it.heard(events.Sealed)) > 1
        assert it.syncs() == it.disk.calls.count("sync_folder") == 0
        done: list[bool] = []
        it.writer.orders.append((it.writer.sync, lambda: done.append(True)))
        it.append()
        it.work()
        assert it.syncs() == 1
        (told,) = it.heard(events.Done)
        told.then()
        assert done == [True]


def test_a_segment_is_closed_when_it_is_full_and_gives_back_what_it_did_not_need(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, segment_bytes=1 << 12) as it:
        (one,) = it.append()
        it.work()
        it.append(body=bytes(4000))
        it.work()
        (sealed,) = it.heard(events.Sealed)
        assert (sealed.first, sealed.size) == (1, one.size)
        sizes = sorted(each.stat().st_size for each in tmp_path.glob("*.seg"))
        assert sizes == [one.size, 1 << 12]


def test_a_segment_is_closed_when_it_is_a_sixteenth_of_the_age_limit(tmp_path: Path) -> None:
    with desk(tmp_path, max_age=1600.0) as it:
        it.append()
        it.work()
        it.work(100.0)
        assert it.heard(events.Sealed) == []
        it.work(0.1)
        assert len(it.heard(events.Sealed)) == 1


def test_the_oldest_segment_goes_before_the_limit_is_passed_and_is_told_first(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, segment_bytes=1 << 12, max_bytes=1 << 13) as it:
        for _ in range(3):
            it.append(body=bytes(4000))
            it.work()
            assert sum(each.stat().st_size for each in tmp_path.glob("*.seg")) <= 1 << 13
        assert [event.first for event in it.heard(events.Deleted)] == [1]
        names = folders.segments(each.name for each in tmp_path.iterdir())
        assert [first for first, _ in names] == [2, 3]


def test_what_is_to_be_deleted_goes_before_anything_is_appended(tmp_path: Path) -> None:
    with desk(tmp_path, segment_bytes=1 << 12, max_bytes=1 << 13) as it:
        for _ in range(2):
            it.append(body=bytes(4000))
            it.work()
        it.writer.discards.append(1)
        it.append(body=bytes(4000))
        it.work()
        assert it.heard(events.Deleted) == [], "there was room without deleting anything unread"


@pytest.mark.parametrize("call", ["writev", "sync", "reserve", "create"])
def test_a_disk_that_fails_is_told_and_tried_again_after_a_second(
    tmp_path: Path, call: str
) -> None:
    with desk(tmp_path, sync="each") as it:
        it.disk.fault = failing(call, code=errno.EIO)
        group = it.append(3)
        it.work()
        (failed,) = it.heard(events.Failed)
        assert [*failed.pending] == group
        assert [bool(event.why) for event in it.heard(events.Failing)] == [True]
        late = it.append()
        it.work(RETRY / 2)
        assert [*it.heard(events.Failed)[0].pending] == late, "nothing is tried in between"
        it.disk.fault = failing()
        it.work(RETRY)
        assert [event.why for event in it.heard(events.Failing)] == [""]
        good = it.append()
        it.work()
        assert it.heard(events.Wrote)[-1].pending == good
        assert it.writer.counters.write_errors == 1


def test_a_cursor_that_cannot_be_written_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    with desk(tmp_path) as it:
        it.disk.fault = failing("pwrite")
        it.writer.put_cursor(cursor.Cursor(low=1, next=2), sync=True)
        assert it.writer.counters.write_errors == 1
        it.append()
        it.work()
        assert len(it.heard(events.Wrote)) == 1
        it.disk.fault = failing()


def test_it_ticks_every_second_while_there_is_something(tmp_path: Path) -> None:
    with desk(tmp_path) as it:
        assert it.work() is None, "there is nothing to come again for"
        it.append()
        pause = it.work()
        assert pause is not None
        assert pause <= TICK
        it.heard(events.Tick)
        for _ in range(3):
            it.work(TICK)
        assert len(it.heard(events.Tick)) == 3


def test_only_who_waits_for_the_disk_is_not_kept_waiting_for_company(tmp_path: Path) -> None:
    with desk(tmp_path, sync="each") as it:
        assert it.writer.gather == 0
        it.writer.configure(buffers.settings(sync="interval"))
        assert it.writer.gather > 0
