"""Ports that several processes listen on: reserved by one that does not listen itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from common.service import address


@contextmanager
def reserved(where: str, purpose: str) -> Iterator[address.Address]:
    """Hold the port of *where* (``host:port``) for the block; yields it, chosen if it was 0.

    The port stays ours while workers come and go, and nobody else's program (of another user) can
    join them. Connections go only to sockets that listen, which this one does not. Raises
    :class:`OSError` when somebody listens there already, even with SO_REUSEPORT: a second gateway
    would take half of the first one's clients.
    """
    wanted = address.parse(where)
    with ExitStack() as stack:
        try:
            port = _reserve(wanted, stack)
        except OSError as error:
            words = f"cannot listen on {wanted} for {purpose}: {error.strerror or error}"
            raise OSError(error.errno, words) from error
        yield address.Address(wanted.host, port)


def _reserve(wanted: address.Address, stack: ExitStack) -> int:
    """Bind every address that *wanted* means, for as long as *stack* is open; return the port."""
    found = socket.getaddrinfo(
        wanted.host, wanted.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    port = wanted.port
    for family, kind, protocol, _, place in dict.fromkeys(found):
        if port:
            with socket.socket(family, kind, protocol) as probe:
                _bind(probe, place, port)
        held = stack.enter_context(socket.socket(family, kind, protocol))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bind(held, place, port)
        port = held.getsockname()[1]
    return port


def _bind(end: socket.socket, place: tuple[object, ...], port: int) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio's servers do
    if end.family == socket.AF_INET6:
        # [::] means every address, IPv4 included, as for the doors.
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(place[0] != "::"))
    end.bind((place[0], port, *place[2:]))
