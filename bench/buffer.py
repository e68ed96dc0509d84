"""``python -m bench.buffer [FOLDER]``: what the durable log costs, and how fast it is back.

CPU is that of the whole process, as the operating system counts it. The bodies are random bytes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from common.buffer import log
from common.config import outputs

SIZES = {"130 KB": 130_000, "7 KB": 7_000}
BYTES = 512 << 20
GROUP = 8  # appended at once, as a busy loop does, before the writer has a chance


async def appending(
    folder: Path, policy: str, size: int, *, pace: float
) -> tuple[float, float, int]:
    """Return appends a second, µs of CPU an append, and synchronisations."""
    settings = outputs.Buffer(dir="-", sync=policy, max_bytes=1 << 32)
    body = os.urandom(size)
    count = min(BYTES // size, 20_000) if not pace else int(pace * 3)
    done = asyncio.Event()
    left = count

    def written(ok: bool) -> None:  # noqa: FBT001 - it is called back
        nonlocal left
        left -= 1
        if not left or not ok:
            done.set()

    async with log.opening(folder, settings, lost=print, failed=print) as it:
        cpu, began = time.process_time(), time.perf_counter()
        for at in range(count):
            while (number := it.append(body, 1000, in_hand=True, written=written)) < 0:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            if at >= 64:
                it.settle(number - 64)
            if at % GROUP == 0:
                ahead = at / pace - (time.perf_counter() - began) if pace else 0.0
                await asyncio.sleep(max(ahead, 0.0))
        await done.wait()
        cpu, took = time.process_time() - cpu, time.perf_counter() - began
        return count / took, cpu / count * 1e6, it.counters.syncs


async def recovering(folder: Path, size: int) -> tuple[float, float, float, float]:
    """Return seconds to open 1 GiB, seconds of CPU for it, and the same to take all of it."""
    settings = outputs.Buffer(dir="-", sync="none", max_bytes=1 << 32)
    body = os.urandom(size)
    async with log.opening(folder, settings, lost=print, failed=print) as it:
        for _ in range((1 << 30) // size):
            while it.append(body, 1000, in_hand=False) < 0:  # noqa: ASYNC110 - the disk's turn
                await asyncio.sleep(0.001)
    cpu, began = time.process_time(), time.perf_counter()
    async with log.opening(folder, settings, lost=print, failed=print) as it:
        opened = time.perf_counter() - began, time.process_time() - cpu
        cpu, began = time.process_time(), time.perf_counter()
        while records := await it.take(4 << 20, newest=False):
            for record in records:
                it.settle(record.number)
        return *opened, time.perf_counter() - began, time.process_time() - cpu


async def main(root: Path) -> None:
    """Print all figures."""
    async with AsyncExitStack() as stack:
        folder = root / "buffer"
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for name, size in SIZES.items():
            for policy in ("none", "interval", "each"):
                for pace in (0.0, 1000.0):
                    rate, cpu, syncs = await appending(folder, policy, size, pace=pace)
                    shutil.rmtree(folder)
                    how = f"{pace:.0f}/s" if pace else "flat out"
                    print(
                        f"append {name:>6} {policy:<8} {how:<8} {rate:9.0f}/s {cpu:7.1f} µs CPU"
                        f" {cpu / size * 130:.3f} µs a point of 130 bytes, {syncs} syncs"
                    )
        for name, size in SIZES.items():
            opened, cpu, took, taking = await recovering(folder, size)
            shutil.rmtree(folder)
            print(
                f"1 GiB of {name}: opened in {opened:.2f} s ({cpu:.2f} s CPU),"
                f" taken in {took:.2f} s ({taking:.2f} s CPU)"
            )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as place:
        uvloop.run(main(Path(place)))
