"""Keeps somebody informed about one collection of Kubernetes objects, for ever, come what may."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, assert_never

import msgspec

from common.kube import client as kube, objects, reflector

log = logging.getLogger("headgate.kube")

FORBIDDEN: Final = 403
Item = TypeVar("Item")
OnChange = Callable[[reflector.Change[Item]], None]


@dataclass(slots=True)
class Counts:
    """What happened so far; every number only grows."""

    lists: int = 0  # complete lists
    watches: int = 0  # watches opened
    events: int = 0  # watch events, bookmarks included
    restarts: int = 0  # lists begun anew because the version had expired or an event was unreadable
    errors: int = 0  # requests and watches that failed


@dataclass(slots=True)
class _Progress:
    """What the follower writes and the informer shows."""

    path: str
    counts: Counts = field(default_factory=Counts)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    due: float = 0.0  # on the loop's clock: when it tries again
    trouble: str = ""
    forbidden: bool = False  # whether the trouble is that a right is missing

    def failed(self, trouble: str, *, forbidden: bool = False) -> None:
        self.counts.errors += 1
        if not self.trouble:
            log.warning("API server trouble: %s", trouble, extra={"path": self.path})
        self.trouble, self.forbidden = trouble, forbidden

    def answered(self) -> None:
        if self.trouble:
            log.info("API server answers again", extra={"path": self.path})
        self.trouble = ""


class Informer:
    """What the outside may know: is it synced, how is it doing, what has it done."""

    __slots__ = ("_progress",)

    def __init__(self, progress: _Progress) -> None:
        self._progress = progress

    @property
    def counts(self) -> Counts:
        """What happened so far."""
        return self._progress.counts

    @property
    def synced(self) -> bool:
        """Whether a complete list ever arrived; what is known may be old, see ``status``."""
        return self._progress.complete.is_set()

    @property
    def healthy(self) -> bool:
        """Whether the API server answered last time."""
        return not self._progress.trouble

    @property
    def status(self) -> str:
        """How it is doing, in words for people."""
        if self.healthy:
            return "synced" if self.synced else "listing"
        progress = self._progress
        seconds = max(0, math.ceil(progress.due - asyncio.get_running_loop().time()))
        when = f"retrying in {seconds} s" if seconds else "retrying now"
        known = ", what was known is kept" if self.synced else ""
        remedy = f"; let our service account {_right(progress.path)}" if progress.forbidden else ""
        return f"{progress.trouble}, {when}{known}{remedy}"

    async def wait_synced(self, within: float) -> bool:
        """Wait up to *within* seconds for the first complete list; say whether it arrived."""
        try:
            async with asyncio.timeout(within):
                await self._progress.complete.wait()
        except TimeoutError:
            return False
        return True


def troubles(informers: Mapping[str, Informer]) -> dict[str, str]:
    """Return what is not, or no longer, told by the API server: why, in words, by kind."""
    return {kind: one.status for kind, one in informers.items() if not (one.healthy and one.synced)}


def _right(path: str) -> str:
    """Name the right that the collection at *path* needs."""
    _, root, *rest = path.split("/")
    group = f" of {rest[0]}" if root == "apis" else ""
    return f"list and watch {rest[-1]}{group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Collection(Generic[Item]):
    """One collection, how to ask for it, and who wants to know."""

    client: kube.Client
    path: str
    selectors: Mapping[str, str]
    decoder: objects.Decoder[Item]
    on_change: OnChange[Item]


@asynccontextmanager
async def informing(
    client: kube.Client,
    path: str,
    decoder: objects.Decoder[Item],
    on_change: OnChange[Item],
    *,
    field_selector: str = "",
    label_selector: str = "",
    pace: reflector.Pace | None = None,
    jitter: Callable[[], float] = random.random,
) -> AsyncIterator[Informer]:
    """Call *on_change* with everything that happens to the collection at *path* ("/api/v1/pods").

    Entering does not wait: without an API server the block runs all the same, and the collection is
    caught up with when there is one. *on_change* is called between awaits, in order, and must not
    raise: if it does, that is a bug, and it ends the block.
    """
    selectors = {"fieldSelector": field_selector, "labelSelector": label_selector}
    collection = _Collection(
        client=client,
        path=path,
        selectors={k: v for k, v in selectors.items() if v},
        decoder=decoder,
        on_change=on_change,
    )
    progress = _Progress(path)
    state: reflector.Reflector[Item] = reflector.Reflector(pace or reflector.Pace(), jitter)
    async with asyncio.TaskGroup() as tasks:
        follower = tasks.create_task(_follow(collection, state, progress), name=f"informer {path}")
        try:
            yield Informer(progress)
        finally:
            follower.cancel()


async def _follow(
    collection: _Collection[Item], state: reflector.Reflector[Item], progress: _Progress
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        step = state.next_step()
        try:
            match step:
                case reflector.Pause(seconds=seconds):
                    progress.due = loop.time() + seconds
                    await asyncio.sleep(seconds)
                case reflector.ListPage():
                    await _list(collection, state, progress, step)
                case reflector.Watch():
                    await _watch(collection, state, progress, step)
                case _ as never:
                    assert_never(never)
        except kube.Refused as error:
            state.failed(status=error.status, at_least=error.retry_after)
            progress.failed(f"refused: {error}", forbidden=error.status == FORBIDDEN)
        except kube.TooLong as error:
            if state.mode == "watching":  # resuming would meet the same event again, a list may not
                state.start_over()
            state.failed(too_large=True)
            progress.failed(str(error))
        except kube.Unreachable as error:
            state.failed()
            progress.failed(f"unreachable: {error}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Resuming would meet the same event again; a list may not.
            state.start_over()
            state.failed()
            progress.failed(f"unreadable answer: {error}")
        progress.counts.restarts = state.restarts


async def _list(
    collection: _Collection[Item],
    state: reflector.Reflector[Item],
    progress: _Progress,
    step: reflector.ListPage,
) -> None:
    body = await collection.client.page(collection.path, step, collection.selectors)
    whole = state.listed(collection.decoder.page(body))
    progress.answered()
    if whole is not None:
        progress.counts.lists += 1
        collection.on_change(whole)
        progress.complete.set()


async def _watch(
    collection: _Collection[Item],
    state: reflector.Reflector[Item],
    progress: _Progress,
    step: reflector.Watch,
) -> None:
    started = asyncio.get_running_loop().time()
    watching = collection.client.watch(collection.path, step, collection.selectors)
    async with watching as lines:
        progress.counts.watches += 1
        progress.answered()
        async for line in lines:
            event = collection.decoder.event(line)
            progress.counts.events += 1
            change = state.heard(event)
            if event.verb == "ERROR":
                progress.failed(f"watch ended: {event.error.code} {event.error.message}")
                return
            if change is not None:
                collection.on_change(change)
    state.closed(asyncio.get_running_loop().time() - started)
