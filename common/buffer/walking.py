"""Walk over the bytes of a segment and find its records, whatever happened to it.

Heads are believed when their checksum holds and their numbers rise; behind what is none, the next
is searched for. What follows the last is a torn tail: the writer was stopped there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from common.buffer import records

Read: TypeAlias = Callable[[int, int], bytes]
"""Answers the bytes at an offset, as many as asked for; fewer only at the end of the file."""

_WINDOW: Final = 16 << 10  # bytes read at a time for heads: two bodies of 7 KB, none of 130 KB
_SEARCH: Final = 1 << 20  # bytes read at a time to find the next head


@final
@dataclass(frozen=True, slots=True)
class Found:
    """A record, or what became of it."""

    offset: int
    end: int
    head: records.Head
    good: bool  # its checksum holds, or nobody asked


@final
@dataclass(slots=True)
class Walk:
    """What there is in a segment."""

    found: list[Found] = field(default_factory=list)
    missing: int = 0  # records before the last of which not even a head is left
    junk: list[tuple[int, int]] = field(default_factory=list)  # where there is something else
    end: int = 0  # offset behind the last record
    torn: bool = False  # something that is not zero follows the last record


def walk(read: Read, size: int, first: int, salt: int, *, thorough: bool) -> Walk:
    """Find the records in *size* bytes, the first of which should have the number *first*.

    Payloads are checked only if *thorough*.
    """
    walked = Walk()
    window = _Window(read, size)
    expected, at = first, 0
    while at < size:
        head = _head(window, at, salt, expected, first)
        if head is None:
            begin, at = at, _search(window, at + 1, salt, expected, first)
            if at < size:
                walked.junk.append((begin, at))
            continue
        end = at + records.HEAD_BYTES + head.length
        good = True
        if thorough:
            payload = read(at + records.HEAD_BYTES, head.length)
            good = records.decode_payload(head, payload) is not None
        walked.found.append(Found(at, end, head, good))
        walked.missing += head.number - expected
        expected, at = head.number + 1, end
        walked.end = end
    walked.torn = not _is_zero(read, walked.end, size)
    return walked


def without_torn(walked: Walk) -> Walk:
    """Take the records with wrong checksums off the end: there the writer was stopped."""
    found = list(walked.found)
    while found and not found[-1].good:
        found.pop()
    if len(found) == len(walked.found):
        return walked
    end = found[-1].end if found else 0
    missing = found[-1].head.number - found[0].head.number + 1 - len(found) if found else 0
    if found:  # what was missing before the first stays missing
        before = walked.found[-1].head.number - walked.found[0].head.number + 1
        missing += walked.missing - (before - len(walked.found))
    return Walk(found, missing, [at for at in walked.junk if at[0] < end], end, torn=True)


@final
class _Window:
    """Reads ahead, so that small records do not take a system call each."""

    __slots__ = ("_data", "_read", "_start", "size")

    def __init__(self, read: Read, size: int) -> None:
        self._read, self.size = read, size
        self._data, self._start = b"", 0

    def at(self, offset: int, length: int, ahead: int) -> tuple[bytes, int]:
        """Return bytes that have *length* of them from *offset* on, and where in them that is."""
        here = offset - self._start
        if here < 0 or here + length > len(self._data):
            wanted = min(max(length, ahead), self.size - offset)
            self._data, self._start, here = self._read(offset, wanted), offset, 0
        return self._data, here


def _head(window: _Window, at: int, salt: int, expected: int, first: int) -> records.Head | None:
    data, here = window.at(at, records.HEAD_BYTES, _WINDOW)
    head = records.decode_head(data, here, salt)
    if head is None or at + records.HEAD_BYTES + head.length > window.size:
        return None
    # Each record takes a head at least, so a number can be only so high at an offset.
    most = first + at // records.HEAD_BYTES
    return head if expected <= head.number <= most else None


def _search(window: _Window, at: int, salt: int, expected: int, first: int) -> int:
    """Return where the next head is, from offset *at* on; the size if there is none."""
    while at + records.HEAD_BYTES <= window.size:
        data, here = window.at(at, records.HEAD_BYTES, _SEARCH)
        found = data.find(records.MAGIC, here)
        if found < 0:
            at += max(len(data) - here - len(records.MAGIC) + 1, 1)
            continue
        at += found - here
        if _head(window, at, salt, expected, first) is not None:
            return at
        at += 1
    return window.size


def _is_zero(read: Read, start: int, end: int) -> bool:
    while start < end:
        data = read(start, min(_SEARCH, end - start))
        if not data:
            return True
        if data.count(0) != len(data):
            return False
        start += len(data)
    return True
