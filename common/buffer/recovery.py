"""From the files that a former process left to the state of every record in them."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from common.buffer import cursor, folders, walking
from common.buffer.disk import Disk, read_all
from common.buffer.index import Index
from common.buffer.records import HEAD_BYTES
from common.buffer.segment import SETTLED, UNREAD, Segment

_BLOCK: Final = 4096  # bytes that a disk loses at once


@final
@dataclass(slots=True)
class Recovered:
    """What was found in a folder."""

    index: Index
    next: int = 1  # the number of the next record
    generation: int = 0  # of the cursor
    points: int = 0  # that were not settled, those of corrupt records included
    corrupt_records: int = 0  # that were not settled
    corrupt_points: int = 0  # of these, as far as their heads still say
    torn_bytes: int = 0  # cut off where the writer was stopped
    unreadable: tuple[str, ...] = ()  # files that could not be opened


@final
@dataclass(frozen=True, slots=True)
class _Read:
    """What was found in one file."""

    segment: Segment
    bad: tuple[int, ...]  # numbers of damaged and missing records
    next: int  # above every number in it, also those that were cut off
    torn: int  # bytes behind its last record, where the writer was stopped
    rubble: bool  # something could not be read, or is no record though the writer went on after it


def recover(folder: Path, disk: Disk, now: float) -> Recovered:
    """Read the folder, cut torn tails, and return what is there; *now* is on the steady clock.

    Deletes segments without records. Nothing that is wrong with a file raises; files that cannot be
    opened are left alone.
    """
    read = _read_cursor(folder / folders.CURSOR, disk)
    recovered = Recovered(Index(), next=read[0].next, generation=read[1])
    wall = disk.seconds()
    names = folders.segments(path.name for path in folder.iterdir())
    suspects: list[tuple[Segment, int]] = []
    for first, salt in names:
        path = folder / folders.segment_name(first, salt)
        try:
            found = _read(path, first, salt, disk, last=(first, salt) == names[-1])
        except OSError as error:
            recovered.unreadable += (f"{path.name}: {error.strerror or error}",)
            recovered.next = max(recovered.next, _above(first, _size(path)))
            continue
        segment = found.segment
        recovered.torn_bytes += found.torn
        recovered.corrupt_records += found.rubble  # one at least, of which nothing else is known
        recovered.next = max(recovered.next, found.next)
        if not segment:
            with suppress(OSError):  # it is found again at the next start, and as empty
                disk.unlink(path)
            continue
        segment.anchor = _anchor(segment, wall, now)
        suspects += [(segment, number - first) for number in found.bad]
        recovered.index.add(segment)
    index = recovered.index
    index.apply(read[0])
    recovered.points = index.points
    for segment, at in suspects:
        if segment.states[at] != SETTLED:
            recovered.corrupt_records += 1
            recovered.corrupt_points += segment.points[at]
            index.move(segment, at, SETTLED)
    return recovered


def walk(path: Path, first: int, salt: int, disk: Disk, *, thorough: bool) -> walking.Walk:
    """Find the records of one file; raises :class:`OSError` only if it cannot be opened."""
    descriptor = disk.open(path)
    try:
        reader = _Reader(disk, descriptor)
        size = path.stat().st_size
        return walking.walk(reader.read, size, first, salt, thorough=thorough)
    finally:
        disk.close(descriptor)


def read_cursor(folder: Path, disk: Disk) -> cursor.Cursor:
    """Return what is settled in a log; nothing if its cursor cannot be read."""
    return _read_cursor(folder / folders.CURSOR, disk)[0]


def filled(first: int, salt: int, walked: walking.Walk) -> tuple[Segment, list[int]]:
    """Return the segment of a file that was walked over, in which all is unread.

    With it come the numbers of its bad records: those whose checksum does not hold, and those of
    which there is nothing left, so that they have no points either.
    """
    bad: list[int] = []
    segment = Segment(first, salt, base=walked.found[0].head.stamp if walked.found else 0)
    for found in walked.found:
        while first + len(segment) < found.head.number:  # not even a head is left of these
            bad.append(first + len(segment))
            segment.add(segment.end, segment.end, 0, segment.base, UNREAD)
        if not found.good:
            bad.append(found.head.number)
        segment.add(found.offset, found.end, found.head.points, found.head.stamp, UNREAD)
    return segment, bad


def _read(path: Path, first: int, salt: int, disk: Disk, *, last: bool) -> _Read:
    """Read a file, and cut it behind its last record.

    A file that was closed in good order ends where its last record does; its bodies are checked
    when they are read. Raises :class:`OSError` if it cannot be opened, or nothing in it be read.
    """
    descriptor = disk.open(path, write=True)
    try:
        reader = _Reader(disk, descriptor)
        size = path.stat().st_size
        walked = walking.walk(reader.read, size, first, salt, thorough=last)
        if not last and walked.end != size:
            walked = walking.walk(reader.read, size, first, salt, thorough=True)
        # What is cut off keeps its number, or it would be mistaken for another if cutting fails.
        following = walked.found[-1].head.number + 1 if walked.found else first
        if last:
            walked = walking.without_torn(walked)
        torn = size - walked.end if last and walked.torn else 0
        segment, bad = filled(first, salt, walked)
        if reader.errors:
            if not segment:
                raise OSError(errno.EIO, "nothing in it can be read")
            following = max(following, _above(first, size))
        if walked.end < size and not reader.errors:
            with suppress(OSError):  # nothing is ever added to it, so the rest only takes room
                disk.truncate(descriptor, walked.end)
                size = walked.end
        segment.size, segment.sealed = size, True
    finally:
        disk.close(descriptor)
    rubble = reader.errors > 0 or (walked.torn and not last)
    return _Read(segment, tuple(bad), following, torn, rubble)


def _anchor(segment: Segment, wall: float, now: float) -> float:
    """Return what makes the ages of a segment right: the wall clock, unless it was set back."""
    youngest = (segment.base + max(segment.since)) / 1000
    return max(wall, youngest) - now


def _read_cursor(path: Path, disk: Disk) -> tuple[cursor.Cursor, int]:
    try:
        descriptor = disk.open(path)
    except OSError:
        return cursor.decode(b"")
    try:
        return cursor.decode(_Reader(disk, descriptor).read(0, cursor.FILE_BYTES))
    finally:
        disk.close(descriptor)


def _above(first: int, size: int) -> int:
    """Return a number above all that a file of *size* bytes can hold, whatever is in it."""
    return first + size // HEAD_BYTES + 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@final
class _Reader:
    """Reads what can be read; what cannot reads as zeros, which are no record."""

    __slots__ = ("_descriptor", "_disk", "errors")

    def __init__(self, disk: Disk, descriptor: int) -> None:
        self._disk, self._descriptor = disk, descriptor
        self.errors = 0

    def read(self, offset: int, size: int) -> bytes:
        try:
            return read_all(self._disk, self._descriptor, size, offset)
        except OSError:
            self.errors += 1
        return b"".join(self._blocks(offset, size))

    def _blocks(self, offset: int, size: int) -> Iterable[bytes]:
        end = offset + size
        while offset < end:
            length = min(_BLOCK - offset % _BLOCK, end - offset)
            try:
                data = read_all(self._disk, self._descriptor, length, offset)
            except OSError:
                data = bytes(length)
            yield data
            if len(data) < length:
                return
            offset += length
