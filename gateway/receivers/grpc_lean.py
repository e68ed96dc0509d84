"""The lean door for OTLP over gRPC: our own HTTP/2 on asyncio or uvloop, nothing decoded twice.

Admission, tokens and overload are looked at when the headers of a request are here; only then, and
only as far as was admitted, the client gets to send its body, for flow control is ours.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from common.service import address
from common.wire import http2
from gateway.receivers import door, listening
from gateway.receivers.grpc_connection import Connection
from gateway.receivers.grpc_door import Door

FULL: Final = http2.farewell("too many connections; use fewer, or other replicas")


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
    cannot be bound, and :class:`~common.service.settings.SettingsError` for certificates that
    cannot be used.
    """
    shared = Door(terms, traffic, chance=chance)

    def connect(peer: str | None) -> Connection:
        return Connection(peer, shared)

    patience = 0.0  # for whoever is inside when the block fails
    with shared.looking():
        try:
            async with listening.listening(listen, connect, _sockets(terms), traffic) as bound:
                yield bound
            patience = terms.drain
        finally:
            await shared.drain(patience)


def _sockets(terms: door.Terms) -> listening.Sockets:
    limits, listen = terms.limits, terms.listen
    return listening.Sockets(
        tls=listen.tls,
        alpn=("h2",),
        proxies=listen.proxies,
        max_connections=limits.max_connections,
        header_timeout=limits.header_timeout,
        reuse_port=terms.reuse_port,
        full=FULL,
    )
