"""A real disk that is full, and a real process that is killed while it writes."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.buffer import log
from common.config import outputs

# Imports once, and forks a writer for every round, which is killed after a while of writing.
KILLER = """
import asyncio, os, random, signal, sys, time
from pathlib import Path
from common.buffer import log
from common.config import outputs

async def write():
    settings = outputs.Buffer(
        dir="-", sync=sys.argv[2], sync_interval=0.01, segment_bytes=1 << 16, max_bytes=1 << 26
    )
    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())
    def lost(*words):
        say("lost", *words)
    async with log.opening(Path(sys.argv[1]), settings, lost=lost, failed=lost) as it:
        os.close(opened)
        while True:
            for _ in range(7):
                number = it.books.next
                body = number.to_bytes(8, "big") * (1 + number * 37 % 700)
                def written(ok, number=number):
                    say("ack" if ok else "failed", number)
                assert it.append(body, number % 1000, in_hand=True, written=written) == number
                if number % 3 == 0 and number > 30:
                    it.settle(number - 30)
                    say("settled", number - 30)
            await asyncio.sleep(0.001 * (number % 2))

chance = random.Random(7)
for _ in range(int(sys.argv[3])):
    waiting, opened = os.pipe()
    process = os.fork()
    if not process:
        os.close(waiting)
        asyncio.run(write())
    os.close(opened)
    assert os.read(waiting, 1) == b""  # closed: the log is open
    os.close(waiting)
    time.sleep(chance.uniform(0.0, 0.03))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    os.write(1, b"killed 1\\n")
"""
ROUNDS = 30


@pytest.mark.wallclock
@pytest.mark.slow
@pytest.mark.parametrize("policy", ["each", "interval", "none"])
async def test_a_killed_process_loses_nothing_that_it_acknowledged(
    tmp_path: Path, policy: str
) -> None:
    killer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLER, tmp_path, policy, str(ROUNDS)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(18):
            said, _ = await killer.communicate()
    finally:
        if killer.returncode is None:
            killer.kill()
            await killer.wait()
    numbers: dict[str, set[int]] = {"ack": set(), "settled": set(), "killed": set()}
    for line in said.decode().splitlines():
        word, _, number = line.partition(" ")
        numbers[word].add(int(number))
    assert said.count(b"killed") == ROUNDS
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
    assert len(numbers["ack"]) > ROUNDS
    assert numbers["ack"] - numbers["settled"] <= there


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
