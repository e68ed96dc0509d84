"""The lean door for OTLP over gRPC: our own HTTP/2 on asyncio or uvloop, nothing decoded twice.

Admission, tokens and overload are looked at when the headers of a request are here; only then, and
only as far as was admitted, the client gets to send its body, for flow control is ours.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, cast

from typing_extensions import override

from common.service import address
from common.wire import http2
from gateway.receivers import door
from gateway.receivers.grpc_connection import Connection
from gateway.receivers.grpc_door import Door

BACKLOG: Final = 1024
FULL: Final = http2.farewell("too many connections; use fewer, or other replicas")

Factory = Callable[[str | None], asyncio.Protocol]


@asynccontextmanager
async def serving(
    listen: str,
    terms: door.Terms,
    traffic: door.Traffic,
    *,
    chance: Callable[[], float] = random.random,
) -> AsyncIterator[address.Address]:
    """Serve on *listen* (``host:port``); yields the address bound.

    Leaving lets requests in flight finish for ``terms.drain`` seconds. *chance* gives a number from
    0 up to 1, by which the ages of connections are spread. Raises :class:`OSError` when the address
    cannot be bound.
    """
    shared = Door(terms, traffic, chance=chance)
    patience = 0.0  # for whoever is inside when the block fails
    with shared.looking():
        try:
            async with _listening(
                listen, lambda peer: Connection(peer, shared), terms.limits.max_connections, traffic
            ) as bound:
                yield bound
            patience = terms.drain
        finally:
            await shared.drain(patience)


@asynccontextmanager
async def _listening(
    listen: str, factory: Factory, max_connections: int, traffic: door.Traffic
) -> AsyncIterator[address.Address]:
    """Accept connections on *listen*, at most *max_connections* at a time, until the block ends."""
    where = address.parse(listen)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            lambda: _Arriving(factory, max_connections, traffic),
            where.host,
            where.port,
            backlog=BACKLOG,
        )
    except OSError as error:
        words = f"cannot listen on {where} for OTLP gRPC; is the port in use?"
        raise OSError(error.errno, words) from error
    try:
        yield address.Address(where.host, server.sockets[0].getsockname()[1])
    finally:
        server.close()


class _Arriving(asyncio.Protocol):
    """Stands for a connection until the address of its client is known, which is at once."""

    def __init__(self, factory: Factory, max_connections: int, traffic: door.Traffic) -> None:
        self._factory, self._most, self._traffic = factory, max_connections, traffic

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._traffic.connections >= self._most:
            self._traffic.refused_connections += 1
            cast("asyncio.Transport", transport).write(FULL)
            transport.close()
            return
        name = transport.get_extra_info("peername")
        protocol = self._factory(_canonical(name[0]) if name else None)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def _canonical(host: str) -> str:
    """Return the address as enrichment knows it: no zone, and IPv4 within IPv6 is IPv4."""
    host = host.partition("%")[0]
    return host.removeprefix("::ffff:") if "." in host else host
