"""From an address to protocols: accepts connections, and finds out for whom they are.

What a door hands in is a factory of protocols; what it gets is connections that are within the
limit, whose handshake is done, and whose client is known by its address. Everything after that is
the door's: its own timers, and ending its connections when it closes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast, final

from typing_extensions import override

from common.config.doors import Proxies, ServerTls
from common.service import address
from gateway.receivers import arrivals, door, peers, tls
from gateway.receivers.places import Places

# Of one name, such addresses are left out while another can be bound: the machine lacks IPv6, say.
_ABSENT: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

Factory: TypeAlias = Callable[[str | None], asyncio.BaseProtocol]
"""Makes the protocol, buffered or not, of a connection from an address, if that is known."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """What there is to know about the connections of a door."""

    tls: ServerTls = field(default_factory=ServerTls)
    alpn: tuple[str, ...] = ()  # protocols to agree on within TLS, the best first
    proxies: Proxies = field(default_factory=Proxies)
    max_connections: int = 4096  # open at once, handshakes included
    header_timeout: float = 10.0  # seconds for the PROXY header and the handshake together
    reuse_port: bool = False  # other processes listen on the same port
    backlog: int = 1024  # connections the kernel holds until they are accepted
    full: bytes = b""  # said to a connection that finds no place, where nothing is encrypted


@asynccontextmanager
async def listening(
    listen: str, factory: Factory, sockets: Sockets, traffic: door.Traffic
) -> AsyncIterator[address.Address]:
    """Accept connections on *listen* (``host:port``); yields the address bound.

    Leaving ends accepting, and what has not reached a protocol of *factory* yet; connections that
    have are the protocols'. Connections are counted in *traffic* (``connections``,
    ``refused_connections``, ``hostile``, ``timeouts``); a door does not count them again. Protocols
    stay in their place: no ``transport.set_protocol``.

    Raises :class:`OSError` in words when the address cannot be bound, and
    :class:`~common.service.settings.SettingsError` for certificates that cannot be used.
    """
    where = address.parse(listen)
    certificates = (
        tls.Certificates(sockets.tls, sockets.alpn, traffic) if sockets.tls.cert_file else None
    )
    listeners = await _listeners(where, sockets)
    bound = address.Address(where.host, listeners[0].getsockname()[1])
    places = Places(sockets.max_connections, traffic)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        if certificates is None and not sockets.proxies.proxy_protocol:
            for listener in listeners:
                server = await loop.create_server(
                    lambda: _Arriving(factory, places, sockets.full),
                    sock=listener,
                    backlog=sockets.backlog,
                )
                stack.callback(server.close)
            yield bound
            return
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        desk = arrivals.Desk(
            factory=factory,
            places=places,
            certificates=certificates,
            networks=peers.networks(sockets.proxies.trusted)
            if sockets.proxies.proxy_protocol
            else (),
            patience=sockets.header_timeout,
            full=sockets.full,
        )
        work = [tasks.create_task(desk.accept(listener)) for listener in listeners]
        if certificates is not None:
            work.append(tasks.create_task(certificates.follow()))
        yield bound
        for task in work:
            task.cancel()


class _Arriving(asyncio.Protocol):
    """Stands in for a protocol until the address of the client is known, which is at once."""

    def __init__(self, factory: Factory, places: Places, full: bytes) -> None:
        self._factory, self._places, self._full = factory, places, full

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        place = self._places.take()
        if place is None:
            if self._full:  # uvloop's transports are none of asyncio's, so that isinstance says no
                cast("asyncio.WriteTransport", transport).write(self._full)
            transport.close()
            return
        name = transport.get_extra_info("peername")
        protocol = place.seat(self._factory(peers.canonical(name[0]) if name else None))
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


async def _listeners(where: address.Address, sockets: Sockets) -> list[socket.socket]:
    """Bind every address that the host stands for, all with one port."""
    found: list[socket.socket] = []
    port = where.port
    with _in_words(where):
        addresses = await _addresses(where)
    last: OSError | None = None
    for family, name in addresses:
        try:
            with _in_words(where):
                found.append(_listener(family, (name[0], port, *name[2:]), sockets))
        except OSError as error:
            last = error
            if error.errno in _ABSENT:
                continue
            for listener in found:
                listener.close()
            raise
        port = found[0].getsockname()[1]
    if not found:
        raise last or OSError(f"cannot listen on {where}: the name has no address")
    return found


async def _addresses(where: address.Address) -> list[tuple[int, tuple[Any, ...]]]:
    """Return the families and addresses that the host stands for."""
    infos = await asyncio.get_running_loop().getaddrinfo(
        where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return [(family, name) for family, *_, name in dict.fromkeys(infos)]


def _listener(family: int, name: tuple[str | int, ...], sockets: Sockets) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sockets.reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # [::] means every address, IPv4 included, whatever the default of the machine is.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(name[0] != "::"))
        listener.bind(name)
        listener.listen(sockets.backlog)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _in_words(where: address.Address) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "; is another process using it?" if error.errno == errno.EADDRINUSE else ""
        words = f"cannot listen on {where}: {(error.strerror or str(error)).lower()}{remedy}"
        raise OSError(error.errno, words) from error
