"""A segment that is written: what a walk finds in its file is what was told of."""

import errno
from pathlib import Path

import pytest

from common.buffer import folders, segment, walking
from common.buffer.active import Active, begin
from common.buffer.events import Pending
from common.buffer.upkeep import Upkeep
from tests.fakes import points
from tests.fakes.disks import FakeDisk, failing

CAPACITY = 4096
FIRST = 7


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


def pending(number: int) -> Pending:
    return Pending(
        number=number,
        body=points.request([float(number)]),
        points=1,
        spans=(),
        at=100.0,
        state=segment.UNREAD,
        written=None,
    )


def begun(folder: Path, disk: FakeDisk, *, sync: bool = True) -> Active:
    upkeep = Upkeep(folder, disk, generation=0)
    return begin(folder, pending(FIRST), CAPACITY, disk, upkeep, now=100.0, sync=sync)


def numbers(folder: Path, active: Active) -> list[int]:
    data = (folder / folders.segment_name(FIRST, active.salt)).read_bytes()
    assert len(data) == CAPACITY, "its space is reserved"
    walked = walking.walk(
        lambda at, size: data[at : at + size], len(data), FIRST, active.salt, thorough=True
    )
    assert all(found.good for found in walked.found)
    return [found.head.number for found in walked.found]


@pytest.mark.parametrize("sync", [True, False])
def test_it_has_its_space_and_its_name_on_the_disk(
    tmp_path: Path, disk: FakeDisk, *, sync: bool
) -> None:
    active = begun(tmp_path, disk, sync=sync)
    assert (active.first, active.capacity, active.end) == (FIRST, CAPACITY, 0)
    assert numbers(tmp_path, active) == []
    assert ("sync_folder" in disk.calls) == sync
    disk.close(active.descriptor)


@pytest.mark.parametrize("call", ["create", "reserve", "sync_folder"])
def test_one_that_could_not_be_made_leaves_no_file(
    tmp_path: Path, disk: FakeDisk, call: str
) -> None:
    disk.fault = failing(call, code=errno.ENOSPC)
    with pytest.raises(OSError, match="told to fail"):
        begun(tmp_path, disk)
    assert [*tmp_path.iterdir()] == []


def test_what_is_written_is_told_once(tmp_path: Path, disk: FakeDisk) -> None:
    active = begun(tmp_path, disk)
    assert active.news() is None
    one, two, three = (pending(FIRST + n) for n in range(3))
    active.write(disk, [one, two], one.size + two.size)
    news = active.news()
    assert news is not None
    assert (news.first, news.offset, news.pending) == (FIRST, 0, [one, two])
    assert active.news() is None
    active.write(disk, [three], three.size)
    assert active.dirty == active.end == one.size + two.size + three.size
    later = active.news()
    assert later is not None
    assert (later.offset, later.pending) == (one.size + two.size, [three])
    assert numbers(tmp_path, active) == [FIRST, FIRST + 1, FIRST + 2]
    disk.close(active.descriptor)


def test_what_could_not_be_written_is_known_and_does_not_count(
    tmp_path: Path, disk: FakeDisk
) -> None:
    active = begun(tmp_path, disk)
    one, two = pending(FIRST), pending(FIRST + 1)
    active.write(disk, [one], one.size)
    active.news()
    disk.fault = failing("writev")
    with pytest.raises(OSError, match="told to fail"):
        active.write(disk, [two], two.size)
    assert active.untold == [two]
    assert active.end == active.told == one.size
    disk.close(active.descriptor)


def test_there_is_room_up_to_the_last_byte(tmp_path: Path, disk: FakeDisk) -> None:
    active = begun(tmp_path, disk)
    assert active.has_room(CAPACITY)
    assert not active.has_room(CAPACITY + 1)
    one = pending(FIRST)
    active.write(disk, [one], one.size)
    assert active.has_room(CAPACITY - one.size)
    assert not active.has_room(CAPACITY - one.size + 1)
    disk.close(active.descriptor)
