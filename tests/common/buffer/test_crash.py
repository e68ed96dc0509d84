"""A real disk that is full, and a real process that is killed while it writes."""

import asyncio
import contextlib
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.buffer import log
from common.config import outputs

WRITER = """
import asyncio, sys
from pathlib import Path
from common.buffer import log
from common.config import outputs

async def main():
    settings = outputs.Buffer(
        dir="-", sync=sys.argv[2], sync_interval=0.01, segment_bytes=1 << 16, max_bytes=1 << 26
    )
    def lost(*said):
        print("lost", *said, flush=True)
    async with log.opening(Path(sys.argv[1]), settings, lost=lost, failed=lost) as it:
        print("open", flush=True)
        while True:
            ready = asyncio.Event()
            for n in range(7):
                number = it.books.next
                body = number.to_bytes(8, "big") * (1 + number * 37 % 700)
                def written(ok, number=number):
                    assert ok
                    print("ack", number, flush=True)
                    if number % 7 == 0:
                        ready.set()
                assert it.append(body, number % 1000, in_hand=True, written=written) == number
                if number % 3 == 0 and number > 30:
                    it.settle(number - 30)
                    print("settled", number - 30, flush=True)
            await asyncio.sleep(0)
            if number % 2:
                await asyncio.sleep(0.001)

asyncio.run(main())
"""
ROUNDS, SECONDS = 25, 3.5


@pytest.mark.wallclock
@pytest.mark.slow
@pytest.mark.parametrize("policy", ["each", "interval"])
async def test_a_killed_process_loses_nothing_that_it_acknowledged(
    tmp_path: Path, policy: str
) -> None:
    acknowledged: set[int] = set()
    settled: set[int] = set()
    chance = random.Random(7)
    until = time.monotonic() + SECONDS
    rounds = 0
    while rounds < ROUNDS and time.monotonic() < until:
        rounds += 1
        said = killed(tmp_path, policy, chance.uniform(0.0, 0.05))
        for line in said:
            word, _, number = line.partition(" ")
            assert word in {"open", "ack", "settled"}, line
            if word == "ack":
                acknowledged.add(int(number))
            elif word == "settled":
                settled.add(int(number))
    settings = outputs.Buffer(dir="-", segment_bytes=1 << 16, max_bytes=1 << 26)
    there: set[int] = set()
    async with log.opening(tmp_path, settings, lost=print, failed=print) as it:
        while records := await it.take(1 << 20, newest=False):
            for record in records:
                number = record.number
                assert record.body == number.to_bytes(8, "big") * (1 + number * 37 % 700)
                assert record.points == number % 1000
                there.add(number)
        assert it.corrupt_records == 0
    assert rounds > 3
    assert len(acknowledged) > 100
    assert acknowledged - settled <= there


def killed(folder: Path, policy: str, after: float) -> list[str]:
    """Run the writer, kill it *after* seconds of writing, and return all that it said."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, folder, policy], stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        said = bytearray()
        deadline = time.monotonic() + 10
        while b"open\n" not in said:
            assert time.monotonic() < deadline
            said += os.read(process.stdout.fileno(), 1 << 16)
        deadline = time.monotonic() + after
        while (left := deadline - time.monotonic()) > 0:
            if select.select([process.stdout], [], [], left)[0]:
                said += os.read(process.stdout.fileno(), 1 << 16)
        process.kill()
        while more := os.read(process.stdout.fileno(), 1 << 16):
            said += more
    return said.decode().splitlines()[: said.count(b"\n")]


@contextlib.contextmanager
def tiny_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a file system of *size* bytes, where this may be done."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.wallclock
async def test_a_disk_that_is_really_full_is_survived(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", 1 << 20) as disk:
        settings = outputs.Buffer(
            dir="-", sync="each", segment_bytes=1 << 17, max_bytes=1 << 30, sync_interval=0.1
        )
        failed: list[log.Record] = []
        body = os.urandom(20_000)
        async with asyncio.timeout(15):
            async with log.opening(disk / "log", settings, lost=print, failed=failed.extend) as it:
                appended = 0
                while not it.failing:
                    appended += it.append(body, 1, in_hand=False) > 0
                    await asyncio.sleep(0)
                assert "space" in it.failing
                (disk / "filler").write_bytes(bytes(1000))  # segments are reserved in steps
                fill(disk / "filler")
                taken = []
                while records := await it.take(1 << 20, newest=False):
                    taken += records
                assert len(taken) + len(failed) == appended
                assert len(taken) >= 30
                # The disk is full to the last page, and yet cursor and deletion work.
                for record in taken[:20]:
                    it.settle(record.number)
                await it.flush()
                assert it.counters.write_errors <= 2
                assert it.deleted_segments["delivered"] >= 2
                (disk / "filler").unlink()
                while it.failing:  # noqa: ASYNC110 - it has no event for that
                    await asyncio.sleep(0.05)
                assert it.append(body, 1, in_hand=False) > 0
                await it.flush()
                it.give_back()
            async with log.opening(disk / "log", settings, lost=print, failed=print) as it:
                assert it.unread == len(taken) - 20 + 1


def fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
