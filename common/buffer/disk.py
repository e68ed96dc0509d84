"""The calls that touch the disk, in one object, so that tests can let any of them fail."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from common.service import clock

_NO_RESERVING: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_MOST_PIECES: Final = 1024  # IOV_MAX of Linux


class InUse(OSError):
    """Another process, or another log of this one, has the folder."""


class Disk:
    """What a log asks of the operating system; every call may raise :class:`OSError`."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist yet; return its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> int:
        """Open a file that exists, unless it may be created."""
        flags = (os.O_RDWR if write else os.O_RDONLY) | (os.O_CREAT if create else 0)
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def reserve(self, descriptor: int, size: int) -> None:
        """Take *size* bytes of disk, where the file system can say so beforehand."""
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NO_RESERVING:
                raise

    def writev(self, descriptor: int, pieces: Sequence[bytes]) -> int:
        """Write *pieces*, or a part of them, where the file stands; return how many bytes."""
        return os.writev(descriptor, pieces)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        """Write *data*, or a part of it, at *offset*; return how many bytes."""
        return os.pwrite(descriptor, data, offset)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        """Read up to *size* bytes at *offset*."""
        return os.pread(descriptor, size, offset)

    def sync(self, descriptor: int) -> None:
        """Wait until what was written is on the disk."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(descriptor, size)

    def unlink(self, path: Path) -> None:
        """Delete a file, which may be gone already."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in *folder* are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> int:
        """Take the lock at *path* for as long as the descriptor lives.

        Raises :class:`InUse` if another has it.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InUse(
                errno.EBUSY,
                "the buffer is in use by a running gateway; stop it, or name another directory",
                str(path.parent),
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def salt(self) -> int:
        """Return 32 random bits."""
        return secrets.randbits(32)

    def seconds(self) -> float:
        """Return seconds since the Unix epoch; may jump."""
        return clock.unix_seconds()


def write_all(disk: Disk, descriptor: int, pieces: Sequence[bytes]) -> None:
    """Write all of *pieces*, however many calls it takes."""
    at = 0
    while at < len(pieces):
        chunk = pieces[at : at + _MOST_PIECES]
        written = disk.writev(descriptor, chunk)
        if written == sum(map(len, chunk)):
            at += len(chunk)
            continue
        if written <= 0:
            raise OSError(errno.EIO, "the disk takes no bytes")
        for index, piece in enumerate(chunk):  # a short write: begin again in the midst of a piece
            if written < len(piece):
                pieces = (piece[written:], *pieces[at + index + 1 :])
                at = 0
                break
            written -= len(piece)


def read_all(disk: Disk, descriptor: int, size: int, offset: int) -> bytes:
    """Read *size* bytes at *offset*; fewer only where the file ends."""
    data = disk.pread(descriptor, size, offset)
    if len(data) in (size, 0):
        return data
    pieces = [data]
    missing = size - len(data)
    while missing and (data := disk.pread(descriptor, missing, offset + size - missing)):
        pieces.append(data)
        missing -= len(data)
    return b"".join(pieces)
