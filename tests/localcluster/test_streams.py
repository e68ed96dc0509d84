import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from localcluster import errors, kinds, selectors
from localcluster.requests import ListOptions
from localcluster.store import Bounds, Store
from localcluster.streams import Stream


def fresh(history_bytes: int = 1 << 20) -> Store:
    store = Store(now=lambda: 0.0, entropy=bytes, bounds=Bounds(history_bytes=history_bytes))
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    return store


def put(store: Store, name: str, value: str = "") -> None:
    item = {"metadata": {"name": name}, "data": {"k": value}}
    if store.find(kinds.CONFIGMAPS, "default", name):
        store.update(kinds.CONFIGMAPS, item)
    else:
        store.create(kinds.CONFIGMAPS, item)


@asynccontextmanager
async def watching(
    store: Store, *, gate: asyncio.Event | None = None, **options: Any
) -> AsyncIterator[list[Any]]:
    """Watch until the block is left; what was written is in the list, as (type, name or code)."""
    seen: list[Any] = []
    closing = asyncio.Event()

    async def write(data: bytes) -> None:
        for line in data.splitlines():
            event = json.loads(line)
            item = event["object"]
            seen.append((event["type"], item["metadata"].get("name") or item.get("code")))
        if gate is not None:
            await gate.wait()

    made = ListOptions(selection=selectors.ALL, **options)
    stream = Stream(store, kinds.CONFIGMAPS, made, render=None, bookmark_every=30, lasts=100)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stream.pour(write, closing))
        await asyncio.sleep(1)
        yield seen
        await asyncio.sleep(1)
        closing.set()


async def test_without_a_revision_a_watch_begins_with_what_exists() -> None:
    store = fresh()
    put(store, "a")
    async with watching(store) as seen:
        put(store, "b")
        put(store, "a", "new")
        store.delete(kinds.CONFIGMAPS, "default", "b")
    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_from_a_revision_a_watch_tells_only_what_came_after() -> None:
    store = fresh()
    put(store, "a")
    revision = str(store.revision)
    put(store, "b")
    async with watching(store, revision=revision) as seen:
        put(store, "c")
    assert seen == [("ADDED", "b"), ("ADDED", "c")]


async def test_initial_events_end_with_a_bookmark() -> None:
    store = fresh()
    put(store, "a")
    async with watching(store, initial_events=True, bookmarks=True) as seen:
        pass
    assert seen == [("ADDED", "a"), ("BOOKMARK", None)]


async def test_bookmarks_come_to_those_who_asked() -> None:
    store = fresh()
    async with watching(store, bookmarks=True) as asked, watching(store) as did_not:
        await asyncio.sleep(70)
    assert asked == [("BOOKMARK", None)] * 2
    assert did_not == []


async def test_a_watch_ends_when_its_time_is_up(clock) -> None:
    stream = Stream(
        fresh(), kinds.CONFIGMAPS, ListOptions(selection=selectors.ALL), render=None,
        bookmark_every=30, lasts=100,
    )  # fmt: skip

    async def write(_data: bytes) -> None:
        raise AssertionError("nothing happened")

    await stream.pour(write, asyncio.Event())
    assert clock() == 100


@pytest.mark.parametrize("revision", ["1", "999999"])
async def test_a_revision_out_of_reach_is_answered_with_gone(revision: str) -> None:
    store = fresh(history_bytes=600)
    for i in range(20):
        put(store, "a", str(i))
    async with watching(store, revision=revision) as seen:
        pass
    assert seen == [("ERROR", 410)]


async def test_a_reader_that_falls_behind_the_history_is_told_to_list_again() -> None:
    store, gate = fresh(history_bytes=600), asyncio.Event()
    async with watching(store, gate=gate) as seen:
        put(store, "a")
        await asyncio.sleep(1)
        for i in range(20):
            put(store, "a", str(i))
        gate.set()
    assert seen == [("ADDED", "a"), ("ERROR", 410)]


async def test_changes_of_other_kinds_do_not_let_a_quiet_watch_fall_behind() -> None:
    store = fresh(history_bytes=600)
    async with watching(store) as seen:
        for i in range(20):
            store.update(
                kinds.NAMESPACES, {"metadata": {"name": "default", "labels": {"i": str(i)}}}
            )
        put(store, "a")
    assert seen == [("ADDED", "a")]


async def test_a_client_that_goes_away_ends_its_watch_quietly() -> None:
    store = fresh()
    put(store, "a")

    async def write(_data: bytes) -> None:
        raise ConnectionResetError

    stream = Stream(
        store, kinds.CONFIGMAPS, ListOptions(selection=selectors.ALL), render=None,
        bookmark_every=30, lasts=100,
    )  # fmt: skip
    await stream.pour(write, asyncio.Event())


def test_a_revision_must_be_a_number() -> None:
    options = ListOptions(selection=selectors.ALL, revision="x")
    with pytest.raises(errors.StatusError, match="invalid resource version"):
        Stream(fresh(), kinds.PODS, options, render=None, bookmark_every=1, lasts=1)
