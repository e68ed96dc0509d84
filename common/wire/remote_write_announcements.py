"""When the ``target_info`` of a resource is to be sent: once a minute, and never back in time."""

from __future__ import annotations

from typing import Final

from common.wire import memo

_INTERVAL_MS: Final = 60_000  # between two of one job and instance
_ENTRY_BYTES: Final = 300  # of Python objects


class Announcements:
    """Remember, in up to *max_bytes*, when each job and instance had its last ``target_info``."""

    __slots__ = ("_last",)

    def __init__(self, max_bytes: int) -> None:
        self._last: memo.Memo[tuple[str, str], int] = memo.Memo(max_bytes)

    def due(
        self, identity: tuple[str, str], target_info: bytes, newest: int, now_ms: int
    ) -> int | None:
        """Return when the ``target_info`` of a resource that has points is to be sent, if it is.

        Not if it was sent a moment ago. A time in the future counts as now: a client whose clock is
        a year ahead would otherwise silence its target_info for a year, for time must not go
        backwards in a series.
        """
        if not target_info or newest < 0:
            return None
        at = min(newest, now_ms)
        last = self._last.get(identity)
        if last is not None and at < last + _INTERVAL_MS:
            return None
        self._last.put(identity, at, _ENTRY_BYTES + sum(map(len, identity)))
        return at
