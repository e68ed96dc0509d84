"""A running worker as the supervisor has it: a process, a line, and what is under way on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from gateway.workers import channel, facts, messages

LAST: Final = 1.0  # seconds a worker has to end when the whole ends because of an error
ANSWER: Final = 5.0  # seconds a worker may take to answer a page
OUTBOX: Final = 64 << 20  # bytes of pods that a worker may be behind; then it is told all anew


class Link:
    """A running worker: its process, its line, and what is under way between us."""

    def __init__(self, process: asyncio.subprocess.Process, line: channel.Line) -> None:
        self.line = line
        self._outbox, self._wake = facts.Outbox(OUTBOX), asyncio.Event()
        self._process = process
        self._tickets = 0
        self._asked: dict[int, asyncio.Future[messages.Answer | None]] = {}

    def offer(self, frame: bytes | None) -> None:
        """Tell the worker of pods as fast as it listens; ``None``: of all that there are."""
        if frame is None:
            self._outbox.forget()
        else:
            self._outbox.offer(frame)
        self._wake.set()

    def end(self) -> None:
        """Ask the process to end."""
        with suppress(ProcessLookupError):  # it has
            self._process.terminate()

    def kill(self) -> None:
        """End the process."""
        with suppress(ProcessLookupError):  # it has ended
            self._process.kill()

    async def pump(self, store: facts.Store) -> None:
        """Write what waits for the worker, for ever."""
        fresh = True
        while True:
            await self._wake.wait()
            self._wake.clear()
            everything = partial(_everything, store, departed=fresh)
            await self.line.tell_all(self._outbox.take(everything))
            fresh = False

    async def ask(self, path: str, query: Mapping[str, str]) -> messages.Answer | None:
        """Ask for a page; ``None`` if there is no answer in time."""
        self._tickets += 1
        ticket = self._tickets
        answer: asyncio.Future[messages.Answer | None] = asyncio.get_running_loop().create_future()
        self._asked[ticket] = answer
        self.line.tell(messages.framed(messages.Ask(ticket, path, dict(query))))
        try:
            async with asyncio.timeout(ANSWER):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._asked[ticket]

    def answered(self, answer: messages.Answer) -> None:
        """Hand an answer to whoever waits for it, if anybody still does."""
        waiting = self._asked.get(answer.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def hang_up(self) -> None:
        """Tell those who wait for answers that none will come."""
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_result(None)


def _everything(store: facts.Store, *, departed: bool) -> Iterable[bytes]:
    return map(messages.framed, store.snapshot(departed=departed))


async def gone(process: asyncio.subprocess.Process) -> None:
    """See to it that *process* is gone, in good order if it can."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(LAST):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
