"""The files of a log beside its records: the cursor, the reserve, and what is to be deleted."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from common.buffer import cursor, folders
from common.buffer.disk import Disk, write_all

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@final
class Upkeep:
    """Writes cursors and deletes files, also on a full disk. For the writer's thread only."""

    def __init__(self, folder: Path, disk: Disk, *, generation: int) -> None:
        """Go on behind the cursor of *generation*."""
        self._folder, self._disk = folder, disk
        self._generation = generation
        self._cursor: int | None = None
        self._reserve_is_spent = False
        self._undeletable: list[Path] = []

    def make_files(self) -> None:
        """Create cursor and reserve, whose space is taken once and for all."""
        if self._cursor is None:
            path = self._folder / folders.CURSOR
            descriptor = self._disk.open(path, write=True, create=True)
            try:
                if path.stat().st_size < cursor.FILE_BYTES:
                    self._disk.pwrite(descriptor, bytes(cursor.FILE_BYTES), 0)
            except OSError:
                self.close(descriptor)
                raise
            self._cursor = descriptor
        path = self._folder / folders.RESERVE
        if not path.exists():
            descriptor = self._disk.create(path)
            try:
                self._disk.reserve(descriptor, folders.RESERVE_BYTES)
            except OSError:
                self._disk.unlink(path)
                raise
            finally:
                self.close(descriptor)
            self._disk.sync_folder(self._folder)
        self._reserve_is_spent = False

    def put_cursor(self, settled: cursor.Cursor, *, sync: bool) -> None:
        """Write a cursor over the older slot; if that fails, the other is good."""
        offset, slot = cursor.encode(settled, self._generation + 1)
        self._despite_full_disk(lambda: self._write_slot(slot, offset, sync=sync))
        self._generation += 1  # only now: the next attempt shall spoil this slot again, if any

    def delete(self, path: Path) -> None:
        """Delete a file; what cannot be deleted is tried again by `tidy`."""
        try:
            self._despite_full_disk(lambda: self._disk.unlink(path))
        except OSError:
            self._undeletable.append(path)
            raise

    @property
    def is_tidy(self) -> bool:
        """Whether nothing is left to delete or to make again."""
        return not self._undeletable and not self._reserve_is_spent

    def tidy(self) -> None:
        """Delete what could not be deleted, and make the reserve again if it was spent."""
        left, self._undeletable = self._undeletable, []
        for path in left:
            with suppress(OSError):  # it is counted, and stays to be deleted
                self.delete(path)
        if self._reserve_is_spent:
            with suppress(OSError):  # the disk is still full
                self.make_files()

    def probe(self, size: int) -> None:
        """Find out whether a file of *size* bytes can be made, written and synchronised."""
        path = self._folder / folders.PROBE
        self.make_files()
        self._disk.unlink(path)
        descriptor = self._disk.create(path)
        try:
            self._disk.reserve(descriptor, size)
            write_all(self._disk, descriptor, [bytes(cursor.SLOT_BYTES)])
            self._disk.sync(descriptor)
        finally:
            self.close(descriptor)
            self._disk.unlink(path)

    def stop(self) -> None:
        """Close the cursor."""
        self.close(self._cursor)
        self._cursor = None

    def close(self, descriptor: int | None) -> None:
        """Close a file; what it was told, it was told by synchronising it."""
        if descriptor is not None:
            with suppress(OSError):  # the descriptor is gone either way
                self._disk.close(descriptor)

    def _despite_full_disk(self, call: Callable[[], None]) -> None:
        """Make *call*; if the disk is full, give up the reserve and make it again.

        Most file systems delete and overwrite on a full disk; those that copy on write need room.
        """
        try:
            call()
        except OSError as error:
            reserve = self._folder / folders.RESERVE
            if error.errno not in _FULL or not reserve.exists():
                raise
            self._disk.unlink(reserve)
            self._reserve_is_spent = True
            call()

    def _write_slot(self, slot: bytes, offset: int, *, sync: bool) -> None:
        if self._cursor is None:
            raise OSError(errno.EBADF, "the cursor could not be opened")
        if self._disk.pwrite(self._cursor, slot, offset) != len(slot):
            raise OSError(errno.EIO, "the cursor was not written whole")
        if sync:
            self._disk.sync(self._cursor)
