"""A queue between two tasks that is bounded in bytes, says no when full, and can be closed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Hand items from any number of producers to one consumer.

    The bound covers what waits in the inbox; what the consumer took is the consumer's to account.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0  # bytes waiting
        self.refused = 0  # offers answered with no
        self._items: deque[tuple[Item, int]] = deque()
        self._closed = False
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether no more is accepted."""
        return self._closed

    def offer(self, item: Item, size: int) -> bool:
        """Take *item* of *size* bytes if there is room; never wait.

        An item larger than the whole bound is taken when the inbox is empty: it could never fit.
        """
        if self._closed or (self.size + size > self.max_bytes and self._items):
            self.refused += 1
            return False
        self._items.append((item, size))
        self.size += size
        self._wake.set()
        return True

    async def take(self) -> Item | None:
        """Wait for the next item; ``None`` once closed and empty."""
        while not self._items:
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self.take_nowait()

    def take_nowait(self) -> Item | None:
        """Return the next item, or ``None`` when nothing waits."""
        if not self._items:
            return None
        item, size = self._items.popleft()
        self.size -= size
        return item

    def close(self) -> None:
        """Accept no more; let the consumer finish what waits."""
        self._closed = True
        self._wake.set()
