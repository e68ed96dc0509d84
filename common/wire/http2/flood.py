"""Counts how often something happened of late, in constant memory."""

from __future__ import annotations


class Flood:
    """Says when something happened more than *most* times within *seconds*.

    Two windows stand for a sliding one: of the previous window the part counts that still overlaps
    it, as if its events had been spread evenly. Exact for a burst, a little off for a trickle.
    """

    __slots__ = ("_before", "_count", "_most", "_seconds", "_since")

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._since = float("-inf")  # when the present window began
        self._before = self._count = 0  # events in the window before, and in this one

    def add(self, now: float) -> bool:
        """Count one event at the time *now* (seconds); return whether that is too many."""
        elapsed = now - self._since
        if elapsed >= self._seconds:
            self._before = self._count if elapsed < 2 * self._seconds else 0
            self._count = 0
            self._since = now if self._before == 0 else self._since + self._seconds
            elapsed = now - self._since
        self._count += 1
        overlap = 1.0 - elapsed / self._seconds
        return self._count + self._before * overlap > self._most
