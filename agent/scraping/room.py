"""Room for bodies: what all scrapes under way may hold together, in bytes.

Who comes when there is none waits; the door reads no further meanwhile. Whoever fits goes first,
else in the order of coming: a large body that waits does not hold up the small ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

STEP: Final = 256 << 10  # bytes by which a body of unknown length grows: as much as one read brings


@final
class Room:
    """The room that there is; ``used`` never exceeds ``size``."""

    __slots__ = ("_waiting", "size", "used", "waits")

    def __init__(self, size: int) -> None:
        self.size, self.used = size, 0
        self.waits = 0
        """How often somebody had to wait."""
        self._waiting: dict[Lease, tuple[int, Callable[[], None]]] = {}

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    def lease(self) -> Lease:
        """Return the share of one body, of nothing yet."""
        return Lease(self)

    def _grow(self, lease: Lease, to: int, granted: Callable[[], None]) -> bool:
        more = to - lease.held
        if self.used + more <= self.size:
            self.used += more
            lease.held = to
            return True
        self.waits += lease not in self._waiting
        self._waiting[lease] = (to, granted)
        return False

    def _release(self, lease: Lease) -> None:
        self._waiting.pop(lease, None)
        self.used -= lease.held
        lease.held = 0
        if not self._waiting:
            return
        for waiter, (to, granted) in list(self._waiting.items()):
            if self.used + to - waiter.held <= self.size:
                del self._waiting[waiter]
                self.used += to - waiter.held
                waiter.held = to
                granted()


@final
class Lease:
    """What one body holds. Release it in the end."""

    __slots__ = ("_room", "held")

    def __init__(self, room: Room) -> None:
        self._room = room
        self.held = 0

    @property
    def waits(self) -> bool:
        """Whether it waits for room."""
        return self in self._room._waiting  # noqa: SLF001 - both are one thing

    @property
    def others(self) -> int:
        """How many bytes others hold."""
        return self._room.used - self.held

    def grow(self, to: int, granted: Callable[[], None]) -> bool:
        """Hold *to* bytes, at once or as soon as they are free: then *granted* is called.

        Less than it holds is no change. *granted* must not call back into the room.
        """
        return to <= self.held or self._room._grow(self, to, granted)  # noqa: SLF001 - both are one thing

    def release(self) -> None:
        """Hold nothing any more, and wait for nothing."""
        self._room._release(self)  # noqa: SLF001 - both are one thing
