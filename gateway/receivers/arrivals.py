"""Where connections wait that have to say something first: a PROXY header, a TLS handshake."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal, assert_never

from gateway.receivers import peers, proxy_protocol, tls
from gateway.receivers.places import Place, Places

log = logging.getLogger("headgate.gateway.listening")

# Seconds until accepting is tried again where the machine, not a client, lacks something (file
# descriptors, memory): at once, it would spin. asyncio's own servers wait as long.
PAUSE: Final = 1.0
# Seconds for the end of a TLS connection, since a client may be gone; its place is taken meanwhile.
GOODBYE: Final = 2.0

Stage = Literal["proxy_header", "tls_handshake"]


class _Hostile(Exception):
    """The connection does not begin as it must."""


class _Gone(Exception):
    """The client hung up before it said anything, as probes do."""


class Desk:
    """Takes connections from a listening socket, and hands them to protocols when they are ready.

    Those from *networks* have to begin with a PROXY header; from others none is accepted, so that
    nobody can pretend to be somewhere else. With *certificates*, a TLS handshake follows. Both are
    to be done within *patience* seconds. A connection has its place from the start.
    """

    def __init__(
        self,
        *,
        factory: Callable[[str | None], asyncio.BaseProtocol],
        places: Places,
        certificates: tls.Certificates | None,
        networks: peers.Networks,
        patience: float,
        full: bytes,
    ) -> None:
        self._factory, self._places = factory, places
        self._certificates, self._networks = certificates, networks
        self._patience = patience
        self._full = b"" if certificates is not None else full

    async def accept(self, listener: socket.socket) -> None:
        """Take connections for ever; cancelled, it drops those that are not ready yet."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as greetings:
            while True:
                try:
                    sock, name = await loop.sock_accept(listener)
                except ConnectionAbortedError:
                    continue  # the client was gone before it was accepted
                except OSError as error:
                    log.warning("cannot accept connections", extra={"error": str(error)})
                    await asyncio.sleep(PAUSE)
                    continue
                place = self._places.take()
                if place is None:
                    self._turn_away(sock)
                else:
                    greetings.create_task(self._greet(sock, peers.canonical(name[0]), place))
                # While more of them wait, accepting does not, and nobody else would have a turn.
                await asyncio.sleep(0)

    def _turn_away(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):  # a client that does not even take a word is gone
            sock.send(self._full)

    async def _greet(self, sock: socket.socket, peer: str | None, place: Place) -> None:
        traffic = self._places.traffic
        stage: Stage = "tls_handshake"
        try:
            async with asyncio.timeout(self._patience):
                if peers.trusted(peer, self._networks):
                    stage = "proxy_header"
                    peer = await _source(sock) or peer
                    stage = "tls_handshake"
                await self._hand_over(sock, peer, place)
        except TimeoutError:
            traffic.timeouts[stage] = traffic.timeouts.get(stage, 0) + 1
        except (_Hostile, ssl.SSLError):
            traffic.hostile[stage] = traffic.hostile.get(stage, 0) + 1
        except (_Gone, OSError):
            pass
        finally:
            if place.protocol is None:
                place.leave()
                sock.close()

    async def _hand_over(self, sock: socket.socket, peer: str | None, place: Place) -> None:
        loop = asyncio.get_running_loop()
        protocol = place.seat(self._factory(peer))
        if self._certificates is None:
            await loop.connect_accepted_socket(lambda: protocol, sock)
            return
        await loop.connect_accepted_socket(
            lambda: protocol,
            sock,
            ssl=self._certificates.current.context,
            # The timeout is that of the whole greeting, this one would be shorter by default.
            ssl_handshake_timeout=self._patience + 1.0,
            ssl_shutdown_timeout=GOODBYE,
        )


async def _source(sock: socket.socket) -> str | None:
    """Take the PROXY header off the front of *sock*, exactly; return the address it names, if any.

    Looked at before it is taken: what follows belongs to the handshake or to the protocol.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    taken = b""
    loop.add_reader(sock, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            try:
                seen = sock.recv(proxy_protocol.MAX - len(taken), socket.MSG_PEEK)
            except BlockingIOError:
                continue
            if not seen:
                raise _Hostile if taken else _Gone
            parsed = proxy_protocol.parse(taken + seen)
            match parsed:
                case proxy_protocol.NeedMore():
                    # All of it is the header's. Left there, it would make the socket readable, and
                    # us busy, for as long as the rest is missing.
                    taken += sock.recv(len(seen))
                case proxy_protocol.Header(source, length):
                    sock.recv(length - len(taken))
                    return source
                case proxy_protocol.Unreadable():
                    raise _Hostile
                case _ as never:
                    assert_never(never)
    finally:
        loop.remove_reader(sock)
