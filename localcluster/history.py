"""What happened to the objects, in order, as far back as the bound on bytes allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from localcluster import errors
from localcluster.kinds import Object

Event = Literal["ADDED", "MODIFIED", "DELETED"]


class Key(NamedTuple):
    """Where an object lives; versions of a group share their objects, so none is part of it."""

    group: str
    resource: str
    namespace: str  # "" for what is not namespaced
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One revision of one object: never change *value*, it is shared by everyone who reads."""

    key: Key
    value: Object
    encoded: bytes  # the same as JSON, made once for every list and watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write. For a deletion *record* is the last state, with the revision of the deletion."""

    revision: int
    event: Event
    before: Record | None
    record: Record


class History:
    """The latest changes, one per revision, together at most *max_bytes* of JSON."""

    def __init__(self, max_bytes: int, revision: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0  # bytes of JSON held
        self.revision = revision  # of the latest change
        self._changes: list[Change] = []

    @property
    def oldest(self) -> int:
        """The oldest revision that :meth:`since` can still start from."""
        return self.revision - len(self._changes)

    def append(self, change: Change) -> None:
        """Add the next change and forget the oldest ones beyond the bound."""
        if change.revision != self.revision + 1:
            raise RuntimeError(f"BUG: revision {change.revision} after {self.revision}")
        self.revision = change.revision
        self._changes.append(change)
        self.size += len(change.record.encoded)
        if self.size <= self.max_bytes:
            return
        # Forget a quarter at once: dropping the head of a list one by one would copy it every time.
        count = 0
        while self.size > self.max_bytes * 3 // 4 and count < len(self._changes) - 1:
            self.size -= len(self._changes[count].record.encoded)
            count += 1
        del self._changes[:count]

    def since(self, revision: int) -> Sequence[Change]:
        """Return the changes after *revision*, oldest first; raises a 410 ``StatusError``.

        A revision from the future is answered with 410 as well: it was handed out by a server whose
        memory is gone, and the client must list again.
        """
        if revision == self.revision:
            return ()
        if not self.oldest <= revision < self.revision:
            raise errors.expired(
                f"too old resource version: {revision} ({self.oldest} to {self.revision} are known)"
            )
        return self._changes[revision - self.oldest :]
