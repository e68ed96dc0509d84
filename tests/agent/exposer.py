"""A server that answers requests by script: bytes, silence, a hang-up, or bytes and a hang-up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Say:
    """Send *data*, in pieces of *step* bytes if given; then perhaps close, or reset."""

    data: bytes
    close: bool = False
    step: int = 0


HANG = Say(b"")
HANG_UP = Say(b"", close=True)


def page(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> Say:
    lines = b"".join(header + b"\r\n" for header in headers)
    head = b"HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4\r\n%s" % (status, lines)
    return Say(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


GREET = Say(b"220 smtp.example ESMTP\r\n")


@dataclass(slots=True)
class Exposer:
    """What the server was asked; the last answer of *script* is repeated for ever."""

    script: list[Say]
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.BaseTransport] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"

    def next(self) -> Say:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    def drop_connections(self) -> None:
        for transport in tuple(self.open):
            transport.close()


class _Door(asyncio.Protocol):
    def __init__(self, exposer: Exposer, end: bytes, first: Say | None) -> None:
        self._exposer, self._held, self._end, self._first = exposer, b"", end, first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._exposer.open.add(transport)
        self._exposer.connections += 1
        self._exposer.changed.set()
        if self._first is not None:
            self._say(self._first)

    def connection_lost(self, _: Exception | None) -> None:
        self._exposer.open.discard(self._transport)
        self._exposer.changed.set()

    def data_received(self, data: bytes) -> None:
        *requests, self._held = (self._held + data).split(self._end)
        for request in requests:
            self._exposer.requests.append(request)
            self._exposer.changed.set()
            self._say(self._exposer.next())

    def _say(self, said: Say) -> None:
        for at in range(0, len(said.data), said.step or max(1, len(said.data))):
            self._transport.write(said.data[at : at + (said.step or len(said.data))])
        if said.close:
            self._transport.close()


@asynccontextmanager
async def exposing(
    *script: Say,
    tls: ssl.SSLContext | None = None,
    end: bytes = b"\r\n\r\n",
    first: Say | None = None,
) -> AsyncIterator[Exposer]:
    """Serve *script* on loopback; a request ends with *end*. *first* is said unasked."""
    exposer = Exposer(list(script))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Door(exposer, end, first), "127.0.0.1", 0, ssl=tls)
    exposer.port = server.sockets[0].getsockname()[1]
    try:
        yield exposer
    finally:
        server.close()
        for transport in tuple(exposer.open):
            transport.abort()
        await server.wait_closed()
