"""What a former process left is found again, and what is wrong with it is counted, not raised."""

import errno
from pathlib import Path

import pytest

from common.buffer import recovery
from tests.fakes.buffers import everything, opened
from tests.fakes.disks import FakeDisk, failing

BODY = b"b" * 1000


async def three_segments(folder: Path) -> list[Path]:
    async with opened(folder) as one:
        for n in range(9):
            one.append(BODY, n + 1)
    return segments(folder)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.seg"))


def change(path: Path, at: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


async def test_a_head_that_is_gone_costs_one_record_and_its_points_are_unknown(
    tmp_path: Path,
) -> None:
    paths = await three_segments(tmp_path)
    change(paths[2], 1040, bytes(40))
    recovered = recovery.recover(tmp_path, FakeDisk(), 0.0)
    assert (recovered.corrupt_records, recovered.corrupt_points) == (1, 0)
    assert (recovered.points, recovered.index.points) == (45 - 8, 45 - 8)
    assert recovered.next == 10


async def test_damage_to_what_was_settled_is_nobodys_loss(tmp_path: Path) -> None:
    async with opened(tmp_path) as one:
        for _ in range(4):
            one.append(BODY, in_hand=True)
        await one.log.flush()
        one.log.settle(1)
    change(segments(tmp_path)[0], 3, b"?")
    recovered = recovery.recover(tmp_path, FakeDisk(), 0.0)
    assert (recovered.corrupt_records, recovered.points) == (0, 3)


async def test_a_torn_end_is_cut_and_no_corruption(tmp_path: Path) -> None:
    paths = await three_segments(tmp_path)
    change(paths[2], 3000, b"????")
    recovered = recovery.recover(tmp_path, FakeDisk(), 0.0)
    assert (recovered.corrupt_records, recovered.torn_bytes) == (0, 1040)
    assert paths[2].stat().st_size == 2080
    assert recovery.recover(tmp_path, FakeDisk(), 0.0).torn_bytes == 0


async def test_a_torn_end_that_cannot_be_cut_never_spoils_what_comes_later(tmp_path: Path) -> None:
    paths = await three_segments(tmp_path)
    change(paths[2], 3000, b"????")
    disk = FakeDisk()
    disk.fault = failing("truncate")
    async with opened(tmp_path, disk) as one:
        number = one.append(BODY, 100)
        await one.log.flush()
    assert number == 10  # nine was torn, and keeps its number
    found = await everything(tmp_path)
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert found[10].points == 100


async def test_what_follows_the_last_record_of_an_older_segment_is_counted(tmp_path: Path) -> None:
    paths = await three_segments(tmp_path)
    with paths[0].open("ab") as file:
        file.write(b"neither record nor zeros")
    recovered = recovery.recover(tmp_path, FakeDisk(), 0.0)
    assert (recovered.corrupt_records, recovered.points) == (1, 45)


async def test_a_file_that_cannot_be_opened_is_left_and_its_numbers_are_not_used(
    tmp_path: Path,
) -> None:
    await three_segments(tmp_path)
    disk = FakeDisk()
    disk.fault = failing("open")
    recovered = recovery.recover(tmp_path, disk, 0.0)
    assert (len(recovered.unreadable), recovered.points) == (3, 0)
    assert recovered.next > 9
    assert len(segments(tmp_path)) == 3


@pytest.mark.parametrize("bad", range(0, 21_000, 1500))
async def test_blocks_that_cannot_be_read_cost_what_is_in_them_and_nothing_is_cut(
    tmp_path: Path, bad: int
) -> None:
    async with opened(tmp_path, segment_bytes=1 << 16) as one:
        for _ in range(20):
            one.append(BODY)

    class Spotted(FakeDisk):
        def pread(self, descriptor: int, size: int, offset: int) -> bytes:
            if offset <= bad < offset + size:
                raise OSError(errno.EIO, "a bad spot")
            return super().pread(descriptor, size, offset)

    (path,) = segments(tmp_path)
    before = path.read_bytes()
    recovered = recovery.recover(tmp_path, Spotted(), 0.0)
    assert path.read_bytes() == before
    assert 14 <= recovered.index.points <= 20  # a block of 4096 bytes has parts of six at most
    assert recovered.next > 20
    assert sorted(await everything(tmp_path)) == [*range(1, 21)]  # it was a passing error


async def test_a_file_in_which_nothing_can_be_read_is_left(tmp_path: Path) -> None:
    paths = await three_segments(tmp_path)
    disk = FakeDisk()
    disk.fault = failing("pread")
    recovered = recovery.recover(tmp_path, disk, 0.0)
    assert (len(recovered.unreadable), recovered.next > 9) == (3, True)
    assert all(path.exists() for path in paths)
