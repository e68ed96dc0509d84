"""Files that are read again when they change: each change once, and none half written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

EVERY: Final = 0.5  # seconds; with the second look at files written in place, live within 1.5 s
RETRY: Final = 10  # looks until what was refused is tried again although no known file changed

Print: TypeAlias = tuple[int, int, int, int]  # device, inode, time of change, size
Prints: TypeAlias = Mapping[Path, Print | None]  # None: not there


class Watch:
    """Says when files have to be read again; whoever asks does so every `EVERY` seconds.

    A file that was replaced (as ConfigMaps, Secrets and good editors do) is due at once. One that
    was written in place may be half done, so it has to look the same twice.
    """

    __slots__ = ("_retry_in", "_seen", "_settling")

    def __init__(self, seen: Prints | None = None) -> None:
        """Begin with what was *seen* before the files were read; with nothing, they are due."""
        self._seen: Prints = {} if seen is None else seen
        self._settling: Prints | None = None
        self._retry_in = 0  # looks; 0: nothing was refused

    def due(self, files: Iterable[Path]) -> bool:
        """Look at *files*, and say whether to read them now."""
        now = prints(files)
        if now == self._seen:
            self._settling = None
            self._retry_in -= (waiting := self._retry_in > 0)
            return waiting and not self._retry_in
        if now != self._settling and _in_place(self._seen, now):
            self._settling = now
            return False
        self._seen, self._settling, self._retry_in = now, None, 0
        return True

    def refused(self) -> None:
        """Note that what was read was refused: what it refers to may yet appear, so try again."""
        self._retry_in = RETRY

    def accepted(self, files: Iterable[Path]) -> None:
        """Note that *files* were read; those not looked at before are due at the next look."""
        self._seen = {file: self._seen[file] for file in files if file in self._seen}
        self._retry_in = 0


def prints(files: Iterable[Path]) -> Prints:
    """Look at files through symbolic links; a stat takes microseconds, so the loop does it."""
    return {file: _print(file) for file in files}


def _print(file: Path) -> Print | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _in_place(before: Prints, after: Prints) -> bool:
    """Say whether a file changed that still is the same file."""
    pairs = [(before.get(file), new) for file, new in after.items()]
    return any(old and new and old != new and old[:2] == new[:2] for old, new in pairs)
