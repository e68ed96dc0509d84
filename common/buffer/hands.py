"""Who does the waiting for the disk: a thread that writes and one that reads, for each log."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol, TypeVar, final

from typing_extensions import override

Answer = TypeVar("Answer")


class Hands(Protocol):
    """What a log needs to have work done beside the loop."""

    def wake(self) -> None:
        """Have the writer look for work; costs nothing if it is about to."""
        ...

    def post(self, call: Callable[[], None], /) -> None:
        """Have the loop make *call*; from any thread, in the order of posting."""
        ...

    async def call(self, function: Callable[[], Answer], /) -> Answer:
        """Return what *function* answers, without keeping the loop from its work."""
        ...

    async def write(
        self,
        work: Callable[[], float | None],
        stopped: Callable[[], bool],
        gather: Callable[[], float],
    ) -> None:
        """Do *work* whenever woken, or after as many seconds as it says, until *stopped*.

        Once woken, as many seconds as *gather* says may pass, for more to come.
        """
        ...

    def close(self) -> None:
        """Take no more calls."""
        ...


@final
class Threads(Hands):
    """Two threads; they end with what they are doing, also if nobody waits for them any more."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="buffer")
        self._event = threading.Event()

    @override
    def wake(self) -> None:
        """Have the writer look for work."""
        if not self._event.is_set():  # most often it is: what is appended at once is one group
            self._event.set()

    @override
    def post(self, call: Callable[[], None], /) -> None:
        """Have the loop make *call*."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call)

    @override
    async def call(self, function: Callable[[], Answer], /) -> Answer:
        """Return what *function* answers in a thread."""
        return await self._loop.run_in_executor(self._pool, function)

    @override
    async def write(
        self,
        work: Callable[[], float | None],
        stopped: Callable[[], bool],
        gather: Callable[[], float],
    ) -> None:
        """Run the writer in a thread until it has stopped."""
        await self._loop.run_in_executor(self._pool, self._work, work, stopped, gather)

    @override
    def close(self) -> None:
        """Let the threads end with what they are doing."""
        self._pool.shutdown(wait=False)

    def _work(
        self,
        work: Callable[[], float | None],
        stopped: Callable[[], bool],
        gather: Callable[[], float],
    ) -> None:
        while not stopped():
            self._event.clear()  # before the work: what is asked for meanwhile is not missed
            pause = work()
            if not stopped() and self._event.wait(pause):
                time.sleep(gather())
