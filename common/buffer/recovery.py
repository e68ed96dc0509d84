"""From the files that a former process left to the state of every record in them."""

from __future__ import annotations

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


def recover(folder: Path, disk: Disk, now: float) -> Recovered:
    """Read the folder, cut torn tails, and return what is there; *now* is on the steady clock.

    Deletes segments without records. Nothing that is wrong with a file raises; files that cannot be
    opened are left alone.
    """
    read = _read_cursor(folder / folders.CURSOR, disk)
    recovered = Recovered(Index(), next=read[0].next, generation=read[1])
    wall = disk.seconds()
    names = folders.segments(path.name for path in folder.iterdir())
    suspects: list[int] = []
    for first, salt in names:
        path = folder / folders.segment_name(first, salt)
        try:
            last = (first, salt) == names[-1]
            segment, bad, torn, rubble = _segment(path, first, salt, disk, last=last)
        except OSError as error:
            recovered.unreadable += (f"{path.name}: {error.strerror or error}",)
            recovered.next = max(recovered.next, first + _size(path) // HEAD_BYTES + 1)
            continue
        recovered.torn_bytes += torn
        recovered.corrupt_records += rubble  # one at least, of which nobody knows how it was
        recovered.next = max(recovered.next, first + len(segment))
        if not segment:
            with suppress(OSError):  # it is found again at the next start, and as empty
                disk.unlink(path)
            continue
        segment.anchor = _anchor(segment, wall, now)
        suspects += bad
        recovered.index.add(segment)
    index = recovered.index
    index.apply(read[0])
    recovered.points = index.points
    for number in suspects:
        found = index.find(number)
        if found is not None and found[0].states[found[1]] != SETTLED:
            recovered.corrupt_records += 1
            recovered.corrupt_points += found[0].points[found[1]]
            index.move(*found, SETTLED)
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


def _segment(
    path: Path, first: int, salt: int, disk: Disk, *, last: bool
) -> tuple[Segment, list[int], int, bool]:
    """Read a file, and cut it behind its last record.

    Return its segment, the numbers of its bad records, the torn bytes, and whether it ends in
    something that is no record although the writer went on to another file. A file that was closed
    in good order ends where its last record does; its bodies are checked when they are read.
    """
    descriptor = disk.open(path, write=True)
    try:
        reader = _Reader(disk, descriptor)
        size = path.stat().st_size
        walked = walking.walk(reader.read, size, first, salt, thorough=last)
        if not last and walked.end != size:
            walked = walking.walk(reader.read, size, first, salt, thorough=True)
        if last:
            walked = walking.without_torn(walked)
        torn = size - walked.end if last and walked.torn else 0
        segment, bad = filled(first, salt, walked)
        if walked.end < size and not reader.errors:
            with suppress(OSError):  # nothing is ever added to it, so the rest only takes room
                disk.truncate(descriptor, walked.end)
                size = walked.end
        segment.size, segment.sealed = size, True
    finally:
        disk.close(descriptor)
    return segment, bad, torn, walked.torn and not last


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
