"""Cursor and deletion work on a full disk, as long as there is a reserve."""

import errno
from pathlib import Path

import pytest

from common.buffer import cursor, folders
from common.buffer.upkeep import Upkeep
from tests.fakes.disks import FakeDisk, failing


def full_while_reserved(folder: Path, name: str):
    def fault(call: str, _: int) -> OSError | None:
        there = (folder / folders.RESERVE).exists()
        asked = call == name and not (call == "unlink" and not there)
        return OSError(errno.ENOSPC, "full") if asked and there else None

    return fault


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
def upkeep(tmp_path: Path, disk: FakeDisk) -> Upkeep:
    one = Upkeep(tmp_path, disk, generation=0)
    one.make_files()
    return one


def test_the_files_take_their_space_at_once(tmp_path: Path, upkeep: Upkeep) -> None:
    assert (tmp_path / folders.CURSOR).stat().st_size == cursor.FILE_BYTES
    assert (tmp_path / folders.RESERVE).stat().st_blocks * 512 >= folders.RESERVE_BYTES
    upkeep.stop()


def test_the_reserve_is_spent_for_a_cursor_and_made_again(
    tmp_path: Path, disk: FakeDisk, upkeep: Upkeep
) -> None:
    disk.fault = full_while_reserved(tmp_path, "pwrite")
    upkeep.put_cursor(cursor.Cursor(low=5, next=9), sync=True)
    assert not (tmp_path / folders.RESERVE).exists()
    assert not upkeep.is_tidy
    disk.fault = failing("reserve", code=errno.ENOSPC)
    upkeep.tidy()
    assert not upkeep.is_tidy  # still full
    disk.fault = failing()
    upkeep.tidy()
    assert upkeep.is_tidy
    assert (tmp_path / folders.RESERVE).exists()
    file = (tmp_path / folders.CURSOR).read_bytes()
    assert cursor.decode(file) == (cursor.Cursor(low=5, next=9), 1)
    upkeep.stop()


def test_what_cannot_be_deleted_is_told_once_and_tried_again(
    tmp_path: Path, disk: FakeDisk, upkeep: Upkeep
) -> None:
    path = tmp_path / "segment"
    path.touch()
    disk.fault = failing("unlink")
    with pytest.raises(OSError, match="told to fail"):
        upkeep.delete(path)
    upkeep.tidy()
    assert (path.exists(), upkeep.is_tidy) == (True, False)
    disk.fault = failing()
    upkeep.tidy()
    assert (path.exists(), upkeep.is_tidy) == (False, True)
    upkeep.stop()


def test_a_probe_leaves_nothing_behind(tmp_path: Path, disk: FakeDisk, upkeep: Upkeep) -> None:
    upkeep.probe(8192)
    disk.fault = failing("writev")
    with pytest.raises(OSError, match="told to fail"):
        upkeep.probe(8192)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cursor", "reserve"]
    upkeep.stop()


def test_without_a_cursor_file_writing_one_is_an_error(tmp_path: Path, disk: FakeDisk) -> None:
    with pytest.raises(OSError, match="could not be opened"):
        Upkeep(tmp_path, disk, generation=0).put_cursor(cursor.Cursor(), sync=False)
