"""Leader election on a Lease: one of many leads, works as long as it does, and hands over."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from common.kube import client as kube, leadership
from common.kube.lease_place import GROUP, Place

log = logging.getLogger("headgate.lease")

Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Counts:
    """What happened so far; every number only grows."""

    terms: int = 0  # times that leadership began
    renewals: int = 0  # writes that succeeded, those that began a term included
    conflicts: int = 0  # writes that met another version: somebody was quicker
    errors: int = 0  # attempts that brought nothing


class Election:
    """Who leads. Made by `electing`, which also ends it."""

    __slots__ = (
        "_candidate", "_changed", "_identity", "_loop", "_place", "_trouble", "_was", "_writing",
        "counts",
    )  # fmt: skip

    def __init__(self, candidate: leadership.Candidate, place: Place, identity: str) -> None:
        self._candidate, self._place, self._identity = candidate, place, identity
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()  # another one after every change
        self._trouble = ""
        self._was = False
        self._writing = False  # under way, or cut short by leaving
        self.counts = Counts()

    @property
    def leading(self) -> bool:
        """Whether we may act as the leader, now."""
        return self._candidate.leads(self._loop.time())

    @property
    def holder(self) -> str:
        """The identity of who holds the Lease, as far as is known; "" for nobody."""
        return self._candidate.holder

    @property
    def healthy(self) -> bool:
        """Whether the last attempt succeeded, or somebody was only quicker."""
        return not self._trouble

    @property
    def status(self) -> str:
        """How it is doing, in words for people."""
        if self.leading:
            words = "leads"
        else:
            words = f"{self.holder} leads" if self.holder else "nobody is known to lead"
        return f"{words}; {self._trouble}" if self._trouble else words

    async def lead(self, work: Work) -> None:
        """Call *work* whenever leadership begins, cancel it the moment it ends; for ever.

        Work that ends by itself is not begun again before the next term; what it raises ends this.
        """
        while True:
            while not self.leading:
                await self._changed.wait()
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(work(), name=f"leading by {self._place.name}")
                await self._end_of_term()
                working.cancel()

    async def _end_of_term(self) -> None:
        while self.leading:
            try:
                # A renewal that hangs does not prolong anything: the deadline stands.
                async with asyncio.timeout_at(self._candidate.led_until):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def run(self, terms: leadership.Terms) -> None:
        """Take part in the election, for ever; `electing` calls it."""
        # One attempt that hangs must leave time for another before the deadline.
        patience = max(terms.renew_deadline / 2, terms.retry_period)
        while True:
            step = self._candidate.next_step(self._loop.time())
            if isinstance(step, leadership.Wait):
                await asyncio.sleep(step.seconds)
                continue
            self._writing = isinstance(step, leadership.Write)
            try:
                async with asyncio.timeout(patience):
                    await self._attempt(step)
                self._answered()
            except kube.Refused as error:
                self._refused(step, error)
            except kube.Failure as error:
                self._failed(f"cannot reach the API server: {error}")
            except TimeoutError:
                self._failed(f"the API server did not answer within {patience:g} s")
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._failed(f"unreadable answer: {error}")
            self._writing = False
            self._note()

    async def resign(self, within: float) -> None:
        """Give the Lease back, if we hold it, so that another leads at once."""
        held = self.holder == self._identity
        self._candidate.resigned()
        self._note()
        if not held and not self._writing:
            return
        try:
            async with asyncio.timeout(within):
                await self._give_back()
        except (kube.Failure, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            words = f"{type(error).__name__}: {error}"
            log.warning("the Lease was not given back, it will expire: %s", words)

    async def _give_back(self) -> None:
        if self._writing:  # a write was cut short, and may have been carried out
            await self._attempt(leadership.Read(fresh=True))
        for _ in range(2):
            step = self._candidate.resigned()
            if step is None:
                return
            try:
                await self._attempt(step)
            except kube.Refused as error:
                if error.status != 409:
                    raise
                await self._attempt(leadership.Read(fresh=True))
            else:
                return

    async def _attempt(self, step: leadership.Read | leadership.Write) -> None:
        match step:
            case leadership.Read(fresh=fresh):
                record = await self._place.read(fresh=fresh)
                self._candidate.read(record, self._loop.time())
            case leadership.Write():
                sent = self._loop.time()
                version = await self._place.write(step)
                self.counts.renewals += 1
                self._candidate.wrote(step, version, sent)
            case _ as never:
                assert_never(never)

    def _refused(self, step: leadership.Read | leadership.Write, error: kube.Refused) -> None:
        if error.status == 404 and isinstance(step, leadership.Read):
            self._candidate.read(None, self._loop.time())
            self._answered()
        elif error.status == 409 or (error.status == 404 and step_replaces(step)):
            self.counts.conflicts += 1
            self._candidate.conflicted(self._loop.time())
            self._answered()
        elif error.status == 403:
            place = self._place
            self._failed(
                f"refused: {error}; a Role in namespace {place.namespace} must allow get, create "
                f"and update of leases in the group {GROUP}",
                error.retry_after,
            )
        else:
            self._failed(f"refused: {error}", error.retry_after)

    def _failed(self, trouble: str, at_least: float = 0.0) -> None:
        self.counts.errors += 1
        self._candidate.failed(self._loop.time(), at_least)
        if not self._trouble:
            log.warning("trouble with the Lease: %s", trouble, extra=self._where())
        self._trouble = trouble

    def _answered(self) -> None:
        if self._trouble:
            log.info("no trouble with the Lease any more", extra=self._where())
        self._trouble = ""

    def _note(self) -> None:
        """Tell those who wait, and the log, of a change."""
        # Waking them after every attempt costs little, and needs no proof that none is missed.
        self._changed.set()
        self._changed = asyncio.Event()
        leads = self.leading
        if leads == self._was:
            return
        self._was = leads
        if leads:
            self.counts.terms += 1
            log.info("leads from now on", extra=self._where())
        else:
            log.info("leads no longer", extra={**self._where(), "holder": self.holder})

    def _where(self) -> dict[str, str]:
        return {"lease": f"{self._place.namespace}/{self._place.name}"}


def step_replaces(step: leadership.Read | leadership.Write) -> bool:
    """Whether *step* changes a Lease that was there, rather than creating it."""
    return isinstance(step, leadership.Write) and bool(step.version)


@asynccontextmanager
async def electing(
    client: kube.Client,
    namespace: str,
    name: str,
    identity: str,
    terms: leadership.Terms,
    *,
    jitter: Callable[[], float] = random.random,
) -> AsyncIterator[Election]:
    """Take part in the election of the leader by the Lease *name* in *namespace*.

    *identity* is this process's alone. Entering does not wait: without an API server the block runs
    all the same, and nobody leads. Leaving gives the Lease back; leaving by an exception does not,
    and others wait until it expires. Work is to be over by then: see `Election.lead`.
    """
    candidate = leadership.Candidate(identity, terms, jitter)
    election = Election(candidate, Place(client, namespace, name), identity)
    async with asyncio.TaskGroup() as tasks:
        taking_part = tasks.create_task(election.run(terms), name=f"lease {namespace}/{name}")
        try:
            yield election
        finally:
            taking_part.cancel()
    await election.resign(within=terms.retry_period)
