import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from localcluster import podlog, processes
from localcluster.processes import Child, Nursery

pytestmark = pytest.mark.wallclock

ROOT = Path(processes.__file__).resolve().parents[1]

# Prints its own number and its child's, then ignores SIGTERM like a program that hangs.
STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
child.wait()
"""
# A parent like ours: starts one stubborn pod, says so, and waits to be killed.
PARENT = """
import asyncio, pathlib, sys
from localcluster import processes
async def main():
    here = pathlib.Path(sys.argv[1])
    async with processes.nursery() as nursery:
        async with nursery.spawned([sys.executable, "-c", sys.argv[2]], environment={},
                                   directory=here, log=here / "log", log_bytes=1000) as child:
            print(child.pid, flush=True)
            await child.wait()
asyncio.run(main())
"""


@asynccontextmanager
async def spawned(
    tmp_path: Path, *arguments: str, nursery: Nursery | None = None
) -> AsyncIterator[Child]:
    if nursery is None:
        async with processes.nursery() as own, spawned(tmp_path, *arguments, nursery=own) as child:
            yield child
        return
    options = {"environment": {"A": "b", "PATH": os.defpath}, "directory": tmp_path}
    async with nursery.spawned(
        arguments, **options, log=tmp_path / "log", log_bytes=10_000
    ) as child:
        yield child


def is_alive(pid: int) -> bool:
    """A zombie that init has not collected yet counts as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def eventually(check: Callable[[], bool]) -> None:
    """Wait for something in another process, which has no event of ours to set."""
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


async def printed(tmp_path: Path) -> list[int]:
    """Wait for the two numbers that the stubborn program prints."""
    await eventually(lambda: (podlog.read(tmp_path / "log") or b"").endswith(b"\n"))
    return [int(word) for word in (podlog.read(tmp_path / "log") or b"").split()]


async def test_a_program_runs_with_its_environment_and_its_output_is_kept(tmp_path: Path) -> None:
    code = (
        "import os, sys; print(os.environ['A'], os.getcwd()); sys.stderr.write('err'); sys.exit(3)"
    )
    async with spawned(tmp_path, sys.executable, "-c", code) as child:
        assert await child.wait() == 3
    assert podlog.read(tmp_path / "log") in {
        f"errb {tmp_path}\n".encode(),
        f"b {tmp_path}\nerr".encode(),
    }


async def test_a_program_that_is_not_there_says_so_in_its_log(tmp_path: Path) -> None:
    async with spawned(tmp_path, "no-such-program") as child:
        assert await child.wait() == 127
    assert podlog.read(tmp_path / "log") == b"exec: 'no-such-program': not found in PATH\n"


async def test_a_program_starts_with_signals_as_they_should_be(tmp_path: Path) -> None:
    async with spawned(tmp_path, "grep", "SigIgn", "/proc/self/status") as child:
        assert await child.wait() == 0
    ignored = int((podlog.read(tmp_path / "log") or b"").split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


async def test_stopping_is_gentle_first(tmp_path: Path) -> None:
    async with spawned(tmp_path, "sleep", "600") as child:
        await child.stop(grace=10)
        assert await child.wait() == 128 + signal.SIGTERM


async def test_a_program_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    async with spawned(tmp_path, sys.executable, "-c", STUBBORN) as child:
        pids = await printed(tmp_path)
        await child.stop(grace=0.1)
        assert await child.wait() == 128 + signal.SIGKILL
        await eventually(lambda: not any(map(is_alive, pids)))


async def test_leaving_the_block_leaves_nothing_running(tmp_path: Path) -> None:
    async with spawned(tmp_path, sys.executable, "-c", STUBBORN):
        pids = await printed(tmp_path)
        assert all(map(is_alive, pids))
    await eventually(lambda: not any(map(is_alive, pids)))


async def test_leaving_by_an_exception_leaves_nothing_running(tmp_path: Path) -> None:
    pids: list[int] = []

    async def fail() -> None:
        async with spawned(tmp_path, sys.executable, "-c", STUBBORN):
            pids.extend(await printed(tmp_path))
            raise TimeoutError("ours")

    with pytest.raises(TimeoutError, match="ours"):
        await fail()
    assert pids
    await eventually(lambda: not any(map(is_alive, pids)))


async def test_what_outlives_its_parent_program_is_killed(tmp_path: Path) -> None:
    async with spawned(tmp_path, "sh", "-c", "sleep 600 & echo $! $$"):
        pids = await printed(tmp_path)
    await eventually(lambda: not any(map(is_alive, pids)))


async def test_nothing_survives_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), STUBBORN, env={"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    pids = [int(await parent.stdout.readline())]
    pids += await printed(tmp_path)
    assert all(map(is_alive, pids))
    parent.kill()
    await parent.communicate()
    await eventually(lambda: not any(map(is_alive, pids)))


async def test_a_directory_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    async with processes.nursery() as nursery:
        starting = nursery.spawned(
            ["true"], environment={}, directory=tmp_path / "no", log=tmp_path / "log", log_bytes=10
        )
        with pytest.raises(FileNotFoundError):
            async with starting:
                raise AssertionError("it cannot have started")
