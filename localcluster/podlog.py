"""The output of one container in files of bounded size: the current one and the one before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override


class PodLog(asyncio.Protocol):
    """Writes what arrives on a pipe to *path*; beyond half of *max_bytes* the file is put aside.

    The file put aside has the suffix ``.1`` and replaces the one before it, so that at most
    *max_bytes* are kept and at least the latest half of them. ``ended`` is set when every writer
    has closed its end.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.ended = asyncio.Event()
        self._half = max(1, max_bytes // 2)
        self._file: BinaryIO = path.open("ab")

    @override
    def data_received(self, data: bytes) -> None:
        """Append *data*, putting the file aside as often as that takes."""
        rest = memoryview(data)
        while rest:
            room = self._half - self._file.tell()
            if room <= 0:
                self._file.close()
                self.path.replace(aside(self.path))
                self._file = self.path.open("ab")
                continue
            self._file.write(rest[:room])
            rest = rest[room:]
        self._file.flush()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Close the file."""
        self._file.close()
        self.ended.set()


def aside(path: Path) -> Path:
    """Return the name of the file put aside."""
    return path.with_name(f"{path.name}.1")


def read(path: Path) -> bytes | None:
    """Return what is kept of a log, oldest first, or ``None`` where there is none."""
    kept = [file.read_bytes() for file in (aside(path), path) if file.exists()]
    return b"".join(kept) if kept else None
