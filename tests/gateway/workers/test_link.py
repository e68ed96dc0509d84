"""Questions get answers or an end; pods go out as fast as they are taken."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from common.kube import reflector
from gateway.workers import channel, facts, link, messages
from tests.gateway.workers.pods import pod

pytestmark = pytest.mark.wallclock
POD = pod("1")


@asynccontextmanager
async def linked(program: str = "input()") -> AsyncIterator[tuple[link.Link, channel.Line]]:
    ours, theirs = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with channel.line(ours) as here, channel.line(theirs) as there:
            yield link.Link(process, here), there
    finally:
        await link.gone(process)


async def test_an_answer_reaches_whoever_asked() -> None:
    async with linked() as (at, there), asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(at.ask(path, {"q": "1"})) for path in ("/a", "/b")]
        asked = [messages.to_worker(await there.hear()) for _ in asking]
        assert asked[0] == messages.Ask(1, "/a", {"q": "1"})
        answers = [messages.Answer(1, None), messages.Answer(2, b"B"), messages.Answer(99, b"late")]
        for answer in reversed(answers):
            at.answered(answer)
        assert [await asked for asked in asking] == answers[:2]


async def test_nobody_waits_for_one_that_hung_up_or_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with linked() as (at, there), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(at.ask("/a", {}))
        await there.hear()
        at.hang_up()
        assert await asking is None
        monkeypatch.setattr(link, "ANSWER", 0.01)
        assert await at.ask("/a", {}) is None


async def test_pods_are_told_whole_first_and_then_as_they_change() -> None:
    store = facts.Store()
    store.apply(reflector.Replaced((facts.encoded(POD),)), 0.0)
    async with linked() as (at, there), asyncio.TaskGroup() as tasks:
        pump = tasks.create_task(at.pump(store))
        at.offer(None)
        first = messages.to_worker(await there.hear())
        assert (type(first), first.last) == (messages.Pods, True)
        told = store.apply(reflector.Deleted(facts.encoded(POD)), 0.0)
        at.offer(messages.framed(told))
        assert messages.to_worker(await there.hear()).gone
        pump.cancel()


STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
input()
"""


async def test_a_process_that_does_not_want_to_end_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "LAST", 0.05)
    async with linked(STUBBORN) as (at, _):
        process = at._process
        await process.stdout.readline()
        at.end()
        await link.gone(process)
        assert process.returncode == -9
        at.end()
        at.kill()
