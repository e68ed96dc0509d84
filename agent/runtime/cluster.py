"""Tells the state of the cluster: one agent of all does, the one that holds the Lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, final

from agent import targets
from agent.runtime import cluster_kinds, cluster_names, cluster_state
from agent.runtime.cluster_metrics import Shrinker
from agent.runtime.cluster_terms import Terms
from agent.scraping import schedule
from agent.scraping.ticks import Ticks
from common.exporters.outcomes import Offer
from common.kube import client, credentials, informer, lease
from common.service.telemetry import Kind, Reading, labelled, single

log = logging.getLogger("headgate.agent.runtime")

FIRST: Final = 30.0  # seconds that the first report of a term waits for complete lists, at most
# Bytes of one request. Writing that much takes some 10 ms, in which nothing else happens.
PIECE: Final = 256 << 10

OnTarget = Callable[[targets.Target | None], None]
"""Told the API server as a target when we begin to lead, ``None`` when we do no longer."""


@final
@dataclass(slots=True)
class Counts:
    """What happened so far; every number only grows."""

    reports: int = 0
    points: int = 0
    requests: int = 0
    refused: int = 0  # points that found no room on their way to the gateway
    late: int = 0  # reports missed, because one took longer than the interval


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the last report went; times in Unix nanoseconds."""

    at: int
    points: int
    requests: int
    refused: int
    missing: tuple[str, ...]
    """Kinds that are not in it, for no complete list of them has arrived."""


@final
class Cluster:
    """What is collected of the cluster, and who does. Made by `collecting`."""

    def __init__(self, terms: Terms, offer: Offer, on_target: OnTarget) -> None:
        self.terms, self._offer, self._on_target = terms, offer, on_target
        self._wanted = cluster_names.wanted(terms.settings)
        self.kinds = cluster_kinds.needed(self._wanted)
        self._shrinker = Shrinker(self._wanted)
        self._grid = schedule.grid("cluster", (), terms.interval)
        self._informers: dict[str, informer.Informer] = {}  # while we lead
        self._state: cluster_state.State | None = None  # while we lead
        self._past_errors = 0
        self.election: lease.Election | None = None
        self.counts = Counts()
        self.last: Report | None = None
        self.stopping = False

    @property
    def used(self) -> bool:
        """Whether there is anything that a leader would do."""
        return bool(self.kinds) or self.terms.target is not None

    @property
    def leading(self) -> bool:
        """Whether it is this agent that tells about the cluster."""
        return self.election is not None and self.election.leading

    @property
    def troubles(self) -> Mapping[str, str]:
        """Why kinds of objects are unknown, or old, by kind."""
        return informer.troubles(self._informers)

    @property
    def status(self) -> str:
        """How it is doing, in words for people."""
        if self.election is None:
            return "no API server is asked" if self.used else "not asked for"
        words = [self.election.status]
        if self._state is not None:
            words.append(f"{sum(self._state.objects.values())} objects")
        if self.last is not None:
            words.append(f"last report of {self.last.points} points")
        words += [f"{kind}: {trouble}" for kind, trouble in self.troubles.items()]
        return "; ".join(words)

    def page(self) -> dict[str, object]:
        """Return all that is known about it, as plain values."""
        last = self.last
        return {
            "status": self.status,
            "leading": self.leading,
            "leader": "" if self.election is None else self.election.holder,
            "identity": self.terms.identity,
            "lease": f"{self.terms.namespace}/{self.terms.settings.lease.name}",
            "objects": {} if self._state is None else dict(self._state.objects),
            "troubles": dict(self.troubles),
            "last_report": None if last is None else {
                "time_unix_nano": last.at,
                "points": last.points,
                "requests": last.requests,
                "refused": last.refused,
                "missing": list(last.missing),
            },
        }  # fmt: skip

    def readings(self) -> Iterable[Reading]:
        """Return the own metrics of it."""
        election = lease.Counts() if self.election is None else self.election.counts
        yield _one("gauge", "leading", "1 in the agent that leads.", int(self.leading))
        for name, words, value in (
            ("lease_terms", "Times that this agent began to lead.", election.terms),
            ("lease_renewals", "Writes of the Lease that succeeded.", election.renewals),
            ("lease_conflicts", "Writes of the Lease: another was quicker.", election.conflicts),
            ("lease_errors", "Attempts at the Lease that brought nothing.", election.errors),
            ("reports", "Reports about the cluster.", self.counts.reports),
            ("report_points", "Data points in them.", self.counts.points),
            ("report_requests", "Requests that they were cut into.", self.counts.requests),
            ("refused_points", "Data points in them that found no room.", self.counts.refused),
            ("late_reports", "Reports missed: one took too long.", self.counts.late),
            ("unreadable_quantities", "Quantities that are none.", self._shrinker.unreadable),
            ("errors", "Requests for the cluster's objects that failed.", self._errors()),
        ):
            yield _one("counter", f"{name}_total", words, value)
        known = {} if self._state is None else self._state.objects
        if known:
            name, words = "headgate_agent_cluster_objects", "Objects that are known, by kind."
            yield labelled("gauge", name, words, "kind", known)

    async def term(self, asking: client.Client) -> None:
        """Do what a leader does, until cancelled."""
        if self.terms.target is not None:
            self._on_target(self.terms.target)
        state = self._state = cluster_state.State(self.kinds, self.terms.settings.namespaces)
        try:
            async with AsyncExitStack() as stack:
                for kind in self.kinds:
                    self._informers[kind.resource] = await stack.enter_async_context(
                        informer.informing(
                            asking,
                            kind.path,
                            kind.decoder(self._shrinker),
                            partial(state.take, kind.resource),
                        )
                    )
                if self.kinds:
                    await self._report_for_ever(state)
                await asyncio.Event().wait()  # others scrape the API server as long as we lead
        finally:
            self._past_errors, self._informers, self._state = self._errors(), {}, None
            # When the agent ends, the next leader goes on with the same series: no stale markers.
            if self.terms.target is not None and not self.stopping:
                self._on_target(None)

    async def _report_for_ever(self, state: cluster_state.State) -> None:
        ticks = Ticks(self._grid, self.terms.wall)
        await ticks.wait()
        await self._complete()
        while True:
            # A process that stood still, as a suspended machine does, may be here before the
            # election has noticed: what it knows is old, and another tells by now.
            if self.leading:
                await self._report(state, ticks.timestamp())
            self.counts.late += ticks.advance()
            await ticks.wait()

    async def _complete(self) -> None:
        """Wait for complete lists, though not for ever: one kind may be forbidden."""
        loop = asyncio.get_running_loop()
        until = loop.time() + min(FIRST, self.terms.interval)
        for one in self._informers.values():
            await one.wait_synced(within=max(0.0, until - loop.time()))

    async def _report(self, state: cluster_state.State, at: int) -> None:
        before = self.last
        points = requests = refused = 0
        missing = tuple(state.missing)
        for body, count in cluster_state.pieces(
            state.told(), version=self.terms.version, time_ns=at, max_bytes=PIECE
        ):
            requests += 1
            points += count
            if not self._offer(body, count):
                refused += count
            await asyncio.sleep(0)  # others may do something, too; and this is where it may end
        self.counts.reports += 1
        self.counts.points += points
        self.counts.requests += requests
        self.counts.refused += refused
        self.last = Report(
            at=at, points=points, requests=requests, refused=refused, missing=missing
        )
        if missing != (before.missing if before else ()):
            if missing:
                log.warning("the cluster is told without %s", ", ".join(missing))
            else:
                log.info("the cluster is told completely")

    def _errors(self) -> int:
        return self._past_errors + sum(one.counts.errors for one in self._informers.values())


def _one(kind: Kind, name: str, words: str, value: float) -> Reading:
    return single(kind, f"headgate_agent_cluster_{name}", words, value)


def _nobody(_: targets.Target | None) -> None:
    """Take no interest in targets."""


@asynccontextmanager
async def collecting(
    terms: Terms,
    access: credentials.Access | None,
    offer: Offer,
    on_target: OnTarget = _nobody,
) -> AsyncIterator[Cluster]:
    """Hand reports about the cluster to *offer* whenever this agent leads.

    Entering does not wait. Without *access*, or anything to tell, nobody is elected and nothing is
    asked. Leaving ends the work, then gives the Lease back, so that another agent leads at once.
    """
    cluster = Cluster(terms, offer, on_target)
    if access is None or not cluster.used:
        yield cluster
        return
    chosen = terms.settings.lease
    async with (
        client.connecting(access) as asking,
        lease.electing(asking, terms.namespace, chosen.name, terms.identity, chosen) as election,
        asyncio.TaskGroup() as tasks,
    ):
        cluster.election = election
        leading = tasks.create_task(election.lead(partial(cluster.term, asking)), name="cluster")
        try:
            yield cluster
        finally:
            cluster.stopping = True
            leading.cancel()
