"""The calls to the disk do all of what they are asked for, or say why not."""

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from common.buffer.disk import Disk, InUse, read_all, write_all


class Stingy(Disk):
    """Writes and reads a few bytes at a time."""

    def __init__(self, most: int) -> None:
        self.most, self.out = most, b""

    def writev(self, descriptor: int, pieces: Sequence[bytes]) -> int:  # noqa: ARG002
        taken = b"".join(pieces)[: self.most]
        self.out += taken
        return len(taken)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:  # noqa: ARG002
        return self.out[offset : offset + min(size, self.most)]


@given(pieces=st.lists(st.binary(max_size=9), max_size=9), most=st.integers(1, 20))
def test_short_writes_and_reads_are_completed(pieces: list[bytes], most: int) -> None:
    disk = Stingy(most)
    write_all(disk, 0, pieces)
    whole = b"".join(pieces)
    assert disk.out == whole
    assert read_all(disk, 0, len(whole), 0) == whole
    assert read_all(disk, 0, len(whole) + 9, 2) == whole[2:]


def test_a_disk_that_takes_nothing_is_an_error() -> None:
    with pytest.raises(OSError, match="takes no bytes"):
        write_all(Stingy(0), 0, [b"x"])


def test_more_pieces_than_one_call_takes(tmp_path: Path) -> None:
    disk = Disk()
    descriptor = disk.create(tmp_path / "f")
    write_all(disk, descriptor, [b"%04d" % n for n in range(3000)])
    disk.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"".join(b"%04d" % n for n in range(3000))


def test_reserved_space_is_zeros_and_of_the_file(tmp_path: Path) -> None:
    disk = Disk()
    descriptor = disk.create(tmp_path / "f")
    disk.reserve(descriptor, 10_000)
    assert os.fstat(descriptor).st_blocks * 512 >= 10_000
    disk.close(descriptor)
    with pytest.raises(FileExistsError):
        disk.create(tmp_path / "f")


HOLD = """
import sys
from pathlib import Path
from common.buffer.disk import Disk
Disk().lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.wallclock
def test_two_processes_do_not_have_one_folder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InUse, match="in use by a running gateway; stop it") as caught:
            Disk().lock(path)
        assert caught.value.errno == errno.EBUSY
        other.kill()
    Disk().close(Disk().lock(path))
