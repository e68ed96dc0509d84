"""Gateways in a fraction of the time that Python takes to start: one process, imported once, forks.

``python -m tests.flow.zygote`` reads lines of JSON from stdin. ``{"config": PATH, "log": PATH}``
starts ``headgate gateway`` on that configuration, its stderr goes to the end of that file, and its
process id is written to stdout. ``{"reap": PID}`` waits for the end of one and writes how it ended,
as `subprocess` says it: the exit code, or minus the signal. Until then its id is nobody else's.

It has one thread and no event loop, so what is forked is what a fresh process would be.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

MODULES = ("cli.programs", "gateway.launch", "gateway.app")


class Zygote:
    """The client's side: starts gateways, and ends those that are left when the block is left."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._turn = asyncio.Lock()
        self._alive: set[int] = set()

    async def start(self, config: Path, log: Path) -> int:
        """Start a gateway and return its process id."""
        pid = await self._ask(config=str(config), log=str(log))
        self._alive.add(pid)
        return pid

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a gateway that was not reaped yet."""
        assert pid in self._alive
        os.kill(pid, number)

    async def reap(self, pid: int) -> int:
        """Wait for the end of a gateway; blocks all other requests until then."""
        code = await self._ask(reap=pid)
        self._alive.discard(pid)
        return code

    async def _ask(self, **question: object) -> int:
        async with self._turn:
            self._child.stdin.write(json.dumps(question).encode() + b"\n")
            await self._child.stdin.drain()
            return int(await self._child.stdout.readline())

    def close(self) -> None:
        for pid in self._alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def running() -> AsyncIterator[Zygote]:
    """Run a zygote; whatever it started ends with the block."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.flow.zygote", stdin=pipe, stdout=pipe,
        # Threads that numpy's libraries would start at import do not survive a fork.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    zygote = Zygote(child)
    try:
        assert int(await child.stdout.readline()) == 1, "one thread, or it must not fork"
        yield zygote
    finally:
        zygote.close()
        child.stdin.close()
        await child.wait()


def main() -> None:
    for module in MODULES:
        import_module(module)
    gc.collect()
    gc.freeze()
    _say(len(list(Path("/proc/self/task").iterdir())))  # those that Python does not know of, too
    for line in sys.stdin.buffer:
        question = json.loads(line)
        if "reap" in question:
            _, status = os.waitpid(question["reap"], 0)
            _say(os.waitstatus_to_exitcode(status))
        else:
            pid = os.fork()
            if not pid:
                _live(question["config"], question["log"])
            _say(pid)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _live(config: str, log: str) -> NoReturn:
    """Become a gateway."""
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for here, there in ((nothing, 0), (nothing, 1), (errors, 2)):
        os.dup2(here, there)
    code = 1
    try:
        import_module("cli.main").main(["gateway", "--config", config])
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
