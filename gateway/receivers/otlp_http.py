"""The door for OTLP over HTTP/1.1: protobuf and JSON, admitted before the body is read."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast, final

from typing_extensions import override

from common.service import address, clock
from gateway.receivers import door
from gateway.receivers.http_connection import Connection
from gateway.receivers.http_door import Door

BACKLOG: Final = 1024
FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
)


@asynccontextmanager
async def serving(
    listen: str, terms: door.Terms, traffic: door.Traffic
) -> AsyncIterator[address.Address]:
    """Serve on *listen* (``host:port``); yields the address bound.

    Leaving closes idle connections at once and lets requests in flight finish for ``terms.drain``
    seconds. Raises :class:`OSError` when the address cannot be bound.
    """
    shared = Door(terms, traffic, wall=clock.unix_seconds, chance=random.random)
    sockets = _Sockets(max_connections=terms.limits.max_connections, full=FULL)
    try:
        async with _listening(
            listen, lambda peer: Connection(shared, peer), sockets, traffic
        ) as bound:
            yield bound
    finally:
        await shared.drain(terms.drain)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Sockets:
    """What there is to know about the connections of a door."""

    max_connections: int
    full: bytes  # said to a connection that finds no place


@asynccontextmanager
async def _listening(
    listen: str,
    factory: Callable[[str | None], asyncio.Protocol],
    sockets: _Sockets,
    traffic: door.Traffic,
) -> AsyncIterator[address.Address]:
    """Accept connections on *listen*, and make each a protocol by its client's address."""
    where = address.parse(listen)
    server = await asyncio.get_running_loop().create_server(
        lambda: _Arriving(factory, sockets, traffic), where.host, where.port, backlog=BACKLOG
    )
    try:
        yield address.Address(where.host, server.sockets[0].getsockname()[1])
    finally:
        server.close()


class _Arriving(asyncio.Protocol):
    """Stands in for a protocol until the address of the client is known, which is at once."""

    def __init__(
        self,
        factory: Callable[[str | None], asyncio.Protocol],
        sockets: _Sockets,
        traffic: door.Traffic,
    ) -> None:
        self._factory, self._sockets, self._traffic = factory, sockets, traffic

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        if self._traffic.connections >= self._sockets.max_connections:
            self._traffic.refused_connections += 1
            transport.write(self._sockets.full)
            transport.close()
            return
        name = transport.get_extra_info("peername")
        protocol = self._factory(name[0].removeprefix("::ffff:") if name else None)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
