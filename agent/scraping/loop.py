"""Scrapes every target at its own ticks and hands on what comes of it, good or bad."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from agent import targets
from agent.exposition import report, target_state
from agent.scraping import credentials, fetch, hints, leaving, schedule
from agent.scraping.response import Cause, Failed, Fetched
from agent.scraping.room import Room
from agent.scraping.state import Counts, Health, State
from agent.scraping.terms import Terms, fresh_memory, request
from agent.scraping.ticks import SECOND, Ticks
from common.exporters.outcomes import Offer

log = logging.getLogger("headgate.agent.scraping")


@dataclass(slots=True)
class _Run:
    """One target being scraped."""

    state: State
    memory: target_state.TargetState
    client: fetch.Client
    grid: schedule.Grid
    task: asyncio.Task[None]


class Loop:
    """The targets being scraped. Made by `scraping`, which also ends it."""

    def __init__(self, terms: Terms, offer: Offer, tasks: asyncio.TaskGroup) -> None:
        self._terms, self._offer, self._tasks = terms, offer, tasks
        self._runs: dict[str, _Run] = {}
        self._places = asyncio.Semaphore(terms.max_concurrency)
        self._leavers = leaving.Leavers(terms.max_leaving)
        self._farewells: dict[leaving.Leaver, asyncio.Task[None]] = {}
        self.room = Room(terms.max_fetching_bytes)
        self.counts = Counts()

    @property
    def states(self) -> Collection[State]:
        """Every target's state, in no particular order."""
        return [run.state for run in self._runs.values()]

    @property
    def leavers(self) -> int:
        """How many targets are gone, and not yet marked stale."""
        return len(self._leavers)

    @property
    def rereads(self) -> credentials.Rereads:
        """How often certificates and tokens were read again."""
        return credentials.rereads(self._terms.credentials.values())

    @property
    def held_bytes(self) -> int:
        """About how many bytes the shapes of all targets occupy."""
        return sum(run.memory.held_bytes for run in self._runs.values()) + self._leavers.held_bytes

    def update(self, wanted: Mapping[str, targets.Target]) -> None:
        """Scrape exactly *wanted*, by URL, from now on.

        Series of targets that are gone get stale markers when they have not come back by the end of
        the next interval. A target that only has another pace goes on with its series.
        """
        for url in [url for url in self._runs if url not in wanted]:
            self._remove(url)
        for url, target in wanted.items():
            run = self._runs.get(url)
            if run is None:
                self._add(target)
            elif run.state.target != target:
                if run.state.target.same_series(target):
                    self._repace(run, target)
                else:
                    self._remove(url)
                    self._add(target)

    def stop(self) -> None:
        """End all scrapes without a word about it: the next agent goes on with the same series."""
        for run in self._runs.values():
            self._halt(run)
        for task in self._farewells.values():
            task.cancel()

    def _add(self, target: targets.Target) -> None:
        back = self._leavers.back(target)
        if back is not None:
            self._farewells.pop(back).cancel()
            back.state.target = target
            self._start(back.state, back.memory)
        else:
            self._start(State(target), fresh_memory(target, self._terms))
        log.info("target added", extra={"url": target.url, "subject": target.subject})

    def _remove(self, url: str) -> None:
        run = self._runs.pop(url)
        self._halt(run)
        log.info("target removed", extra={"url": url, "subject": run.state.target.subject})
        one = leaving.leaver(run.state, run.memory, run.grid, now := self._terms.wall())
        if one is None:
            return
        self._farewells[one] = self._tasks.create_task(
            self._wait_for_end(one, (one.due - now) / SECOND), name=f"leaving {url}"
        )
        hurried = self._leavers.add(one)
        if hurried is not None:
            self._farewells.pop(hurried).cancel()
            self.counts.hurried += 1
            self._mark_at_last(hurried)
            self.counts.departed += 1

    async def _wait_for_end(self, one: leaving.Leaver, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for _ in range(leaving.TRIES - 1):
            if self._mark(one):
                break
            await asyncio.sleep(one.pause / SECOND)  # it may still come back meanwhile
        else:
            self._mark_at_last(one)
        self._leavers.take(one)
        del self._farewells[one]
        self.counts.departed += 1

    def _mark(self, one: leaving.Leaver) -> bool:
        told = one.memory.vanish(one.stamp)
        taken = self._hand_on(one.memory, told)
        self.counts.stale += told.stale if taken else 0
        return taken

    def _mark_at_last(self, one: leaving.Leaver) -> None:
        self.counts.lost_scrapes += not self._mark(one)

    def _repace(self, run: _Run, target: targets.Target) -> None:
        self._halt(run)
        run.state.target = target
        self._start(run.state, run.memory)

    @staticmethod
    def _halt(run: _Run) -> None:
        # A cancelled task is never resumed after its await, so no scrape follows the markers.
        run.task.cancel()
        run.client.close()

    def _start(self, state: State, memory: target_state.TargetState) -> None:
        target, terms = state.target, self._terms
        profile = terms.credentials[target.credentials]
        client = fetch.Client(request(target, terms), profile, self.room)
        grid = schedule.grid(target.url, target.attributes, target.interval)
        ticks = Ticks(grid, terms.wall)
        state.next_scrape = ticks.next
        task = self._tasks.create_task(
            self._follow(state, memory, client, ticks), name=f"scrape {target.url}"
        )
        self._runs[target.url] = _Run(
            state=state, memory=memory, client=client, grid=grid, task=task
        )

    async def _follow(
        self,
        state: State,
        memory: target_state.TargetState,
        client: fetch.Client,
        ticks: Ticks,
    ) -> None:
        while True:
            await ticks.wait()
            async with self._places:
                began, at = self._terms.stopwatch(), ticks.timestamp()
                answer = await client.fetch()
                took = self._terms.stopwatch() - began
            self._take(state, memory, answer, at, took)
            missed = ticks.advance()
            state.next_scrape = ticks.next
            state.late += missed
            self.counts.late += missed

    def _take(
        self,
        state: State,
        memory: target_state.TargetState,
        answer: Fetched | Failed,
        at: int,
        took: float,
    ) -> None:
        """Turn a scrape into points, hand them on, and note how it went."""
        profile = self._terms.credentials[state.target.credentials]
        if isinstance(answer, Fetched):
            told = memory.accept(answer.body, at, took, answer.format)
            if told.error:
                hint = hints.of_body(answer.body, state.target)
                told = replace(told, error=profile.blot(_with(told.error, hint)))
            if told.complaint:
                told = replace(told, complaint=profile.blot(told.complaint))
        else:
            hint = hints.hint(answer, state.target, profile.where)
            size = report.TOO_LARGE if answer.cause is Cause.TOO_LARGE else 0
            told = memory.miss(profile.blot(_with(answer.why, hint)), at, took, size)
        self.counts.lost_scrapes += not self._hand_on(memory, told)
        self.counts.note(took, answer, told)
        before = state.health
        if state.note(at, took, answer, told):
            _say(state, before)

    def _hand_on(self, memory: target_state.TargetState, told: target_state.Outcome) -> bool:
        """Offer what there is to say; return whether there was room for it."""
        taken = not told.points or self._offer(told.payload, told.points)
        if not taken:
            memory.refused()
        return taken


def _say(state: State, before: Health) -> None:
    """Log a change. The URL is in the message, for the log's rate limit goes by message."""
    extra: dict[str, object] = {"subject": state.target.subject}
    if state.health is Health.FAILING:
        words = f"target {state.target.url} fails: {state.error}"
        log.warning(words, extra=extra)
        return
    if before is not Health.UP or not state.oddities:
        again = " again" if before is Health.FAILING else ""
        words = f"target {state.target.url} is up{again}"
        log.info(words, extra={**extra, "samples": state.samples})
    if state.oddities:
        words = f"target {state.target.url} is odd: {'; '.join(state.oddities.values())}"
        log.warning(words, extra=extra)


def _with(words: str, hint: str) -> str:
    return f"{words}: {hint}" if hint else words


@asynccontextmanager
async def scraping(terms: Terms, offer: Offer) -> AsyncIterator[Loop]:
    """Run scrapes, none at first, handing what comes of each to *offer*.

    Leaving, however, ends them at once: scrapes under way are given up, and no series is marked
    stale, because the targets are still there.
    """
    async with asyncio.TaskGroup() as tasks:
        loop = Loop(terms, offer, tasks)
        try:
            yield loop
        finally:
            loop.stop()
