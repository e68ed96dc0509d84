"""What the connections of one lean gRPC door share: methods, limits, counters, and each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from common.wire.http2 import Head, Limits
from gateway.receivers import door, grpc_request, peers
from gateway.receivers.crowd import Crowd
from gateway.receivers.grpc_call import Answered, Asked, Method
from gateway.receivers.grpc_methods import EXPORT, HEALTH, Export, Health

_LOOKS: Final = 4  # times within the shortest patience that connections are looked at
_MIN_PERIOD, _MAX_PERIOD = 0.02, 1.0  # seconds between two looks


class Watched(Protocol):
    """A connection, to the door."""

    def look(self, now: float) -> None:
        """See whether anything has taken too long."""
        ...

    def leave(self, now: float) -> None:
        """Close in good order: take no more requests, finish those that are here."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class Door(Crowd[Watched]):
    """The shared part of the connections; *chance* gives a number from 0 up to 1."""

    def __init__(
        self, terms: door.Terms, traffic: door.Traffic, *, chance: Callable[[], float]
    ) -> None:
        super().__init__(terms.limits, chance)
        self.traffic = traffic
        self.http2 = _http2(terms)
        self.methods: Mapping[bytes, Method] = {
            EXPORT: Export(terms, traffic),
            HEALTH: Health(terms.healthy),
        }
        proxies = terms.listen.proxies
        self._networks = peers.networks(proxies.trusted) if proxies.forwarded_for else ()
        self.period = _period(terms)  # seconds between two looks at all connections

    def asked(self, head: Head) -> Asked | Answered:
        """Return what *head* asks for; worked out once for all requests that share it."""
        note = head.note
        if isinstance(note, Asked):
            return note
        if isinstance(note, Answered):
            return note
        head.note = asked = grpc_request.read(head, self.methods)
        return asked

    def sender(self, peer: str | None, asked: Asked) -> str | None:
        """Return who sends a request on a connection from *peer*, balancers being believed."""
        return peers.forwarded(asked.forwarded, peer, self._networks) if self._networks else peer

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look at every connection now and then: one timer for all of them."""
        loop = asyncio.get_running_loop()

        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            timer = loop.call_later(self.period, look)
            now = loop.time()
            for connection in self.members:
                connection.look(now)

        timer = loop.call_later(self.period, look)
        try:
            yield
        finally:
            timer.cancel()

    async def drain(self, patience: float) -> None:
        """Let every connection finish its requests, for *patience* seconds."""
        now = asyncio.get_running_loop().time()
        for connection in self.members:
            connection.leave(now)
        await self.wait_gone(patience)


def _http2(terms: door.Terms) -> Limits:
    chosen = terms.listen.http2
    return Limits(
        max_concurrent_streams=chosen.max_concurrent_streams,
        stream_window_bytes=chosen.stream_window_bytes,
        connection_window_bytes=chosen.connection_window_bytes,
        max_header_bytes=chosen.max_header_bytes,
        header_table_bytes=chosen.header_table_bytes,
        max_resets=chosen.max_resets,
        max_pings=chosen.max_pings,
        max_settings=chosen.max_settings,
        max_empty_frames=chosen.max_empty_frames,
        flood_seconds=chosen.flood_seconds,
        max_frame_bytes=chosen.max_frame_bytes,
        max_continuations=chosen.max_continuations,
        max_queued_bytes=chosen.max_queued_bytes,
    )


def _period(terms: door.Terms) -> float:
    limits = terms.limits
    patience = (
        limits.header_timeout, limits.read_timeout, limits.idle_timeout, limits.connection_grace,
        limits.max_connection_age, limits.keepalive_interval, limits.keepalive_timeout,
    )  # fmt: skip
    shortest = min(filter(None, patience), default=_MAX_PERIOD)
    return min(_MAX_PERIOD, max(_MIN_PERIOD, shortest / _LOOKS))
