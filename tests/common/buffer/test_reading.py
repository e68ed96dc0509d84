"""A run is read at once, or record by record where that fails; what is wrong is said for each."""

import errno
from pathlib import Path

from common.buffer.index import Run
from common.buffer.reading import Damage, Payload, read
from tests.fakes.buffers import opened
from tests.fakes.disks import FakeDisk, failing

BODY = b"b" * 900


async def run_of_four(folder: Path) -> Run:
    async with opened(folder, segment_bytes=1 << 16) as one:
        for n in range(4):
            one.append(BODY + bytes((n,)), spans=((n, n),))
        await one.log.flush()
        (segment,) = one.log.books.index.segments.values()
    return Run(segment=segment, start=1, stop=4)


async def test_it_reads_what_was_asked_for_in_one_call(tmp_path: Path) -> None:
    run, disk = await run_of_four(tmp_path), FakeDisk()
    assert read(tmp_path, disk, run) == [Payload(((n, n),), BODY + bytes((n,))) for n in (1, 2, 3)]
    assert disk.calls == ["open", "pread"]


async def test_one_bad_spot_costs_one_record(tmp_path: Path) -> None:
    run, disk = await run_of_four(tmp_path), FakeDisk()
    # The whole run fails, and after it the second record of three.
    disk.fault = lambda _, call: OSError(errno.EIO, "bad") if call in {2, 4} else None
    found = read(tmp_path, disk, run)
    assert [isinstance(one, Payload) for one in found] == [True, False, True]
    assert found[1] == Damage("bad", passing=True)


async def test_a_file_that_is_gone_will_not_come_back(tmp_path: Path) -> None:
    run, disk = await run_of_four(tmp_path), FakeDisk()
    assert (
        read(tmp_path / "elsewhere", disk, run) == [Damage("its file is gone", passing=False)] * 3
    )
    disk.fault = failing("open")
    assert read(tmp_path, disk, run) == [Damage("it was told to fail", passing=True)] * 3
