"""A cache bounded in bytes: the least recently used entry leaves first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(Generic[Key, Value]):
    """Remember what was computed, up to *max_bytes* as the caller accounts for them.

    ``hits``, ``misses`` and ``evictions`` only ever grow; ``size`` is the bytes held now.
    """

    __slots__ = ("_entries", "evictions", "hits", "max_bytes", "misses", "size")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = self.hits = self.misses = self.evictions = 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: Key) -> Value | None:
        """Return what was put under *key*, or ``None``."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry[0]

    def peek(self, key: Key) -> Value | None:
        """Return what was put under *key*, or ``None``; it counts as no use of it."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: Key, value: Value, cost: int) -> None:
        """Keep *value*, about *cost* bytes large; what alone exceeds the bound is not kept."""
        old = self._entries.pop(key, None)
        if old is not None:
            self.size -= old[1]
        if cost > self.max_bytes:
            self.evictions += 1
            return
        self._entries[key] = (value, cost)
        self.size += cost
        while self.size > self.max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.size -= freed
            self.evictions += 1

    def forget(self, key: Key) -> None:
        """Remove what was put under *key*, if anything was; no eviction."""
        old = self._entries.pop(key, None)
        if old is not None:
            self.size -= old[1]
