"""How many bytes of requests may be in flight, and when those turned away shall come again."""

from __future__ import annotations

from typing import Final

RETRY_FIRST: Final = 1.0  # seconds
RETRY_MOST: Final = 30.0  # seconds
RETRY_STEP: Final = 0.02  # seconds more for each one turned away in a row


class Admission:
    """Counts the bytes of all requests being read or worked on, and says no beyond *max_bytes*.

    The size of a request is an estimate first (its declared length), corrected as it is known
    better. Whoever was admitted owes a `release` of the size last agreed on. A request larger than
    the whole bound is admitted when nothing else is in flight: it could never fit.
    """

    __slots__ = ("admitted", "in_flight", "max_bytes", "refused", "turned_away")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.in_flight = 0  # bytes
        self.admitted = 0  # requests, ever
        self.refused = 0  # requests, ever
        self.turned_away = 0  # requests since one was last admitted

    def admit(self, size: int) -> bool:
        """Take in a request of about *size* bytes, unless it has to wait outside."""
        if self.in_flight + size > self.max_bytes and self.in_flight:
            self.refused += 1
            self.turned_away += 1
            return False
        self.in_flight += size
        self.admitted += 1
        self.turned_away = 0
        return True

    def correct(self, agreed: int, size: int) -> bool:
        """Replace the *agreed* size of an admitted request by *size*.

        Growing may be refused; then the agreed size stays, and is still to be released.
        """
        others = self.in_flight - agreed
        if size > agreed and others + size > self.max_bytes and others:
            self.refused += 1
            self.turned_away += 1
            return False
        self.in_flight = others + size
        return True

    def release(self, agreed: int) -> None:
        """Let a request of the size *agreed* go."""
        self.in_flight -= agreed
        if self.in_flight < 0:
            raise RuntimeError(f"BUG: {-self.in_flight} bytes more released than admitted")

    def retry_after(self) -> float:
        """Return in how many seconds the last one turned away shall come again.

        Each in a row is told a little more than the one before, so that a crowd comes back spread
        over a window that grows with the crowd.
        """
        return min(RETRY_MOST, RETRY_FIRST + RETRY_STEP * max(0, self.turned_away - 1))
