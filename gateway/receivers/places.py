"""How many connections a door has room for: each takes a place, and gives it back when it ends."""

from __future__ import annotations

import asyncio
from typing import final

from typing_extensions import override

from gateway.receivers import door


class Places:
    """The places of one door; ``traffic.connections`` says how many are taken."""

    __slots__ = ("_most", "_taken", "traffic")

    def __init__(self, most: int, traffic: door.Traffic) -> None:
        self._most, self._taken = most, 0
        self.traffic = traffic

    def take(self) -> Place | None:
        """Take a place for a new connection; without any left, count the refusal."""
        if self._taken >= self._most:
            self.traffic.refused_connections += 1
            return None
        self._change(1)
        return Place(self)

    def give_back(self) -> None:
        """Take note that a place is free; of :class:`Place` only."""
        self._change(-1)

    def _change(self, by: int) -> None:
        self._taken += by
        self.traffic.connections = self._taken


@final
class Place:
    """The place of one connection, from the moment it is accepted."""

    __slots__ = ("_places", "protocol")

    def __init__(self, places: Places) -> None:
        self._places: Places | None = places
        self.protocol: asyncio.BaseProtocol | None = None  # who answers for the connection, once up

    def leave(self) -> None:
        """Give the place back; more than once is once."""
        if self._places is not None:
            self._places.give_back()
            self._places = None

    def seat(self, protocol: asyncio.BaseProtocol) -> asyncio.Protocol | asyncio.BufferedProtocol:
        """Return *protocol*, such that the place is given back when its connection is lost."""
        if isinstance(protocol, asyncio.BufferedProtocol):
            return _SeatedBuffered(protocol, self)
        if isinstance(protocol, asyncio.Protocol):
            return _Seated(protocol, self)
        raise RuntimeError(f"BUG: {protocol!r} is no protocol for a stream")


class _Sitting(asyncio.BaseProtocol):
    """Passes on what happens to a connection.

    Its methods that are called often are the bound methods of *inner*, which event loops find here
    first, so that standing in between costs nothing.
    """

    def __init__(self, inner: asyncio.BaseProtocol, place: Place) -> None:
        self._inner, self._place = inner, place
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._place.protocol = self._inner
        self._inner.connection_made(transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._place.leave()
        self._inner.connection_lost(exc)


class _Seated(_Sitting, asyncio.Protocol):
    def __init__(self, inner: asyncio.Protocol, place: Place) -> None:
        super().__init__(inner, place)
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]


class _SeatedBuffered(_Sitting, asyncio.BufferedProtocol):
    def __init__(self, inner: asyncio.BufferedProtocol, place: Place) -> None:
        super().__init__(inner, place)
        self.get_buffer = inner.get_buffer  # type: ignore[method-assign]
        self.buffer_updated = inner.buffer_updated  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
