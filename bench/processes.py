"""Whole processes under measurement: started, watched by the kernel's own accounting, ended."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

READY_SECONDS = 20.0


class Process:
    """A child and what the operating system says about it."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child
        self._ended = 0

    def cpu_ns(self) -> int:
        """Return nanoseconds on a processor, all threads, as the scheduler counts them."""
        total = 0
        for task in Path(f"/proc/{self.child.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread may end while we look
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def rss_mb(self) -> float:
        """Return resident memory in MB (10^6 bytes)."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError(f"process {self.child.pid} has ended")


@asynccontextmanager
async def running(
    *arguments: str,
    errors: Path | None = None,
    program: str = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Process]:
    """Run ``python *arguments``, or another *program*; SIGTERM on leaving, and then exit code 0.

    *environment* is added to ours.
    """
    sink = errors.open("ab") if errors else None
    child = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.PIPE,
        stderr=sink,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield Process(child)
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            code = await child.wait()
        if code:
            raise RuntimeError(f"{program} {arguments} ended with {code}; see {errors}")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        if sink:
            sink.close()


def fetch(url: str) -> object:
    """GET *url* and decode its JSON; 503 has a body too."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http on loopback
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def fetch_text(url: str) -> str:
    """GET *url* and return its text."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http on loopback
        return answer.read().decode()


async def get(url: str) -> object:
    """Like `fetch`, off the loop."""
    return await asyncio.to_thread(fetch, url)


async def until_ready(url: str) -> None:
    """Wait until *url* answers that it is ready."""
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            if (await get(url)).get("ready"):
                return
        except OSError:
            if time.monotonic() > end:
                raise
        if time.monotonic() > end:
            raise TimeoutError(f"{url} is not ready: {await get(url)}")
        await asyncio.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that were free just now.

    From below the range that the kernel takes for outgoing connections (32768 and up, on Linux):
    one of those may be taken by the time that a program listens on it.
    """
    found: list[socket.socket] = []
    while len(found) < count:
        candidate = socket.socket()
        try:
            candidate.bind(("127.0.0.1", 10_000 + secrets.randbelow(22_000)))
        except OSError:
            candidate.close()
        else:
            found.append(candidate)
    ports = [each.getsockname()[1] for each in found]
    for each in found:
        each.close()
    return ports
