"""The open connections of one door: how old they may get, and waiting until all are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from common.config.doors import Limits


class Abortable(Protocol):
    """A connection, to whoever waits for its end."""

    def abort(self) -> None:
        """Close now."""
        ...


Member = TypeVar("Member", bound=Abortable)


class Crowd(Generic[Member]):
    """Knows who is connected; *chance* gives a number from 0 up to 1."""

    def __init__(self, limits: Limits, chance: Callable[[], float]) -> None:
        self.limits = limits
        self._chance = chance
        self._members: set[Member] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def members(self) -> tuple[Member, ...]:
        """The connections that are open now."""
        return tuple(self._members)

    def age(self) -> float:
        """Return how many seconds a connection may last: spread, so that not all come back at once.

        Infinite if there is no limit.
        """
        age = self.limits.max_connection_age
        return age * (0.9 + 0.2 * self._chance()) if age else float("inf")

    def opened(self, connection: Member) -> None:
        """Take note of *connection*."""
        self._members.add(connection)
        self._empty.clear()

    def closed(self, connection: Member) -> None:
        """Forget *connection*."""
        self._members.discard(connection)
        if not self._members:
            self._empty.set()

    async def wait_gone(self, patience: float) -> None:
        """Wait until all connections are gone, and close those that are not after *patience*."""
        try:
            async with asyncio.timeout(patience):
                await self._empty.wait()
        except TimeoutError:
            for connection in self.members:
                connection.abort()
            await self._empty.wait()
