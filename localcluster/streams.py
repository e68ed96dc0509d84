"""One watch: the events it delivers, how it keeps pace, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import msgspec

from localcluster import requests, watching
from localcluster.errors import StatusError
from localcluster.history import Change, Record
from localcluster.kinds import Kind, Object
from localcluster.requests import ListOptions
from localcluster.store import Store

Write = Callable[[bytes], Awaitable[None]]
_CHUNK = 64 << 10  # bytes gathered before one write


class Stream:
    """Follows the history at the reader's pace; nothing is queued for a slow one.

    Raises ``StatusError`` 400 for a resourceVersion that is no number. A reader that falls behind
    the history gets an ERROR event with code 410 and must list again, as from the real server.
    """

    def __init__(
        self,
        store: Store,
        kind: Kind,
        options: ListOptions,
        *,
        render: Callable[[Object], Object] | None,
        bookmark_every: float,
        lasts: float,
    ) -> None:
        self._store = store
        self._kind = kind
        self._options = options
        self._render = render
        self._bookmark_every = bookmark_every
        self._lasts = lasts
        self._wake = asyncio.Event()
        self._known = requests.revision_of(options.revision or "0")
        self._cursor = store.revision  # the revision up to which the client knows everything

    async def pour(self, write: Write, closing: asyncio.Event) -> None:
        """Write events until the time is up, the server closes or the client goes away."""
        unsubscribe = self._store.subscribe(self._notice)
        try:
            async with asyncio.TaskGroup() as tasks:
                waiter = tasks.create_task(self._wait_for(closing), name="watch: closing")
                # The client may go at any moment: that is how most watches end.
                with suppress(ConnectionError):
                    await self._pour(write, closing)
                waiter.cancel()
        finally:
            unsubscribe()

    async def _pour(self, write: Write, closing: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._lasts
        await self._send(write, self._start())
        bookmark = loop.time() + self._bookmark_every
        while not closing.is_set():
            self._wake.clear()
            try:
                changes = self._store.changes(self._cursor)
            except StatusError as error:
                await write(self._line(b"ERROR", msgspec.json.encode(error.body())))
                return
            self._cursor = self._store.revision
            seen = watching.visible(changes, self._kind, self._options.selection)
            await self._send(write, (self._event(event.encode(), record) for event, record in seen))
            try:
                async with asyncio.timeout_at(min(end, bookmark)):
                    await self._wake.wait()
            except TimeoutError:
                if self._options.bookmarks:
                    await write(self._bookmark())
                if loop.time() >= end:
                    return
                bookmark = loop.time() + self._bookmark_every

    def _start(self) -> list[bytes]:
        """Set out; return the lines that say what exists already, unless the client knows it."""
        if self._known and self._options.initial_events is not True:
            self._cursor = self._known
            return []
        self._cursor = self._store.revision
        if self._options.initial_events is False:
            return []
        records = self._store.page(self._kind, self._options.selection).records
        lines = [self._event(b"ADDED", record) for record in records]
        return [*lines, self._bookmark(initial=True)] if self._options.initial_events else lines

    async def _send(self, write: Write, lines: Iterable[bytes]) -> None:
        held, size = [], 0
        for line in lines:
            held.append(line)
            size += len(line)
            if size >= _CHUNK:
                await write(b"".join(held))
                held, size = [], 0
        if held:
            await write(b"".join(held))

    def _notice(self, change: Change) -> None:
        """Wake for changes of our kind; skip the others at once, lest the history outruns us."""
        if change.record.key[:2] == (self._kind.group, self._kind.resource):
            self._wake.set()
        elif self._cursor == change.revision - 1:
            self._cursor = change.revision

    async def _wait_for(self, closing: asyncio.Event) -> None:
        await closing.wait()
        self._wake.set()

    def _event(self, event: bytes, record: Record) -> bytes:
        if self._render is None:
            return self._line(event, record.encoded)
        return self._line(event, msgspec.json.encode(self._render(record.value)))

    def _bookmark(self, *, initial: bool = False) -> bytes:
        metadata: Object = {"resourceVersion": str(self._cursor), "creationTimestamp": None}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        item = {"kind": self._kind.name, "apiVersion": self._kind.api_version, "metadata": metadata}
        return self._line(b"BOOKMARK", msgspec.json.encode(item))

    @staticmethod
    def _line(event: bytes, item: bytes) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (event, item)
