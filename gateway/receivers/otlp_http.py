"""The door for OTLP over HTTP/1.1: protobuf and JSON, admitted before the body is read."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from common.service import address, clock
from gateway.receivers import door, listening
from gateway.receivers.http_connection import Connection
from gateway.receivers.http_door import Door

FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
)


@asynccontextmanager
async def serving(
    listen: str, terms: door.Terms, traffic: door.Traffic
) -> AsyncIterator[address.Address]:
    """Serve on *listen* (``host:port``), with TLS if the settings say so; yields the address bound.

    Leaving closes idle connections at once and lets requests in flight finish for ``terms.drain``
    seconds. Raises :class:`OSError` when the address cannot be bound, and
    :class:`~common.service.settings.SettingsError` for certificates that cannot be used.
    """
    shared = Door(terms, traffic, wall=clock.unix_seconds, chance=random.random)
    sockets = listening.Sockets(
        tls=terms.listen.tls,
        alpn=("http/1.1",),
        proxies=terms.listen.proxies,
        max_connections=terms.limits.max_connections,
        header_timeout=terms.limits.header_timeout,
        reuse_port=terms.reuse_port,
        full=FULL,
    )
    try:
        async with listening.listening(
            listen, lambda peer: Connection(shared, peer), sockets, traffic
        ) as bound:
            yield bound
    finally:
        await shared.drain(terms.drain)
