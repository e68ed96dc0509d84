"""How many requests of one destination are in flight at once: as many as the load asks for."""

from __future__ import annotations

from math import ceil
from typing import Final, final

PERIOD: Final = 0.25  # seconds between two looks
BUSY: Final = 0.75  # of the lanes, that have to be busy before there are more of them
IDLE: Final = 0.4  # of the lanes, that have to be busy or there will be fewer
ROOM: Final = 0.6  # of the lanes, that are busy after some were closed
CALM: Final = 30.0  # seconds that it has to be calm before some are closed


@final
class Lanes:
    """Opens lanes quickly and closes them slowly, between *least* and *most*.

    A lane more makes batches smaller, so there are no more than are needed: they are doubled while
    nearly all are busy and a full batch waits all the same, and only given up when fewer than
    half were busy for half a minute.
    """

    __slots__ = ("_calm", "_least", "_most", "count")

    def __init__(self, least: int, most: int) -> None:
        self.count = least
        self._least, self._most = least, most
        self._calm = 0.0

    def look(self, *, busy: float, full: bool, failing: bool) -> int:
        """Return how many lanes there should be from now on.

        *busy* is how many were sending in the last `PERIOD`, on average; *full* says that a batch
        waits that is full. While the destination is *failing* nothing can be learnt.
        """
        if failing:
            self._calm = 0.0
            return self.count
        if full and busy >= BUSY * self.count:
            self._calm = 0.0
            self.count = min(self._most, 2 * self.count)
        elif busy < IDLE * self.count:
            self._calm += PERIOD
            if self._calm >= CALM:
                self._calm = 0.0
                self.count = max(self._least, min(self.count, ceil(busy / ROOM)))
        else:
            self._calm = 0.0
        return self.count
