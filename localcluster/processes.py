"""Processes that cannot outlive us: one group each, ended gently, then not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from localcluster.podlog import PodLog

_HERE = Path(__file__).resolve().parent
# Neither the environment nor the site-packages of the program that is started matter to these two.
_PYTHON = (sys.executable, "-I", "-S")
_DRAIN = 1.0  # seconds for the last output of a process that has ended


class Child:
    """One running process group."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid  # also the number of the group

    async def wait(self) -> int:
        """Wait for the end; the exit code is 128 + N for death by signal N, as in a shell."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def stop(self, grace: float) -> None:
        """Ask the process to end; kill the whole group after *grace* seconds."""
        if grace > 0:
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._process.wait()
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """Kill everything in the group."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # The group may outlive its leader. Its number cannot be taken while anything is in it.
        with suppress(ProcessLookupError, PermissionError):  # everything in it has ended already
            os.killpg(self.pid, number)


class Nursery:
    """Starts processes, and tells the reaper about them."""

    def __init__(self, reaper: asyncio.StreamWriter) -> None:
        self._reaper = reaper

    @asynccontextmanager
    async def spawned(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
        log_bytes: int,
    ) -> AsyncIterator[Child]:
        """Run a program whose output goes to *log*; leaving kills whatever is left of its group."""
        reading, writing = os.pipe()
        source = os.fdopen(reading, "rb", buffering=0)
        with os.fdopen(writing, "wb", buffering=0) as sink:
            loop = asyncio.get_running_loop()
            output = PodLog(log, log_bytes)
            transport, _ = await loop.connect_read_pipe(lambda: output, source)
            try:
                process = await asyncio.create_subprocess_exec(
                    *_PYTHON, str(_HERE / "launcher.py"), str(os.getpid()), *arguments,
                    stdin=DEVNULL, stdout=sink, stderr=sink, env=dict(environment),
                    cwd=directory, start_new_session=True,
                )  # fmt: skip
            except BaseException:
                transport.close()
                await output.ended.wait()
                raise
        child = Child(process)
        self._reaper.write(b"+%d\n" % child.pid)
        try:
            yield child
            child.kill()
            # A daemon that left the group may hold the pipe open for ever; its output ends here.
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN):
                    await output.ended.wait()
        finally:
            child.kill()
            await process.wait()
            self._reaper.write(b"-%d\n" % child.pid)
            transport.close()
            await output.ended.wait()


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """Start the reaper; on leaving, by whatever way, it kills what is still running and ends."""
    process = await asyncio.create_subprocess_exec(
        *_PYTHON, str(_HERE / "reaper.py"), stdin=PIPE, env={}, start_new_session=True
    )
    if process.stdin is None:
        raise RuntimeError("BUG: the reaper has no stdin")
    try:
        yield Nursery(process.stdin)
    finally:
        process.stdin.close()
        await process.stdin.wait_closed()
        await process.wait()
