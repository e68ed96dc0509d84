"""Looking into a log changes nothing in it, and says what a start would find."""

from pathlib import Path

import pytest

from common.buffer import inspection
from common.buffer.disk import Disk, InUse
from tests.fakes.buffers import opened

BODY = b"b" * 1000


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_it_says_what_is_there_and_leaves_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as one:
        for _ in range(7):
            one.append(BODY, 2, in_hand=True)
            one.disk.time.pass_by(10)
        await one.log.flush()
        one.log.settle(2)
    newest = max(name for name in contents(tmp_path) if name.endswith(".seg"))
    with (tmp_path / newest).open("ab") as file:
        file.write(b"torn")
    before = contents(tmp_path)
    found = inspection.inspect(tmp_path, Disk(), thorough=True)
    assert [len(file.segment) for file in found.files] == [3, 3, 1]
    assert [file.torn for file in found.files] == [False, False, True]
    assert [file.bad for file in found.files] == [(), (), ()]
    assert found.index.points == 12
    assert found.reaches() == (1_700_000_000_000, 1_700_000_060_000)
    everything = inspection.inspect(tmp_path, Disk(), thorough=False, settled=False)
    assert everything.index.points == 14
    assert contents(tmp_path) == before


def test_an_empty_folder_reaches_nowhere(tmp_path: Path) -> None:
    found = inspection.inspect(tmp_path, Disk(), thorough=True)
    assert (found.files, found.reaches()) == ((), None)


async def test_a_log_that_is_open_is_in_use(tmp_path: Path) -> None:
    disk = Disk()
    assert not inspection.is_in_use(tmp_path, disk)
    async with opened(tmp_path):
        assert inspection.is_in_use(tmp_path, disk)
        with pytest.raises(InUse), inspection.holding(tmp_path, disk):
            pass
    assert not inspection.is_in_use(tmp_path, disk)
