"""Look into logs that nobody writes, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from common.buffer import folders, recovery, walking
from common.buffer.disk import Disk, InUse
from common.buffer.index import Index
from common.buffer.segment import Segment


@final
@dataclass(frozen=True, slots=True)
class File:
    """One segment, as it lies there."""

    path: Path
    size: int  # bytes, what is reserved included
    segment: Segment
    walked: walking.Walk
    bad: tuple[int, ...]  # numbers of records that are damaged or missing
    torn: bool  # it ends in a record that was never written whole, as after a crash
    rubble: bool  # it ends in something that is no record, though the writer went on to another


@final
@dataclass(frozen=True, slots=True)
class Contents:
    """All that is in a folder."""

    folder: Path
    files: tuple[File, ...]
    index: Index
    """What is not settled is unread in it, bad records included."""
    unreadable: tuple[str, ...]  # files that could not be opened

    def reaches(self) -> tuple[int, int] | None:
        """Return when the first and the last record were appended; ``None`` if there is none.

        Both are milliseconds since the Unix epoch.
        """
        full = [file.segment for file in self.files if len(file.segment)]
        if not full:
            return None
        oldest = min(segment.base + min(segment.since) for segment in full)
        return oldest, max(segment.base + max(segment.since) for segment in full)


@contextmanager
def holding(folder: Path, disk: Disk) -> Iterator[None]:
    """Keep everybody else from *folder*; raises :class:`InUse` if somebody has it."""
    lock = disk.lock(folder / folders.LOCK)
    try:
        yield
    finally:
        disk.close(lock)


def is_in_use(folder: Path, disk: Disk) -> bool:
    """Say whether a log is open in *folder*."""
    if not (folder / folders.LOCK).exists():
        return False
    try:
        with holding(folder, disk):
            return False
    except InUse:
        return True


def inspect(folder: Path, disk: Disk, *, thorough: bool, settled: bool = True) -> Contents:
    """Read what is in *folder*; bodies only if *thorough*.

    Where *settled* is false, the cursor is not looked at, and everything is unread.
    """
    files: list[File] = []
    unreadable: list[str] = []
    names = folders.segments(path.name for path in folder.iterdir())
    for first, salt in names:
        path = folder / folders.segment_name(first, salt)
        last = (first, salt) == names[-1]
        try:
            size = path.stat().st_size
            whole = recovery.walk(path, first, salt, disk, thorough=thorough or last)
        except OSError as error:
            unreadable.append(f"{path.name}: {error.strerror or error}")
            continue
        walked = walking.without_torn(whole) if last else whole
        segment, bad = recovery.filled(first, salt, walked)
        segment.size, segment.sealed = size, True
        torn, rubble = last and walked.torn, not last and walked.torn
        files.append(File(path, size, segment, walked, tuple(bad), torn, rubble))
    index = Index(file.segment for file in files)
    if settled:
        index.apply(recovery.read_cursor(folder, disk))
    return Contents(folder, tuple(files), index, tuple(unreadable))
