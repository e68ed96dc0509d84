"""The controllers, in one task: whenever something changes, compare what is with what should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from localcluster import actions, daemonsets, deployments, endpoints, garbage, kinds, scheduling
from localcluster.history import Change
from localcluster.kinds import Catalogue
from localcluster.store import Store

# They change often and no controller reads them.
_IGNORED = frozenset({kinds.LEASES.resource, kinds.EVENTS.resource})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How eager the controllers are."""

    linger: float = 0.02  # seconds in which changes gather before one pass over all objects
    resync: float = 10.0  # seconds after which a pass is made although nothing changed


def step(store: Store, catalogue: Catalogue) -> None:
    """Make one pass: decide and do, controller by controller."""
    now = store.timestamp()
    actions.carry_out(store, deployments.reconcile(store, now))
    actions.carry_out(store, daemonsets.reconcile(store))
    actions.carry_out(store, scheduling.assign(store, now))
    actions.carry_out(store, endpoints.reconcile(store))
    actions.carry_out(store, garbage.orphans(store, catalogue))
    actions.carry_out(store, garbage.namespaces(store, catalogue))


@asynccontextmanager
async def running(
    store: Store, catalogue: Catalogue, settings: Settings | None = None
) -> AsyncIterator[None]:
    """Run the controllers until the block is left; they have nothing to drain."""
    settings = settings or Settings()
    wake = asyncio.Event()

    def notice(change: Change) -> None:
        if change.record.key.resource not in _IGNORED:
            wake.set()

    async def follow() -> None:
        while True:
            wake.clear()
            step(store, catalogue)
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.resync):
                    await wake.wait()
            await asyncio.sleep(settings.linger)

    unsubscribe = store.subscribe(notice)
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(follow(), name="controllers")
            yield
            task.cancel()
    finally:
        unsubscribe()
